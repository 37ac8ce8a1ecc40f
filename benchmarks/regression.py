"""Did something get slower? Ratios of a quick run against those of ``baseline.json``.

    make bench-check
    python benchmarks/regression.py [--rounds 7] [--update]

The whole of ``hashed``, each of its steps, and ``tricubic``, on one thread, over
``scipy.ndimage.zoom(order=3)`` of the same volume in the same rounds; the least
processor seconds of each. A ratio more than a quarter above the baseline's is a
failure (exit code 1). Ratios differ between kinds of processor, so on another one
than the baseline's they are shown and nothing fails.

Where ``perf stat`` counts instructions, those of a run are compared too; they do not
depend on what else the machine does, so 3 % are too many. They are compared only with
a baseline of the same compiler and packages.

``--update`` writes the baseline anew; run it on a quiet machine and say why in the commit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import clocked, machine, table, write_json
from inputs import cube
from rivals import SCIPY, candidates
from stages import REST, profile, step_name

from napari_mrisr.bank.model import load_bank

BASELINE = Path(__file__).with_name("baseline.json")
SIZE = 64
TOLERANCE = 0.25
INSTRUCTIONS_TOLERANCE = 0.03
RUN = """
import sys; sys.path.insert(0, sys.argv[1])
from inputs import cube
from rivals import candidates
run = candidates(cube("crop", 48), [1])[0]["hashed (ours), 1 thread"]
for _ in range(int(sys.argv[2])):
    run()
"""


@dataclass(frozen=True)
class Finding:
    """A ratio now, and in the baseline (None where it has none)."""

    name: str
    now: float
    before: float | None
    tolerance: float

    @property
    def verdict(self) -> str:
        """``slower``, ``faster``, ``new`` or nothing."""
        if self.before is None:
            return "new"
        change = self.now / self.before - 1.0
        if abs(change) <= self.tolerance:
            return ""
        return "SLOWER" if change > 0 else "faster"


def compare(
    now: Mapping[str, float], before: Mapping[str, float], tolerance: float
) -> list[Finding]:
    """Every number of now beside that of before."""
    return [Finding(name, value, before.get(name), tolerance) for name, value in now.items()]


def measure_ratios(rounds: int) -> dict[str, float]:
    """Least seconds over scipy's least seconds, by name."""
    volume, bank = cube("crop", SIZE), load_bank("default-2x")
    run = candidates(volume, [1])[0]
    least: dict[str, float] = {}

    def note(name: str, seconds: float) -> None:
        least[name] = min(seconds, least.get(name, seconds))

    for _ in range(rounds):
        for name in (SCIPY, "tricubic (ours), 1 thread"):
            note(name, clocked(run[name]).processor)
        watch, total = profile(bank, volume)
        note("hashed (ours), 1 thread", total)
        for key, seconds in watch.seconds.items():
            if key[1] != REST:
                note(step_name(bank, key), seconds)
    base = least.pop(SCIPY)
    return {name: seconds / base for name, seconds in least.items()}


def count_instructions() -> float | None:
    """User-mode instructions of one run of ``hashed``, warm; None where nothing counts them."""
    counts = []
    for runs in (2, 5):
        words = [sys.executable, "-c", RUN, str(BASELINE.parent), str(runs)]
        count = _instructions(words)
        if count is None:
            return None
        counts.append(count)
    return (counts[1] - counts[0]) / 3.0


def _instructions(command: list[str]) -> float | None:
    try:
        done = subprocess.run(
            ["perf", "stat", "-x,", "-e", "instructions:u", "--", *command],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    for line in done.stderr.splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[2].startswith("instructions") and fields[0].isdigit():
            return float(fields[0])
    return None  # "<not supported>": a virtual machine without counters


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--update", action="store_true", help="write the baseline anew")
    arguments = parser.parse_args(argv)
    about = machine()
    ratios = measure_ratios(arguments.rounds)
    instructions = count_instructions()
    if arguments.update:
        write_json(BASELINE, {"ratios": ratios, "instructions": instructions})
        print(f"wrote {BASELINE.name}: {len(ratios)} ratios")
        return 0
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))
    findings = compare(ratios, baseline["ratios"], TOLERANCE)
    same_packages = about["packages"] == baseline["machine"]["packages"]
    if instructions is not None and baseline["instructions"] is not None and same_packages:
        counts = {"instructions": instructions}, {"instructions": baseline["instructions"]}
        findings += compare(*counts, INSTRUCTIONS_TOLERANCE)
    lines = [(f.name, f.now, "" if f.before is None else f.before, f.verdict) for f in findings]
    print(table(("over scipy's zoom", "now", "baseline", ""), lines))
    if instructions is None:
        print("instructions: nothing here counts them (perf stat)")
    for name in sorted(set(baseline["ratios"]) - set(ratios)):
        print(f"{name}: gone since the baseline")
    slower = [finding.name for finding in findings if finding.verdict == "SLOWER"]
    if not slower:
        return 0
    print(f"slower than {BASELINE.name} says: {', '.join(slower)}")
    theirs = baseline["machine"]["processor"]
    if about["processor"] != theirs:
        print(f"but that was measured on another processor ({theirs}): no verdict")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
