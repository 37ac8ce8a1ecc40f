"""Kinds of banks that ``make_bank`` makes: arguments by a name for people."""

from __future__ import annotations

from typing import Any

KINDS: dict[str, dict[str, Any]] = {
    "cube 2x": {"scale": (2, 2, 2), "grids": ("cell", "voxel")},
    "cube 3x, wide": {"scale": (3, 3, 3), "grids": ("cell", "voxel"), "width": 5},
    "flips 1x1x4": {"scale": (1, 1, 4), "grids": ("cell", "voxel")},
    "two voxel stages": {"scale": (2, 1, 3), "grids": ("voxel", "voxel")},
    "cells last": {"scale": (2, 2, 2), "grids": ("voxel", "cell")},
    "paper": {
        "scale": (2, 2, 2),
        "grids": ("voxel",),
        "symmetry": "none",
        "residual": False,
        "start": "quadratic",
    },
}
