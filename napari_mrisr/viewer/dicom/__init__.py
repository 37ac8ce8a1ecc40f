"""DICOM in napari: the dock with the series of a study, and the reader that opens it."""
