"""Blinded reading: the dialog that starts one, its window, and its results."""
