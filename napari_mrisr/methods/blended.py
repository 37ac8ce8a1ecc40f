"""Census blending: filters count where they keep the structure of the interpolation.

The census transform of a voxel says which of its 26 neighbors are brighter than it (Zabih and
Woodfill 1994). A learned filter may change this order. The share of bits that it changed
measures how much of the local structure it made, and the interpolation takes that share of the
result. This is the blending by changed bits of Romano, Isidoro and Milanfar 2017 (RAISR), in 3D.

Only comparisons decide the weights, so the result scales with the intensities.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from napari_mrisr.core.complex_volume import Part
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume
from napari_mrisr.methods.hashed import Hashed, crop, grown, padded

_WIDTH = (3, 3, 3)
_REACH = (1, 1, 1)
_NEIGHBORS = [n for n in product(range(3), repeat=3) if n != _REACH]


@dataclass(frozen=True, eq=False)
class Blended:
    """Learned hashed filters with census blending as the last pass.

    Attributes
    ----------
    method : Hashed
    """

    method: Hashed

    @property
    def name(self) -> str:
        """Name of the method, with its option."""
        return f"{self.method.name}:blend"

    @property
    def scale(self) -> Scale:
        """Factor of each axis."""
        return self.method.scale

    @property
    def halo(self) -> Shape:
        """Low-resolution voxels needed around a region."""
        x, y, z = self.method.halo
        return x + 1, y + 1, z + 1

    @property
    def passes(self) -> int:
        """Number of passes; see :class:`~napari_mrisr.methods.MultiPass`."""
        return self.method.passes + 1

    def compute(self, lr: Volume, region: Region) -> FloatArray:
        """Compute a region; see :class:`~napari_mrisr.methods.Method`.

        For a part of a complex scan, the census is that of the magnitude.
        """
        box = grown(region, _REACH, lr.grid.upsampled(self.scale).shape)
        image = self.method.compute(lr, box)
        guide = self.method.compute(lr.guide, box) if isinstance(lr, Part) else image
        return self._blend(lr, image, guide, box.start, region)

    def compute_pass(
        self, number: int, lr: Volume, previous: FloatArray, region: Region
    ) -> FloatArray:
        """Compute a region in a pass; see :class:`~napari_mrisr.methods.MultiPass`."""
        if number < self.method.passes:
            return self.method.compute_pass(number, lr, previous, region)
        return self._blend(lr, previous, previous, (0, 0, 0), region)

    def needs(self, number: int, region: Region, shape: Shape) -> Region:
        """Return the box that a pass reads; see :class:`~napari_mrisr.methods.MultiPass`."""
        if number < self.method.passes:
            return self.method.needs(number, region, shape)
        return grown(region, _REACH, shape)

    def provenance(self) -> dict[str, str]:
        """Return what a saved file states; see :class:`~napari_mrisr.methods.Method`."""
        text = "with the interpolation, by changed bits of the census"
        return {**self.method.provenance(), "method": self.name, "blending": text}

    def _blend(
        self, lr: Volume, image: FloatArray, guide: FloatArray, corner: Shape, region: Region
    ) -> FloatArray:
        """Blend a region of a filtered image; the census is that of its guide.

        Both images start at ``corner``.
        """
        shape = lr.grid.upsampled(self.scale).shape
        box = grown(region, _REACH, shape)
        start = self._start(lr, box)
        seen = self._start(lr.guide, box) if isinstance(lr, Part) else start
        weight = agreement(
            padded(guide, corner, shape, region, _WIDTH),
            padded(seen, box.start, shape, region, _WIDTH),
        )
        image, start = crop(image, corner, region), crop(start, box.start, region)
        return weight * image + (np.float32(1.0) - weight) * start

    def _start(self, lr: Volume, region: Region) -> FloatArray:
        """Compute the interpolation from which the filters start."""
        return self.method.compute_pass(0, lr, lr.data, region)


def agreement(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the share of census bits that two images have in common.

    Parameters
    ----------
    first, second : (x + 2, y + 2, z + 2) ndarray of float32
        Both with a margin of one voxel.

    Returns
    -------
    (x, y, z) ndarray of float32
        From 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_mrisr.methods.blended import agreement
    >>> ramp = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
    >>> float(agreement(ramp, 2 * ramp)[0, 0, 0]), float(agreement(ramp, -ramp)[0, 0, 0])
    (1.0, 0.0)
    """
    x, y, z = (n - 2 for n in first.shape)
    centers = first[1:-1, 1:-1, 1:-1], second[1:-1, 1:-1, 1:-1]
    same = np.zeros((x, y, z), np.float32)
    for i, j, k in _NEIGHBORS:
        at = slice(i, i + x), slice(j, j + y), slice(k, k + z)
        same += (first[at] > centers[0]) == (second[at] > centers[1])
    same /= len(_NEIGHBORS)
    return same
