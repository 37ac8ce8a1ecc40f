"""The task of the gallery: make the slices of the sample head, four times too thick, thin again."""

from __future__ import annotations

import napari_mrisr as sr
from napari_mrisr.io.samples import PHANTOM, sample_path

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
