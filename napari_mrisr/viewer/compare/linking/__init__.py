"""Links between the comparison and napari's viewer and layers."""
