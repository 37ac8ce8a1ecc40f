"""Upper bound of the preset's gain: filters fitted to each volume's own truth.

    python benchmarks/best_case.py VOLUME [...] [--scale 2] [--protocol standard]

Prints dB over tricubic inside the head mask, for the bundled bank and for a bank of the
same preset trained on the tested volume itself. No training on other scans can reach the
second number (thousands of filters fit that volume's noise, too), so a higher goal needs
another kind of filter, not more training.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from napari_mrisr.core.scale import parse_scale
from napari_mrisr.evaluation.experiment import EvaluateParameters, compare
from napari_mrisr.evaluation.protocol import get_protocol
from napari_mrisr.io import read_volume
from napari_mrisr.training import train
from napari_mrisr.training.presets import TrainParameters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("volumes", nargs="+", type=Path)
    parser.add_argument("--scale", default="2", type=parse_scale)
    parser.add_argument("--protocol", default="standard")
    options = parser.parse_args()
    scale = options.scale
    usual = EvaluateParameters((scale,), ("hashed",), get_protocol(options.protocol))
    degradation = str(usual.protocol.degradation)
    print(f"{'':32}{'bundled bank':>14}{'fitted to the volume itself':>30}")
    for path in options.volumes:
        truth = read_volume(path)
        with tempfile.TemporaryDirectory() as folder:
            bank = Path(folder) / "own.safetensors"
            train([path], bank, TrainParameters(scale=scale, degradation=degradation))
            own = compare(truth, replace(usual, bank=str(bank)), scale)
        bundled = compare(truth, usual, scale)
        gains = [found.gain_db("hashed", "head") for found in (bundled, own)]
        print(f"{path.name:32}{gains[0]:14.2f}{gains[1]:30.2f}", flush=True)


if __name__ == "__main__":
    main()
