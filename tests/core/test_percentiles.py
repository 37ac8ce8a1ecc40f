"""Percentiles in pieces are those of NumPy, bit for bit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_mrisr.core import percentiles as ranks
from napari_mrisr.core.percentiles import median, percentile, percentile_of_pieces
from napari_mrisr.core.progress import CancelToken
from napari_mrisr.core.volume import IntensityWindow
from napari_mrisr.errors import Cancelled


def arrays():
    rng = np.random.default_rng(3)
    for n in (1, 2, 3, 60, 61, 62, 1001, 40_001):
        noise = (rng.standard_normal(n) * 100).astype(np.float32)
        yield f"noise of {n}", noise
        yield f"whole numbers of {n}", np.round(noise / 40)
        yield f"mostly nothing of {n}", np.where(rng.random(n) < 0.998, 0, noise).astype("f4")
        yield f"rising {n}", np.arange(n, dtype=np.float32)
        yield f"one value {n} times", np.full(n, -2.5, np.float32)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(ranks, "_PIECE", 999)


@pytest.mark.parametrize(
    ("name", "data"), list(arrays()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_percentiles_and_median_are_numpys(name, data):
    before = data.copy()
    for percent in (0.0, 5.0, 50.0, 99.9, 100.0):
        assert percentile(data, percent) == float(np.percentile(data, percent))
    assert median(data) == np.median(data)
    assert median(data).dtype == data.dtype
    np.testing.assert_array_equal(data, before)


def test_any_shape_and_strides(rng):
    data = rng.standard_normal((17, 30, 11)).astype(np.float32)[:, ::2, 1:]
    assert percentile(data, 77.7) == float(np.percentile(data, 77.7))


def test_values_that_are_not_finite():
    assert math.isnan(percentile(np.array([1.0, np.nan, 3.0], np.float32), 50.0))
    endless = np.array([-np.inf, 1.0, 2.0, np.inf, np.inf], np.float32)
    assert median(endless) == 2.0
    assert median(endless[1:]) == np.inf


def test_it_can_be_cancelled(rng):
    data, checked = rng.random(5000), []
    percentile(data, 50.0, lambda: checked.append(1))
    assert len(checked) > 5000 / 999  # after each piece
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        percentile(data, 50.0, token.check)


def in_pieces(data):
    return lambda: iter(np.array_split(data, 7))


def float_arrays():
    rng = np.random.default_rng(0)
    for n in (2, 3, 999, 1000, 1001, 1002, 31_417):
        noise = rng.standard_normal(n).astype(np.float32)
        yield f"noise of {n}", (noise * 10.0 ** rng.integers(-3, 9)).astype("f4")
        yield f"whole numbers of {n}", np.round(noise * 3)
        yield f"mostly nothing of {n}", np.where(rng.random(n) < 0.9985, 0, noise).astype("f4")
        yield f"below zero of {n}", -np.abs(noise) - 1


@pytest.mark.parametrize(
    ("name", "data"), list(float_arrays()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_percentile_and_window_are_numpys(name, data):
    assert data.dtype == np.float32
    found = percentile_of_pieces(in_pieces(data), data.size, 99.9)
    assert found == float(np.percentile(data, 99.9))
    low, high = float(data.min()), float(data.max())
    assert IntensityWindow.between(low, high, found) == IntensityWindow.of(data)


@pytest.mark.parametrize("percent", [0.0, 12.5, 50.0, 99.99, 100.0])
def test_other_percentiles(rng, percent):
    data = (rng.standard_normal(5003) * 100).astype(np.float32)
    found = percentile_of_pieces(in_pieces(data), data.size, percent)
    assert found == float(np.percentile(data, percent))


def test_window_of_constant_and_sparse_data():
    for data in ([5.0, 5.0], [0.0] * 5000 + [3.0], [-2.0] * 5000 + [-1.0], [-1.0, -1.0]):
        array = np.array(data, np.float32)
        percentile = percentile_of_pieces(in_pieces(array), array.size, 99.9)
        window = IntensityWindow.between(float(array.min()), float(array.max()), percentile)
        assert window == IntensityWindow.of(array)
