"""Calibration of the expected error: measured over expected RMSE in tenths of the voxels.

    python scripts/calibration_table.py --scale 2 [--method NAME] [--bank FILE] VOLUME [...]

Protocol: each volume is clipped at its 99.9th percentile and degraded as the bank assumes (for a
network: slices as thick as their distance, or ``standard``); the low-resolution volume alone goes
through the method and ``trust_maps``. Without a method, thick slices such as 4x1x1 use
``network``. Voxels inside the head mask of the truth are sorted by expected error and cut into
tenths; in each the root mean square of the error is divided by that of the expected error.
Spearman's rank correlation is between both over blocks of 8³ voxels, at least half of which lie
inside the head.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from napari_mrisr import Volume, degrade, get_method, read_volume
from napari_mrisr.bank.model import FilterBank
from napari_mrisr.core.scale import parse_scale, whole_scale
from napari_mrisr.core.volume import IntensityWindow
from napari_mrisr.methods import Method, default_method
from napari_mrisr.methods.network import model_of
from napari_mrisr.run.upscale import run_method
from napari_mrisr.scan.masks import head_mask
from napari_mrisr.training.calibrate_network import DEGRADATIONS
from napari_mrisr.trust import trust_maps

TENTHS = 10
BLOCK = 8


@dataclass(frozen=True, eq=False)
class Calibration:
    """Calibration of the expected error on one volume.

    Attributes
    ----------
    expected, measured : (10,) ndarray of float64
        RMSE of each tenth, in % of the intensity window.
    spearman : float
        Over blocks of 8³ voxels.
    consistency : float
        In % of the window.
    """

    expected: NDArray[np.float64]
    measured: NDArray[np.float64]
    spearman: float
    consistency: float

    @property
    def ratio(self) -> NDArray[np.float64]:
        """Measured over expected."""
        return self.measured / self.expected


def calibrate(truth: Volume, method: Method) -> Calibration:
    """Degrade a truth, super-resolve it, and compare expected and measured error."""
    bank, scale = model_of(method), whole_scale(method.scale)
    assert bank is not None, "a method with filters"
    degradation = bank.degradation if isinstance(bank, FilterBank) else DEGRADATIONS[bank.kind]
    truth = truth.cropped_to_multiple(scale)
    window = IntensityWindow.of(truth.data)
    truth = replace(truth, data=np.clip(truth.data, window.low, window.high))
    low = degrade(truth, scale, degradation)
    result = run_method(method, low)
    maps = trust_maps(low, result, bank)
    assert maps.expected_error is not None, "the bank has no calibration"
    unit = 100.0 / (window.high - window.low)
    expected = (maps.expected_error.data * unit).astype(np.float64) ** 2
    error = ((result.data - truth.data) * unit).astype(np.float64) ** 2
    mask = head_mask(truth.data)
    order = np.argsort(expected[mask], kind="stable")
    tenths = np.array_split(order, TENTHS)
    inside = _blocks(mask.astype(np.float64))
    enough = inside >= BLOCK**3 / 2
    rank = spearmanr(
        _blocks(expected * mask)[enough] / inside[enough],
        _blocks(error * mask)[enough] / inside[enough],
    )
    return Calibration(
        np.sqrt([expected[mask][part].mean() for part in tenths]),
        np.sqrt([error[mask][part].mean() for part in tenths]),
        float(rank.statistic),
        maps.consistency_percent,
    )


def _blocks(array: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, z = (n // BLOCK for n in array.shape)
    whole = array[: x * BLOCK, : y * BLOCK, : z * BLOCK]
    return whole.reshape(x, BLOCK, y, BLOCK, z, BLOCK).sum(axis=(1, 3, 5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("volumes", nargs="+", type=Path)
    parser.add_argument("--scale", type=parse_scale, default=(2, 2, 2))
    parser.add_argument("--method", help="default: network for thick slices, else hashed")
    parser.add_argument("--bank", help="file or name (default: the bundled one)")
    parser.add_argument("--long", action="store_true", help="expected and measured RMSE too")
    arguments = parser.parse_args()
    scale, bank = arguments.scale, arguments.bank
    method = get_method(arguments.method or default_method(scale, bank), scale, bank)
    heads = " | ".join(str(n) for n in range(1, TENTHS + 1))
    print(f"| volume | {heads} | worst factor | Spearman | consistency |")
    print("|---" * (TENTHS + 4) + "|")
    for path in arguments.volumes:
        found = calibrate(read_volume(path), method)
        worst = float(np.exp(np.abs(np.log(found.ratio)).max()))
        name = path.name.removesuffix(".gz").removesuffix(".nii")
        cells = " | ".join(f"{ratio:.2f}" for ratio in found.ratio)
        print(
            f"| {name} | {cells} | {worst:.2f} | {found.spearman:.2f} "
            f"| {found.consistency:.2f} % |",
            flush=True,
        )
        if arguments.long:
            for label, values in (("expected", found.expected), ("measured", found.measured)):
                cells = " | ".join(f"{value:.2f}" for value in values)
                print(f"| {label}, % of window | {cells} | | | |", flush=True)


if __name__ == "__main__":
    main()
