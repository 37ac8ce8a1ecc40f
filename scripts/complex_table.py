"""Error of magnitude and phase of complex scans, on a part of the sample head.

python scripts/complex_table.py

A phase that changes by at most 0.3 rad per voxel, and noise in both parts, are planted. Prints a
table in Markdown.
"""

from __future__ import annotations

import numpy as np

import napari_mrisr as sr
from napari_mrisr.io.samples import PHANTOM, sample_path

TASKS = {"2 ×": ((2, 2, 2), "standard"), "slices of 4 pixels": ((1, 1, 4), "slice-profile")}
METHODS = ("tricubic", "hashed", "network")
NOISE = 8.0


def main() -> None:
    """Print the table."""
    truth = sr.read_volume(sample_path(PHANTOM)).cropped((40, 60, 60), (72, 64, 64))
    x, y, z = np.meshgrid(*[np.arange(n) / n for n in truth.grid.shape], indexing="ij")
    wave = np.exp(1j * (6 * np.pi * x + 3 * np.pi * y**2 + 3 * z))
    rng = np.random.default_rng(0)
    inside = truth.data > 50
    window = sr.IntensityWindow.of(truth.data)
    print("| task | method | error of the magnitude, % | error of the phase, rad |")
    print("|---|---|---|---|")
    for name, (scale, degradation) in TASKS.items():
        low = []
        for part in (truth.data * wave.real, truth.data * wave.imag):
            noisy = (part + rng.normal(0, NOISE, part.shape)).astype(np.float32)
            low.append(sr.degrade(sr.Volume(noisy, truth.grid), scale, degradation))
        scan = sr.ComplexVolume.of(low[0].data + 1j * low[1].data, low[0].grid)
        for method in METHODS:
            result = sr.upscale_complex(scan, scale, method=method)
            wrong = (result.magnitude.data - truth.data)[inside] / (window.high - window.low)
            apart = np.abs(np.angle(result.data * wave.conj()))[inside]
            size = 100 * np.sqrt(np.mean(wrong**2))
            print(f"| {name} | `{method}` | {size:.2f} | {apart.mean():.3f} |", flush=True)


if __name__ == "__main__":
    main()
