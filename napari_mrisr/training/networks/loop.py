"""The training loop: schedule, averaged weights, checkpoint and exact resume, validation."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_mrisr.core.percentiles import go_on
from napari_mrisr.core.volume import FloatArray
from napari_mrisr.errors import BankError, explain
from napari_mrisr.io.atomic import atomic_write
from napari_mrisr.networks.file import DENOISER, ISOTROPIC, THICK, UNROLLED, channels_of
from napari_mrisr.networks.tiles import conditions
from napari_mrisr.operators.interpolate import prefilter_operator, resample_operator, tricubic
from napari_mrisr.operators.slices import (
    block_basis,
    legendre_basis,
    slice_operator,
    slice_projection,
)
from napari_mrisr.training.networks.architecture import BLOCKS, ThickSliceNetwork
from napari_mrisr.training.networks.blocks import (
    BlockBatch,
    BlockSampler,
    blocks,
    degraded,
    noisy,
)
from napari_mrisr.training.networks.export import export
from napari_mrisr.training.networks.optimizer import MuonAdam
from napari_mrisr.training.networks.patches import (
    ORDER,
    HeldOut,
    PatchBatch,
    PatchSampler,
    TrainingImage,
    projection_matrices,
)
from napari_mrisr.training.networks.unrolled import applied, unrolled


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


def unrolled_gain(
    network: ThickSliceNetwork, held: HeldOut, factor: float, fwhm: float = 1.0
) -> float:
    """Return the gain over cubic interpolation of an unrolled network, dB, inside the mask."""
    n = held.data.shape[0]
    count = round(n / factor)
    low = slice_operator(n, count, "boxcar", fwhm).apply(held.data, 0)
    projection = slice_projection(count, n, ORDER, fwhm)
    sharp = projection.sharpen.apply(low, 0)
    cubic, base = (
        resample_operator(count, n).apply(prefilter_operator(count).apply(image, 0), 0)
        for image in (low, sharp)
    )
    hide, correct = projection_matrices(projection, count, n)
    with torch.no_grad():
        device = next(network.parameters()).device
        given = [torch.from_numpy(image)[None, None].to(device) for image in (low, sharp - low)]
        told = torch.tensor([conditions(factor, fwhm)], device=device)
        hiding = torch.from_numpy(hide)[None].to(device)
        found = unrolled(network, given[0], told, given[1], hiding).cpu()
        change = applied(torch.from_numpy(correct)[None], found)[0]
    return _gain_db(cubic, base + change.numpy(), held.data, held.inside)


def denoising_gain(network: ThickSliceNetwork, held: HeldOut, percent: float) -> float:
    """Return the gain of denoising over an image with noise, dB, inside the mask.

    ``percent`` is the noise's standard deviation in % of the intensity window.
    """
    image = noisy(held.data, np.random.default_rng(0), percent / 100.0)
    with torch.no_grad():
        device = next(network.parameters()).device
        told = torch.tensor([conditions(1.0, 1.0)], device=device)
        change = network(torch.from_numpy(image)[None, None].to(device), told)[0, 0].cpu()
    return _gain_db(image, image + change.numpy(), held.data, held.inside)


def _gain_db(
    cubic: FloatArray, corrected: FloatArray, truth: FloatArray, inside: NDArray[np.bool_]
) -> float:
    error = [float(((np.clip(x, 0, 1) - truth)[inside] ** 2).mean()) for x in (cubic, corrected)]
    return 10.0 * math.log10(error[0] / error[1])


class NetworkTraining:
    """A training that can be stopped at any layer and resumed exactly.

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
        ``thick-slices``, ``isotropic``, ``unrolled`` or ``denoiser``.
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
        self.network = (network or new_network(kind)).to(self.device)
        self.averaged = copy.deepcopy(self.network)
        self.network.to(memory_format=torch.channels_last_3d)
        self.optimizer = MuonAdam(self.network, parameters.rate, parameters.adam_rate)
        self.rng = np.random.default_rng(parameters.seed)
        batch, slices, across = parameters.batch, parameters.slices, parameters.across
        self.sampler: PatchSampler | BlockSampler
        if kind in (THICK, UNROLLED):
            self.sampler = PatchSampler(
                images,
                weights,
                self.rng,
                batch=batch,
                slices=slices,
                across=across,
                projected=kind == UNROLLED,
            )
        else:
            self.sampler = BlockSampler(
                images, weights, self.rng, batch=batch, side=across, denoiser=kind == DENOISER
            )
        self.step = 0

    def advance(self, check: Callable[[], None] = go_on) -> float:
        """Do one step; return the loss.

        Where ``check``, called at every layer, raises, the step counts as never begun.
        """
        parameters = self.parameters
        warm = min(1.0, (self.step + 1) / 200.0)
        cosine = 0.5 * (1.0 + math.cos(math.pi * self.step / parameters.steps))
        random = self.rng.bit_generator.state
        try:
            loss = self._add_gradients(check)
        except BaseException:
            self.rng.bit_generator.state = random
            raise
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), parameters.clip)
        self.optimizer.step(warm * max(cosine, 0.01))
        self.step += 1
        share = max(parameters.average, 1.0 / (self.step + 1))
        with torch.no_grad():
            for kept, new in zip(
                self.averaged.parameters(), self.network.parameters(), strict=True
            ):
                kept.lerp_(new, share)
        return loss

    def _add_gradients(self, check: Callable[[], None]) -> float:
        """Draw a batch; compute its loss and gradients."""
        squared = self.step >= self.parameters.squared_from * self.parameters.steps
        batch = self.sampler.draw()
        with interruptible(self.network, check):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
                loss = _loss(self.network, batch, squared, self.device)
            self.optimizer.zero_grad()
            loss.backward()
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

    def gain(self, held: HeldOut, factor: float, check: Callable[[], None] = go_on) -> float:
        """Return the gain of the averaged network over cubic interpolation in dB.

        For a denoiser ``factor`` is the noise in %. ``check``, called at every layer, raises
        to stop.
        """
        with interruptible(self.averaged, check):
            if self.kind == ISOTROPIC:
                return block_gain(self.averaged, held, int(factor))
            if self.kind == UNROLLED:
                return unrolled_gain(self.averaged, held, factor)
            if self.kind == DENOISER:
                return denoising_gain(self.averaged, held, factor)
            return psnr_gain(self.averaged, held, factor)

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


@contextlib.contextmanager
def interruptible(network: nn.Module, check: Callable[[], None]) -> Iterator[None]:
    """Call ``check`` before every convolution, forward and backward; it raises to stop.

    A convolution takes 10 to 100 ms, a step about 20 of them.
    """

    def before(*_: Any) -> None:
        check()

    def after(_: nn.Module, __: Any, output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(before)

    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv3d)]
    hooks = [module.register_forward_pre_hook(before) for module in convolutions]
    hooks += [module.register_forward_hook(after) for module in convolutions]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def new_network(kind: str) -> ThickSliceNetwork:
    """Return a network of a kind before its training."""
    if kind == DENOISER:
        return ThickSliceNetwork(16, 2, 1)
    if kind == UNROLLED:
        return ThickSliceNetwork(24, 2, ORDER, channels_of(kind, ORDER), BLOCKS)
    return ThickSliceNetwork(order=ORDER if kind == THICK else block_basis(1).shape[1])


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
    low = tensor(batch.low)[:, None]
    projected = batch.projected if isinstance(batch, PatchBatch) else None
    if projected is not None:
        change, hide = tensor(projected.change)[:, None], tensor(projected.hide)
        correction = applied(tensor(projected.correct), unrolled(network, low, told, change, hide))
    elif isinstance(batch, PatchBatch):
        coefficients = network(low, told).float()
        nearest = tensor(batch.nearest)[:, None, :, None, None]
        nearest = nearest.expand(-1, coefficients.shape[1], -1, *coefficients.shape[3:])
        picked = torch.gather(coefficients, 2, nearest)
        correction = (picked * tensor(batch.basis).transpose(1, 2)[..., None, None]).sum(1)
    else:
        coefficients = network(low, told).float()
        correction = torch.einsum("bkxyz,vk->bvxyz", coefficients, tensor(batch.basis))
    error, weight = tensor(batch.cubic) + correction - tensor(batch.truth), tensor(batch.weight)
    count = weight.sum().clamp(min=1.0)
    if squared:
        return ((error.square() * weight).sum() / count + 1e-8).sqrt()
    return (error.abs() * weight).sum() / count
