"""Compare hashed 2× and tricubic with what a user would pick instead.

    make bench
    python benchmarks/bench.py [--sizes 96,128] [--kinds crop,brain] [--runs 5] [--json FILE]

All functions compute every voxel of the same output (192 and 256 cubed): the middle of
the phantom, and a skull-stripped head (``inputs.py``). Rounds are interleaved. The table
gives the median ratio to ``scipy.ndimage.zoom(order=3)`` of the same round with its
range, the ratio of processor seconds ("cpu", all threads together), and median seconds.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from harness import Ratio, interleaved, number, ratios, table, where, write_json
from inputs import KINDS, cube
from rivals import SCIPY, candidates

from napari_mrisr.core.threads import processors


def numbers(value: str) -> list[int]:
    return [int(part) for part in value.split(",")]


def side_by_side(found: dict[str, list[Ratio]]) -> str:
    """One row per function; per input its ratio, the range, and seconds."""
    columns = [column for name in found for column in (name, "range", "cpu", "s")]
    lines = []
    for same in zip(*found.values(), strict=True):
        line: list[object] = [same[0].name]
        for one in same:
            line += [one.ratio, f"{number(one.low)} to {number(one.high)}"]
            line += [one.processor, one.seconds]
        lines.append(line)
    return table(["2×, ratio to scipy's zoom", *columns], lines)


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
    print(f"{about}; medians of {arguments.runs} interleaved rounds\n")
    print(side_by_side(found))
    for name in missing:
        print(f"{name}: not installed{' (its wheels bring CUDA)' if 'torch' in name else ''}")
    if arguments.json:
        rows = {name: [asdict(one) for one in part] for name, part in found.items()}
        write_json(
            arguments.json, {"measured_on": about, "runs": arguments.runs, "end_to_end": rows}
        )


if __name__ == "__main__":
    main()
