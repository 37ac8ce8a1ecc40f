"""State and actions of the comparison, without Qt."""
