"""Conditional diffusion: several samples of what the slices leave open.

python examples/networks/diffusion.py [--minutes 2] [--folder output/networks]

A network learns to remove noise from the difference of truth and cubic interpolation, given the
latter. Sampling starts from noise, and after each step the image is made consistent with the
slices. Preconditioning, sampler and data consistency are deepinv's; README.md says how to install
it. Writes the samples' mean (``diffusion.nii.gz``), one sample (``diffusion-sample.nii.gz``), their
standard deviation (``diffusion-deviation.nii.gz``), and the mean of the scan with lesions
(``diffusion-planted.nii.gz``).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import napari_mrisr as sr

try:
    from deepinv.models import EDMPrecond
    from deepinv.physics import LinearPhysics
    from deepinv.sampling import DDIMSolver, EDMDiffusionSDE
except (ImportError, RuntimeError) as error:  # torchvision of another build: RuntimeError
    remedy = "install deepinv as examples/networks/README.md says"
    raise ImportError(f"diffusion.py: {error}; {remedy}") from error

sys.path.insert(0, str(Path(__file__).parent))
from architectures import shuffled
from task import FACTOR, SCALE, Slab, Slices, halves
from train import Patches

SAMPLES = 4
# Standard deviation of truth minus cubic interpolation, in windows.
SPREAD = 0.06
# Of the steps, from noise to none; the noise level is their tangent.
ANGLES = torch.linspace(np.pi / 2 - 1e-3, 0, 13)


class Denoiser(nn.Module):
    """Residual blocks on the grid of the slices; the fine voxels of a slice are channels.

    Sees the noisy difference, the noise level and the interpolated image, and returns v as
    ``EDMPrecond`` expects it (Karras et al. 2022).
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

    def forward(self, noisy: Tensor, level: Tensor, cubic: Tensor, **_: None) -> Tensor:
        """Return v for the logarithm of the noise level."""
        given = [gathered(noisy), gathered(cubic)]
        level = level[:, None, None, None].expand(len(noisy), 1, *given[0].shape[2:])
        hidden = self.head(torch.cat([*given, level], dim=1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return shuffled(self.tail(hidden))


def gathered(image: Tensor) -> Tensor:
    """Return the fine voxels of each slice as channels; inverse of ``shuffled``."""
    batch, _, z, x = image.shape
    return image.reshape(batch, z // FACTOR, FACTOR, x).transpose(1, 2)


def train(minutes: float, seed: int = 0) -> tuple[EDMPrecond, int]:
    """Return the trained network and its number of steps."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    patches, network = Patches(halves()[1], 2), EDMPrecond(Denoiser(), pixel_std=1.0)
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    steps, began, done = 0, time.process_time(), 0.0
    while done < 1.0:
        _, cubic, truth = patches.draw(rng)
        clean = (truth - cubic) / SPREAD
        # Much noise more often: detail is decided there.
        sigma = (torch.rand(len(clean), 1, 1, 1).sqrt() * ANGLES[0]).tan().clamp(min=1e-3)
        found = network(clean + sigma * torch.randn_like(clean), sigma, cubic=cubic)
        loss = functional.mse_loss(found, clean)
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


def forward_model(n_low: int) -> LinearPhysics:
    """Return D and Dᵀ for coronal slices (y, 1, z, x)."""
    down = torch.from_numpy(Slices(n_low).degrade.dense(FACTOR * n_low)).float()
    return LinearPhysics(A=lambda image: down @ image, A_adjoint=lambda low: down.T @ low)


@torch.no_grad()
def sample(network: nn.Module, low: sr.Volume, window: sr.IntensityWindow, seed: int) -> sr.Volume:
    """Return one sample, consistent with the slices (Song et al. 2021, DDIM)."""
    cubic = sr.upscale(low, SCALE, method="tricubic")
    start, measured = (_as_slices(window.to_unit(volume.data)) for volume in (cubic, low))
    physics = forward_model(low.grid.shape[2])
    lacking = (measured - physics.A(start)) / SPREAD

    def clean(noisy: Tensor, sigma: Tensor) -> Tensor:
        return physics.prox_l2(network(noisy, sigma, cubic=start), lacking, gamma=1e6)

    solver = DDIMSolver(ANGLES, rng=torch.Generator())
    model = EDMDiffusionSDE(
        torch.tan, variance_preserving=True, denoiser=clean, solver=solver, minus_one_one=False
    )
    image = start + SPREAD * model.sample(start.shape, seed=seed).float()
    return sr.Volume(window.from_unit(_as_volume(image)), cubic.grid)


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
    text = f"{len(ANGLES) - 1} steps of sampling, {SAMPLES} samples"
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
