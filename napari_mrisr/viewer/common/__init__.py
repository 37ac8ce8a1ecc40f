"""Parts that every dock uses."""
