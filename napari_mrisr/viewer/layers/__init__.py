"""napari layers to and from volumes and files."""
