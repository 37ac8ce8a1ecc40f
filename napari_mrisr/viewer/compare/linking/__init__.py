"""Links between Compare and napari's viewer and layers."""
