"""Order statistics in pieces are numpy's, bit for bit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_mrisr.core import percentiles as ranks
from napari_mrisr.core.percentiles import median, percentile, ranked
from napari_mrisr.core.progress import CancelToken
from napari_mrisr.errors import Cancelled


def arrays():
    rng = np.random.default_rng(3)
    for n in (1, 2, 3, 60, 61, 62, 1001, 40_001):
        noise = (rng.standard_normal(n) * 100).astype(np.float32)
        yield f"noise of {n}", noise
        yield f"doubles of {n}", noise.astype(np.float64) / 3
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


def test_several_ranks_at_once(rng):
    data = rng.random(5003, dtype=np.float32)
    places = [0, 17, 2500, 5002]
    np.testing.assert_array_equal(ranked(data, places), np.sort(data)[places])


def test_a_few_that_mislead_do_no_harm():
    """Every 61st value, of which the bracket is made, is unlike all others."""
    data = np.linspace(0.0, 1.0, 20_000, dtype=np.float32)
    data[::61] += 10.0
    assert percentile(data, 60.0) == float(np.percentile(data, 60.0))
    assert median(data) == np.median(data)


def test_what_is_kept_to_be_sorted_is_little(rng, monkeypatch):
    sizes = []
    partition = np.partition
    monkeypatch.setattr(np, "partition", lambda a, k: sizes.append(a.size) or partition(a, k))
    data = rng.random(1_000_000, dtype=np.float32)
    percentile(data, 99.9)
    median(data)
    assert sizes[0] < 10_000
    assert sizes[1] < 100_000


def test_values_that_are_not_finite():
    assert math.isnan(percentile(np.array([1.0, np.nan, 3.0], np.float32), 50.0))
    endless = np.array([-np.inf, 1.0, 2.0, np.inf, np.inf], np.float32)
    np.testing.assert_array_equal(ranked(endless, [0, 1, 4]), [-np.inf, 1.0, np.inf])


def test_it_can_be_stopped(rng):
    data, asked = rng.random(5000), []
    percentile(data, 50.0, lambda: asked.append(1))
    assert len(asked) > 5000 / 999  # after each piece
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        percentile(data, 50.0, token.check)
