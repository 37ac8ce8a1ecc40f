"""Metrics, protocols, experiments and their tables and figures."""
