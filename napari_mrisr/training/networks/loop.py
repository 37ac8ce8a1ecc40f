"""The training loop: schedule, averaged weights, checkpoint and exact resume, validation."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from napari_mrisr.core.volume import FloatArray
from napari_mrisr.io.atomic import atomic_write
from napari_mrisr.networks.tiles import conditions
from napari_mrisr.operators.interpolate import prefilter_operator, resample_operator
from napari_mrisr.operators.slices import legendre_basis, slice_operator
from napari_mrisr.training.networks.architecture import ThickSliceNetwork
from napari_mrisr.training.networks.patches import ORDER, PatchBatch, PatchSampler, TrainingImage


@dataclass(frozen=True)
class LoopParameters:
    """Parameters of a training, apart from the images.

    Attributes
    ----------
    steps : int
        Steps in all; the learning rate follows a cosine over them.
    rate : float
        Highest learning rate of Adam.
    clip : float
        Largest norm of the gradient.
    average : float
        Share of the newest weights in the running average that is kept.
    batch, slices, across : int
        See :class:`~.patches.PatchSampler`.
    seed : int
    """

    steps: int = 20_000
    rate: float = 1.5e-3
    clip: float = 0.1
    average: float = 0.002
    batch: int = 4
    slices: int = 16
    across: int = 32
    seed: int = 0


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A volume to measure the gain on: the thick axis first, engine units."""

    name: str
    data: FloatArray
    inside: np.ndarray[Any, np.dtype[np.bool_]]


def psnr_gain(network: ThickSliceNetwork, held: HeldOut, factor: float, fwhm: float = 1.0) -> float:
    """Return the gain over cubic interpolation, dB, inside the mask."""
    n = held.data.shape[0]
    count = round(n / factor)
    low = slice_operator(n, count, "boxcar", fwhm).apply(held.data, 0)
    cubic = resample_operator(count, n).apply(prefilter_operator(count).apply(low, 0), 0)
    with torch.no_grad():
        image = torch.from_numpy(low)[None, None]
        told = torch.tensor([conditions(factor, fwhm)])
        coefficients = network(image, told)[0]
        nearest, basis = legendre_basis(count, n, ORDER)
        picked = coefficients[:, torch.from_numpy(nearest)]
        correction = (picked * torch.from_numpy(basis.T.astype(np.float32))[..., None, None]).sum(0)
    error = [
        float(((np.clip(x, 0, 1) - held.data)[held.inside] ** 2).mean())
        for x in (cubic, cubic + correction.numpy())
    ]
    return 10.0 * math.log10(error[0] / error[1])


class NetworkTraining:
    """A training that can be stopped after any step and resumed exactly.

    Parameters
    ----------
    parameters : LoopParameters
    images : sequence of TrainingImage
    weights : sequence of float
        How often each image is drawn.
    """

    def __init__(
        self,
        parameters: LoopParameters,
        images: Sequence[TrainingImage],
        weights: Sequence[float],
        network: ThickSliceNetwork | None = None,
        *,
        bfloat16: bool = False,
    ) -> None:
        self.bfloat16 = bfloat16
        torch.manual_seed(parameters.seed)
        self.parameters = parameters
        self.network = network or ThickSliceNetwork()
        self.averaged = ThickSliceNetwork(self.network.channels, self.network.pairs)
        self.averaged.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=parameters.rate)
        self.rng = np.random.default_rng(parameters.seed)
        self.sampler = PatchSampler(
            images,
            weights,
            self.rng,
            batch=parameters.batch,
            slices=parameters.slices,
            across=parameters.across,
        )
        self.step = 0

    def advance(self) -> float:
        """Do one step; return the loss."""
        parameters = self.parameters
        warm = min(1.0, (self.step + 1) / 200.0)
        cosine = 0.5 * (1.0 + math.cos(math.pi * self.step / parameters.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = parameters.rate * warm * max(cosine, 0.01)
        batch = self.sampler.draw()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            loss = _loss(self.network, batch)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), parameters.clip)
        self.optimizer.step()
        self.step += 1
        share = max(parameters.average, 1.0 / (self.step + 1))
        with torch.no_grad():
            for kept, new in zip(
                self.averaged.parameters(), self.network.parameters(), strict=True
            ):
                kept.lerp_(new, share)
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write a checkpoint: weights, average, optimizer and random state."""
        tensors: dict[str, Tensor] = {}
        for prefix, module in (("network", self.network), ("averaged", self.averaged)):
            tensors |= {f"{prefix}.{k}": v.contiguous() for k, v in module.state_dict().items()}
        for number, state in enumerate(self.optimizer.state_dict()["state"].values()):
            tensors[f"first.{number}"] = state["exp_avg"].contiguous()
            tensors[f"second.{number}"] = state["exp_avg_sq"].contiguous()
        document = {
            "step": self.step,
            "parameters": asdict(self.parameters),
            "random": self.rng.bit_generator.state,
            "channels": self.network.channels,
            "pairs": self.network.pairs,
        }
        with atomic_write(path) as temporary:
            save_file(tensors, temporary, {"training": json.dumps(document)})

    def load(self, path: Path) -> None:
        """Continue from a checkpoint, as if it had not been interrupted."""
        with safe_open(path, "pt") as file:
            document = json.loads(file.metadata()["training"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        for prefix, module in (("network", self.network), ("averaged", self.averaged)):
            module.load_state_dict(
                {
                    k.removeprefix(f"{prefix}."): v
                    for k, v in tensors.items()
                    if k.startswith(f"{prefix}.")
                }
            )
        self.step = document["step"]
        state = self.optimizer.state_dict()
        state["state"] = {
            n: {
                "step": torch.tensor(float(self.step)),
                "exp_avg": tensors[f"first.{n}"],
                "exp_avg_sq": tensors[f"second.{n}"],
            }
            for n in range(len(list(self.network.parameters())))
        }
        self.optimizer.load_state_dict(state)
        self.rng.bit_generator.state = document["random"]


def _loss(network: ThickSliceNetwork, batch: PatchBatch) -> Tensor:
    low = torch.from_numpy(batch.low)[:, None]
    coefficients = network(low, torch.tensor([batch.told]))
    nearest = torch.from_numpy(batch.nearest)[:, None, :, None, None]
    nearest = nearest.expand(-1, coefficients.shape[1], -1, *coefficients.shape[3:])
    picked = torch.gather(coefficients.float(), 2, nearest)
    basis = torch.from_numpy(batch.basis).transpose(1, 2)[..., None, None]
    result = torch.from_numpy(batch.cubic) + (picked * basis).sum(1)
    weight = torch.from_numpy(batch.weight)
    error = (result - torch.from_numpy(batch.truth)).abs() * weight
    return error.sum() / weight.sum().clamp(min=1.0)


def run(
    training: NetworkTraining,
    held_out: Sequence[HeldOut],
    checkpoint: Path,
    tell: Callable[[str], None],
    *,
    every: int = 500,
) -> None:
    """Train to the last step, with a checkpoint and a validation every so often."""
    start, first, losses = time.perf_counter(), training.step, []
    while training.step < training.parameters.steps:
        losses.append(training.advance())
        if training.step % every == 0 or training.step == training.parameters.steps:
            training.save(checkpoint)
            gains = {
                f: float(np.mean([psnr_gain(training.averaged, h, f) for h in held_out]))
                for f in (2.0, 4.0, 6.0)
            }
            pace = (time.perf_counter() - start) / (training.step - first)
            shown = ", ".join(f"{f:g}: {g:+.2f} dB" for f, g in gains.items())
            loss = float(np.mean(losses))
            left = pace * (training.parameters.steps - training.step) / 60
            tell(f"{training.step} loss {loss:.5f} {shown}; {pace:.2f} s/step, {left:.0f} min left")
            losses.clear()
