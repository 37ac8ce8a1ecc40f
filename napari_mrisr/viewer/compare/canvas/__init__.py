"""Panels of the comparison, drawn and pointed at."""
