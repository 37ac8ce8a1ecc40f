"""Training samples: patches and what should have been in their place.

A volume becomes a :class:`Pair` of truth and low resolution; :func:`samples_of`
gives, bucket by bucket, the patches that a stage sees and the targets it should
reach. Masked voxels, the rim of masks and the volume's border are left out.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.crew import Crew
from napari_mrisr.degrade import get_degradation
from napari_mrisr.filterbank import FilterBank, Stage, StageSpec
from napari_mrisr.gradients import tensor_box
from napari_mrisr.hashing import element_offsets, phase_offsets
from napari_mrisr.io import read_volume
from napari_mrisr.kernels import cpu, cpu_hash
from napari_mrisr.masks import eroded, head_mask, interior_mask
from napari_mrisr.methods.hashed import Hashed, hash_cells, padded
from napari_mrisr.presets import StagePlan
from napari_mrisr.scale import Scale
from napari_mrisr.volume import FloatArray, Grid, Region, Volume

BATCH = 16_384
SLAB_VOXELS = 300_000

ALONE = Crew()


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
    crew: Crew = ALONE,
) -> Pair:
    """Keep every ``step``-th voxel, clip and normalize as in the paper, and degrade."""
    crew.check()
    x, y, z = step
    if max(step) > 1:
        data = volume.data[::x, ::y, ::z]
        affine = volume.grid.affine @ np.diag([x, y, z, 1.0])
        volume = Volume(data, Grid((data.shape[0], data.shape[1], data.shape[2]), affine))
    volume = volume.cropped_to_multiple(parameters.scale).normalized()
    truth = np.clip(volume.data, 0.0, 1.0)
    crew.check()
    degraded = get_degradation(parameters.degradation).apply(truth, parameters.scale)
    crew.check()
    lr = Volume(degraded, volume.grid.degraded(parameters.scale), window=volume.window)
    digest = hashlib.sha256(truth.tobytes()).digest()
    return Pair(truth, lr, head_mask(truth, crew.progress), int.from_bytes(digest[:8], "little"))


def samples_of(
    pair: Pair,
    plan: StagePlan,
    before: FilterBank,
    parameters: TrainParameters,
    crew: Crew = ALONE,
) -> Iterator[tuple[int, FloatArray, FloatArray]]:
    """Batches of one bucket's patches and targets.

    Parameters
    ----------
    pair : Pair
        The volume.
    plan : StagePlan
        The stage to train.
    before : FilterBank
        The stages before it.
    parameters : TrainParameters
    crew : Crew
        Computes what comes before the patches.

    Yields
    ------
    bucket : int
    patches : (n, taps) ndarray of float32
    targets : (n, outputs) ndarray of float32
    """
    image = run_stages(pair.lr, before, crew)
    if plan.spec.grid == "cell":
        yield from _cell_samples(pair, plan, image, parameters.scale)
    else:
        yield from _voxel_samples(pair, plan, image, crew)


def feature_sample(
    pair: Pair, spec: StageSpec, before: FilterBank, count: int, crew: Crew = ALONE
) -> dict[str, NDArray[np.float64]]:
    """Strength and coherence of randomly chosen voxels inside the mask."""
    image = run_stages(pair.lr, before, crew) if spec.grid == "voxel" else pair.lr.data
    shape = (image.shape[0], image.shape[1], image.shape[2])
    chosen = np.flatnonzero(_usable(pair, spec, image.shape))
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


def run_stages(lr: Volume, bank: FilterBank, crew: Crew) -> FloatArray:
    """What a bank's stages make of a low resolution (engine units), pass by pass in slabs."""
    method, image = Hashed(bank), np.empty(lr.grid.upsampled(bank.scale).shape, np.float32)
    for number in range(method.passes):
        previous, image = image, np.empty_like(image)
        task = functools.partial(_run_slab, method, number, lr, previous, image)
        crew.each(task, slabs_of(image.shape, bank.scale[0]))
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


def _usable(pair: Pair, spec: StageSpec, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Voxels of the stage's grid that are inside the head and off any mask's rim."""
    factor = [n // m for n, m in zip(pair.truth.shape, shape, strict=True)]
    inside = eroded(pair.mask, 1) & interior_mask(pair.truth, 1)
    if max(factor) > 1:
        x, y, z = shape
        blocks = inside.reshape(x, factor[0], y, factor[1], z, factor[2])
        inside = np.asarray(blocks.all(axis=(1, 3, 5)))
    # What a patch sees across a skull-stripping's edge is no anatomy.
    lr_rim = interior_mask(pair.lr.data, 2)
    step = [n // m for n, m in zip(shape, lr_rim.shape, strict=True)]
    for axis, times in enumerate(step):
        lr_rim = np.repeat(lr_rim, times, axis=axis)
    inside &= lr_rim
    r = spec.width // 2
    framed = np.zeros_like(inside)
    framed[r : -r or None, r : -r or None, r : -r or None] = True
    return inside & framed


def _cell_samples(
    pair: Pair, plan: StagePlan, image: FloatArray, scale: Scale
) -> Iterator[tuple[int, FloatArray, FloatArray]]:
    spec, lr = plan.spec, pair.lr.data
    whole = Region.whole((lr.shape[0], lr.shape[1], lr.shape[2]))
    empty = Stage(
        spec,
        np.zeros((0, 0, 0), np.float32),
        np.zeros(0, np.int64),
        *2 * (np.zeros(0, np.float32),),
    )
    bucket, element = hash_cells(empty, lr, whole)
    chosen = _choose(pair, plan, lr.shape)
    source = padded(lr, (0, 0, 0), whole.shape, whole, spec.width)
    rest = pair.truth - image
    offsets = element_offsets(spec.width, (source.shape[1] * source.shape[2], source.shape[2], 1))
    places = phase_offsets(scale) @ np.array([rest.shape[1] * rest.shape[2], rest.shape[2], 1])
    x, y, z = np.unravel_index(chosen, lr.shape)
    r = spec.width // 2
    base = ((x + r) * source.shape[1] + y + r) * source.shape[2] + z + r
    corner = (x * scale[0] * rest.shape[1] + y * scale[1]) * rest.shape[2] + z * scale[2]
    buckets, elements = bucket.reshape(-1)[chosen], element.reshape(-1)[chosen]
    for number, rows in _batches(buckets, spec.hash.filter_count):
        e = elements[rows]
        patches = cpu.gather(source, base[rows], e, offsets, True)
        yield number, patches, cpu.gather(rest, corner[rows], e, places, False)


def _voxel_samples(
    pair: Pair, plan: StagePlan, image: FloatArray, crew: Crew
) -> Iterator[tuple[int, FloatArray, FloatArray]]:
    spec = plan.spec
    whole = Region.whole((image.shape[0], image.shape[1], image.shape[2]))
    bucket, element = np.empty(image.shape, np.int32), np.empty(image.shape, np.uint8)

    def hash_slab(slab: Region) -> None:
        parts = spec.hash.hash_box(image, (0, 0, 0), whole.shape, slab)
        bucket[slab.slices], element[slab.slices] = parts

    crew.each(hash_slab, slabs_of(image.shape, 1))
    chosen = _choose(pair, plan, image.shape)
    crew.check()
    source = padded(image, (0, 0, 0), whole.shape, whole, spec.width)
    target = pair.truth - image if spec.residual else pair.truth
    offsets = element_offsets(spec.width, (source.shape[1] * source.shape[2], source.shape[2], 1))
    x, y, z = np.unravel_index(chosen, image.shape)
    r = spec.width // 2
    base = ((x + r) * source.shape[1] + y + r) * source.shape[2] + z + r
    buckets, elements = bucket.reshape(-1)[chosen], element.reshape(-1)[chosen]
    wanted = target.reshape(-1)[chosen]
    for number, rows in _batches(buckets, spec.hash.filter_count):
        patches = cpu.gather(source, base[rows], elements[rows], offsets, spec.residual)
        yield number, patches, np.ascontiguousarray(wanted[rows, None])


def _choose(pair: Pair, plan: StagePlan, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Flat indices of the training voxels, at most ``plan.samples``, the same every time."""
    chosen = np.flatnonzero(_usable(pair, plan.spec, shape))
    if plan.samples is not None and chosen.size > plan.samples:
        generator = np.random.default_rng(pair.seed)
        chosen = np.sort(generator.choice(chosen, plan.samples, replace=False))
    return chosen


def _batches(buckets: NDArray[np.int32], filters: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    order = np.argsort(buckets, kind="stable")
    ends = np.searchsorted(buckets[order], np.arange(filters + 1))
    for number in range(filters):
        rows = order[ends[number] : ends[number + 1]]
        for start in range(0, rows.size, BATCH):
            yield number, rows[start : start + BATCH]
