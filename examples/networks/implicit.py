"""Implicit neural representation: a network of coordinates, fitted to one scan.

python examples/networks/implicit.py [--minutes 1] [--folder output/networks]

No training data: x = cubic + f(position), and f is fitted such that D x equals the measured
slices. Writes ``implicit.nii.gz``, and ``implicit-planted.nii.gz`` of the scan with lesions.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import napari_mrisr as sr

sys.path.insert(0, str(Path(__file__).parent))
from task import FACTOR, SCALE, Slab, Slices

BATCH = 2048
# Standard deviation of the frequencies, in periods per mm. Higher ones give ripples between slices.
FREQUENCY = 0.06
# Of the mean square of f, relative to that of the slices' error.
DECAY = 0.01


class Implicit(nn.Module):
    """Multilayer perceptron on random Fourier features of a position in mm.

    Tancik et al. 2020, "Fourier features let networks learn high frequency functions".
    """

    def __init__(self, features: int = 96, width: int = 96) -> None:
        super().__init__()
        self.register_buffer("frequencies", 2 * np.pi * FREQUENCY * torch.randn(3, features))
        self.layers = nn.Sequential(
            nn.Linear(2 * features, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 1),
        )
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, position: Tensor) -> Tensor:
        """Return a value per position (..., 3)."""
        phase = position @ self.frequencies
        return self.layers(torch.cat([phase.sin(), phase.cos()], dim=-1))[..., 0]


def fit(low: sr.Volume, window: sr.IntensityWindow, minutes: float, seed: int = 0) -> sr.Volume:
    """Return the fine volume whose slices are the measured ones."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    cubic = sr.upscale(low, SCALE, method="tricubic")
    start, measured = window.to_unit(cubic.data), window.to_unit(low.data)
    slices = Slices(low.grid.shape[2])
    lacking = torch.from_numpy(measured - slices.degrade.apply(start, 2))
    size = torch.tensor(cubic.grid.voxel_size, dtype=torch.float32)
    # Slices of air say nothing that matters.
    inside = torch.nonzero(torch.from_numpy(measured) > 0.05)
    network = Implicit()
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    steps, began, done = 0, time.process_time(), 0.0
    within = torch.arange(FACTOR)
    while done < 1.0:
        index = inside[torch.randint(len(inside), (BATCH,))]
        fine = index[:, None, :].repeat(1, FACTOR, 1)
        fine[..., 2] = FACTOR * fine[..., 2] + within
        values = network(fine * size)
        wanted = lacking[index[:, 0], index[:, 1], index[:, 2]]
        loss = ((values.mean(dim=1) - wanted) ** 2).mean() + DECAY * (values**2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps, done = steps + 1, (time.process_time() - began) / (60 * minutes)
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * max(0.02, 1 - done)
    image = start + _everywhere(network, cubic.grid.shape, size)
    note = {"method": "implicit neural representation", "steps": str(steps)}
    return sr.Volume(window.from_unit(slices.consistent(image, measured)), cubic.grid, history=note)


@torch.no_grad()
def _everywhere(network: Implicit, shape: tuple[int, int, int], size: Tensor) -> np.ndarray:
    planes = []
    y, z = torch.meshgrid(*[torch.arange(n) for n in shape[1:]], indexing="ij")
    for x in range(shape[0]):
        position = torch.stack([torch.full_like(y, x), y, z], dim=-1) * size
        planes.append(network(position).numpy())
    return np.stack(planes)


def main() -> None:
    """Fit both scans."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="of one processor, per scan")
    parser.add_argument("--folder", type=Path, default=Path("output/networks"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    slab = Slab()
    for name, low in {"implicit": slab.low, "implicit-planted": slab.planted_low}.items():
        result = fit(low, slab.window, arguments.minutes)
        sr.write_volume(result, arguments.folder / f"{name}.nii.gz", overwrite=True)
        print(
            f"{name}: {result.history['steps']} steps in {arguments.minutes:g} minutes", flush=True
        )


if __name__ == "__main__":
    main()
