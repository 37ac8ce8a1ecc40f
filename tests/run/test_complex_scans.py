"""Complex scans: the parts carry the phase, the magnitude chooses the filters."""

from __future__ import annotations

import numpy as np
import pytest

import napari_mrisr as sr
from napari_mrisr.core.volume import Region
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.operators.interpolate import tricubic

SHAPE = (13, 11, 9)


@pytest.fixture
def magnitude(rng):
    x, y, z = np.indices(SHAPE)
    smooth = 300 + 200 * np.sin(0.5 * x) * np.cos(0.4 * y) + 20 * z
    return (smooth + rng.normal(0, 5, SHAPE)).astype(np.float32)


def volume(data):
    return sr.Volume(data, sr.Grid(data.shape, np.diag([1.0, 1.2, 0.9, 1.0])))


def complex_of(magnitude, phase):
    data = magnitude * np.exp(1j * phase)
    return sr.ComplexVolume.of(data.astype(np.complex64), volume(magnitude).grid)


def angle_between(found, expected):
    return np.abs(np.angle(np.exp(1j * (found - expected))))


@pytest.mark.parametrize("method", ["tricubic", "hashed", "network"])
def test_phase_is_right_across_a_planted_wrap(method):
    """A ramp of 0.6 rad per voxel wraps every 10 voxels; interpolating the phase itself fails."""
    x = np.indices((23, 11, 9))[0].astype(np.float64)
    magnitude = np.full(x.shape, 100, np.float32)
    magnitude[:, 5, 4] += 1  # not constant
    scan = complex_of(magnitude, 0.6 * x)
    assert np.abs(np.diff(scan.phase.data, axis=0)).max() > 5  # it wraps
    found = sr.upscale_complex(scan, 2, method=method)
    x_fine = (np.arange(46) + 0.5) / 2 - 0.5
    expected = np.broadcast_to(0.6 * x_fine[:, None, None], found.grid.shape)
    inner = np.s_[4:-4, 2:-2, 2:-2]
    assert angle_between(found.phase.data, expected)[inner].max() < 0.07
    assert np.abs(found.magnitude.data - 100)[inner].max() < 5
    naive = tricubic(scan.phase.data, (2, 2, 2))
    assert angle_between(naive, expected)[inner].max() > 1


@pytest.mark.parametrize(
    ("method", "scale"),
    [
        ("hashed", (2, 2, 2)),
        ("anchored", (2, 2, 2)),
        ("network", (1, 1, 4)),
        ("network", (2, 2, 2)),
    ],
)
def test_a_constant_phase_gives_the_magnitudes_result_turned(magnitude, method, scale):
    magnitude[0, 0, 0], magnitude[-1, -1, -1] = 1, 2000  # parts are not clipped to the extremes
    found = sr.upscale_complex(complex_of(magnitude, 2.5), scale, method=method)
    expected = sr.upscale(volume(magnitude), scale, method=method)
    inner = tuple(slice(n // 4, -(n // 4)) for n in expected.grid.shape)
    assert angle_between(found.phase.data, 2.5)[inner].max() < 1e-3
    np.testing.assert_allclose(found.magnitude.data[inner], expected.data[inner], rtol=2e-3)
    assert "guided by the magnitude" in found.magnitude.history["complex"]


def test_filters_are_linear_in_the_parts_and_chosen_from_the_magnitude(make_bank, magnitude, rng):
    """With the magnitude held, sums of parts give sums of results; buckets are not the parts'."""
    method = Hashed(make_bank(scale=(2, 2, 2)))
    region = Region((3, 2, 4), (19, 20, 15))
    one, _ = complex_of(magnitude, 0.0).parts()
    other = type(one)(
        rng.normal(size=SHAPE).astype(np.float32), one.grid, one.window, guide=one.guide
    )
    both = type(one)(one.data - 2 * other.data, one.grid, one.window, guide=one.guide)
    results = [method.compute(part, region) for part in (one, other, both)]
    np.testing.assert_allclose(results[2], results[0] - 2 * results[1], atol=2e-4)
    alone = method.compute(sr.Volume(other.data, one.grid), region)
    assert np.abs(alone - results[1]).max() > 0.1


def test_an_array_comes_back_as_an_array(magnitude):
    data = magnitude * np.exp(1j * np.indices(SHAPE)[1] * 0.2)
    found = sr.upscale_complex(data, (1, 2, 1), method="linear", voxel_size=(1, 1.2, 0.9))
    assert found.shape == (13, 22, 9)
    assert found.dtype == np.complex64
    assert abs(found[6, 1, 4] - (0.75 * data[6, 0, 4] + 0.25 * data[6, 1, 4])) < 0.01


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m: sr.upscale_complex(m, 2), "is no array of complex numbers"),
        (lambda m: sr.ComplexVolume(volume(m), volume(m[1:])), "12 × 11 × 9 at another place"),
        (lambda m: sr.ComplexVolume(volume(-m), volume(m)), "which no magnitude has"),
        (
            lambda m: sr.upscale_complex(complex_of(m, 0.0), 2, method="hashed", device="gpu"),
            "computes complex scans on the CPU",
        ),
    ],
)
def test_impossible_requests_are_refused(magnitude, call, match):
    with pytest.raises(sr.MrisrError, match=match):
        call(magnitude)
