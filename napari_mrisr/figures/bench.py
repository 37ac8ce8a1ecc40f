"""Figure of a bench: a slice of every method with a magnified part, its difference, and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox

from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.core.volume import FloatArray

_PANEL_IN = 1.7
_LINE_IN = 0.16  # of the table
_TABLE_IN = 5.6
_ZOOM = 0.28  # share of the slice's shorter side
_DIFFERENCE = 0.15  # of the window
_ACROSS = 6  # images side by side


def bench_figure(
    reference: FloatArray,
    results: dict[str, FloatArray],
    captions: dict[str, str],
    title: str,
    *,
    first: str = "reference",
    table: Sequence[Sequence[str]] = (),
) -> Figure:
    """Draw per image the slice, the magnified part, and result − reference, six side by side.

    Parameters
    ----------
    reference : (rows, columns) ndarray of float32
        0 to 1.
    results : dict of str to ndarray
        By method, of the reference's shape.
    captions : dict of str to str
        Numbers below each method's name.
    title : str
    first : str
        Name of the reference.
    table : sequence of rows, optional
        Drawn below the images; a row of headings, then one per method.
    """
    images = {first: reference, **results}
    rows, columns = reference.shape
    side = max(8, int(_ZOOM * min(rows, columns)))
    top, left = _detailed(reference, side)
    across, bands = min(_ACROSS, len(images)), -(-len(images) // _ACROSS)
    below_in = _LINE_IN * len(table)
    height = bands * (_PANEL_IN * (rows / columns + 1 + rows / columns) + 0.6) + 0.5 + below_in
    size = (max(_PANEL_IN * across + 0.3, _TABLE_IN if table else 0.0), height)
    figure = Figure(figsize=size, dpi=200, layout="constrained")
    heights = bands * [rows / columns, 1.0, rows / columns] + [max(below_in, 0.01) / _PANEL_IN]
    grid = figure.add_gridspec(3 * bands + 1, across, height_ratios=heights)
    if table:
        _draw_table(figure.add_subplot(grid[-1, :]), table)
    differences = []
    for number, (name, image) in enumerate(images.items()):
        band, column = divmod(number, _ACROSS)
        above, middle, below = (
            figure.add_subplot(grid[3 * band + line, column]) for line in range(3)
        )
        part = image[top : top + side, left : left + side]
        above.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        above.add_patch(Rectangle((left, top), side, side, fill=False, ec="orange", lw=0.8))
        above.set_title("\n".join([name, captions.get(name, " ")]), fontsize=7)
        middle.imshow(part, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        if name == first:
            below.axis("off")
        else:
            drawn = below.imshow(
                image - reference, cmap="RdBu_r", vmin=-_DIFFERENCE, vmax=_DIFFERENCE
            )
            differences.append(below)
        for panel in (above, middle, below):
            panel.set_xticks([])
            panel.set_yticks([])
    if results:
        bar = figure.colorbar(drawn, ax=differences[: across - 1], shrink=0.8, pad=0.01)
        bar.set_label(f"result − {first}, of the window", fontsize=6)
        bar.ax.tick_params(labelsize=6)
    figure.suptitle(title, fontsize=8)
    figure.supxlabel(RESEARCH_USE, fontsize=6)
    return figure


def _draw_table(axes: Axes, table: Sequence[Sequence[str]]) -> None:
    axes.axis("off")
    headings, *rows = map(list, table)
    drawn = axes.table(rows, colLabels=headings, bbox=Bbox.unit(), cellLoc="center", edges="B")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(6)
    for cell in drawn.get_celld().values():
        cell.set_linewidth(0.3)


def _detailed(image: FloatArray, side: int) -> tuple[int, int]:
    """Return the corner of the square with most detail in the image's middle."""
    steps = np.abs(np.diff(image, axis=0, prepend=image[:1]))
    total = np.pad(steps.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    margin = [int(0.15 * n) for n in sums.shape]
    inner = sums[margin[0] : sums.shape[0] - margin[0], margin[1] : sums.shape[1] - margin[1]]
    row, column = np.unravel_index(int(inner.argmax()), inner.shape)
    return int(row) + margin[0], int(column) + margin[1]


def read_slices(folder: Path, methods: list[str]) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Return the reference's slice and those of the methods that a bench wrote."""
    load = {
        name: np.asarray(np.load(folder / f"{name}.npy", allow_pickle=False), np.float32)
        for name in ("reference", *methods)
        if (folder / f"{name}.npy").exists()
    }
    return load.pop("reference"), load
