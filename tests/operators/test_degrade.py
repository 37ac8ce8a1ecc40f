"""Each forward model against an independent oracle; field of view; errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, ndimage
from skimage.transform import resize

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid, Origin, Volume
from napari_mrisr.errors import Cancelled, GeometryError, MrisrError, ParameterError
from napari_mrisr.operators.degrade import APODIZATIONS, Degradation, degrade, get_degradation

SCALES = [(2, 2, 2), (3, 3, 3), (4, 4, 4), (8, 8, 8), (1, 1, 5), (6, 1, 2), (1, 7, 3), (1, 1, 1)]
OBLIQUE = np.array(
    [[1.1, -0.4, 0.2, -30], [0.3, 0.9, -0.5, 12], [-0.1, 0.35, 2.4, 7.5], [0, 0, 0, 1]]
)


def volume_of(rng, shape):
    return Volume(rng.random(shape, np.float32), Grid(shape, OBLIQUE), origin=Origin("scan.nii"))


def multiple(scale, cells=(7, 4, 9)):
    return tuple(n * s for n, s in zip(cells, scale, strict=True))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("cells", [(7, 4, 9), (2, 12, 3)])
def test_standard_is_resize_with_anti_aliasing(rng, scale, cells):
    shape = multiple(scale, cells)
    array = rng.random(shape, np.float32)
    expected = resize(array.astype(np.float64), cells, order=3, anti_aliasing=True)
    result = Degradation("standard").apply(array, scale)
    assert result.dtype == np.float32
    assert result.shape == cells
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_standard_is_clipped_to_the_input_as_resize_is():
    """Without the clip a sharp edge overshoots."""
    array = np.zeros((8, 24, 12), np.float32)
    array[:, 12:] = 1.0
    result = Degradation().apply(array, (2, 2, 2))
    assert result.min() == 0.0
    assert result.max() == 1.0


@pytest.mark.parametrize("scale", [(2, 2, 2), (3, 3, 3), (4, 2, 3), (5, 8, 7)])
def test_paper_is_zoom_without_prefilter(rng, scale):
    array = rng.random(multiple(scale), np.float32)
    zoom = [1.0 / s for s in scale]
    expected = ndimage.zoom(array.astype(np.float64), zoom, order=2, prefilter=False)
    result = Degradation("paper-2021").apply(array, scale)
    assert result.shape == expected.shape == (7, 4, 9)
    np.testing.assert_allclose(result, expected, atol=2e-6)


def cosine(n_out, factor, frequency, phase, center=0.0):
    """A cosine over the field of view, seen at voxel centers of both grids."""
    fine = (np.arange(n_out * factor) + 0.5) / (n_out * factor)
    coarse = (np.arange(n_out) + 0.5) / n_out
    return tuple(2.0 + np.cos(2 * np.pi * frequency * (t - center) + phase) for t in (fine, coarse))


@pytest.mark.parametrize("factor", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("n_out", [6, 7, 16, 17])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_kspace_reproduces_a_cosine_where_it_is(factor, n_out, axis):
    for frequency in range((n_out + 1) // 2):
        fine, coarse = cosine(n_out, factor, frequency, phase=0.7)
        array = np.ones((2, 3, 4)).take([0] * len(fine), axis)
        line = [1, 1, 1]
        line[axis] = -1
        array = (array * fine.reshape(line)).astype(np.float32)
        scale = [1, 1, 1]
        scale[axis] = factor
        result = Degradation("kspace").apply(array, tuple(scale))
        assert result.shape[axis] == n_out
        np.testing.assert_allclose(
            result, np.broadcast_to(coarse.reshape(line), result.shape), atol=2e-6
        )


@pytest.mark.parametrize("n_out", [6, 7, 12, 13])
@pytest.mark.parametrize("apodization", APODIZATIONS)
def test_apodization_weighs_a_frequency_by_its_window(n_out, apodization):
    """Mean kept; frequency f scaled by the window at f / n_out; nothing shifted."""

    def weight(f):
        if apodization == "hann":
            return 0.5 + 0.5 * np.cos(2 * np.pi * f)
        if apodization == "hamming":
            return 0.54 + 0.46 * np.cos(2 * np.pi * f)
        if apodization == "tukey":  # half flat, half cosine
            return 1.0 if f <= 0.25 else 0.5 + 0.5 * np.cos(4 * np.pi * (f - 0.25))
        return 1.0

    for frequency in range((n_out + 1) // 2):
        fine, coarse = cosine(n_out, 3, frequency, phase=0.4)
        array = np.tile(fine.astype(np.float32)[:, None, None], (1, 2, 3))
        result = Degradation("kspace", apodization=apodization).apply(array, (3, 1, 1))
        share = weight(frequency / n_out) if frequency else 1.0
        np.testing.assert_allclose(result[:, 1, 2], 2.0 + share * (coarse - 2.0), atol=3e-6)


def test_kspace_drops_what_the_scanner_does_not_measure():
    fine, _ = cosine(8, 4, 5, phase=0.3)  # above the Nyquist frequency of 8 samples
    array = np.tile(fine.astype(np.float32), (2, 3, 1))
    np.testing.assert_allclose(Degradation("kspace").apply(array, (1, 1, 4)), 2.0, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(APODIZATIONS), st.tuples(*[st.integers(1, 4)] * 3), st.integers(0, 99))
def test_kspace_keeps_the_mean(apodization, scale, seed):
    array = np.random.default_rng(seed).random(multiple(scale, (3, 6, 5)), np.float32)
    result = Degradation("kspace", apodization=apodization).apply(array, scale)
    np.testing.assert_allclose(result.mean(), array.mean(), rtol=1e-5)


@pytest.mark.parametrize("scale", SCALES)
def test_boxcar_of_one_slice_distance_is_the_block_mean(rng, scale):
    x, y, z = scale
    array = rng.random(multiple(scale), np.float32)
    expected = array.astype(np.float64).reshape(7, x, 4, y, 9, z).mean(axis=(1, 3, 5))
    result = get_degradation("slice-profile").apply(array, scale)
    np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize("profile", ["boxcar", "gaussian"])
@pytest.mark.parametrize("factor", [2, 3, 5])
@pytest.mark.parametrize("fwhm", [0.01, 0.5, 1.0, 1.3, 2.0])
def test_slice_profile_is_the_integral_under_it(rng, profile, factor, fwhm):
    """Voxels as steps, the profile around each slice's center, integrated numerically."""
    cells = 15
    line = rng.random(factor * cells)
    width = fwhm * factor

    def weight(center, voxel):
        if profile == "boxcar":
            low = max(voxel - 0.5, center - width / 2)
            return max(0.0, min(voxel + 0.5, center + width / 2) - low)
        sigma = width / np.sqrt(8 * np.log(2))
        value, _ = integrate.quad(
            lambda x: np.exp(-0.5 * ((x - center) / sigma) ** 2),
            voxel - 0.5,
            voxel + 0.5,
            points=[min(max(center, voxel - 0.5), voxel + 0.5)],
        )
        return value

    array = np.tile(line.astype(np.float32)[:, None], (2, 1, 3))
    degradation = Degradation("slice-profile", profile=profile, fwhm=fwhm)
    result = degradation.apply(array, (1, factor, 1))[1, :, 2]
    for cell in (5, 7, 9):  # away from the edges
        center = (cell + 0.5) * factor - 0.5
        weights = np.array([weight(center, v) for v in range(line.size)])
        np.testing.assert_allclose(result[cell], weights @ line / weights.sum(), atol=5e-4)


@pytest.mark.parametrize(
    "name", ["standard", "paper-2021", "kspace:hann", "slice-profile:gaussian"]
)
def test_constant_stays_constant(name):
    array = np.full((12, 8, 20), 0.75, np.float32)
    result = get_degradation(name).apply(array, (3, 2, 4))
    np.testing.assert_allclose(result, 0.75, atol=2e-6)


@pytest.mark.parametrize(
    "name", ["standard", "kspace", "slice-profile", "slice-profile:gaussian:0.5"]
)
def test_a_blob_stays_where_it_is(name):
    """Its center of mass in mm, on the grid that the result says it has."""
    shape = (48, 60, 72)
    at = (20.3, 33.8, 41.1)
    axes = np.meshgrid(*map(np.arange, shape), indexing="ij")
    blob = np.exp(-sum((a - c) ** 2 for a, c in zip(axes, at, strict=True)) / (2 * 4.0**2))
    volume = Volume(blob.astype(np.float32), Grid(shape, OBLIQUE))
    result = degrade(volume, (2, 3, 4), name)
    center = result.grid.affine @ [*ndimage.center_of_mass(np.maximum(result.data, 0)), 1.0]
    np.testing.assert_allclose(center, OBLIQUE @ [*at, 1.0], atol=0.05)


@pytest.mark.parametrize("name", ["standard", "paper-2021", "kspace", "slice-profile"])
def test_field_of_view_after_cropping_to_a_multiple(rng, name):
    volume = volume_of(rng, (13, 15, 22))
    result = degrade(volume, (2, 3, 4), name)
    assert result.grid.shape == result.data.shape == (6, 5, 5)
    kept = volume.grid.cropped((0, 0, 0), (12, 15, 20))
    np.testing.assert_allclose(result.grid.corners(), kept.corners())
    assert result.history["degradation"].startswith(name)
    assert result.history["degraded_by"] == "2x3x4"
    assert result.origin is volume.origin
    # The voxels beyond the multiple play no part.
    cropped = degrade(volume.cropped((0, 0, 0), (12, 15, 20)), (2, 3, 4), name)
    np.testing.assert_array_equal(result.data, cropped.data)


def test_options_after_colons():
    assert get_degradation("kspace:hann") == Degradation("kspace", apodization="hann")
    chosen = get_degradation("slice-profile:gaussian:1.2")
    assert chosen == Degradation("slice-profile", profile="gaussian", fwhm=1.2)
    assert str(chosen) == "slice-profile:gaussian:1.2"
    assert str(get_degradation("kspace")) == "kspace"
    assert str(get_degradation("kspace:tukey")) == "kspace:tukey"
    assert get_degradation(chosen) is chosen


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "cubic",
            "degradation: 'cubic'; choose from standard, paper-2021, kspace, slice-profile",
        ),
        ("standard:hann", "option 'hann' of 'standard:hann'; use e.g. "),
        ("kspace:gaussian", "option 'gaussian' of 'kspace:gaussian'"),
        ("slice-profile:-1", "option '-1'"),
        ("slice-profile:²", "option '²'"),
        ("slice-profile:1.", None),
        ("slice-profile:0", "fwhm: 0.0; give a width above 0, up to 4"),
        ("slice-profile:9", "fwhm: 9.0"),
        ("kspace:", "option ''"),
    ],
)
def test_bad_names_are_refused_by_name(name, message):
    if message is None:
        assert get_degradation(name).fwhm == 1.0
        return
    with pytest.raises(ParameterError) as caught:
        get_degradation(name)
    assert message in str(caught.value)


@given(st.text(max_size=12))
def test_any_other_text_is_a_clean_error(option):
    for base in ("kspace", "slice-profile", "standard"):
        try:
            get_degradation(f"{base}:{option}")
        except MrisrError as error:
            assert "\n" not in str(error)


def test_too_few_voxels_name_the_axis_and_the_mend(rng):
    with pytest.raises(GeometryError) as caught:
        degrade(volume_of(rng, (9, 7, 12)), (2, 4, 2))
    assert str(caught.value) == (
        "scan.nii: 7 voxels along y at scale 4 leave 1; use a factor of at most 3 along y"
    )


def test_progress_and_cancel(rng):
    seen = []

    class Watch(Progress):
        def show(self, state):
            seen.append((state.task, state.done, state.total))
            if state.done == stop_at:
                self.token.cancel()

    stop_at = None
    volume = volume_of(rng, (8, 10, 12))
    degrade(volume, (2, 2, 2), progress=Watch())
    assert seen == [("degrading", n, 3) for n in range(4)]
    stop_at = 2
    with pytest.raises(Cancelled):
        degrade(volume, (2, 2, 2), progress=Watch())
