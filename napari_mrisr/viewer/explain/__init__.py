"""Dock widgets "Explain a voxel" and "Guided tour".

requests.py    frozen requests for the thread, and the choice of layers; no Qt
marker.py      position of a voxel in napari's world, and the layer that marks it; no Qt
form.py        fields and slides of the explainer
widget.py      the explainer
tour_stops.py  volumes and texts of the tour; no Qt
tour.py        the tour
"""
