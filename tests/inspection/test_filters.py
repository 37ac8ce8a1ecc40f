"""Filters: turned by numpy's own transpose and flip, their response by its FFT."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import patterns

from napari_mrisr.bank.hashing import ELEMENTS
from napari_mrisr.errors import ParameterError
from napari_mrisr.inspection import (
    FilterView,
    canonical_filter,
    central_planes,
    response_planes,
    turned,
)
from napari_mrisr.inspection.filters import element_text, output_at

CELLS, VOXELS = patterns.planted_bank().stages


def seen_canonically(cube, element):
    """The cube along an element's axes: canonical axis i is volume axis permutation[i]."""
    permutation, signs = ELEMENTS[element]
    cube = np.transpose(cube, permutation)
    return np.flip(cube, [axis for axis in range(3) if signs[axis] < 0])


@pytest.mark.parametrize("element", range(48))
def test_turning_and_looking_canonically_gives_the_filter(element):
    cube = np.random.default_rng(element).random((5, 5, 5))
    np.testing.assert_array_equal(seen_canonically(turned(cube, element), element), cube)


def test_residual_filters_take_the_center_off():
    cube = canonical_filter(CELLS, 7, 3)
    weights = CELLS.weights[7, :, 3].reshape(3, 3, 3).astype(float)
    expected = weights.copy()
    expected[1, 1, 1] -= weights.sum()
    np.testing.assert_allclose(cube, expected, atol=1e-6)
    assert cube.sum() == pytest.approx(0, abs=1e-5)
    patch = np.random.default_rng(1).random((3, 3, 3))
    assert np.vdot(cube, patch) == pytest.approx(np.vdot(weights, patch - patch[1, 1, 1]), abs=1e-5)


def test_others_are_the_weights():
    stage = patterns.planted_bank(("voxel",), residual=False).stages[0]
    np.testing.assert_array_equal(
        canonical_filter(stage, 4), stage.weights[4, :, 0].reshape(3, 3, 3)
    )  # fmt: skip


def test_flat_and_wrong_numbers():
    flat = VOXELS.spec.hash.filter_count
    assert canonical_filter(VOXELS, flat) is None
    assert FilterView.of(VOXELS, flat, 0, 3).cube is None
    with pytest.raises(ParameterError, match="bucket"):
        canonical_filter(VOXELS, flat + 1)
    with pytest.raises(ParameterError, match="output"):
        canonical_filter(VOXELS, 0, 1)


def test_planes():
    cube = np.arange(125.0).reshape(5, 5, 5)
    xy, xz, yz = central_planes(cube)
    assert xy[1, 3] == cube[1, 3, 2]
    assert xz[1, 3] == cube[1, 2, 3]
    assert yz[1, 3] == cube[2, 1, 3]


def test_response_is_that_of_the_fft():
    cube = np.random.default_rng(2).normal(size=(5, 5, 5))
    size = 32
    fft = np.abs(np.fft.fftshift(np.fft.fftn(cube, (size,) * 3, (0, 1, 2))))
    at = np.fft.fftshift(np.fft.fftfreq(size))
    xy, xz, yz = response_planes(cube, at)
    middle = size // 2
    np.testing.assert_allclose(xy, fft[:, :, middle], atol=1e-10)
    np.testing.assert_allclose(xz, fft[:, middle, :], atol=1e-10)
    np.testing.assert_allclose(yz, fft[middle, :, :], atol=1e-10)


def test_response_of_a_smoother_and_of_a_residual():
    """(1 2 1)/4 along x: cos²(πf), one at zero, none at half a cycle a voxel."""
    cube = np.zeros((3, 3, 3))
    cube[:, 1, 1] = 0.25, 0.5, 0.25
    view = FilterView(0, 0, None, cube)
    xy = view.response[0]
    frequencies = np.linspace(-0.5, 0.5, 33)
    np.testing.assert_allclose(xy[:, 16], np.cos(np.pi * frequencies) ** 2, atol=1e-12)
    residual = FilterView.of(CELLS, 3, 1).response
    assert all(plane[16, 16] == pytest.approx(0, abs=1e-6) for plane in residual)


def test_outputs_go_where_the_engine_puts_them():
    from napari_mrisr.bank.hashing import phase_offsets

    for element in (0, 5, 17, 46):
        for output, place in enumerate(phase_offsets((2, 2, 2))[element]):
            assert output_at((2, 2, 2), element, tuple(place)) == output


def test_words():
    assert element_text(0) == "1 → +x, 2 → +y, 3 → +z"
    # Permutation (1, 0, 2), the second canonical axis against x.
    assert ELEMENTS[18] == ((1, 0, 2), (1, -1, 1))
    assert element_text(18) == "1 → +y, 2 → −x, 3 → +z"
