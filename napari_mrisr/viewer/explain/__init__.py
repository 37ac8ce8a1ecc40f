"""Explain a voxel, and the guided tour: dock widgets over :mod:`napari_mrisr.explain`."""
