"""Draw docs/images/performance.png from the results of ``make bench``.

python scripts/pictures/performance.py [output/bench.json]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

OURS, THEIRS = "#1f6fb4", "#8c8c8c"


def draw_ratios(axes: Axes, name: str, rows: list[dict[str, Any]]) -> None:
    """Draw ratios to the time of scipy's zoom on a logarithmic axis."""
    rows = sorted(rows, key=lambda row: row["ratio"])
    for y, row in enumerate(rows):
        color = OURS if "(ours)" in row["name"] else THEIRS
        axes.plot([row["low"], row["high"]], [y, y], color=color, linewidth=3)
        axes.plot(row["ratio"], y, "o", color=color, markersize=6)
        axes.text(row["high"] * 1.2, y, f"{row['ratio']:.2g}", va="center", fontsize=7)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.grid(axis="y", color="#eeeeee")
    axes.set_xscale("log")
    axes.set_xlim(right=4 * max(row["high"] for row in rows))
    axes.axvline(1.0, color="#555555", linewidth=0.8, linestyle=":")
    axes.set_title(f"Time relative to scipy's zoom, {name}", fontsize=8)


def main(path: Path) -> None:
    """Read the results, draw and save the figure."""
    found = json.loads(path.read_text(encoding="utf-8"))
    # The first size of each kind of input.
    tables = {name.split()[0]: (name, rows) for name, rows in [*found["end_to_end"].items()][::-1]}
    figure = Figure(figsize=(5.0 * len(tables), 3.0), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(tables), squeeze=False)[0]
    for axes, kind in zip(panels, sorted(tables, reverse=True), strict=True):
        draw_ratios(axes, *tables[kind])
        axes.tick_params(labelsize=7)
        axes.tick_params(which="minor", labelbottom=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(__file__).parents[2] / "docs" / "images" / "performance.png", dpi=120)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "output/bench.json"))
