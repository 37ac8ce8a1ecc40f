"""Conditional diffusion: several samples of what the slices leave open.

python examples/networks/diffusion.py [--minutes 2] [--folder output/networks]

A network learns to remove noise from the difference of truth and cubic interpolation, given the
latter. Sampling starts from noise, and after each step the image is made consistent with the
slices. Writes the samples' mean (``diffusion.nii.gz``), one sample (``diffusion-sample.nii.gz``),
their standard deviation (``diffusion-deviation.nii.gz``), and the mean of the scan with lesions
(``diffusion-planted.nii.gz``).
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import napari_mrisr as sr

sys.path.insert(0, str(Path(__file__).parent))
from architectures import shuffled
from task import FACTOR, SCALE, Slab, Slices, halves
from train import Patches

STEPS = 12
SAMPLES = 4
# Standard deviation of truth minus cubic interpolation, in windows.
SPREAD = 0.06


class Denoiser(nn.Module):
    """Residual blocks on the grid of the slices; the fine voxels of a slice are channels.

    Sees the noisy difference, the interpolated image and the noise level, and returns v
    = cos t ε − sin t r (Salimans and Ho 2022, "Progressive distillation").
    """

    def __init__(self, width: int = 32, blocks: int = 4) -> None:
        super().__init__()
        self.head = nn.Conv2d(2 * FACTOR + 1, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1),
            )
            for _ in range(blocks)
        )
        self.tail = nn.Conv2d(width, FACTOR, 3, padding=1)
        nn.init.zeros_(self.tail.weight)

    def clean(self, noisy: Tensor, cubic: Tensor, angle: Tensor) -> Tensor:
        """Return the difference without noise; ``angle`` is 0 without and π/2 with noise alone."""
        given = [gathered(noisy), gathered(cubic)]
        level = (2 * angle / np.pi).expand(len(noisy), 1, *given[0].shape[2:])
        hidden = self.head(torch.cat([*given, level], dim=1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return angle.cos() * noisy - angle.sin() * shuffled(self.tail(hidden))


def gathered(image: Tensor) -> Tensor:
    """Return the fine voxels of each slice as channels; inverse of ``shuffled``."""
    batch, _, z, x = image.shape
    return image.reshape(batch, z // FACTOR, FACTOR, x).transpose(1, 2)


def train(minutes: float, seed: int = 0) -> tuple[Denoiser, int]:
    """Return the trained network and its number of steps."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    patches, network = Patches(halves()[1], 2), Denoiser()
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    steps, began, done = 0, time.process_time(), 0.0
    while done < 1.0:
        _, cubic, truth = patches.draw(rng)
        clean = (truth - cubic) / SPREAD
        # Much noise more often: detail is decided there.
        angle = torch.rand(len(clean), 1, 1, 1).sqrt() * np.pi / 2
        noisy = angle.cos() * clean + angle.sin() * torch.randn_like(clean)
        loss = functional.mse_loss(network.clean(noisy, cubic, angle), clean)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimizer.step()
        steps, done = steps + 1, (time.process_time() - began) / (60 * minutes)
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * max(0.02, 1 - done)
        if steps % 100 == 0:
            print(
                f"diffusion: {100 * done:.0f} %, {steps} steps, loss {loss.item():.3f}", flush=True
            )
    return network.eval(), steps


@torch.no_grad()
def sample(network: Denoiser, low: sr.Volume, window: sr.IntensityWindow, seed: int) -> sr.Volume:
    """Return one sample, consistent with the slices (Song et al. 2021, DDIM)."""
    cubic = sr.upscale(low, SCALE, method="tricubic")
    start, measured = window.to_unit(cubic.data), window.to_unit(low.data)
    slices = Slices(low.grid.shape[2])
    generator = torch.Generator().manual_seed(seed)
    given = _as_slices(start)
    noisy = torch.randn(given.shape, generator=generator)
    angles = torch.linspace(np.pi / 2, 0, STEPS + 1)
    image = start
    for angle, following in itertools.pairwise(angles):
        parts = zip(noisy.split(8), given.split(8), strict=True)
        clean = torch.cat([network.clean(one, other, angle) for one, other in parts])
        image = slices.consistent(start + SPREAD * _as_volume(clean), measured)
        clean = _as_slices((image - start) / SPREAD)
        noise = (noisy - angle.cos() * clean) / angle.sin()
        noisy = following.cos() * clean + following.sin() * noise
    return sr.Volume(window.from_unit(image), cubic.grid)


def _as_slices(image: np.ndarray) -> Tensor:
    """Return a volume (x, y, z) as coronal slices (y, 1, z, x)."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(1, 2, 0), np.float32))[:, None]


def _as_volume(slices: Tensor) -> np.ndarray:
    """Return coronal slices as a volume."""
    return np.ascontiguousarray(slices[:, 0].numpy().transpose(2, 0, 1))


def main() -> None:
    """Train, and sample both scans."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=2.0, help="of one processor")
    parser.add_argument("--folder", type=Path, default=Path("output/networks"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    network, steps = train(arguments.minutes)
    slab = Slab()
    text = f"{STEPS} steps of sampling, {SAMPLES} samples"
    note = {"method": "conditional diffusion", "samples": text, "steps": str(steps)}

    def write(name: str, data: np.ndarray) -> None:
        volume = sr.Volume(data, slab.truth.grid, history=note)
        sr.write_volume(volume, arguments.folder / f"{name}.nii.gz", overwrite=True)

    samples = [sample(network, slab.low, slab.window, seed).data for seed in range(SAMPLES)]
    write("diffusion", np.mean(samples, axis=0))
    write("diffusion-sample", samples[0])
    write("diffusion-deviation", np.std(samples, axis=0))
    again = [sample(network, slab.planted_low, slab.window, seed).data for seed in range(SAMPLES)]
    write("diffusion-planted", np.mean(again, axis=0))
    print(f"diffusion: {steps} steps in {arguments.minutes:g} minutes; {text}")


if __name__ == "__main__":
    main()
