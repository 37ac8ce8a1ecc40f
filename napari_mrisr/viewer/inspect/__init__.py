"""Dock widget "Inspect buckets".

controller.py   state of the dock, and what it shows; no Qt
requests.py     frozen requests for the thread, and their results; no Qt
maps.py         bucket maps and features as napari layers; no Qt
painted.py      text, planes and 3D filters, painted without a new layout
filter_view.py  view of one filter
buckets.py      table of all buckets
panel.py        form and tabs; no logic
widget.py       the dock
"""
