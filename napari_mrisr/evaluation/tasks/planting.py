"""Lesions planted in a scan: spheres, ellipsoids and thin sheets of known contrast."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_mrisr.core.volume import FloatArray
from napari_mrisr.scan.masks import BoolArray, box_around

RADII = (1, 2, 3, 4)
"""Voxels."""
CONTRASTS = (0.02, 0.05, 0.1, 0.2)
"""Parts of the intensity window, of either sign."""
SHAPES = {
    "sphere": (1.0, 1.0, 1.0),
    "ellipsoid": (2**-0.5, 1.0, 2**0.5),
    "sheet": (1 / 3, 3**0.5, 3**0.5),
}
"""Semi-axes in radii. All shapes have the volume of the sphere."""
GAP = 16
"""Voxels between two lesions; the filters at one do not see another."""
ROUNDS = 4
"""Lesions per radius, contrast and sign, if they fit."""

_CANDIDATES = 30_000  # random places
_TRIES = 60  # places per lesion whose intensities are looked at
_TISSUE = 0.05  # darkest intensity, part of the window


class Kind(NamedTuple):
    """Shape, radius in voxels and signed contrast of a lesion."""

    shape: str
    radius: int
    contrast: float

    @property
    def extent(self) -> float:
        """Largest semi-axis, in voxels."""
        return self.radius * max(SHAPES[self.shape])


@dataclass(frozen=True, eq=False)
class Lesion:
    """A lesion at its place.

    Attributes
    ----------
    kind : Kind
    center : (3,) ndarray of float64
        In voxels.
    box : tuple of slice
        Voxels that it touches.
    part : (x, y, z) ndarray of float32
        Part of each voxel of the box that lies inside, 0 to 1.
    """

    kind: Kind
    center: NDArray[np.float64]
    box: tuple[slice, slice, slice]
    part: FloatArray

    @classmethod
    def at(cls, kind: Kind, center: NDArray[np.float64], turn: NDArray[np.float64]) -> Lesion:
        """Return a lesion at a center; the rows of ``turn`` are the directions of its axes."""
        start = np.floor(center - kind.extent).astype(int)
        shape = np.ceil(center + kind.extent).astype(int) - start + 1
        samples = 2 + 8 // kind.radius  # per voxel edge
        fine = [
            (np.arange(n * samples) + 0.5) / samples - 0.5 + first - middle
            for n, first, middle in zip(shape, start, center, strict=True)
        ]
        x, y, z = np.meshgrid(*fine, indexing="ij", sparse=True)
        axes = kind.radius * np.array(SHAPES[kind.shape])
        squares = [
            ((a * x + b * y + c * z) / r) ** 2 for (a, b, c), r in zip(turn, axes, strict=True)
        ]
        inside = squares[0] + squares[1] + squares[2] <= 1.0
        blocks = [count for n in shape for count in (int(n), samples)]
        part = inside.reshape(blocks).mean(axis=(1, 3, 5), dtype=np.float32)
        i, j, k = (slice(int(a), int(a + n)) for a, n in zip(start, shape, strict=True))
        return cls(kind, center, (i, j, k), part)


def place_lesions(image: FloatArray, head: BoolArray, seed: int) -> list[Lesion]:
    """Choose lesions of every radius, contrast and sign, and places far from each other.

    Parameters
    ----------
    image : (x, y, z) ndarray of float32
        Truth, 0 to 1.
    head : (x, y, z) ndarray of bool
        Lesions lie inside.
    seed : int

    Returns
    -------
    list of Lesion
        As many as fit, up to :data:`ROUNDS` of each kind, at random positions between voxel
        centers, and where the planted intensities stay within the window.
    """
    if not head.any():
        return []
    rng = np.random.default_rng(seed)
    box = box_around(head)
    depth = ndimage.distance_transform_edt(np.pad(head[box], 1))[1:-1, 1:-1, 1:-1]
    deep = np.argwhere(depth > 2.0)
    deep = deep[rng.permutation(len(deep))[:_CANDIDATES]]
    room = depth[tuple(deep.T)] - 1.0  # the position below adds up to half a voxel per axis
    brightness = image[box][tuple(deep.T)]
    places = deep + [part.start for part in box] + rng.uniform(-0.5, 0.5, deep.shape)
    clearance = np.full(len(places), np.inf)
    lesions: list[Lesion] = []
    for kind in _kinds(rng):
        fits = np.flatnonzero(
            (room >= kind.extent)
            & (clearance >= kind.extent + GAP)
            & (brightness >= _TISSUE - min(0.0, kind.contrast))
            & (brightness <= 1.0 - max(0.0, kind.contrast))
        )
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        for index in fits[:_TRIES]:
            lesion = Lesion.at(kind, places[index], turn)
            if _within_window(image, lesion):
                lesions.append(lesion)
                distance = np.linalg.norm(places - places[index], axis=1)
                clearance = np.minimum(clearance, distance - kind.extent)
                break
    return lesions


def _kinds(rng: np.random.Generator) -> Iterator[Kind]:
    kinds = list(itertools.product(RADII, CONTRASTS, (-1.0, 1.0)))
    shapes = list(SHAPES)
    for round_ in range(ROUNDS):
        for index in rng.permutation(len(kinds)):
            radius, contrast, sign = kinds[index]
            yield Kind(shapes[(int(index) // 2 + round_) % len(shapes)], radius, sign * contrast)


def _within_window(image: FloatArray, lesion: Lesion) -> bool:
    before = image[lesion.box]
    if before.shape != lesion.part.shape:  # cut by the field of view
        return False
    touched = lesion.part > 0
    before, after = before[touched], (before + lesion.kind.contrast * lesion.part)[touched]
    return bool(min(before.min(), after.min()) >= _TISSUE and after.max() <= 1.0)


def planted(image: FloatArray, lesions: Sequence[Lesion]) -> FloatArray:
    """Return an image in engine units with lesions added."""
    out = image.copy()
    for lesion in lesions:
        out[lesion.box] += np.float32(lesion.kind.contrast) * lesion.part
    return out
