"""Blinded reading in the viewer."""
