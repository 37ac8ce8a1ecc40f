"""The structure tensor drawn as a body with its axes."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from napari_mrisr.explain.sheet import Sheet

Matrix = NDArray[np.float64]

# The eye: in front of the patient, a little to the right and above.
_EYE = np.array([0.45, 0.8, 0.4]) / np.linalg.norm([0.45, 0.8, 0.4])
_RIGHT = np.cross([0.0, 0.0, 1.0], _EYE) / np.linalg.norm(np.cross([0.0, 0.0, 1.0], _EYE))
SCREEN = np.stack([_RIGHT, np.cross(_EYE, _RIGHT)])
"""Two rows: x, y, z of the patient to the screen's right and up."""

_LIGHT = _EYE + 0.7 * SCREEN[1] - 0.5 * SCREEN[0]
_THINNEST = 0.03
_AXES = (("R", 0), ("A", 1), ("S", 2))


def half_axes(values: Matrix) -> Matrix:
    """√λ over the largest; all 0 where nothing changes."""
    lengths = np.sqrt(np.maximum(values, 0.0))
    return lengths / lengths[0] if lengths[0] > 0.0 else np.zeros(3)


def faces_of(lengths: Matrix, vectors: Matrix, steps: int = 28) -> tuple[Matrix, Matrix]:
    """The ellipsoid's faces and their normals.

    Returns
    -------
    corners : (n, 4, 3) ndarray
    normals : (n, 3) ndarray
        Of length 1, outward.
    """
    u = np.linspace(0.0, 2.0 * np.pi, 2 * steps + 1)
    w = np.linspace(0.0, np.pi, steps + 1)
    around, down = np.meshgrid(u, w, indexing="ij")
    sphere = np.stack(
        [np.cos(around) * np.sin(down), np.sin(around) * np.sin(down), np.cos(down)], -1
    )
    # The poles on the longest axis look best.
    sphere = sphere[..., [2, 0, 1]]
    lengths = np.maximum(lengths, _THINNEST)
    points = (sphere * lengths) @ vectors.T
    quads = np.stack([points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]], 2)
    middle = (sphere[:-1, :-1] + sphere[1:, 1:]) / 2.0
    normals = (middle / lengths) @ vectors.T
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return quads.reshape(-1, 4, 3), normals.reshape(-1, 3)


def draw_body(sheet: Sheet, values: Matrix, vectors: Matrix) -> Axes:
    """The body seen from in front of the patient, its axes and the patient's."""
    side = min(sheet.width, sheet.height)
    axes = sheet.axes(((sheet.width - side) / 2, (sheet.height - side) / 2, side, side))
    axes.set_xlim(-1.35, 1.35)
    axes.set_ylim(-1.35, 1.35)
    style = sheet.style
    for letter, axis in _AXES:
        end = 1.2 * SCREEN[:, axis]
        axes.annotate(
            "", (end[0], end[1]), (-end[0], -end[1]),
            arrowprops={"arrowstyle": "->", "color": style.faint, "linewidth": 0.8}, zorder=1,
        )  # fmt: skip
        axes.text(
            1.1 * end[0], 1.1 * end[1], letter, color=style.faint, ha="center", va="center",
            fontsize=style.points,
        )  # fmt: skip
    lengths = half_axes(values)
    if not lengths[0] > 0.0:
        axes.plot(0, 0, "o", color=style.voxel)
        return axes
    corners, normals = faces_of(lengths, vectors)
    seen = normals @ _EYE > 0.0
    order = np.argsort(corners[seen].mean(axis=1) @ _EYE)
    light = np.clip(normals[seen][order] @ (_LIGHT / np.linalg.norm(_LIGHT)), 0.0, 1.0)
    shade = np.array(to_rgb(style.cold)) * (0.35 + 0.65 * light[:, None])
    flat = corners[seen][order] @ SCREEN.T
    axes.add_collection(
        PolyCollection(list(flat), facecolors=shade, edgecolors=shade, linewidths=0.4, zorder=2)
    )
    for number, color in enumerate((style.voxel, style.cell, style.ink)):
        tip = lengths[number] * (SCREEN @ vectors[:, number])
        axes.plot(
            [-tip[0], tip[0]], [-tip[1], tip[1]],
            color=color, linewidth=1.6 if number == 0 else 1.0, zorder=3,
        )  # fmt: skip
        if np.hypot(*tip) > 0.12:
            beyond = tip * (1.0 + 0.14 / np.hypot(*tip))
            axes.text(
                beyond[0], beyond[1], f"v{number + 1}", color=color, fontsize=style.points,
                ha="center", va="center", zorder=4,
            )  # fmt: skip
    return axes
