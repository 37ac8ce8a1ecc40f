"""Measure filter banks and print processor seconds per million output voxels, one thread.

    python scripts/bank_speed.py SCAN BANK ...

The middle 48 voxels of the scan along each axis are super-resolved in memory, without data
consistency; the best of three. Processor time hardly depends on what else the machine does.
"""

from __future__ import annotations

import sys
import time

from napari_mrisr.bank.model import load_bank
from napari_mrisr.core.volume import Region, Volume
from napari_mrisr.io import read_volume
from napari_mrisr.methods.hashed import Hashed

_SIZE = 48


def seconds(bank: str, low: Volume) -> float:
    method = Hashed(load_bank(bank))
    region = Region.whole(low.grid.upsampled(method.scale).shape)
    found = []
    for _ in range(4):  # the first one compiles
        start = time.process_time()
        method.compute(low, region)
        found.append(time.process_time() - start)
    x, y, z = region.shape
    return min(found[1:]) / (x * y * z) * 1e6


def main(scan: str, banks: list[str]) -> None:
    volume = read_volume(scan).normalized()
    x, y, z = (max(0, n // 2 - _SIZE // 2) for n in volume.grid.shape)
    a, b, c = (min(_SIZE, n) for n in volume.grid.shape)
    low = volume.cropped((x, y, z), (a, b, c))
    for bank in banks:
        print(f"{bank}: {seconds(bank, low):.2f} s", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
