"""Filters against numpy: orientation, frequency response, output at one voxel."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import patterns

from napari_mrisr.bank.symmetries import ELEMENTS
from napari_mrisr.core.volume import Region
from napari_mrisr.errors import ParameterError
from napari_mrisr.inspection import (
    FilterView,
    bucket_map,
    canonical_filter,
    central_planes,
    inspect_voxel,
    reorient,
    response_planes,
    stage_input,
)
from napari_mrisr.inspection.filters import element_text, output_at
from napari_mrisr.methods.hashed import Hashed

CELLS, VOXELS = patterns.planted_bank().stages


def seen_canonically(cube, element):
    """Return the cube in canonical axes: canonical axis i is volume axis permutation[i]."""
    permutation, signs = ELEMENTS[element]
    cube = np.transpose(cube, permutation)
    return np.flip(cube, [axis for axis in range(3) if signs[axis] < 0])


@pytest.mark.parametrize("element", range(48))
def test_reorienting_is_the_inverse_of_canonical_orientation(element):
    cube = np.random.default_rng(element).random((5, 5, 5))
    np.testing.assert_array_equal(seen_canonically(reorient(cube, element), element), cube)


def test_residual_filters_subtract_the_center():
    cube = canonical_filter(CELLS, 7, 3)
    weights = CELLS.weights[7, :, 3].reshape(3, 3, 3).astype(float)
    expected = weights.copy()
    expected[1, 1, 1] -= weights.sum()
    np.testing.assert_allclose(cube, expected, atol=1e-6)
    assert cube.sum() == pytest.approx(0, abs=1e-5)
    patch = np.random.default_rng(1).random((3, 3, 3))
    assert np.vdot(cube, patch) == pytest.approx(np.vdot(weights, patch - patch[1, 1, 1]), abs=1e-5)


def test_other_filters_equal_the_stored_weights():
    stage = patterns.planted_bank(("voxel",), residual=False).stages[0]
    np.testing.assert_array_equal(
        canonical_filter(stage, 4), stage.weights[4, :, 0].reshape(3, 3, 3)
    )  # fmt: skip


def test_flat_bucket_has_no_filter_and_wrong_numbers_are_refused():
    flat = VOXELS.spec.hash.filter_count
    assert canonical_filter(VOXELS, flat) is None
    assert FilterView.of(VOXELS, flat, 0, 3).cube is None
    with pytest.raises(ParameterError, match="bucket"):
        canonical_filter(VOXELS, flat + 1)
    with pytest.raises(ParameterError, match="output"):
        canonical_filter(VOXELS, 0, 1)


def test_central_planes():
    cube = np.arange(125.0).reshape(5, 5, 5)
    xy, xz, yz = central_planes(cube)
    assert xy[1, 3] == cube[1, 3, 2]
    assert xz[1, 3] == cube[1, 2, 3]
    assert yz[1, 3] == cube[2, 1, 3]


def test_response_equals_the_fft():
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
    """(1 2 1)/4 along x gives cos²(πf): 1 at zero, 0 at half a cycle per voxel."""
    cube = np.zeros((3, 3, 3))
    cube[:, 1, 1] = 0.25, 0.5, 0.25
    view = FilterView(0, 0, None, cube)
    xy = view.response[0]
    frequencies = np.linspace(-0.5, 0.5, 33)
    np.testing.assert_allclose(xy[:, 16], np.cos(np.pi * frequencies) ** 2, atol=1e-12)
    residual = FilterView.of(CELLS, 3, 1).response
    assert all(plane[16, 16] == pytest.approx(0, abs=1e-6) for plane in residual)


def test_output_positions_equal_the_engine():
    from napari_mrisr.bank.symmetries import phase_offsets

    for element in (0, 5, 17, 46):
        for output, place in enumerate(phase_offsets((2, 2, 2))[element]):
            assert output_at((2, 2, 2), element, tuple(place)) == output


def test_element_text():
    assert element_text(0) == "1 → +x, 2 → +y, 3 → +z"
    # Permutation (1, 0, 2), the second canonical axis against x.
    assert ELEMENTS[18] == ((1, 0, 2), (1, -1, 1))
    assert element_text(18) == "1 → +y, 2 → −x, 3 → +z"


PLACES = [(11, 12, 13), (0, 0, 0), (22, 24, 26), (1, 20, 7)]


@pytest.mark.parametrize("number", [0, 1])
def test_voxels_equal_the_maps(number):
    source = stage_input(patterns.noise(), patterns.planted_bank(), number)
    buckets = bucket_map(source)
    spec = source.stage.spec.hash
    _, elements = spec.hash_box(source.image, (0, 0, 0), source.shape, Region.whole(source.shape))
    for place in PLACES:
        seen = inspect_voxel(source, place)
        assert seen.bucket == buckets[place]
        assert seen.element == elements[place]
        assert seen.intensity == source.image[place]
        assert seen.ranges == spec.decode(seen.bucket)
        for name, (low, high) in seen.ranges.items():
            if name in seen.values:
                assert low - 1e-4 <= seen.values[name] <= high + 1e-4


@pytest.mark.parametrize("place", PLACES)
def test_results_of_a_cell_stage_equal_the_engine(place):
    volume, bank = patterns.noise(), patterns.planted_bank(("cell",))
    seen = inspect_voxel(stage_input(volume, bank, 0), place)
    method = Hashed(bank)
    block = Region(tuple(2 * i for i in place), tuple(2 * i + 2 for i in place))
    added = method.run(volume, block, 1) - method.run(volume, block, 0)
    np.testing.assert_allclose(seen.results, added, atol=2e-6)
    assert np.abs(added).max() > 1e-3


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("place", PLACES)
def test_results_of_a_voxel_stage_equal_the_engine(place, residual):
    volume = patterns.noise()
    bank = patterns.planted_bank(("voxel",), residual=residual)
    if not residual:
        bank.stages[0].weights[:, 13] += 1.0
    source = stage_input(volume, bank, 0)
    seen = inspect_voxel(source, place)
    at = Region(place, tuple(i + 1 for i in place))
    whole = Hashed(bank).run(volume, at, 1).item()
    made_of_it = seen.results.item() + (seen.intensity if residual else 0.0)
    assert whole == pytest.approx(max(made_of_it, float(volume.extrema[0])), abs=2e-6)


def test_the_patch_is_mirrored_at_the_edge():
    volume = patterns.noise()
    seen = inspect_voxel(stage_input(volume, patterns.planted_bank(), 0), (0, 12, 26))
    expected = np.pad(volume.data, 1, mode="reflect")[0:3, 12:15, 26:29]
    np.testing.assert_array_equal(seen.patch, expected)


def test_flat_voxels_have_no_filter():
    data = np.full(patterns.SHAPE, 0.5)
    data[:5] = 0.9
    seen = inspect_voxel(
        stage_input(patterns.as_volume(data), patterns.planted_bank(), 0), (18, 12, 13)
    )
    assert seen.flat
    assert seen.ranges == {"flat": (0.0, 0.002)}
    assert not seen.results.any()


@pytest.mark.parametrize("place", [(-1, 0, 0), (0, 25, 0)])
def test_voxels_outside_are_refused(place):
    with pytest.raises(ParameterError, match="give indices from"):
        inspect_voxel(stage_input(patterns.noise(), patterns.planted_bank(), 0), place)
