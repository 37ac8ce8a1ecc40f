"""Measure the bundled banks and print the tables of docs/reference/quality.md.

    python scripts/quality_table.py DATA/val

About 20 minutes on two cores for six volumes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RUNS = {
    "standard": ["--scales", "2,3,4"],
    "standard, preset paper": ["--scales", "2", "--bank", "paper-2x"],
    "paper-2021": ["--scales", "2,3,4", "--protocol", "paper-2021"],
}


def measure(data: Sequence[str | Path], options: Sequence[str]) -> list[dict[str, Any]]:
    """Run ``evaluate`` on files or folders and return its rows."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "napari_mrisr", "evaluate", *map(str, data), *options]
        subprocess.run(
            [*command, "--quiet", "--json", str(out)], check=True, stdout=subprocess.DEVNULL
        )
        rows: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))["rows"]
        return rows


def table(title: str, rows: list[dict[str, Any]]) -> str:
    inside = [row for row in rows if row["mask"] == "head"]
    hashed = {(r["file"], r["scale"]): r for r in inside if r["method"] == "hashed"}
    start = {(r["file"], r["scale"]): r for r in inside if r["method"] == "tricubic"}
    files = list(dict.fromkeys(file for file, _ in hashed))
    scales = list(dict.fromkeys(scale for _, scale in hashed))
    lines = [f"\n**{title}**\n", "| volume | " + " | ".join(f"{s}×" for s in scales) + " |"]
    lines.append("|---" * (len(scales) + 1) + "|")
    for file in files:
        cells = []
        for scale in scales:
            after, before = hashed[file, scale], start[file, scale]
            cells.append(
                f"**{after['gain_db']:+.2f}** ({before['psnr_db']:.2f} → {after['psnr_db']:.2f};"
                f" {before['ssim']:.3f} → {after['ssim']:.3f})"
            )
        lines.append(f"| {Path(file).name.split('.')[0]} | " + " | ".join(cells) + " |")
    means = [sum(hashed[f, s]["gain_db"] for f in files) / len(files) for s in scales]
    lines.append("| mean | " + " | ".join(f"**{mean:+.2f}**" for mean in means) + " |")
    return "\n".join(lines)


def main(data: str) -> None:
    for title, options in RUNS.items():
        print(table(title, measure([data], options)), flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
