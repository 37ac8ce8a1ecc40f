"""Evaluation against a truth: metrics, protocols, experiments, tables and figures."""
