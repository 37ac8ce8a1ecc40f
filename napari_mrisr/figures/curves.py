"""Figure of curves with bands, a panel per quantity and a color per method."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.figures.page import DPI, LINE_CHARACTERS, MEDIUM, SMALL, WIDTH_IN

_HEIGHT_IN = 3.2


class Curve(NamedTuple):
    """Values over x, and the band around them."""

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def curve_figure(
    panels: Mapping[str, Mapping[str, Curve]],
    x_label: str,
    title: str,
    notes: Sequence[str],
    *,
    labels: Sequence[str] | None = None,
) -> Figure:
    """Draw panels side by side.

    Parameters
    ----------
    panels : mapping of str to mapping of str to Curve
        By the label of the panel's y axis, then by method.
    x_label, title : str
    notes : sequence of str
        Below the panels, before "not for diagnosis".
    labels : sequence of str, optional
        Names of the places 0, 1, 2 ... along x.
    """
    figure = Figure(figsize=(WIDTH_IN, _HEIGHT_IN), dpi=DPI, layout="constrained")
    for axes, (label, curves) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for name, curve in curves.items():
            (line,) = axes.plot(curve.x, curve.y, marker="o", ms=3, lw=1.2, label=name)
            color = line.get_color()
            axes.fill_between(curve.x, curve.low, curve.high, color=color, alpha=0.06, lw=0)
            for edge in (curve.low, curve.high):  # bands of several methods lie on each other
                axes.plot(curve.x, edge, color=color, lw=0.6, ls="--")
        axes.set_xticks(sorted({x for curve in curves.values() for x in curve.x}), labels)
        axes.set_xlabel(x_label, fontsize=SMALL)
        axes.set_title(label, fontsize=SMALL)
        axes.tick_params(labelsize=SMALL)
        axes.grid(alpha=0.3, lw=0.5)
    axes.legend(fontsize=SMALL, loc="best")
    figure.suptitle(title, fontsize=MEDIUM)
    lines = [line for note in notes for line in textwrap.wrap(note, LINE_CHARACTERS)]
    figure.supxlabel("\n".join([*lines, RESEARCH_USE]), fontsize=SMALL, color="0.3")
    return figure
