"""Training samples: pairs of a patch and its target.

A volume becomes a :class:`Pair` of truth and low resolution. :func:`find_samples` locates,
bucket by bucket, the patches that a stage sees and its targets: the truth, or on request the
sharpened truth. Masked voxels, the rim of
masks and the border of the volume are left out.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_mrisr.bank.descriptors import Descriptor
from napari_mrisr.bank.model import FilterBank, StageSpec
from napari_mrisr.bank.symmetries import element_offsets, phase_offsets
from napari_mrisr.core.axes import IN_ORDER, Axes, permute_volume
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Grid, Region, Volume
from napari_mrisr.kernels import cpu_hash, cpu_samples
from napari_mrisr.methods.hashed import Hashed, padded
from napari_mrisr.operators.degrade import get_degradation
from napari_mrisr.operators.gradients import tensor_box
from napari_mrisr.scan.masks import eroded, head_mask, interior_mask
from napari_mrisr.training.presets import StagePlan, TrainParameters

SLAB_VOXELS = 300_000

ONE_THREAD = ThreadPool()

IndexArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pair:
    """A training volume and its low-resolution version, both in engine units.

    Attributes
    ----------
    truth : (x, y, z) ndarray of float32
    lr : Volume
    mask : (x, y, z) ndarray of bool
        The head.
    seed : int
        Seed for choosing samples; depends on the voxels alone.
    """

    truth: FloatArray
    lr: Volume
    mask: NDArray[np.bool_]
    seed: int


def make_pair(
    volume: Volume,
    parameters: TrainParameters,
    step: Scale = (1, 1, 1),
    pool: ThreadPool = ONE_THREAD,
    axes: Axes = IN_ORDER,
) -> Pair:
    """Keep every ``step``-th voxel, permute, normalize and clip as in the paper, and degrade."""
    pool.check()
    x, y, z = step
    if max(step) > 1:
        data = volume.data[::x, ::y, ::z]
        affine = volume.grid.affine @ np.diag([x, y, z, 1.0])
        volume = Volume(data, Grid((data.shape[0], data.shape[1], data.shape[2]), affine))
    if axes != IN_ORDER:
        volume = permute_volume(volume, axes)
    volume = volume.cropped_to_multiple(parameters.scale).normalized(check=pool.check)
    truth = np.clip(volume.data, 0.0, 1.0)
    pool.check()
    degraded = get_degradation(parameters.degradation).apply(truth, parameters.scale, pool.progress)
    pool.check()
    lr = Volume(degraded, volume.grid.degraded(parameters.scale), window=volume.window)
    digest = hashlib.sha256()
    for plane in truth:
        pool.check()
        digest.update(plane)
    seed = int.from_bytes(digest.digest()[:8], "little")
    return Pair(truth, lr, head_mask(truth, pool.progress), seed)


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of a volume for a stage, sorted by bucket: positions of the patches.

    Attributes
    ----------
    source, target : (x, y, z) ndarray of float32
        Images of the patches and of the targets.
    base, goal : (n,) ndarray of int64
        Flat indices: the center of the patch in ``source``, and the origin of ``places``
        in ``target``.
    element : (n,) ndarray of uint8
        Symmetry of each sample.
    ends : (buckets + 1,) ndarray of int64
        Samples of bucket b are ``ends[b]`` to ``ends[b + 1]``.
    offsets : (48, taps) ndarray of int64
        Distance from the center to each tap, per symmetry.
    places : (48, outputs) ndarray of int64
        Distance from ``goal`` to each target, per symmetry.
    centered : bool
        Subtract the center from the patch.
    """

    source: FloatArray
    target: FloatArray
    base: NDArray[np.int64]
    goal: NDArray[np.int64]
    element: NDArray[np.uint8]
    ends: NDArray[np.int64]
    offsets: NDArray[np.int64]
    places: NDArray[np.int64]
    centered: bool

    @property
    def count(self) -> int:
        """Number of samples."""
        return self.base.size

    @property
    def taps(self) -> int:
        """Number of values of a patch."""
        return int(self.offsets.shape[1])

    @property
    def outputs(self) -> int:
        """Number of values that a patch predicts."""
        return int(self.places.shape[1])


def find_samples(
    pair: Pair,
    plan: StagePlan,
    before: FilterBank,
    parameters: TrainParameters,
    pool: ThreadPool = ONE_THREAD,
) -> Samples:
    """Hash a volume and sort its training voxels by bucket.

    Parameters
    ----------
    pair : Pair
        The volume.
    plan : StagePlan
        The stage to train.
    before : FilterBank
        The stages before it.
    parameters : TrainParameters
    pool : ThreadPool
        Computes what comes before the patches.
    """
    spec, image = plan.spec, run_stages(pair.lr, before, pool)
    cells = spec.grid == "cell"
    seen, factor = (pair.lr.data, parameters.scale) if cells else (image, (1, 1, 1))
    bucket, element, chosen = _hash_and_choose(pair, plan, seen, pool)
    pool.check()
    order, ends = cpu_samples.sort_by_bucket(bucket.reshape(-1)[chosen], spec.hash.filter_count)
    chosen = chosen[order]
    pool.check()
    whole = Region.whole((seen.shape[0], seen.shape[1], seen.shape[2]))
    rx, ry, rz = (width // 2 for width in spec.shape)
    source = padded(seen, (0, 0, 0), whole.shape, whole, spec.shape)
    truth = sharpened(pair.truth, *parameters.sharpen) if parameters.sharpen else pair.truth
    target = truth - image if spec.residual else truth
    _, ny, nz = source.shape
    _, my, mz = target.shape
    x, y, z = np.unravel_index(chosen, seen.shape)
    return Samples(
        source,
        target,
        ((x + rx) * ny + y + ry) * nz + z + rz,
        (x * factor[0] * my + y * factor[1]) * mz + z * factor[2],
        element.reshape(-1)[chosen],
        ends,
        element_offsets(spec.shape, (ny * nz, nz, 1)),
        phase_offsets(factor) @ np.array([my * mz, mz, 1]),
        spec.residual,
    )


def sharpened(image: FloatArray, amount: float, sigma: float) -> FloatArray:
    """Return an image after an unsharp mask: x + amount · (x − G x), G a Gaussian.

    Targets like this are those of Romano, Isidoro and Milanfar 2017 (RAISR): filters then sharpen
    too. The result is not clipped, so it is linear in the image.

    Parameters
    ----------
    image : (x, y, z) ndarray of float32
    amount : float
    sigma : float
        Of the Gaussian, in voxels of the image.
    """
    blurred = ndimage.gaussian_filter(image, sigma, mode="mirror")
    return np.asarray(image + np.float32(amount) * (image - blurred))


def feature_sample(
    pair: Pair, spec: StageSpec, before: FilterBank, count: int, pool: ThreadPool = ONE_THREAD
) -> dict[str, NDArray[np.float64]]:
    """Return strength and coherence of randomly chosen voxels inside the mask."""
    image = run_stages(pair.lr, before, pool) if spec.grid == "voxel" else pair.lr.data
    shape = (image.shape[0], image.shape[1], image.shape[2])
    chosen = np.flatnonzero(_usable(pair, spec, image.shape, pool))
    chosen = np.random.default_rng(pair.seed).choice(chosen, min(count, chosen.size), replace=False)
    parts = []
    for start in range(0, shape[0], 16):
        slab = Region((start, 0, 0), (min(start + 16, shape[0]), shape[1], shape[2]))
        tensor, smooth = tensor_box(image, (0, 0, 0), shape, slab, spec.hash.window)
        parts.append(cpu_hash.voxel_features(tensor, smooth)[..., :3].reshape(-1, 3))
    roots = np.sqrt(np.concatenate(parts)[chosen].astype(np.float64))
    total = roots.sum(axis=1)
    coherence = (roots[:, 0] - roots[:, 1] - roots[:, 2]) / np.where(total > 0, total, 1.0)
    return {"strength": roots[:, 0], "coherence": coherence}


def describe_sample(
    pair: Pair,
    spec: StageSpec,
    descriptor: Descriptor,
    before: FilterBank,
    count: int,
    pool: ThreadPool = ONE_THREAD,
) -> FloatArray:
    """Return the descriptions of randomly chosen voxels inside the mask, ``(n, inputs)``."""
    image = run_stages(pair.lr, before, pool) if spec.grid == "voxel" else pair.lr.data
    shape = (image.shape[0], image.shape[1], image.shape[2])
    inside = _usable(pair, spec, image.shape, pool)
    total, parts = int(inside.sum()), []
    for slab in slabs_of(image.shape, 1):
        pool.check()
        box = (image, (0, 0, 0), shape)
        bucket, element = spec.hash.hash_box(*box, slab)
        chosen = np.flatnonzero(inside[slab.slices] & (bucket < spec.hash.filter_count))
        keep = -(-count * chosen.size // max(1, total))
        chosen = np.random.default_rng(pair.seed + slab.start[0]).permutation(chosen)[:keep]
        prepared = descriptor.prepare(*box, slab, spec.hash.window)
        parts.append(descriptor.rows(prepared, element, chosen))
    return np.concatenate(parts)


def run_stages(lr: Volume, bank: FilterBank, pool: ThreadPool) -> FloatArray:
    """Apply the stages of a bank to a low-resolution volume (engine units), slab by slab."""
    method, image = Hashed(bank), np.empty(lr.grid.upsampled(bank.scale).shape, np.float32)
    for number in range(method.passes):
        previous, image = image, np.empty_like(image)
        task = functools.partial(_run_slab, method, number, lr, previous, image)
        pool.each(task, slabs_of(image.shape, bank.scale[0]))
    return image


def _run_slab(
    method: Hashed, number: int, lr: Volume, previous: FloatArray, image: FloatArray, slab: Region
) -> None:
    image[slab.slices] = method.compute_pass(number, lr, previous, slab)


def slabs_of(shape: tuple[int, ...], cell: int) -> list[Region]:
    """Cut a volume along x into slabs of whole low-resolution voxels."""
    thick = cell * max(1, SLAB_VOXELS // (cell * shape[1] * shape[2]))
    return [
        Region((start, 0, 0), (min(start + thick, shape[0]), shape[1], shape[2]))
        for start in range(0, shape[0], thick)
    ]


def _usable(
    pair: Pair, spec: StageSpec, shape: tuple[int, ...], pool: ThreadPool
) -> NDArray[np.bool_]:
    """Return the voxels of the stage's grid inside the head and off the rim of any mask."""
    progress = pool.progress
    factor = [n // m for n, m in zip(pair.truth.shape, shape, strict=True)]
    inside = eroded(pair.mask, 1, progress) & interior_mask(pair.truth, 1, progress)
    if max(factor) > 1:
        x, y, z = shape
        blocks = inside.reshape(x, factor[0], y, factor[1], z, factor[2])
        inside = np.asarray(blocks.all(axis=(1, 3, 5)))
    # A patch across the edge of a skull-stripping would see no anatomy.
    lr_rim = interior_mask(pair.lr.data, 2, progress)
    step = [n // m for n, m in zip(shape, lr_rim.shape, strict=True)]
    for axis, times in enumerate(step):
        lr_rim = np.repeat(lr_rim, times, axis=axis)
    inside &= lr_rim
    framed = np.zeros_like(inside)
    framed[tuple(slice(w // 2, -(w // 2) or None) for w in spec.shape)] = True
    return inside & framed


def _hash_and_choose(
    pair: Pair, plan: StagePlan, seen: FloatArray, pool: ThreadPool
) -> tuple[NDArray[np.int32], NDArray[np.uint8], IndexArray]:
    """Return buckets and symmetries of an image, and the training voxels."""
    whole = Region.whole((seen.shape[0], seen.shape[1], seen.shape[2]))
    bucket, element = np.empty(seen.shape, np.int32), np.empty(seen.shape, np.uint8)
    chosen: list[IndexArray] = []

    def work(slab: Region | None) -> None:
        if slab is None:
            chosen.append(_choose(pair, plan, seen.shape, pool))
            return
        parts = plan.spec.hash.hash_box(seen, (0, 0, 0), whole.shape, slab)
        bucket[slab.slices], element[slab.slices] = parts

    pool.each(work, [None, *slabs_of(seen.shape, 1)])
    return bucket, element, chosen[0]


def _choose(
    pair: Pair, plan: StagePlan, shape: tuple[int, ...], pool: ThreadPool
) -> NDArray[np.int64]:
    """Choose at most ``plan.samples`` training voxels, reproducibly; return flat indices."""
    chosen = np.flatnonzero(_usable(pair, plan.spec, shape, pool))
    if plan.samples is not None and chosen.size > plan.samples:
        generator = np.random.default_rng(pair.seed)
        chosen = np.sort(generator.choice(chosen, plan.samples, replace=False))
    return chosen
