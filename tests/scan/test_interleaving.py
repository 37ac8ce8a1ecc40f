"""Slices of different brightness: planted ones are measured and removed, others left alone."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.scans import head
from scipy import ndimage

from napari_mrisr.core.frames import AXIS_NAMES
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import Cancelled
from napari_mrisr.scan.interleaving import balance_slices, slice_axis
from napari_mrisr.scan.traits import measure_traits

SHAPE = (40, 44, 36)


def thick(data, axis=2):
    size = [4.0 if a == axis else 1.0 for a in range(3)]
    return Volume(np.float32(data), Grid(data.shape, np.diag([*size, 1.0])))


def planted(data, axis, part):
    """Brighten every second slice."""
    n = data.shape[axis]
    factor = np.where(np.arange(n) % 2, 1.0 + part, 1.0)
    return data * factor.reshape([n if a == axis else 1 for a in range(3)])


@pytest.fixture(params=["smooth", "textured"])
def phantom(request):
    if request.param == "textured":
        return head(5, SHAPE)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    inside = sum(a**2 for a in axes) < 0.9
    return (600 + 200 * axes[0] - 150 * axes[2]) * inside


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("part", [0.05, -0.05])
def test_a_planted_alternation_is_measured_and_removed(phantom, axis, part):
    volume = thick(planted(phantom, axis, part), axis)
    expected = 1.0 / (1.0 + part) - 1.0 if part < 0 else part
    assert measure_traits(volume).alternation == pytest.approx(expected, abs=0.005)
    balanced = balance_slices(volume)
    assert measure_traits(balanced).alternation < 0.003
    # Up to one factor for all slices, the scan before it was planted.
    inside = phantom > 50
    ratio = balanced.data[inside] / phantom[inside]
    assert ratio.std() < 0.004
    assert balanced.history["balanced"].startswith(f"slices along {AXIS_NAMES[axis]}, ")
    assert (balanced.data[phantom == 0] == 0).all()


def test_a_scan_without_alternation_is_left_alone(phantom):
    volume = thick(phantom)
    assert measure_traits(volume).alternation < 0.005
    assert balance_slices(volume) is volume


@pytest.mark.parametrize("seed", range(4))
def test_slices_of_random_brightness_do_not_alternate(phantom, seed):
    gain = 1.0 + 0.03 * np.random.default_rng(seed).standard_normal(SHAPE[2])
    volume = thick(phantom * gain)
    assert measure_traits(volume).alternation == 0.0
    assert balance_slices(volume) is volume


def test_an_alternation_that_changes_along_the_scan_is_followed():
    data = ndimage.gaussian_filter(head(2, (40, 40, 64)), 1.0)
    size = np.linspace(0.02, 0.08, 64) * np.where(np.arange(64) % 2, 0.5, -0.5)
    balanced = balance_slices(thick(data * (1.0 + size)))
    inside = data > 100
    ratio = (balanced.data / np.maximum(data, 1))[:, :, 4:-4][inside[:, :, 4:-4]]
    assert ratio.std() < 0.006
    assert np.std(np.broadcast_to(1.0 + size, data.shape)[inside]) > 0.02


def test_few_slices_and_no_head_give_none():
    assert measure_traits(thick(planted(head(1, SHAPE)[:, :, 15:20], 2, 0.05))).alternation == 0.0
    flat = thick(np.full((20, 18, 22), 5.0))
    assert measure_traits(flat).alternation == 0.0
    assert balance_slices(flat) is flat


def test_the_slice_axis_has_the_largest_voxels():
    assert slice_axis((1.0, 4.0, 1.0)) == 1
    assert slice_axis((1.0, 1.0001, 1.0)) == 2


def test_balancing_can_be_stopped():
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        balance_slices(thick(head(0, SHAPE)), progress=Progress(token))
