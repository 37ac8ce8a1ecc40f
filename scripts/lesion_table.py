"""Measure what methods do to planted lesions; print the tables of docs/reference/tasks.md.

    python scripts/lesion_table.py DATA/val ROWS.jsonl --write docs/reference/tasks.md

The rows of ``napari-mrisr evaluate --task lesions`` are appended to ROWS.jsonl after each volume,
axis and method, so the command may be stopped and repeated. Delete the lines of a method to
measure it again. Parts:

planted-2x      2 × along all axes, protocol standard
planted-thick   slices 4 × as far apart along R–L and S–I, protocol thick-slices:4
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from thick_slices_table import name_of, put, table

from napari_mrisr.core.progress import Progress
from napari_mrisr.evaluation.experiment import EvaluateParameters, FileJob, plan_evaluation
from napari_mrisr.evaluation.protocol import get_protocol
from napari_mrisr.evaluation.tasks.lesions import (
    LesionRow,
    LesionTask,
    detectability,
    losses,
    tenth_kept,
)
from napari_mrisr.evaluation.tasks.planting import CONTRASTS, RADII
from napari_mrisr.figures.page import save_figure
from napari_mrisr.io import read_volume

METHODS = ("tricubic", "hashed", "network")
PARTS = {
    "planted-2x": [get_protocol("standard")],
    "planted-thick": [get_protocol("thick-slices:4", axis=axis) for axis in ("R-L", "S-I")],
}


def read_rows(path: Path) -> dict[str, list[LesionRow]]:
    """Return the measured rows by part."""
    found: dict[str, list[LesionRow]] = {part: [] for part in PARTS}
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        for entry in (content := json.loads(line))["rows"]:
            found[content["part"]].append(LesionRow(**entry))
    return found


def jobs(
    folder: Path, part: str, threads: int | None
) -> Iterator[tuple[FileJob, EvaluateParameters]]:
    """Yield every axis of every volume, with its parameters."""
    for protocol in PARTS[part]:
        for path in sorted(folder.glob("*.nii.gz")):
            parameters = EvaluateParameters(methods=METHODS, protocol=protocol, threads=threads)
            for job in plan_evaluation([path], parameters)[1]:
                yield job, parameters


def measure(chosen: argparse.Namespace, part: str) -> None:
    done = {(row.file, row.axis, row.method) for row in read_rows(chosen.rows)[part]}
    for job, parameters in jobs(chosen.data, part, chosen.threads):
        (case,), file = job.cases, name_of(job.path)
        missing = [m for m in chosen.methods if (file, case.axis, m) not in done]
        if not missing:
            continue
        task, wanted = LesionTask(), replace(parameters, methods=tuple(missing))
        found = task.measure(read_volume(job.path), wanted, case.scale, Progress())
        where = {"file": file, "scale": case.text, "axis": case.axis}
        rows = [asdict(replace(row, **where)) for row in found]
        with chosen.rows.open("a", encoding="utf-8") as out:
            out.write(json.dumps({"part": part, "rows": rows}) + "\n")
        print(part, file, case.axis, *missing, flush=True)


def tables(rows: list[LesionRow]) -> str:
    """Return contrast kept per radius and contrast, then the other numbers per radius."""
    methods = [m for m in METHODS if any(row.method == m for row in rows)]
    lost = {m: losses(rows, m) for m in methods[1:]}

    def of(method: str, radius: int, contrast: float | None = None) -> list[LesionRow]:
        return [
            row
            for row in rows
            if (row.method, row.radius) == (method, radius)
            and contrast in (None, abs(row.contrast))
        ]

    kept, others = [], []
    for radius in RADII:
        for contrast in CONTRASTS:
            parts = {m: of(m, radius, contrast) for m in methods}
            cells = []
            for method, part in parts.items():
                text = f"{np.median([row.kept for row in part]):.2f} / {tenth_kept(part):.2f}"
                start = f"radius {radius}, {100 * contrast:g} %"
                failed = any(line.startswith(start) for line in lost.get(method, []))
                cells.append(f"**{text}**" if failed else text)
            name = str(radius) if contrast == CONTRASTS[0] else ""
            kept.append([name, f"{100 * contrast:g} %", str(len(parts[methods[0]])), *cells])
        for method in methods:
            part = of(method, radius)
            area, low, high = detectability(part)
            others.append([
                str(radius) if method == methods[0] else "",
                method,
                f"{np.median([row.kept for row in part]):.2f} / {tenth_kept(part):.2f}",
                f"{np.median([row.gain_db for row in part]):+.2f}",
                f"{area:.2f} ({low:.2f} to {high:.2f})",
                f"{np.median([row.error for row in part]):.2f}",
            ])  # fmt: skip
    heads = ["radius", "contrast", "lesions", *methods]
    more = ["radius", "method", "contrast kept", "gain, dB", "observer's area", "error / energy"]
    verdicts = [
        f"`{method}` passes." if not lines else f"`{method}` does not pass: {'; '.join(lines)}."
        for method, lines in lost.items()
    ]
    return "\n\n".join([table(more, others), table(heads, kept), *verdicts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=METHODS)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--no-measuring", action="store_true", help="only print what is there")
    parser.add_argument("--write", type=Path, help="page whose tables are replaced")
    parser.add_argument("--figures", type=Path, help="folder for a figure per part")
    chosen = parser.parse_args()
    for part in chosen.parts:
        if not chosen.no_measuring:
            measure(chosen, part)
        if rows := read_rows(chosen.rows)[part]:
            text = tables(rows)
            print(f"\n{part}\n\n{text}", flush=True)
            if chosen.write:
                put(chosen.write, part, text)
            if chosen.figures:
                note = f"Protocol {PARTS[part][0].name}; scripts/lesion_table.py."
                save_figure(LesionTask().figure(rows, [note]), chosen.figures / f"{part}.png")


if __name__ == "__main__":
    main()
