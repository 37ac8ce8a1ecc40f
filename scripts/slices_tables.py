"""Measure simulated thick slices and left-out slices; print tables of docs/reference/quality.md.

    python scripts/slices_tables.py DATA

DATA holds val/, clinical/ and anisotropic/. About two minutes on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from quality_table import measure

BEFORE = "tricubic"


def cells(rows: Iterable[dict[str, Any]]) -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
    """Group the rows inside the head by file and axis, then method."""
    found: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        if row["mask"] == "head":
            found.setdefault((row["file"], row["axis"]), {})[row["method"]] = row
    return found


def number(row: dict[str, Any]) -> str:
    if row["method"] == BEFORE:
        return f"{row['psnr_db']:.2f} / {row['ssim']:.3f}"
    return f"{row['gain_db']:+.2f} / {row['ssim']:.3f}"


def table(title: str, rows: list[dict[str, Any]]) -> str:
    found = cells(rows)
    others = [m for m in dict.fromkeys(row["method"] for row in rows) if m != BEFORE]
    methods = [BEFORE, *others]
    lines = [f"\n**{title}**\n", f"| scan | axis | {' | '.join(methods)} |"]
    lines.append("|---" * (len(methods) + 2) + "|")
    for (file, axis), by_method in found.items():
        name = Path(file).name.removesuffix(".nii.gz")
        numbers = " | ".join(number(by_method[method]) for method in methods)
        lines.append(f"| {name} | {axis} | {numbers} |")
    means = [
        sum(by[m]["psnr_db" if m == BEFORE else "gain_db"] for by in found.values()) / len(found)
        for m in methods
    ]
    styles = ("+.2f" if method != BEFORE else ".2f" for method in methods)
    shown = " | ".join(format(mean, style) for mean, style in zip(means, styles, strict=True))
    lines.append(f"| mean | | {shown} |")
    return "\n".join(lines).replace("| -", "| −")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--protocol", nargs="*", default=["thick-slices:4:boxcar:1"])
    parser.add_argument("--axis", nargs="*", default=["R-L", "S-I"])
    parser.add_argument("--methods", help="instead of the command's default")
    chosen = parser.parse_args()
    methods = ["--methods", chosen.methods] if chosen.methods else []
    for protocol in chosen.protocol:
        rows = []
        for axis in chosen.axis:
            options = ["--protocol", protocol, "--axis", axis, *methods]
            rows += measure([chosen.data / "val"], options)
        print(table(f"Protocol {protocol}", rows), flush=True)
    real = [chosen.data / "clinical", chosen.data / "anisotropic"]
    print(table("Left-out slices", measure(real, ["--leave-out", "2", *methods])), flush=True)


if __name__ == "__main__":
    main()
