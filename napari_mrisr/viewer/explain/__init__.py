"""Dock widgets "Explain a voxel" and "Guided tour".

layers.py  choice of layers, frozen requests for the thread, marker of the voxel; no Qt
form.py    fields and slides of the explainer
widget.py  the explainer
tour.py    volumes and texts of the tour, and its dock
"""
