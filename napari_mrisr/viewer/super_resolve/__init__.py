"""The Super-resolve dock."""
