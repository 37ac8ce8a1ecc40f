"""How long a cancel waits where a scan is looked at, or a head is looked for.

    python benchmarks/cancel.py [--size 320] [--runs 3]

A cancel that falls between two questions whether to stop waits for the second, so the
longest time between two is the longest wait. Processor milliseconds hardly count what
else the machine does. ``look`` comes before every run; ``head`` is the mask alone;
``pair`` is what a training makes of a volume first.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from harness import table, where
from inputs import KINDS, cube

from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Volume
from napari_mrisr.scan.masks import head_mask
from napari_mrisr.scan.traits import measure_traits
from napari_mrisr.training.sampling import TrainParameters, pair_of

Work = Callable[[Volume, CancelToken], object]

WORK: dict[str, Work] = {
    "look": lambda volume, token: measure_traits(volume, Progress(token)),
    "head": lambda volume, token: head_mask(volume.data, Progress(token)),
    "pair": lambda volume, token: pair_of(volume, TrainParameters(), pool=ThreadPool(token=token)),
}


class Clock(CancelToken):
    """A token that notes when it is asked, and by whom."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[tuple[float, float, str]] = []
        self._last, self._by = (time.perf_counter(), time.process_time()), "start"

    def check(self) -> None:
        """Note the time since the last question."""
        frame = sys._getframe(1)
        now = time.perf_counter(), time.process_time()
        by = f"{Path(frame.f_code.co_filename).stem}:{frame.f_lineno}"
        wall, processor = (1e3 * (b - a) for a, b in zip(self._last, now, strict=True))
        self.waits.append((processor, wall, f"{self._by} to {by}"))
        self._last, self._by = now, by


def waits(work: Work, volume: Volume) -> tuple[float, float, float, str]:
    """Seconds in all, longest wait in processor and wall milliseconds, and where."""
    clock, start = Clock(), time.perf_counter()
    work(volume, clock)
    clock.check()
    processor, wall, place = max(clock.waits)
    return time.perf_counter() - start, processor, wall, place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{where()}; {arguments.size} cubed voxels; least of {arguments.runs}\n")
    rows = []
    for kind in KINDS:
        volume = cube(kind, arguments.size)
        for name, work in WORK.items():
            found = min(waits(work, volume) for _ in range(arguments.runs))
            rows.append((f"{name}, {kind}", *found))
    print(table(("", "seconds", "longest wait, processor ms", "wall ms", "between"), rows))


if __name__ == "__main__":
    main()
