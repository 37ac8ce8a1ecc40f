"""Methods on a GPU: the same steps and boxes with its kernels, and the run in blocks.

:class:`HashedOnDevice` is :class:`~napari_mrisr.methods.hashed.Hashed` with
every computation on a :class:`~napari_mrisr.kernels.machine.Machine`. Intermediate images
never leave the device. The output is cut along x into as few blocks as the device's free
memory allows, one for most volumes, and each block is copied back once. If memory still
runs out, blocks are halved.

Sums run in single precision as on the CPU, eigen-analysis in double. Tensors
equal the CPU's bit for bit if the CPU fuses multiplication and addition, so a voxel's
bucket differs only if a feature is within rounding of a cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, cast

import numpy as np

from napari_mrisr.bank.model import Stage
from napari_mrisr.bank.symmetries import phase_offsets
from napari_mrisr.core.axes import permute_data
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import RealScale
from napari_mrisr.core.threads import wait_for
from napari_mrisr.core.volume import FloatArray, Grid, Region, Shape, Volume, scale_text
from napari_mrisr.errors import DeviceError
from napari_mrisr.kernels import gpu_kernels
from napari_mrisr.kernels.hash_tables import HashTables
from napari_mrisr.kernels.machine import Array, Machine
from napari_mrisr.methods.consistent import Consistent
from napari_mrisr.methods.hashed import Hashed, cell_box, crop, grown, whole_cells
from napari_mrisr.methods.interpolation import Interpolation
from napari_mrisr.methods.permuted import Permuted, innermost
from napari_mrisr.methods.registry import Method
from napari_mrisr.operators import interpolate
from napari_mrisr.operators.gradients import Window, window_rows

# Bytes per voxel of a block at the peak: seven smoothed parts twice, their input, image,
# buckets, symmetries and result.
_BYTES_A_VOXEL = 80
_SHARE_OF_FREE = 0.8
# Kernels count in 32 bits, and a cancelled run still computes its block to the end.
MOST_VOXELS = 2**27

# Trial: largest difference, and the part of voxels that may exceed it (a bucket's cut).
_TOLERANCE = 1e-4
_MAY_DIFFER = 0.02


@dataclass(frozen=True, eq=False)
class Resident:
    """Low-resolution volume on the device.

    Attributes
    ----------
    data : (nx, ny, nz) array of float32
        In engine units.
    extrema : tuple of float
        Lowest and highest value.
    """

    data: Array
    extrema: tuple[np.float32, np.float32]

    @classmethod
    def of(cls, lr: Volume, machine: Machine) -> Resident:
        """Copy a volume to the device."""
        return cls(machine.xp.asarray(lr.data), lr.extrema)


@dataclass(frozen=True)
class StageOnDevice:
    """Tables and filters of a stage on the device."""

    code: HashTables
    weights: Array

    @classmethod
    def of(cls, stage: Stage, machine: Machine) -> StageOnDevice:
        """Copy a stage to the device."""
        if stage.spec.grid == "cell":
            weights = machine.xp.asarray(cubic_weights(stage))
        else:
            weights = gpu_kernels.put_voxel_weights(
                machine, cubic_weights(stage)[:, :, 0], max(stage.spec.shape)
            )
        return cls(gpu_kernels.put_code(machine, stage.spec.hash.code), weights)


@dataclass(frozen=True, eq=False)
class InterpolationOnDevice:
    """Interpolation on the device; see :class:`Interpolation`."""

    method: Interpolation
    machine: Machine

    @property
    def scale(self) -> RealScale:
        """Factor of each axis."""
        return self.method.scale

    def compute(self, lr: Any, region: Region) -> Array:
        """Compute a region, in engine units, on the device; ``lr`` is :class:`Resident`."""
        upsample = cast("Callable[..., Array]", self.method.upsample)
        image = upsample(lr.data, self.scale, region, _rows_kernel(self.machine))
        return self.machine.xp.clip(image, *lr.extrema)


@dataclass(frozen=True, eq=False)
class HashedOnDevice(Hashed):
    """Hashed method on the device."""

    machine: Machine = field(kw_only=True)

    def compute(self, lr: Any, region: Region) -> Array:
        """Compute a region, in engine units, on the device; ``lr`` is :class:`Resident`."""
        return super().compute(lr, region)

    @cached_property
    def _stages(self) -> list[StageOnDevice]:
        return [StageOnDevice.of(stage, self.machine) for stage in self.bank.stages]

    def _begin(self, lr: Any, region: Region) -> Array:
        start = interpolate.tricubic if self.bank.start == "tricubic" else interpolate.quadratic
        image = start(lr.data, self.scale, region, _rows_kernel(self.machine))
        return self.machine.xp.clip(image, *lr.extrema)

    def _continue(
        self, number: int, seen: Any, images: Any, corner: Shape, region: Region
    ) -> list[Array]:
        (lr,), (image,) = seen, images
        stage, low = self.bank.stages[number], lr.extrema[0]
        if stage.spec.grid == "cell":
            box = whole_cells(region, self.scale)
            result = crop(image, corner, box).copy()
            self._add_cells(number, lr.data, result, box, low)
            return [crop(result, box.start, region)]
        shape = interpolate.upsampled_shape(lr.data, self.scale)
        around = grown(region, stage.spec.reach, shape)
        source = crop(image, corner, around)
        return [self._voxels(number, source, around.start, shape, region, low)]

    def _finish(self, lr: Any, image: Array, region: Region) -> Array:
        if lr.extrema[1] > 1.0:
            xp, start = self.machine.xp, self._begin(lr, region)
            image = xp.where(start > 1.0, xp.maximum(image, start), image)
        return self.machine.xp.ascontiguousarray(image)

    def _add_cells(
        self, number: int, lr: Array, image: Array, box: Region, low: np.float32
    ) -> None:
        """Add a cell stage's output to ``image``, which covers ``box`` (whole cells)."""
        stage, spec = self._stages[number], self.bank.stages[number].spec
        cells, shape = cell_box(box, self.scale), cast(Shape, lr.shape)
        tensor, smooth = tensor_box(self.machine, lr, (0, 0, 0), shape, cells, spec.hash.window)
        buckets = gpu_kernels.hash_voxels(self.machine, tensor, smooth, cells.start, stage.code)
        source = mirrored(self.machine, lr, (0, 0, 0), shape, cells, max(spec.shape) // 2)
        places = phase_offsets(self.scale) @ np.array(
            [image.shape[1] * image.shape[2], image.shape[2], 1]
        )
        gpu_kernels.filter_cells(
            self.machine,
            source,
            *buckets,
            places,
            stage.weights,
            max(spec.shape),
            self.scale,
            image,
            low=float(low),
        )

    def _voxels(
        self,
        number: int,
        image: Array,
        corner: Shape,
        shape: Shape,
        region: Region,
        low: np.float32,
    ) -> Array:
        """Compute a voxel stage on ``region``; ``image`` starts at ``corner``."""
        stage, spec = self._stages[number], self.bank.stages[number].spec
        tensor, smooth = tensor_box(self.machine, image, corner, shape, region, spec.hash.window)
        buckets = gpu_kernels.hash_voxels(self.machine, tensor, smooth, region.start, stage.code)
        # By far the largest arrays; the next ones take their memory.
        del tensor, smooth
        source = mirrored(self.machine, image, corner, shape, region, max(spec.shape) // 2)
        return gpu_kernels.filter_voxels(
            self.machine,
            source,
            *buckets,
            stage.weights,
            centered=spec.residual,
            add=spec.residual,
            low=float(low),
        )


def cubic_weights(stage: Stage) -> FloatArray:
    """Return a stage's padded weights for cubic patches, which the kernels take."""
    weights, shape = stage.padded_weights, stage.spec.shape
    width = max(shape)
    if shape == (width, width, width):
        return weights
    margins = [((width - n) // 2, (width - n) // 2) for n in shape]
    filters, _, outputs = weights.shape
    cubes = np.pad(weights.reshape(filters, *shape, outputs), [(0, 0), *margins, (0, 0)])
    return cubes.reshape(filters, width**3, outputs)


def tensor_box(
    machine: Machine, source: Array, corner: Shape, shape: Shape, region: Region, window: Window
) -> tuple[Array, Array]:
    """Compute a structure tensor; see :func:`napari_mrisr.operators.gradients.tensor_box`."""
    rows = [
        window_rows(n, a - 1, b + 1, window, axis)
        for axis, (n, a, b) in enumerate(zip(shape, region.start, region.stop, strict=True))
    ]
    reads = [operator.reads for operator in rows]
    spans = [(a - 1, b + 1) for a, b in reads]
    parts = gpu_kernels.gradient_products(
        machine, _mirrored_spans(machine, source, corner, shape, spans)
    )
    for axis, (operator, (low, _)) in enumerate(zip(rows, reads, strict=True)):
        parts = gpu_kernels.apply_rows(
            machine, parts, operator.first - low, operator.taps, axis + 1
        )
    return parts[:6], parts[6]


def mirrored(
    machine: Machine, source: Array, corner: Shape, shape: Shape, region: Region, radius: int
) -> Array:
    """Return a region and ``radius`` voxels around it, mirrored at the volume's edges."""
    spans = [(a - radius, b + radius) for a, b in zip(region.start, region.stop, strict=True)]
    return _mirrored_spans(machine, source, corner, shape, spans)


def _mirrored_spans(
    machine: Machine, source: Array, corner: Shape, shape: Shape, spans: list[tuple[int, int]]
) -> Array:
    """Return a box; see :func:`napari_mrisr.operators.gradients.mirrored_box`."""
    index = [
        # Rows near an edge read voxels beyond the source with weight zero.
        np.clip(interpolate.mirror_index(np.arange(a, b), n) - c, 0, m - 1)
        for (a, b), n, c, m in zip(spans, shape, corner, source.shape, strict=True)
    ]
    return gpu_kernels.take_box(machine, source, index)


def _rows_kernel(machine: Machine) -> interpolate.RowsKernel:
    return partial(gpu_kernels.apply_rows, machine)


def on_device(method: Method, machine: Machine) -> HashedOnDevice | InterpolationOnDevice | None:
    """Return the method on a device; None for one that has no kernels there."""
    inner = innermost(method)
    if type(inner) is Hashed and not inner.bank.anchored:
        return HashedOnDevice(inner.bank, machine=machine)
    if type(inner) is Interpolation:
        return InterpolationOnDevice(inner, machine)
    return None


def try_out(method: Method, machine: Machine) -> None:
    """Compare a small volume on the device with the CPU's; this also compiles the kernels.

    Raises
    ------
    NotImplementedError
        If the device has no kernels for the method.
    DeviceError
        If the device's result differs from the CPU's.
    """
    there = on_device(method, machine)
    method = innermost(method)
    if there is None:
        raise NotImplementedError(f"method {method.name} has no kernels for it")
    shape = (7, 8, 9)
    x, y, z = np.indices(shape) / 10.0
    data = np.exp(-((x - 0.3) ** 2) - 2.0 * (y - 0.4) ** 2 - 3.0 * (z - 0.2 * x) ** 2)
    lr = Volume(data.astype(np.float32), Grid(shape, np.eye(4)))
    region = Region.whole(lr.grid.upsampled(method.scale).shape)
    found = machine.get(there.compute(Resident.of(lr, machine), region))
    wrong = ~(np.abs(found - method.compute(lr, region)) <= _TOLERANCE)
    if wrong.mean() > _MAY_DIFFER:
        raise DeviceError(f"{100 * wrong.mean():.0f} % of a trial's voxels are wrong")


def run(method: Method, volume: Volume, machine: Machine, progress: Progress) -> FloatArray:
    """Compute the whole result, in the scan's intensities.

    Parameters
    ----------
    method : Method
        A method that :func:`on_device` supports.
    volume : Volume
        Low resolution.
    machine : Machine
    progress : Progress
        One step per block; its token is checked every 50 ms. A cancelled run does not
        wait for the running block.

    Raises
    ------
    MemoryError
        If not even the smallest block fits.
    Cancelled
        If the token was set.
    """
    task = f"{method.name} {scale_text(method.scale, volume.origin)} on {machine.name}"
    return _run(method, volume, machine, progress, task)


def _run(
    method: Method, volume: Volume, machine: Machine, progress: Progress, task: str
) -> FloatArray:
    if isinstance(method, Consistent):
        lr = volume.normalized(check=progress.token.check)
        image = lr.window.to_unit(_run(method.method, volume, machine, progress, task))
        whole = Region.whole(lr.grid.upsampled(method.scale).shape)
        return lr.window.from_unit(method.correct(lr, image, whole.start, whole))
    if isinstance(method, Permuted):
        turned = method.permuted(volume)
        found = _run(method.method, turned, machine, progress, task)
        return cast(FloatArray, permute_data(found, method.back))
    lr = volume.normalized(check=progress.token.check)
    shape, cell = lr.grid.upsampled(method.scale).shape, math.ceil(method.scale[0])
    voxels = _voxels_that_fit(method, machine, shape)
    executor = ThreadPoolExecutor(1, thread_name_prefix="mrisr-device")
    try:
        while True:
            blocks = block_regions(shape, cell, voxels)
            progress.begin(task, len(blocks))
            try:
                return _run_blocks(method, lr, machine, blocks, executor, progress)
            except MemoryError:
                machine.release()
                if blocks[0].shape[0] == cell:
                    raise
                voxels = blocks[0].shape[0] * shape[1] * shape[2] // 2
    finally:
        executor.submit(machine.release)
        executor.shutdown(wait=False)


def _run_blocks(
    method: Method,
    lr: Volume,
    machine: Machine,
    blocks: list[Region],
    executor: ThreadPoolExecutor,
    progress: Progress,
) -> FloatArray:
    there = on_device(method, machine)
    assert there is not None
    resident = Resident.of(lr, machine)
    out = np.empty(lr.grid.upsampled(method.scale).shape, np.float32)
    for block in blocks:
        future = executor.submit(_run_block, there, lr, resident, block, machine, out)
        wait_for([future], progress.token.check)
        progress.advance()
    return out


def _run_block(
    there: HashedOnDevice | InterpolationOnDevice,
    lr: Volume,
    resident: Resident,
    block: Region,
    machine: Machine,
    out: FloatArray,
) -> None:
    out[block.slices] = machine.get(lr.window.from_unit(there.compute(resident, block)))


def _voxels_that_fit(method: Method, machine: Machine, shape: Shape) -> int:
    """Return the voxels per block that free memory allows, without the halo."""
    fit = int(_SHARE_OF_FREE * machine.free_bytes()) // _BYTES_A_VOXEL
    halo = method.halo or (0, 0, 0)
    if fit < shape[0] * shape[1] * shape[2]:
        fit -= 2 * halo[0] * math.ceil(method.scale[0]) * shape[1] * shape[2]
    return min(MOST_VOXELS, fit)


def block_regions(shape: Shape, cell: int, voxels: int) -> list[Region]:
    """Cut the output along x into blocks of about equal size, of whole cells.

    Parameters
    ----------
    shape : tuple of int
        Shape of the output.
    cell : int
        Output voxels per low-resolution voxel along x.
    voxels : int
        Most voxels per block; a block has at least one cell along x.
    """
    x, y, z = shape
    most = max(1, voxels // (cell * y * z))
    count = -(-x // (cell * most))
    thick = cell * -(-x // (cell * count))
    return [Region((a, 0, 0), (min(a + thick, x), y, z)) for a in range(0, x, thick)]
