"""A network on real and imaginary parts, beside the filters that the magnitude chooses.

python examples/networks/complex_network.py [--minutes 1] [--folder output/networks]

A smooth phase and noise are planted into the sample head: one for the right half, which trains, one
for the left. Writes ``complex.onnx``, which napari-mrisr opens for complex scans, the scan
``complex-low.nii.gz`` and the table ``complex.md``.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

import napari_mrisr as sr
from napari_mrisr.operators.interpolate import tricubic

sys.path.insert(0, str(Path(__file__).parent))
from task import DEGRADATION, FACTOR, SCALE, Slab, halves
from train import export

NOISE = 0.02
BATCH, PATCH = 12, (16, 48)
Complex = NDArray[np.complex64]


class ComplexNetwork(nn.Module):
    """Residual blocks on coronal slices with two channels; returns a correction of both parts.

    Without biases: f(a z) = a f(z) for a > 0. Training turns the phase at random.
    """

    NEEDS: ClassVar = {"output": "correction", "plane": "coronal", "channels": "complex"}

    def __init__(self, width: int = 24, blocks: int = 4) -> None:
        super().__init__()

        def convolution(before: int, after: int) -> nn.Conv2d:
            return nn.Conv2d(before, after, 3, padding=1, bias=False)

        self.head = convolution(2, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(convolution(width, width), nn.ReLU(), convolution(width, width))
            for _ in range(blocks)
        )
        self.tail = convolution(width, 2 * FACTOR)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 2, 4 z, x) for (batch, 2, z, x)."""
        hidden = self.head(image)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        found = self.tail(hidden)
        batch, _, z, x = found.shape
        return found.reshape(batch, 2, FACTOR, z, x).transpose(2, 3).reshape(batch, 2, -1, x)


def planted(truth: sr.Volume, window: sr.IntensityWindow, seed: int) -> tuple[Complex, Complex]:
    """Return a volume with a phase, in windows, and its noisy thick slices."""
    rng = np.random.default_rng(seed)
    grid = [np.linspace(-1, 1, n) for n in truth.grid.shape]
    x, y, z = np.meshgrid(*grid, indexing="ij")
    a, b, c = rng.uniform(-6, 6, 3)
    phase = a * x + b * y**2 + c * z + 4 * np.sin(2 * x + 3 * z)
    data = (window.to_unit(truth.data) * np.exp(1j * phase)).astype(np.complex64)
    low = []
    for part in (data.real, data.imag):
        noisy = (part + NOISE * rng.standard_normal(part.shape)).astype(np.float32)
        low.append(sr.degrade(sr.Volume(noisy, truth.grid), SCALE, DEGRADATION).data)
    return data, low[0] + np.complex64(1j) * low[1]


def interpolated(low: Complex) -> Complex:
    """Return the cubic interpolation of both parts."""
    real, imaginary = (tricubic(np.ascontiguousarray(p), SCALE) for p in (low.real, low.imag))
    return real + np.complex64(1j) * imaginary


def as_channels(data: Complex) -> Tensor:
    """Return a complex volume (x, y, z) as coronal slices (y, 2, z, x)."""
    turned = data.transpose(1, 2, 0)
    return torch.from_numpy(np.ascontiguousarray(np.stack([turned.real, turned.imag], axis=1)))


def train(minutes: float, seed: int = 0) -> tuple[ComplexNetwork, int]:
    """Return the trained network and its number of steps."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    half = halves()[1]
    fine, low = planted(half, sr.IntensityWindow.of(half.data), seed=1)
    given, wanted = as_channels(low), as_channels(fine - interpolated(low))
    inside = torch.nonzero(given.square().sum(dim=1) > 0.04)
    network, steps, began, done = ComplexNetwork(), 0, time.process_time(), 0.0
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    while done < 1.0:
        pairs = []
        for _ in range(BATCH):
            y, *center = (int(n) for n in inside[int(rng.integers(len(inside)))])
            z, x = (
                int(np.clip(c - size // 2, 0, n - size))
                for c, size, n in zip(center, PATCH, given.shape[2:], strict=True)
            )
            dz, dx = PATCH
            turn = rng.uniform(0, 2 * np.pi)
            pairs.append(
                [
                    turned(part, turn)
                    for part in (
                        given[y, :, z : z + dz, x : x + dx],
                        wanted[y, :, FACTOR * z : FACTOR * (z + dz), x : x + dx],
                    )
                ]
            )
        image, truth = (torch.stack(parts) for parts in zip(*pairs, strict=True))
        loss = functional.l1_loss(network(image), truth)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimizer.step()
        steps, done = steps + 1, (time.process_time() - began) / (60 * minutes)
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * max(0.02, 1 - done)
    return network.eval(), steps


def turned(channels: Tensor, angle: float) -> Tensor:
    """Return real and imaginary part with the phase increased by an angle."""
    real, imaginary = channels
    c, s = float(np.cos(angle)), float(np.sin(angle))
    return torch.stack([c * real - s * imaginary, s * real + c * imaginary])


def main() -> None:
    """Train, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="of one processor")
    parser.add_argument("--folder", type=Path, default=Path("output/networks"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    network, steps = train(arguments.minutes)
    note = f"{steps} steps in {arguments.minutes:g} minutes on one thread"
    path = arguments.folder / "complex.onnx"
    export(network, path, note)
    slab = Slab()
    fine, low = planted(slab.truth, slab.window, seed=2)
    scan = sr.ComplexVolume.of(low, slab.low.grid)
    results = {
        name: sr.upscale_complex(scan, SCALE, method=name).data
        for name in ("tricubic", "hashed", "network")
    }
    results["complex network"] = sr.upscale_complex(scan, SCALE, bank=path).data
    rows = ["| method | error of the magnitude, % | error of the phase, rad |", "|---|---|---|"]
    for name, data in results.items():
        wrong = 100 * np.sqrt(np.mean((np.abs(data) - np.abs(fine))[slab.mask] ** 2))
        bright = slab.mask & (np.abs(fine) > 0.1)
        apart = np.abs(np.angle(data * fine.conj()))[bright].mean()
        rows.append(f"| {name} | {wrong:.2f} | {apart:.3f} |")
    text = "\n".join([*rows, "", note, ""])
    (arguments.folder / "complex.md").write_text(text, "utf-8")
    sr.write_complex(scan, arguments.folder / "complex-low.nii.gz", overwrite=True)
    print(text)


if __name__ == "__main__":
    main()
