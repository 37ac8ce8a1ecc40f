"""Gain of iterative back-projection, after tricubic and after hashed.

    python benchmarks/back_projection.py VOLUME [...]

Prints dB over tricubic (protocol standard, 2×, head mask) for three rounds of
x ← x + U(y − D(x)) on tricubic, with D the degradation and U tricubic; for the
bundled bank; and the gain of one such round after the bank. Back-projection needs
the true D, so this is its upper bound; ``hashed`` does not need it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from napari_mrisr.core.volume import FloatArray, Region
from napari_mrisr.io import read_volume
from napari_mrisr.methods import get_method
from napari_mrisr.operators.degrade import Degradation
from napari_mrisr.operators.interpolate import tricubic
from napari_mrisr.training.presets import TrainParameters
from napari_mrisr.training.sampling import make_pair

SCALE = (2, 2, 2)


def rounds(image: FloatArray, lr: FloatArray, count: int) -> FloatArray:
    for _ in range(count):
        image = image + tricubic(lr - Degradation().apply(image, SCALE), SCALE)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("volumes", nargs="+", type=Path)
    volumes = parser.parse_args().volumes
    print(f"{'':32}{'tricubic, 3 rounds':>20}{'hashed':>10}{'1 round adds':>14}")
    for path in volumes:
        pair = make_pair(read_volume(path), TrainParameters(SCALE))
        truth, mask, lr = pair.truth, pair.mask, pair.lr.data
        volume = pair.lr
        shape = (truth.shape[0], truth.shape[1], truth.shape[2])
        start = get_method("tricubic", SCALE).compute(volume, Region.whole(shape))
        hashed = get_method("hashed", SCALE).compute(volume, Region.whole(shape))

        def gain(image: FloatArray, truth=truth, mask=mask, start=start) -> float:
            before = np.mean((start - truth)[mask].astype(np.float64) ** 2)
            after = np.mean((np.maximum(image, 0.0) - truth)[mask].astype(np.float64) ** 2)
            return float(10.0 * np.log10(before / after))

        before, after = gain(hashed), gain(rounds(hashed, lr, 1))
        print(
            f"{path.name:32}{gain(rounds(start, lr, 3)):20.2f}{before:10.2f}{after - before:14.3f}"
        )


if __name__ == "__main__":
    main()
