"""The training loop: schedule, averaged weights, checkpoint and exact resume, validation."""

from __future__ import annotations

import copy
import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from napari_mrisr.core.volume import FloatArray
from napari_mrisr.errors import BankError, explain
from napari_mrisr.io.atomic import atomic_write
from napari_mrisr.networks.file import THICK
from napari_mrisr.networks.tiles import conditions
from napari_mrisr.operators.interpolate import prefilter_operator, resample_operator, tricubic
from napari_mrisr.operators.slices import block_basis, legendre_basis, slice_operator
from napari_mrisr.training.networks.architecture import ThickSliceNetwork
from napari_mrisr.training.networks.blocks import BlockBatch, BlockSampler, blocks, degraded
from napari_mrisr.training.networks.export import export
from napari_mrisr.training.networks.optimizer import MuonAdam
from napari_mrisr.training.networks.patches import (
    ORDER,
    HeldOut,
    PatchBatch,
    PatchSampler,
    TrainingImage,
)


@dataclass(frozen=True)
class LoopParameters:
    """Parameters of a training, apart from the images.

    Attributes
    ----------
    steps : int
        Steps in all; the learning rates follow a cosine over them.
    rate, adam_rate : float
        Highest learning rates; see :class:`~.optimizer.MuonAdam`.
    squared_from : float
        Share of the steps after which the loss is the root of the mean squared error, which
        PSNR asks for, instead of the mean absolute error, which learns faster at first.
    clip : float
        Largest norm of the gradient.
    average : float
        Share of the newest weights in the running average that is kept.
    batch, slices, across : int
        See :class:`~.patches.PatchSampler`.
    seed : int
    """

    steps: int = 20_000
    rate: float = 0.02
    adam_rate: float = 1.5e-3
    squared_from: float = 0.6
    clip: float = 0.1
    average: float = 0.002
    batch: int = 3
    slices: int = 16
    across: int = 40
    seed: int = 0


def psnr_gain(network: ThickSliceNetwork, held: HeldOut, factor: float, fwhm: float = 1.0) -> float:
    """Return the gain over cubic interpolation, dB, inside the mask."""
    n = held.data.shape[0]
    count = round(n / factor)
    low = slice_operator(n, count, "boxcar", fwhm).apply(held.data, 0)
    cubic = resample_operator(count, n).apply(prefilter_operator(count).apply(low, 0), 0)
    with torch.no_grad():
        device = next(network.parameters()).device
        image = torch.from_numpy(low)[None, None].to(device)
        told = torch.tensor([conditions(factor, fwhm)], device=device)
        coefficients = network(image, told)[0].cpu()
        nearest, basis = legendre_basis(count, n, ORDER)
        picked = coefficients[:, torch.from_numpy(nearest)]
        correction = (picked * torch.from_numpy(basis.T.astype(np.float32))[..., None, None]).sum(0)
    return _gain_db(cubic, cubic + correction.numpy(), held.data, held.inside)


def block_gain(network: ThickSliceNetwork, held: HeldOut, factor: int) -> float:
    """Return the gain over tricubic interpolation of an isotropic factor, dB, inside the mask."""
    box = tuple(slice(n // factor * factor) for n in held.data.shape)
    truth = np.ascontiguousarray(held.data[box])
    low = degraded(truth, factor)
    with torch.no_grad():
        device = next(network.parameters()).device
        image = torch.from_numpy(low)[None, None].to(device)
        told = torch.tensor([conditions(factor, 1.0)], device=device)
        coefficients = network(image, told)[0].cpu().numpy()
    correction = np.tensordot(block_basis(factor).astype(np.float32), coefficients, 1)
    cubic = blocks(tricubic(low, (factor,) * 3), factor)
    inside = blocks(held.inside[box], factor) > 0
    return _gain_db(cubic, cubic + correction, blocks(truth, factor), inside)


def _gain_db(
    cubic: FloatArray, corrected: FloatArray, truth: FloatArray, inside: NDArray[np.bool_]
) -> float:
    error = [float(((np.clip(x, 0, 1) - truth)[inside] ** 2).mean()) for x in (cubic, corrected)]
    return 10.0 * math.log10(error[0] / error[1])


class NetworkTraining:
    """A training that can be stopped after any step and resumed exactly.

    Parameters
    ----------
    parameters : LoopParameters
    images : sequence of TrainingImage
    weights : sequence of float
        How often each image is drawn.
    network : ThickSliceNetwork, optional
        To start from; a new one by default.
    bfloat16 : bool
        Compute in bfloat16 where PyTorch's autocast does.
    device : str
        PyTorch's name of the device: ``cpu`` or ``cuda``.
    kind : str
        ``thick-slices`` or ``isotropic``.
    """

    def __init__(
        self,
        parameters: LoopParameters,
        images: Sequence[TrainingImage],
        weights: Sequence[float],
        network: ThickSliceNetwork | None = None,
        *,
        bfloat16: bool = False,
        device: str = "cpu",
        kind: str = THICK,
    ) -> None:
        self.bfloat16, self.device, self.kind = bfloat16, torch.device(device), kind
        torch.manual_seed(parameters.seed)
        self.parameters = parameters
        order = ORDER if kind == THICK else block_basis(1).shape[1]
        self.network = (network or ThickSliceNetwork(order=order)).to(self.device)
        self.averaged = copy.deepcopy(self.network)
        self.network.to(memory_format=torch.channels_last_3d)
        self.optimizer = MuonAdam(self.network, parameters.rate, parameters.adam_rate)
        self.rng = np.random.default_rng(parameters.seed)
        batch, slices, across = parameters.batch, parameters.slices, parameters.across
        self.sampler: PatchSampler | BlockSampler
        if kind == THICK:
            self.sampler = PatchSampler(
                images, weights, self.rng, batch=batch, slices=slices, across=across
            )
        else:
            self.sampler = BlockSampler(images, weights, self.rng, batch=batch, side=across)
        self.step = 0

    def advance(self) -> float:
        """Do one step; return the loss."""
        parameters = self.parameters
        warm = min(1.0, (self.step + 1) / 200.0)
        cosine = 0.5 * (1.0 + math.cos(math.pi * self.step / parameters.steps))
        squared = self.step >= parameters.squared_from * parameters.steps
        batch = self.sampler.draw()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            loss = _loss(self.network, batch, squared, self.device)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), parameters.clip)
        self.optimizer.step(warm * max(cosine, 0.01))
        self.step += 1
        share = max(parameters.average, 1.0 / (self.step + 1))
        with torch.no_grad():
            for kept, new in zip(
                self.averaged.parameters(), self.network.parameters(), strict=True
            ):
                kept.lerp_(new, share)
        return float(loss.detach())

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.parameters.steps

    @property
    def place(self) -> str:
        """Device and precision, for the user."""
        on_gpu = self.device.type == "cuda"
        name = torch.cuda.get_device_name(self.device) if on_gpu else "CPU"
        return f"{name}, {'bfloat16' if self.bfloat16 else 'float32'}"

    def gain(self, held: HeldOut, factor: float) -> float:
        """Return the gain of the averaged network over cubic interpolation in dB."""
        if self.kind == THICK:
            return psnr_gain(self.averaged, held, factor)
        return block_gain(self.averaged, held, int(factor))

    def export(self, path: Path, document: dict[str, Any]) -> None:
        """Write the averaged network; see :func:`~.export.export`."""
        export(self.averaged, path, {"kind": self.kind, **document})

    def save(self, path: Path, identity: dict[str, Any] | None = None) -> None:
        """Write a checkpoint: weights, average, optimizer, random state and an identity."""
        tensors: dict[str, Tensor] = {}
        for prefix, module in (("network", self.network), ("averaged", self.averaged)):
            tensors |= {f"{prefix}.{k}": v for k, v in module.state_dict().items()}
        tensors |= self.optimizer.state()
        tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        document = {
            "step": self.step,
            "parameters": asdict(self.parameters),
            "random": self.rng.bit_generator.state,
            "channels": self.network.channels,
            "pairs": self.network.pairs,
            "identity": identity or {},
            "crc32": checksums(tensors),
        }
        with atomic_write(path) as temporary:
            save_file(tensors, temporary, {"training": json.dumps(document)})

    def load(self, path: Path, identity: dict[str, Any] | None = None) -> None:
        """Continue from a checkpoint, as if it had not been interrupted.

        Raises
        ------
        BankError
            If it is damaged, or belongs to a training of another identity.
        """
        try:
            with safe_open(path, "pt") as file:
                document = json.loads(file.metadata()["training"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if document.get("crc32", checksums(tensors)) != checksums(tensors):
                raise ValueError("checksum mismatch")
            same = document.get("identity", {}) == (identity or {})
            if same:
                self._take(document, tensors)
        except (SafetensorError, OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
            found = f"cannot be read ({error})"
            raise BankError(explain(path, found, "delete it and train from the start")) from error
        if not same:
            found = "belongs to a training on other volumes or with other options"
            remedy = "repeat the options of that training, or train from the start"
            raise BankError(explain(path, found, remedy))

    def _take(self, document: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        for prefix, module in (("network", self.network), ("averaged", self.averaged)):
            module.load_state_dict(
                {
                    k.removeprefix(f"{prefix}."): v
                    for k, v in tensors.items()
                    if k.startswith(f"{prefix}.")
                }
            )
        self.step = document["step"]
        self.optimizer.restore(tensors, self.step)
        self.rng.bit_generator.state = document["random"]


def checksums(tensors: dict[str, Tensor]) -> dict[str, int]:
    """Return the CRC-32 of each tensor."""
    return {name: zlib.crc32(tensor.numpy().tobytes()) for name, tensor in tensors.items()}


def _loss(
    network: ThickSliceNetwork,
    batch: PatchBatch | BlockBatch,
    squared: bool,
    device: torch.device,
) -> Tensor:
    def tensor(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device)

    told = torch.tensor([batch.told], device=device)
    coefficients = network(tensor(batch.low)[:, None], told).float()
    if isinstance(batch, PatchBatch):
        nearest = tensor(batch.nearest)[:, None, :, None, None]
        nearest = nearest.expand(-1, coefficients.shape[1], -1, *coefficients.shape[3:])
        picked = torch.gather(coefficients, 2, nearest)
        correction = (picked * tensor(batch.basis).transpose(1, 2)[..., None, None]).sum(1)
    else:
        correction = torch.einsum("bkxyz,vk->bvxyz", coefficients, tensor(batch.basis))
    error, weight = tensor(batch.cubic) + correction - tensor(batch.truth), tensor(batch.weight)
    count = weight.sum().clamp(min=1.0)
    if squared:
        return ((error.square() * weight).sum() / count + 1e-8).sqrt()
    return (error.abs() * weight).sum() / count
