"""The task of the gallery: make the slices of the sample head, four times too thick, thin again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

import napari_mrisr as sr
from napari_mrisr.evaluation.tasks.planting import Lesion, place_lesions, planted
from napari_mrisr.io.samples import PHANTOM, PHANTOM_LESION, sample_path
from napari_mrisr.operators.slices import consistency_operators
from napari_mrisr.scan.masks import head_mask

FACTOR = 4
SCALE = (1, 1, FACTOR)
DEGRADATION = "slice-profile:boxcar:1"


def halves(name: str = PHANTOM) -> tuple[sr.Volume, sr.Volume]:
    """Return the left half of the sample head, which has the lesion, and the right half.

    The right half is for training, the left one for comparison.
    """
    truth = sr.read_volume(sample_path(name)).cropped_to_multiple(SCALE)
    x, y, z = truth.grid.shape
    left = truth.cropped((0, 0, 0), (x // 2, y, z))
    return left, truth.cropped((x // 2, 0, 0), (x - x // 2, y, z))


SLAB = 48
"""Coronal slices of the part on which slow families are compared."""
Image = NDArray[np.float32]


class Slab:
    """Part of the left half around the lesion, without and with planted lesions.

    Attributes
    ----------
    window : IntensityWindow
    truth, low : Volume
        In the scan's intensities.
    planted, planted_low : Volume
        The same with lesions that no training scan had.
    lesions : list of Lesion
    mask, lesion : ndarray of bool
        The head, and the sample's own lesion with its surroundings.
    """

    def __init__(self) -> None:
        whole = halves()[0]
        x, y, z = whole.grid.shape
        lesion = halves(PHANTOM_LESION)[0].data > 0.5
        middle = int(np.argwhere(lesion)[:, 1].mean())
        start = (0, min(max(0, middle - SLAB // 2), y - SLAB), 0)
        self.truth = whole.cropped(start, (x, SLAB, z))
        inside = slice(start[1], start[1] + SLAB)
        self.mask = head_mask(whole.data)[:, inside]
        self.lesion = ndimage.binary_dilation(lesion, iterations=2)[:, inside]
        self.window = sr.IntensityWindow.of(whole.data)
        unit = self.window.to_unit(self.truth.data)
        self.lesions: list[Lesion] = place_lesions(unit, self.mask, seed=0)
        changed = self.window.from_unit(planted(unit, self.lesions))
        self.planted = sr.Volume(changed, self.truth.grid)
        self.low, self.planted_low = (
            sr.degrade(volume, SCALE, DEGRADATION) for volume in (self.truth, self.planted)
        )


class Slices:
    """The forward model D of the slices, and the consistency of an image with them."""

    def __init__(self, n_low: int) -> None:
        self.degrade, self.spread = consistency_operators(n_low, FACTOR * n_low, "boxcar", 1.0)

    def consistent(self, image: Image, low: Image) -> Image:
        """Return x + U (y − D x), whose slices are the measured ones; z is the last axis."""
        return image + self.spread.apply(low - self.degrade.apply(image, 2), 2)
