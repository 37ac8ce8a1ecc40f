"""Volumes, scales, progress, threads: what every package uses."""
