"""Panels of Compare: drawing and mouse."""
