"""Gain of data consistency after the learned filters or the network.

    python benchmarks/data_consistency.py VOLUME [...] [--method network]

Prints the gain of the method over tricubic in dB (protocol standard, head mask) at 2×, 3× and
4×, and what data consistency adds, also on scans of another degradation than assumed (k-space
truncation).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from napari_mrisr.core.threads import processors
from napari_mrisr.core.volume import FloatArray
from napari_mrisr.io import read_volume
from napari_mrisr.methods import get_method
from napari_mrisr.methods.consistent import Consistent
from napari_mrisr.run.upscale import run_method
from napari_mrisr.training.presets import TrainParameters
from napari_mrisr.training.sampling import make_pair


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("volumes", nargs="+", type=Path)
    parser.add_argument("--method", choices=("hashed", "network"), default="hashed")
    arguments = parser.parse_args()
    print(f"{'':32}{'':>4}{'':>12}{arguments.method:>8}{'adds':>8}")
    for path in arguments.volumes:
        for factor in (2, 3, 4):
            scale = (factor, factor, factor)
            for degradation in ("standard", "kspace"):
                pair = make_pair(read_volume(path), TrainParameters(scale, degradation=degradation))
                consistent = get_method(arguments.method, scale)
                assert isinstance(consistent, Consistent)
                methods = (get_method("tricubic", scale), consistent.method, consistent)

                def error(image: FloatArray, pair=pair) -> float:
                    difference = np.clip(image, 0.0, 1.0)[pair.mask] - pair.truth[pair.mask]
                    return float(10.0 * np.log10(np.mean(difference.astype(np.float64) ** 2)))

                base, plain, last = (
                    error(pair.lr.window.to_unit(run_method(m, pair.lr, threads=processors()).data))
                    for m in methods
                )
                name = f"{path.name:32}{factor:3}×{degradation:>12}"
                print(f"{name}{base - plain:8.2f}{plain - last:8.3f}", flush=True)


if __name__ == "__main__":
    main()
