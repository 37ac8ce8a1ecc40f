"""Single numbers and the structure tensor as pictures: dials, strips, bars, ellipsoid."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from napari_mrisr.explain.sheet import Sheet
from napari_mrisr.explain.steps import plain, signed

STRIP_IN = 0.42


@dataclass(frozen=True)
class Gauge:
    """A number on a scale.

    Attributes
    ----------
    label, text : str
        Name, and value as text.
    value : float
    limits : (float, float)
        Ends of the scale; may be infinite.
    cuts : tuple of float
        Limits between bins; empty for a scale without bins.
    """

    label: str
    text: str
    value: float
    limits: tuple[float, float]
    cuts: tuple[float, ...] = ()

    @property
    def shown(self) -> tuple[float, float]:
        """Finite ends of the scale, around the value and all cuts."""
        low, high = self.limits
        points = [self.value, *self.cuts, *(n for n in self.limits if np.isfinite(n))]
        room = 0.25 * max(max(points) - min(points), 1e-3)
        low = low if np.isfinite(low) else min(points) - room
        return low, high if np.isfinite(high) else max(points) + room

    @property
    def bin(self) -> tuple[float, float]:
        """Ends of the value's bin on the scale."""
        low, high = self.shown
        edges = (low, *self.cuts, high)
        number = int(np.searchsorted(self.cuts, self.value, side="right"))
        return edges[number], edges[number + 1]


def draw_strips(sheet: Sheet, gauges: Sequence[Gauge]) -> None:
    """Draw gauges as strips, one below the other."""
    height = min(STRIP_IN, sheet.height / max(1, len(gauges)))
    top = sheet.height - (sheet.height - height * len(gauges)) / 2
    for number, gauge in enumerate(gauges):
        _strip(sheet.part((0.0, top - (number + 1) * height, sheet.width, height)), gauge)


def _strip(sheet: Sheet, gauge: Gauge) -> None:
    style, small = sheet.style, 0.85 * sheet.style.points
    low, high = gauge.shown
    bar = min(0.11, 0.28 * sheet.height)
    axes = sheet.axes((0.12, 0.14, sheet.width - 0.24, bar))
    axes.set_xlim(low, high)
    axes.set_ylim(0.0, 1.0)
    axes.axvspan(low, high, color=style.faint, alpha=0.35, linewidth=0)
    if gauge.cuts:
        axes.axvspan(*gauge.bin, color=style.voxel, alpha=0.75, linewidth=0)
        for cut in gauge.cuts:
            axes.axvline(cut, color=style.ink, linewidth=0.9)
            axes.text(
                cut, -0.25, f"{cut:.3g}".replace("-", "−"), ha="center", va="top",
                fontsize=0.72 * style.points, color=style.faint,
            )  # fmt: skip
    at = min(max(gauge.value, low), high)
    axes.plot(at, 0.5, "D", color=style.ink, markersize=4.5, clip_on=False, zorder=4)
    line = 0.14 + bar + 0.04
    sheet.text(0.12, line, gauge.label, ha="left", va="bottom", fontsize=small)
    sheet.text(sheet.width - 0.12, line, gauge.text, ha="right", va="bottom", fontsize=small)


def draw_dial(sheet: Sheet, gauge: Gauge) -> None:
    """Draw an angle as a needle on an arc."""
    style = sheet.style
    low, high = gauge.limits
    wide = 2.0 if high > 90.0 else 1.0
    size = min((sheet.width - 0.3) / wide, sheet.height - 0.5)
    left = (sheet.width - wide * size) / 2
    axes = sheet.axes((left, 0.18, wide * size, size))
    axes.set_xlim(1.0 - wide, 1.0)
    axes.set_ylim(0.0, 1.0)
    arc = np.radians(np.linspace(low, high, 90))
    axes.fill(
        [0.0, *0.96 * np.cos(arc)], [0.0, *0.96 * np.sin(arc)], color=style.faint, alpha=0.25,
        linewidth=0,
    )  # fmt: skip
    axes.plot(0.96 * np.cos(arc), 0.96 * np.sin(arc), color=style.faint, linewidth=1.0)
    for end in (low, high):
        turn = np.radians(end)
        axes.plot([0, 0.96 * np.cos(turn)], [0, 0.96 * np.sin(turn)], color=style.faint, lw=0.8)
    turn = np.radians(gauge.value)
    axes.annotate(
        "", (0.94 * np.cos(turn), 0.94 * np.sin(turn)), (0.0, 0.0),
        arrowprops={"arrowstyle": "-|>", "color": style.voxel, "linewidth": 1.8,
                    "shrinkA": 0, "shrinkB": 0},
        annotation_clip=False,
    )  # fmt: skip
    middle = sheet.width / 2
    sheet.text(middle, size + 0.22, gauge.text, ha="center", va="bottom")
    sheet.text(middle, 0.12, gauge.label, ha="center", va="top", fontsize=0.85 * style.points)


def draw_sum(
    sheet: Sheet, start: tuple[str, float], changes: Sequence[tuple[str, float]], end: str,
    truth: float | None,
) -> None:  # fmt: skip
    """Draw bars for start, changes and end, and the reference as a line."""
    style, small = sheet.style, 0.8 * sheet.style.points
    levels = np.cumsum([start[1], *(value for _, value in changes)])
    points = [*levels, *([truth] if truth is not None else [])]
    low, high = min(points), max(points)
    room = 0.35 * max(high - low, 0.01)
    low, high = low - room, high + room
    axes = sheet.axes((0.4, 0.46, sheet.width - 0.5, sheet.height - 0.5))
    axes.set_xlim(-0.6, len(changes) + (1.6 if truth is None else 2.7))
    axes.set_ylim(low, high)
    # The axis does not begin at 0: write its lower end.
    axes.text(
        -0.58,
        low,
        f"{low:.2f} ".replace("-", "−"),
        ha="right",
        va="bottom",
        fontsize=small,
        color=style.faint,
    )
    names = [start[0], *(name for name, _ in changes), end]
    bars = [(low, levels[0], style.faint)]
    bars += [(a, b, style.warm if b >= a else style.cold) for a, b in itertools.pairwise(levels)]
    bars.append((low, levels[-1], style.voxel))
    texts = [plain(start[1]), *(signed(value) for _, value in changes), plain(levels[-1])]
    # Values stand below the bars, where the line of the reference cannot cross them.
    for x, ((bottom, top, color), name, text) in enumerate(zip(bars, names, texts, strict=True)):
        axes.bar(x, top - bottom, bottom=bottom, width=0.62, color=color)
        below = name.replace(" ", "\n", 1)
        for label, weight in ((text, "bold"), (f"\n{below}", "normal")):
            axes.text(
                x, -0.04, label, ha="center", va="top", fontsize=small, fontweight=weight,
                color=style.ink, transform=axes.get_xaxis_transform(),
            )  # fmt: skip
    if truth is not None:
        axes.axhline(truth, color=style.ink, linewidth=1.0, linestyle="--")
        axes.text(
            len(changes) + 2.68, truth, f"reference\n{plain(truth)}", ha="right", va="bottom",
            fontsize=small, color=style.ink,
        )  # fmt: skip


Matrix = NDArray[np.float64]

# Direction to the observer: in front of the patient, slightly to the right and above.
_EYE = np.array([0.45, 0.8, 0.4]) / np.linalg.norm([0.45, 0.8, 0.4])
_RIGHT = np.cross([0.0, 0.0, 1.0], _EYE) / np.linalg.norm(np.cross([0.0, 0.0, 1.0], _EYE))
SCREEN = np.stack([_RIGHT, np.cross(_EYE, _RIGHT)])
"""Two rows, the screen's right and up in the patient's x, y, z."""

_LIGHT = _EYE + 0.7 * SCREEN[1] - 0.5 * SCREEN[0]
_THINNEST = 0.03
_AXES = (("R", 0), ("A", 1), ("S", 2))


def semi_axes(values: Matrix) -> Matrix:
    """Return √λ divided by the largest √λ; zeros if all are 0."""
    lengths = np.sqrt(np.maximum(values, 0.0))
    return lengths / lengths[0] if lengths[0] > 0.0 else np.zeros(3)


def ellipsoid_faces(lengths: Matrix, vectors: Matrix, steps: int = 28) -> tuple[Matrix, Matrix]:
    """Return the faces of an ellipsoid and their normals.

    Returns
    -------
    corners : (n, 4, 3) ndarray
    normals : (n, 3) ndarray
        Outward unit vectors.
    """
    u = np.linspace(0.0, 2.0 * np.pi, 2 * steps + 1)
    w = np.linspace(0.0, np.pi, steps + 1)
    around, down = np.meshgrid(u, w, indexing="ij")
    sphere = np.stack(
        [np.cos(around) * np.sin(down), np.sin(around) * np.sin(down), np.cos(down)], -1
    )
    # Put the poles on the longest axis.
    sphere = sphere[..., [2, 0, 1]]
    lengths = np.maximum(lengths, _THINNEST)
    points = (sphere * lengths) @ vectors.T
    quads = np.stack([points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]], 2)
    middle = (sphere[:-1, :-1] + sphere[1:, 1:]) / 2.0
    normals = (middle / lengths) @ vectors.T
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return quads.reshape(-1, 4, 3), normals.reshape(-1, 3)


def draw_ellipsoid(sheet: Sheet, values: Matrix, vectors: Matrix) -> Axes:
    """Draw the ellipsoid from the front of the patient, its axes and the patient's axes."""
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
    lengths = semi_axes(values)
    if not lengths[0] > 0.0:
        axes.plot(0, 0, "o", color=style.voxel)
        return axes
    corners, normals = ellipsoid_faces(lengths, vectors)
    visible = normals @ _EYE > 0.0
    order = np.argsort(corners[visible].mean(axis=1) @ _EYE)
    light = np.clip(normals[visible][order] @ (_LIGHT / np.linalg.norm(_LIGHT)), 0.0, 1.0)
    shade = np.array(to_rgb(style.cold)) * (0.35 + 0.65 * light[:, None])
    flat = corners[visible][order] @ SCREEN.T
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
