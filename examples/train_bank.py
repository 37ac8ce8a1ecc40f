"""Train a filter bank and use it: python examples/train_bank.py [SCAN ...]."""

import sys
from pathlib import Path

import napari_mrisr as sr
from napari_mrisr.io.samples import PHANTOM, sample_path

scans = [Path(name) for name in sys.argv[1:]] or [sample_path(PHANTOM)]
out = Path("output/example-bank.safetensors")
out.parent.mkdir(exist_ok=True)

report = sr.train(scans, out, sr.TrainParameters(scale=(2, 2, 2)), overwrite=True)
print(f"{report.samples} samples in {report.seconds:.0f} s")
print(report.bank.describe())

low = sr.degrade(sr.read_volume(scans[0]), (2, 2, 2))
result = sr.upscale(low, 2, bank=str(out))
print(result.grid.shape, result.history)
