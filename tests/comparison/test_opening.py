"""How a comparison looks at first."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_mrisr.comparison.opening import opening_state
from napari_mrisr.comparison.state import Difference
from napari_mrisr.core.frames import Frame
from napari_mrisr.core.volume import Grid, Volume

SHAPE = (60, 72, 54)
HEAD = np.array([34.0, 30.0, 28.0])  # voxel in the middle of the head
RADII = np.array([18.0, 24.0, 15.0])


def head(gain=1.0, rotation=None, seed=0):
    index = np.moveaxis(np.indices(SHAPE), 0, -1)
    inside = (((index - HEAD) / RADII) ** 2).sum(axis=-1) < 1
    noise = np.random.default_rng(seed).uniform(0.9, 1.1, SHAPE)
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if rotation is None else rotation) @ np.diag([1.0, 1.2, 1.5])
    affine[:3, 3] = -30, -40, -20
    return Volume((100 * gain * inside * noise).astype(np.float32), Grid(SHAPE, affine))


@pytest.mark.parametrize("angle", [0, 20])
def test_the_crosshair_is_in_the_head_and_the_head_in_sight(angle):
    volume = head(rotation=Rotation.from_euler("x", angle, degrees=True).as_matrix())
    state = opening_state({"a": volume}, ["a"])
    middle = (volume.grid.affine @ [*HEAD, 1.0])[:3]
    frame = Frame.of(volume.grid)
    off = frame.from_world(np.array(state.crosshair) - middle)
    assert off[0] == pytest.approx(0.07 * 36, abs=1.0)  # aside from the midline
    assert off[1:] == pytest.approx([0, 0], abs=1.0)
    assert state.center == pytest.approx(tuple(frame.from_world(middle)), abs=2.0)
    assert 48 * 1.2 < state.span_mm < 48 * 1.2 + 17


def test_volumes_of_one_contrast_share_a_window_and_others_have_their_own():
    volumes = {"a": head(), "b": head(1.1, seed=1), "c": head(10.0)}
    looks = opening_state(volumes, ["a", "b", "c"]).looks
    assert looks["a"].limits == looks["b"].limits
    assert looks["a"].limits == pytest.approx((0, 109.9), abs=0.5)
    assert looks["c"].limits == pytest.approx((0, 1099), abs=5)


def test_roles_and_differences_are_passed_on_and_limits_measured():
    volumes = {"a": head(), "b": head(1.05)}
    pairs = (Difference("b", "a"), Difference("b", "a", limit=7.0))
    state = opening_state(volumes, ["a"], "a", "b", pairs)
    assert (state.columns, state.truth, state.measured) == (("a",), "a", "b")
    assert state.differences[0].limit == pytest.approx(5.5, abs=0.3)
    assert state.differences[1].limit == 7.0


def test_an_empty_volume_is_shown():
    blank = Volume(np.zeros(SHAPE, np.float32), head().grid)
    state = opening_state({"a": blank}, ["a"])
    assert state.span_mm > 0
    assert np.isfinite(state.crosshair).all()
