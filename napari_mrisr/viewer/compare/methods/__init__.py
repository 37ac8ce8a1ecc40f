"""Dock "Compare methods": several methods on one layer, as columns of Compare and on one page."""
