"""Dock widget "Inspect buckets".

controller.py   requests for the thread, state of the dock, and what it shows; no Qt
maps.py         bucket maps and features as napari layers; no Qt
painted.py      text, planes and 3D filters, painted without a new layout
filter_view.py  view of one filter
panel.py        form, tabs and the table of buckets; no logic
widget.py       the dock
"""
