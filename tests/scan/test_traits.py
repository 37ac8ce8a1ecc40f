"""Traits of scans: contrast, noise and filled spectrum of volumes that were made to have them."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.scans import head
from scipy import ndimage, signal

from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import Cancelled
from napari_mrisr.scan import traits
from napari_mrisr.scan.traits import TraitRanges, Traits, filled_band, measure_traits

SHAPE = (60, 56, 64)


def volume(data, size=(1.0, 1.1, 2.4)):
    return Volume(data.astype(np.float32), Grid(data.shape, np.diag([*size, 1.0])))


def anatomy(rng, shape=SHAPE, slope=1.6):
    """Random structure whose power falls with frequency, as a head's does, to the very end."""
    spectrum = np.fft.rfftn(rng.standard_normal(shape))
    grid = np.meshgrid(
        *[np.fft.fftfreq(n) for n in shape[:2]], np.fft.rfftfreq(shape[2]), indexing="ij"
    )
    radius = np.sqrt(sum(f**2 for f in grid))
    radius[0, 0, 0] = 1.0
    return np.fft.irfftn(spectrum / radius**slope, shape, (0, 1, 2)).astype(np.float32)


# Spectrum


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_full_spectrum_is_full(rng, axis):
    assert filled_band(anatomy(rng), axis) == 1.0
    assert filled_band(rng.random(SHAPE).astype(np.float32), axis) == 1.0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_zero_filled_axis_is_found(rng, axis):
    """Half of the k-space along one axis is zero: about half of the spectrum is filled."""
    shape = tuple(n // 2 if a == axis else n for a, n in enumerate(SHAPE))
    data = signal.resample(anatomy(rng, shape), SHAPE[axis], axis=axis).astype(np.float32)
    for other in range(3):
        band = filled_band(data, other)
        assert (0.42 < band < 0.62) if other == axis else band > 0.9


@pytest.mark.parametrize("order", [1, 3])
def test_an_interpolated_axis_is_found(rng, order):
    data = ndimage.zoom(anatomy(rng, (60, 56, 32)), (1, 1, 2), order=order)
    assert filled_band(data, 2) < 0.66
    assert filled_band(data, 0) > 0.9


def test_of_many_lines_some_are_enough(rng, monkeypatch):
    """A zero-filled axis is found as well; a sixth of the lines is looked at."""
    data = signal.resample(anatomy(rng, (30, 56, 64)), 60, axis=0).astype(np.float32)
    whole = [filled_band(data, axis) for axis in range(3)]
    looked_at = []
    rfft = np.fft.rfft
    monkeypatch.setattr(np.fft, "rfft", lambda a, axis: looked_at.append(a.size) or rfft(a))
    monkeypatch.setattr(traits, "_LINES", 20)
    assert [filled_band(data, axis) for axis in range(3)] == pytest.approx(whole, abs=0.02)
    assert sum(looked_at) < 3 * data.size / 5


def test_an_axis_of_few_voxels_is_not_judged(rng):
    assert np.isnan(filled_band(rng.random((40, 15, 44)).astype(np.float32), 1))
    assert np.isnan(filled_band(np.zeros((20, 18, 22), np.float32), 0))


# Contrast and noise


def test_bright_and_dark_brains(rng):
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    noise = 0.01 * rng.standard_normal(SHAPE)
    part = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 2.0)
    rare = part > np.quantile(part, 0.85)
    head = radius < 0.9
    t1 = np.where(head, np.where(rare, 0.4, 0.9) + noise, 0.0)
    t2 = np.where(head, np.where(rare, 0.9, 0.3) + noise, 0.0)
    assert measure_traits(volume(t1)).contrast < -0.5
    assert measure_traits(volume(t2)).contrast > 0.5


def test_noise_is_measured_in_parts_of_the_window(rng):
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    inside = x**2 + y**2 + z**2 < 0.8
    tissue = np.where(inside, 700.0 + 200.0 * (x > 0.1), 0.0)
    data = tissue + np.where(inside, 18.0 * rng.standard_normal(SHAPE), 0.0)
    high = np.percentile(data, 99.9)
    found = measure_traits(volume(data))
    assert found.noise == pytest.approx(18.0 / high, rel=0.1)
    assert found.voxel_size == pytest.approx((1.0, 1.1, 2.4))
    # The unit of the intensities plays no part.
    assert measure_traits(volume(data * 37.0)).noise == pytest.approx(found.noise, rel=1e-4)


@pytest.mark.parametrize("planes", [1, 2, 8, 9, 23])
def test_noise_in_slabs_is_that_of_the_whole(rng, planes):
    data = rng.random((planes, 11, 14), dtype=np.float32)
    mask = rng.random(data.shape) < 0.3
    fine = data
    for axis in range(3):
        fine = ndimage.correlate1d(fine, np.array([-1, 2, -1]) / 6**0.5, axis=axis, mode="mirror")
    expected = 1.4826 * np.median(np.abs(fine[mask]))
    assert traits.noise_sd(data, mask, Progress()) == expected


def test_noise_far_from_the_mask_plays_no_part(rng):
    data = rng.random((31, 29, 30), dtype=np.float32)
    fine = data
    for axis in range(3):
        fine = ndimage.correlate1d(fine, np.array([-1, 2, -1]) / 6**0.5, axis=axis, mode="mirror")
    mask = np.zeros(data.shape, bool)
    mask[10:28, 5:12, 20:30] = rng.random((18, 7, 10)) < 0.5
    expected = 1.4826 * np.median(np.abs(fine[mask]))
    assert traits.noise_sd(data, mask, Progress()) == expected


def odd_shapes(rng):
    """Masks with holes, in parts, at the border, of one voxel, and of all."""
    shape = (29, 34, 25)
    blobs = ndimage.gaussian_filter(rng.standard_normal(shape), 3.0) > 0.02
    yield blobs
    yield blobs & (rng.random(shape) < 0.99)
    yield np.pad(blobs[:20, :20, :20], ((3, 6), (14, 0), (0, 5)))
    yield np.ones((40, 9, 12), bool)
    yield np.ones((1, 1, 1), bool)
    one = np.zeros(shape, bool)
    one[28, 0, 7] = True
    yield one


def test_the_deepest_voxels_are_those_of_the_distance_transform(rng):
    for mask in odd_shapes(rng):
        depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1, 1:-1]
        expected = depth >= np.quantile(depth[mask], 0.6)
        np.testing.assert_array_equal(traits._deepest(mask, Progress()), expected)


def test_without_a_head_contrast_and_noise_are_unknown():
    found = measure_traits(volume(np.full((20, 18, 22), 5.0)))
    assert np.isnan(found.contrast)
    assert np.isnan(found.noise)


def test_it_can_be_stopped():
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        measure_traits(volume(head(0, (40, 44, 36))), Progress(token))


class Counting(CancelToken):
    """Counts how often it is asked, and says stop at the ``stop``-th time."""

    def __init__(self, stop=0):
        super().__init__()
        self.asked, self.stop = 0, stop

    def check(self):
        self.asked += 1
        if self.asked == self.stop:
            self.cancel()
        super().check()


def test_it_can_be_stopped_wherever_it_asks():
    scan = volume(head(0, (40, 44, 36)))
    token = Counting()
    whole = measure_traits(scan, Progress(token))
    assert whole == measure_traits(scan)
    for stop in range(1, token.asked, 5):
        with pytest.raises(Cancelled):
            measure_traits(scan, Progress(Counting(stop)))


# Ranges


def test_ranges_of_volumes():
    one = Traits((1.0, 1.1, 2.0), -0.3, 0.01, (1.0, 1.0, 0.9))
    two = Traits((0.9, 1.2, 1.5), 0.1, 0.03, (1.0, 1.0, 0.9))
    headless = Traits((9.0, 9.0, 9.0), np.nan, np.nan, (1.0, 1.0, 0.9))
    found = TraitRanges.of([one, two, headless])
    assert found == TraitRanges((0.9, 2.0), (-0.3, 0.1), (0.01, 0.03))
    assert TraitRanges.of([headless]) is None
    assert TraitRanges.of([]) is None


def test_ranges_come_back_from_json():
    import json

    ranges = TraitRanges((0.9, 2.0), (-0.3, 0.1), (0.01, 0.03))
    assert TraitRanges.from_json(json.loads(json.dumps(ranges.to_json()))) == ranges


@pytest.mark.parametrize("data", [None, 5, "text", {}, {"voxel_size": [1, 2]}, {"voxel_size": 1}])
def test_what_is_no_ranges_is_none(data):
    assert TraitRanges.from_json(data) is None


def hounsfield(shape=(24, 24, 24), padding=-1024):
    """A head of a CT: air, soft tissue, bone, padding outside the scanner's field of view."""
    x, y, z = np.indices(shape) - 12
    radius = np.sqrt(x * x + y * y + z * z)
    data = np.select([radius < 7, radius < 8], [40.0, 1200.0], -1000.0).astype(np.float32)
    data[radius > 16] = padding
    return data


@pytest.mark.parametrize("padding", [-1000, -1024, -2048, -3024])
def test_a_ct_is_recognized_by_its_air(padding):
    data = hounsfield(padding=padding)
    volume = Volume(data, Grid(data.shape, np.eye(4)))
    assert measure_traits(volume).ct
    assert measure_traits(volume.normalized()).ct


@pytest.mark.parametrize("scale", [1 / 1000, 4096 / 1000])
def test_a_phase_image_is_no_ct(scale):
    rng = np.random.default_rng(0)
    data = (rng.uniform(-1000, 1000, (24, 24, 24)) * scale).astype(np.float32)
    assert not measure_traits(Volume(data, Grid(data.shape, np.eye(4)))).ct
    data = np.abs(data)
    data[0, 0, 0] = -1000.0  # a single outlier
    assert not measure_traits(Volume(data, Grid(data.shape, np.eye(4)))).ct
