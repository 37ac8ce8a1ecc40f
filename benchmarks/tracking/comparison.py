"""The comparison: the scene after a move of the crosshair, and the numbers of a region."""

from __future__ import annotations

import numpy as np
from inputs import cube

from napari_mrisr.comparison.readouts import NumberBook
from napari_mrisr.comparison.roi import BoxRoi
from napari_mrisr.comparison.scene import Cutter, build_scene
from napari_mrisr.comparison.state import CompareState, Difference, RoiBox
from napari_mrisr.core.frames import Frame
from napari_mrisr.core.volume import Volume

SIZE = 192
"""Voxels per axis of the volumes."""

KEYS = ("reference", "a", "b", "c")


def volumes() -> dict[str, Volume]:
    """The phantom and three noisy copies of it."""
    reference, rng = cube("crop", SIZE), np.random.default_rng(0)
    found = {"reference": reference}
    for key, noise in zip(KEYS[1:], (5.0, 10.0, 20.0), strict=True):
        data = reference.data + rng.normal(0, noise, reference.data.shape).astype(np.float32)
        found[key] = Volume(data, reference.grid)
    return found


class Scene:
    """Three planes of four volumes, with and without a difference."""

    params = (False, True)
    param_names = ("difference",)

    def setup(self, difference: bool) -> None:
        self.cutter, self.step = Cutter(volumes(), Frame(np.eye(3))), 0
        self.differences = (Difference("a", "reference", limit=1.0),) if difference else ()

    def time_move_of_the_crosshair(self, difference: bool) -> None:
        self.step = (self.step + 7) % SIZE
        state = CompareState(KEYS, self.differences, crosshair=(float(self.step),) * 3)
        build_scene(state, self.cutter, {})


class RegionNumbers:
    """All numbers of a box of 32 voxels per axis, in three volumes against a reference."""

    def setup(self) -> None:
        self.book = NumberBook(volumes(), KEYS[1:], "reference")
        self.book.prepare()
        self.box = BoxRoi(RoiBox("r", "box", (SIZE / 2,) * 3, (32.0,) * 3))

    def time_numbers(self) -> None:
        self.book.region(self.box)
