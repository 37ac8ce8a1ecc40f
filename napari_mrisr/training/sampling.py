"""Training samples: patches and what should have been in their place.

A volume becomes a :class:`Pair` of truth and low resolution; :func:`find_samples`
says, bucket by bucket, where the patches lie that a stage sees and the targets it
should reach. Masked voxels, the rim of masks and the volume's border are left out.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.hashing import element_offsets, phase_offsets
from napari_mrisr.bank.model import FilterBank, StageSpec
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Grid, Region, Volume
from napari_mrisr.io import read_volume
from napari_mrisr.kernels import cpu_gram, cpu_hash
from napari_mrisr.methods.hashed import Hashed, padded
from napari_mrisr.operators.degrade import get_degradation
from napari_mrisr.operators.gradients import tensor_box
from napari_mrisr.scan.masks import eroded, head_mask, interior_mask
from napari_mrisr.training.presets import StagePlan

SLAB_VOXELS = 300_000

ALONE = ThreadPool()

IndexArray = NDArray[np.int64]


@dataclass(frozen=True)
class TrainParameters:
    """Everything that decides a bank, besides the volumes.

    Attributes
    ----------
    scale : tuple of int
        Factor of each axis (x, y, z, RAS+).
    preset : str
        Name of a preset.
    degradation : str
        Forward model that makes the low-resolution volumes.
    licenses : mapping of str to str
        License by file name, for the bank's provenance.
    license : str
        License of volumes that ``licenses`` does not name.
    names : bool
        Whether the bank's provenance holds the volumes' names, which may be
        patients'; otherwise they are "volume 1" and so on.
    thin : tuple of (pattern, tuple of int)
        For files whose name matches the pattern (``fnmatch``), keep only every
        n-th voxel along x, y, z: undoes an interpolation by the scanner, whose
        empty detail would teach blurry filters.
    """

    scale: Scale = (2, 2, 2)
    preset: str = "default"
    degradation: str = "standard"
    licenses: dict[str, str] = field(default_factory=dict)
    license: str = ""
    names: bool = True
    thin: tuple[tuple[str, Scale], ...] = ()

    def thinning(self, name: str) -> Scale:
        """Steps along x, y, z for a file of that name."""
        for pattern, step in self.thin:
            if fnmatch.fnmatch(name, pattern):
                return step
        return (1, 1, 1)


@dataclass(frozen=True, eq=False)
class Pair:
    """A training volume with its low-resolution version, both in engine units."""

    truth: FloatArray
    lr: Volume
    mask: NDArray[np.bool_]
    seed: int


def prepare_pair(path: Path, parameters: TrainParameters) -> Pair:
    """Read a volume and make its pair."""
    return pair_of(read_volume(path), parameters, parameters.thinning(path.name))


def pair_of(
    volume: Volume,
    parameters: TrainParameters,
    step: Scale = (1, 1, 1),
    pool: ThreadPool = ALONE,
) -> Pair:
    """Keep every ``step``-th voxel, clip and normalize as in the paper, and degrade."""
    pool.check()
    x, y, z = step
    if max(step) > 1:
        data = volume.data[::x, ::y, ::z]
        affine = volume.grid.affine @ np.diag([x, y, z, 1.0])
        volume = Volume(data, Grid((data.shape[0], data.shape[1], data.shape[2]), affine))
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
    """A stage's samples of a volume, sorted by bucket: not the patches, but where they lie.

    Attributes
    ----------
    source, target : (x, y, z) ndarray of float32
        What patches and targets are taken from.
    base, goal : (n,) ndarray of int64
        Flat indices: the patch's center in ``source``, and what ``places`` counts from
        in ``target``.
    element : (n,) ndarray of uint8
        Symmetry that turns a sample.
    ends : (buckets + 1,) ndarray of int64
        Samples of bucket b are ``ends[b]`` to ``ends[b + 1]``.
    offsets : (48, taps) ndarray of int64
        From the center to each tap, for each symmetry.
    places : (48, outputs) ndarray of int64
        Likewise to each target.
    centered : bool
        Whether the center is taken off the patch.
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
        """How many."""
        return self.base.size

    @property
    def taps(self) -> int:
        """Values of a patch."""
        return int(self.offsets.shape[1])

    @property
    def outputs(self) -> int:
        """Values that a patch should predict."""
        return int(self.places.shape[1])


def find_samples(
    pair: Pair,
    plan: StagePlan,
    before: FilterBank,
    parameters: TrainParameters,
    pool: ThreadPool = ALONE,
) -> Samples:
    """Hash a volume and sort its training voxels.

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
    order, ends = cpu_gram.sort_by_bucket(bucket.reshape(-1)[chosen], spec.hash.filter_count)
    chosen = chosen[order]
    pool.check()
    whole, r = Region.whole((seen.shape[0], seen.shape[1], seen.shape[2])), spec.width // 2
    source = padded(seen, (0, 0, 0), whole.shape, whole, spec.width)
    target = pair.truth - image if spec.residual else pair.truth
    _, ny, nz = source.shape
    _, my, mz = target.shape
    x, y, z = np.unravel_index(chosen, seen.shape)
    return Samples(
        source,
        target,
        ((x + r) * ny + y + r) * nz + z + r,
        (x * factor[0] * my + y * factor[1]) * mz + z * factor[2],
        element.reshape(-1)[chosen],
        ends,
        element_offsets(spec.width, (ny * nz, nz, 1)),
        phase_offsets(factor) @ np.array([my * mz, mz, 1]),
        spec.residual,
    )


def feature_sample(
    pair: Pair, spec: StageSpec, before: FilterBank, count: int, pool: ThreadPool = ALONE
) -> dict[str, NDArray[np.float64]]:
    """Strength and coherence of randomly chosen voxels inside the mask."""
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


def run_stages(lr: Volume, bank: FilterBank, pool: ThreadPool) -> FloatArray:
    """What a bank's stages make of a low resolution (engine units), pass by pass in slabs."""
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
    """A volume cut along x into slabs of whole low-resolution voxels."""
    thick = cell * max(1, SLAB_VOXELS // (cell * shape[1] * shape[2]))
    return [
        Region((start, 0, 0), (min(start + thick, shape[0]), shape[1], shape[2]))
        for start in range(0, shape[0], thick)
    ]


def _usable(
    pair: Pair, spec: StageSpec, shape: tuple[int, ...], pool: ThreadPool
) -> NDArray[np.bool_]:
    """Voxels of the stage's grid that are inside the head and off any mask's rim."""
    progress = pool.progress
    factor = [n // m for n, m in zip(pair.truth.shape, shape, strict=True)]
    inside = eroded(pair.mask, 1, progress) & interior_mask(pair.truth, 1, progress)
    if max(factor) > 1:
        x, y, z = shape
        blocks = inside.reshape(x, factor[0], y, factor[1], z, factor[2])
        inside = np.asarray(blocks.all(axis=(1, 3, 5)))
    # What a patch sees across a skull-stripping's edge is no anatomy.
    lr_rim = interior_mask(pair.lr.data, 2, progress)
    step = [n // m for n, m in zip(shape, lr_rim.shape, strict=True)]
    for axis, times in enumerate(step):
        lr_rim = np.repeat(lr_rim, times, axis=axis)
    inside &= lr_rim
    r = spec.width // 2
    framed = np.zeros_like(inside)
    framed[r : -r or None, r : -r or None, r : -r or None] = True
    return inside & framed


def _hash_and_choose(
    pair: Pair, plan: StagePlan, seen: FloatArray, pool: ThreadPool
) -> tuple[NDArray[np.int32], NDArray[np.uint8], IndexArray]:
    """Buckets and symmetries of an image, and meanwhile, on one thread, the training voxels."""
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
    """Flat indices of the training voxels, at most ``plan.samples``, the same every time."""
    chosen = np.flatnonzero(_usable(pair, plan.spec, shape, pool))
    if plan.samples is not None and chosen.size > plan.samples:
        generator = np.random.default_rng(pair.seed)
        chosen = np.sort(generator.choice(chosen, plan.samples, replace=False))
    return chosen
