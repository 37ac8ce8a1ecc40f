"""Live previews: layers whose slices are computed when they are shown."""
