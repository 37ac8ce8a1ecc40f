"""Side by side, in one run: hashed 2x, its steps, and what a user would pick instead.

    make bench
    python benchmarks/bench.py [--sizes 96,128] [--kinds crop,brain] [--runs 5] [--json FILE]

Everything computes every voxel of the same output (192 and 256 cubed): the phantom's
middle, and a skull-stripped head (``inputs.py``). Rounds are interleaved; the table
gives the median ratio to ``scipy.ndimage.zoom(order=3)`` of the same round, with its
range, the same of processor seconds ("cpu", all threads together), and median seconds.
Below it, the steps of ``hashed`` on one thread beside what the machine can do
(``stages.py``, ``roofline.py``).
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from harness import Ratio, interleaved, number, ratios, table, where, write_json
from inputs import KINDS, cube
from rivals import SCIPY, candidates
from roofline import HEAD as LIMITS
from roofline import measure
from roofline import row as limits_row
from stages import rows, text

from napari_mrisr.bank.model import load_bank
from napari_mrisr.core.threads import processors


def numbers(value: str) -> list[int]:
    return [int(part) for part in value.split(",")]


def side_by_side(found: dict[str, list[Ratio]]) -> str:
    """A row a function, and for each input its ratio, the range of it, and seconds."""
    head = [
        "2x, ratio to scipy's zoom",
        *(c for name in found for c in (name, "range", "cpu", "s")),
    ]
    lines = []
    for same in zip(*found.values(), strict=True):
        line: list[object] = [same[0].name]
        for one in same:
            line += [one.ratio, f"{number(one.low)} to {number(one.high)}"]
            line += [one.processor, one.seconds]
        lines.append(line)
    return table(head, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=numbers, default=[96, 128], help="voxels of the input")
    parser.add_argument("--kinds", default="crop,brain", help=", ".join(KINDS))
    parser.add_argument("--threads", type=numbers, default=sorted({1, min(2, processors())}))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    about = where()
    found: dict[str, list[Ratio]] = {}
    missing: list[str] = []
    for kind in arguments.kinds.split(","):
        for size in arguments.sizes:
            run, missing = candidates(cube(kind, size), arguments.threads)
            found[f"{kind} {2 * size}³"] = ratios(interleaved(run, arguments.runs), SCIPY)
    steps, highest, total = rows(load_bank("default-2x"), cube("crop", arguments.sizes[0]))
    limits = [highest, *(measure(count) for count in arguments.threads if count > 1)]
    print(f"{about}; medians of {arguments.runs} interleaved rounds\n")
    print(side_by_side(found))
    for name in missing:
        print(f"{name}: not installed{' (its wheels bring CUDA)' if 'torch' in name else ''}")
    print(f"\nhashed, crop, output of {2 * arguments.sizes[0]}³, 1 thread: {total:.2f} s\n")
    print(text(steps))
    print()
    print(table(LIMITS, [limits_row(one) for one in limits]))
    if arguments.json:
        tables = {name: [asdict(one) for one in part] for name, part in found.items()}
        parts = {"end_to_end": tables, "steps": [asdict(one) for one in steps]}
        parts["limits"] = [asdict(one) for one in limits]  # type: ignore[assignment]
        write_json(arguments.json, {"measured_on": about, "runs": arguments.runs, **parts})


if __name__ == "__main__":
    main()
