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

OURS, THEIRS, LIMIT = "#1f6fb4", "#8c8c8c", "#0b2f4f"


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
    axes.set_title(f"Time relative to scipy's zoom, output {name.split()[1]}", fontsize=8)


def draw_steps(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Draw the seconds of each step, and the limit of the machine."""
    rows = rows[::-1]
    places = range(len(rows))
    axes.barh(places, [row["seconds"] for row in rows], color=OURS, alpha=0.55, label="measured")
    axes.barh(places, [row["limit_s"] for row in rows], color=LIMIT, label="limit of the machine")
    axes.set_yticks(places, [row["step"] for row in rows])
    for y, row in zip(places, rows, strict=True):
        text = f"{100 * row['of_limit']:.0f} %, {row['bound']}" if row["bound"] else ""
        axes.text(row["seconds"], y, f" {text}", va="center", fontsize=7)
    axes.set_xlim(right=1.35 * max(row["seconds"] for row in rows))
    axes.set_xlabel("CPU time (s)", fontsize=7)
    axes.legend(fontsize=7, loc="upper right", frameon=False)
    axes.set_title("Steps of hashed, one thread; percent of the limit", fontsize=8)


def main(path: Path) -> None:
    """Read the results, draw and save the figure."""
    found = json.loads(path.read_text(encoding="utf-8"))
    figure = Figure(figsize=(10.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    name, rows = next(iter(found["end_to_end"].items()))
    draw_ratios(left, name, rows)
    draw_steps(right, found["steps"])
    for axes in (left, right):
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(__file__).parents[2] / "docs" / "images" / "performance.png", dpi=120)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "output/bench.json"))
