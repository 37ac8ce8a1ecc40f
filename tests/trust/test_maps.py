"""Trust maps: of planted calibrations and supports; the same in any slab; stopped at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.networks import convolution_model, save_model
from helpers.scans import head
from scipy import ndimage

from napari_mrisr.bank.calibration import (
    DETAIL_CUTS,
    STRENGTH_CUTS,
    Calibration,
    CalibrationSeries,
)
from napari_mrisr.comparison.measures import consistency, forward_model
from napari_mrisr.comparison.roi import Selection
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import BankError, Cancelled, GeometryError
from napari_mrisr.methods import get_method
from napari_mrisr.methods.consistent import Consistent
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.methods.network import make_network
from napari_mrisr.methods.permuted import hashed_with
from napari_mrisr.methods.resampled import Resampled
from napari_mrisr.networks.file import load_network, with_metadata
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.run.upscale import run_method
from napari_mrisr.trust import maps as maps_module
from napari_mrisr.trust import trust_maps

SHAPE = (22, 19, 24)


@pytest.fixture
def lr():
    grid = Grid(SHAPE, np.diag([2.0, 2.1, 2.2, 1.0]))
    return Volume(head(3, SHAPE), grid)


def calibration(buckets, **change):
    """Squared error 1e-4 everywhere, all cells seen."""
    shape = (STRENGTH_CUTS.size + 1, DETAIL_CUTS.size + 1)
    found = Calibration(
        STRENGTH_CUTS,
        DETAIL_CUTS,
        np.full(shape, 1e-4, np.float32),
        np.full(shape, 1000, np.int64),
        np.ones(buckets, np.float32),
        noise=0.02,
        exponent=0.0,
        volumes=2,
        spread=1.1,
    )
    return replace(found, **change)


@pytest.fixture
def bank(make_bank):
    """Well supported everywhere, with an expected error of 1 % of the window."""
    bank = make_bank((2, 2, 2), ("cell", "voxel"))
    stages = [replace(s, support=np.full_like(s.support, 10**6)) for s in bank.stages]
    buckets = stages[-1].spec.hash.bucket_count
    return replace(bank, stages=tuple(stages), calibration=calibration(buckets))


@pytest.fixture
def result(lr, bank):
    return run_method(Hashed(bank), lr)


def test_a_constant_calibration_gives_a_constant_map(lr, result, bank):
    maps = trust_maps(lr, result, bank, threads=1)
    window = lr.normalized().window
    np.testing.assert_allclose(maps.expected_error.data, 0.01 * (window.high - window.low), 1e-5)
    assert maps.support.data.max() == 0
    for volume in (maps.expected_error, maps.support):
        assert volume.grid.shape == result.grid.shape
        np.testing.assert_array_equal(volume.grid.affine, result.grid.affine)
    assert maps.consistency.grid.shape == SHAPE


def test_a_bucket_s_factor_is_seen_where_the_bucket_is(lr, result, bank):
    buckets = bank.stages[-1].spec.hash.bucket_count
    image = Hashed(bank).run(lr.normalized(), Region.whole(result.grid.shape), 1)
    spec = bank.stages[-1].spec.hash
    whole = Region.whole(result.grid.shape)
    bucket, _ = spec.hash_box(image, (0, 0, 0), result.grid.shape, whole)
    factor = np.linspace(1.0, 4.0, buckets).astype(np.float32)
    changed = replace(bank, calibration=calibration(buckets, factor=factor))
    found = trust_maps(lr, result, changed, threads=2).expected_error.data
    window = lr.normalized().window
    expected = 0.01 * (window.high - window.low) * np.sqrt(factor[bucket])
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_bank_of_cells_has_the_maps_of_their_buckets(lr, make_bank, monkeypatch):
    """Factor and support by the bucket of the low-resolution voxel, the same in any slabs."""
    from napari_mrisr.training import sampling

    bank = make_bank((2, 2, 2), ("cell",), anchors="gradients")
    stage, count = bank.stages[0], bank.stages[0].spec.hash.bucket_count
    support = np.where(np.arange(count) % 2, 10**6, 0)
    factor = np.linspace(1.0, 4.0, count).astype(np.float32)
    stages = (replace(stage, support=support),)
    changed = replace(bank, stages=stages, calibration=calibration(count, factor=factor))
    result, unit = run_method(Hashed(bank), lr), lr.normalized()
    maps = trust_maps(lr, result, changed, threads=1)
    bucket, _ = stage.spec.hash.hash_box(unit.data, (0, 0, 0), SHAPE, Region.whole(SHAPE))
    bucket = np.kron(bucket, np.ones((2, 2, 2), int))
    expected = 0.01 * (unit.window.high - unit.window.low) * np.sqrt(factor[bucket])
    np.testing.assert_allclose(maps.expected_error.data, expected, rtol=1e-4)
    np.testing.assert_array_equal(maps.support.data, bucket % 2 == 0)
    assert 0 < maps.support.data.mean() < 1
    monkeypatch.setattr(sampling, "SLAB_VOXELS", 2000)
    again = trust_maps(lr, result, changed, threads=2)
    np.testing.assert_array_equal(again.expected_error.data, maps.expected_error.data)


def test_few_samples_are_marked_bucket_by_bucket(lr, result, bank):
    last = bank.stages[-1]
    support = last.support.copy()
    poor = np.arange(0, last.spec.hash.filter_count, 3)
    support[poor] = 10 * last.spec.taps - 1
    stages = (*bank.stages[:-1], replace(last, support=support))
    found = trust_maps(lr, result, replace(bank, stages=stages), threads=1).support.data
    image = Hashed(bank).run(lr.normalized(), Region.whole(result.grid.shape), 1)
    shape, whole = result.grid.shape, Region.whole(result.grid.shape)
    bucket, _ = last.spec.hash.hash_box(image, (0, 0, 0), shape, whole)
    np.testing.assert_array_equal(found, np.isin(bucket, poor).astype(np.float32))
    assert 0 < found.mean() < 1


def test_the_flat_bucket_needs_no_samples(make_bank):
    bank = make_bank((2, 2, 2), ("voxel",))
    stage = bank.stages[-1]
    flat = replace(stage.spec, hash=replace(stage.spec.hash, flat=0.1))
    support = np.zeros(flat.hash.bucket_count, np.int64)
    few = maps_module.few_samples(
        replace(bank, stages=(replace(stage, spec=flat, support=support),))
    )
    assert few[: flat.hash.filter_count].all()
    assert not few[flat.hash.filter_count]


def test_what_training_did_not_see_is_marked(lr, result, bank):
    """Only strengths below the middle cut were seen."""
    shape = (STRENGTH_CUTS.size + 1, DETAIL_CUTS.size + 1)
    seen = np.full(shape, 1000, np.int64)
    seen[10:] = maps_module.SAMPLES_PER_CELL - 1
    buckets = bank.stages[-1].spec.hash.bucket_count
    changed = replace(bank, calibration=calibration(buckets, samples=seen))
    found = trust_maps(lr, result, changed, threads=1).support.data
    image = Hashed(bank).run(lr.normalized(), Region.whole(result.grid.shape), 1).astype(float)
    window = bank.stages[-1].spec.hash.window
    energy = sum(np.gradient(image, axis=axis) ** 2 for axis in range(3))
    for axis in range(3):
        energy = ndimage.correlate1d(energy, window.taps().astype(float), axis=axis)
    inner = tuple(slice(reach, -reach) for reach in window.reach)
    expected = np.where(np.sqrt(energy) >= STRENGTH_CUTS[9], 2.0, 0.0)[inner]
    assert np.mean(found[inner] != expected) < 1e-3  # rounding at the cut
    assert 0 < np.mean(expected > 0) < 1


def test_without_a_calibration_the_other_maps_remain(lr, result, bank):
    maps = trust_maps(lr, result, replace(bank, calibration=None), threads=1)
    assert maps.expected_error is None
    assert set(np.unique(maps.support.data)) == {0.0}
    assert maps.consistency_percent > 0


def test_consistency_by_hand(lr, result, bank):
    maps = trust_maps(lr, result, bank, threads=1)
    low = degrade(result, (2, 2, 2), "standard")
    np.testing.assert_allclose(maps.consistency.data, low.data - lr.data, atol=1e-3)
    high = np.percentile(lr.data, 99.9)
    rmse = np.sqrt(np.mean((low.data.astype(float) - lr.data) ** 2))
    assert maps.consistency_percent == pytest.approx(100 * rmse / high, rel=1e-4)


def test_consistency_is_the_compare_table_s(lr, result, bank):
    maps = trust_maps(lr, result, bank, threads=1)
    window = lr.normalized().window
    whole = Selection(Region.whole(SHAPE), np.ones(SHAPE, bool))
    theirs = consistency(result, lr, forward_model(result.grid, lr, "standard"), whole)
    ours = maps.consistency_percent / 100 * (window.high - window.low)
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_slabs_and_threads_change_nothing(lr, result, bank, monkeypatch):
    from napari_mrisr.training import sampling

    one = trust_maps(lr, result, bank, threads=1)
    monkeypatch.setattr(sampling, "SLAB_VOXELS", 4000)
    two = trust_maps(lr, result, bank, threads=3)
    np.testing.assert_array_equal(one.expected_error.data, two.expected_error.data)
    np.testing.assert_array_equal(one.support.data, two.support.data)


def test_another_grid_is_refused(lr, bank):
    with pytest.raises(GeometryError, match="give the volume and its result"):
        trust_maps(lr, lr, bank)


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_it_can_be_stopped_at_any_time(lr, result, bank, after):
    class Stopping(Progress):
        def show(self, state):
            self.seen = getattr(self, "seen", 0) + 1
            if self.seen > after:
                self.token.cancel()

    with pytest.raises(Cancelled):
        trust_maps(lr, result, bank, threads=2, progress=Stopping(CancelToken()))


def test_maps_say_what_they_are(lr, result, bank):
    maps = trust_maps(lr, result, bank, threads=1)
    for volume, word in (
        (maps.expected_error, "RMSE"),
        (maps.support, "few samples"),
        (maps.consistency, "degraded"),
    ):
        assert word in volume.history["map"]
        assert volume.history["note"] == "research use, not for diagnosis"
        assert volume.history["bank"] == bank.name


THICK = (20, 17, 9)


@pytest.fixture
def thick():
    """A scan with slices of 4 mm along y, and a network of planted coefficients for it."""
    grid = Grid((20, 9, 17), np.diag([1.0, 4.0, 1.0, 1.0]))
    return Volume(head(5, (20, 9, 17)), grid)


@pytest.fixture
def network(rng, tmp_path):
    kernel = rng.normal(0, 0.02, (2, 1, 3, 3, 3))
    path = save_model(convolution_model(kernel), tmp_path / "tiny.onnx")
    series = CalibrationSeries((2.0, 8.0), (calibration(1), calibration(1)))
    path.write_bytes(with_metadata(path.read_bytes(), calibration=series.to_json()))
    return path


def test_a_network_s_map_follows_its_calibration(thick, network):
    result = run_method(make_network((1, 4, 1), str(network)), thick)
    maps = trust_maps(thick, result, load_network(network), threads=2)
    window = thick.normalized().window
    np.testing.assert_allclose(maps.expected_error.data, 0.01 * (window.high - window.low), 1e-4)
    assert maps.expected_error.grid.shape == (20, 36, 17)
    assert maps.support.data.max() == 0
    assert maps.consistency.grid.shape == (20, 9, 17)
    mean = result.data.reshape(20, 9, 4, 17).mean(axis=2)
    np.testing.assert_allclose(maps.consistency.data, mean - thick.data, atol=1e-2)


def test_a_network_s_error_is_larger_where_it_changes_more(thick, network, monkeypatch):
    from napari_mrisr.training import sampling

    result = run_method(make_network((1, 4, 1), str(network)), thick)
    start = run_method(get_method("tricubic", (1, 4, 1)), thick)
    shape = (STRENGTH_CUTS.size + 1, DETAIL_CUTS.size + 1)
    rows = np.repeat(np.linspace(1, 22, shape[0])[:, None] ** 2 * 1e-5, shape[1], 1)
    seen = np.full(shape, 1000, np.int64)
    seen[12:] = 0
    planted = calibration(1, squared_error=rows.astype(np.float32), samples=seen)
    document = CalibrationSeries((4.0,), (planted,)).to_json()
    loaded = replace(load_network(network), calibration=document)
    one = trust_maps(thick, result, loaded, threads=1)
    monkeypatch.setattr(sampling, "SLAB_VOXELS", 2000)
    two = trust_maps(thick, result, loaded, threads=3)
    np.testing.assert_array_equal(one.expected_error.data, two.expected_error.data)
    window = thick.normalized().window
    added = (result.data - start.data) / (window.high - window.low)
    change = np.sqrt(ndimage.gaussian_filter(added**2, (1, 2, 1), mode="mirror", truncate=3.0))
    cell = np.searchsorted(STRENGTH_CUTS, change, side="right")
    expected = np.sqrt(rows[cell, 0]) * (window.high - window.low)
    assert np.mean(np.abs(one.expected_error.data / expected - 1) > 1e-3) < 1e-3
    assert np.mean(one.support.data != 2.0 * (cell >= 12)) < 1e-3
    assert cell.max() > cell.min()


def test_a_network_without_a_calibration(thick, network):
    result = run_method(make_network((1, 4, 1), str(network)), thick)
    maps = trust_maps(thick, result, replace(load_network(network), calibration={}), threads=1)
    assert maps.expected_error is None
    with pytest.raises(BankError, match=r"tiny.*calibration"):
        trust_maps(thick, result, replace(load_network(network), calibration={"4": {}}))


def test_a_resampled_result_has_maps_on_its_grid(make_bank):
    """A bank for slices 4 times as thick, run at a factor of 3.5."""
    bank = make_bank((1, 1, 4), ("cell", "voxel"))
    buckets = bank.stages[-1].spec.hash.bucket_count
    bank = replace(bank, calibration=calibration(buckets), degradation="slice-profile:boxcar:1")
    lr = Volume(head(3, THICK), Grid(THICK, np.diag([1.0, 1.0, 4.0, 1.0])))
    method = Consistent(Resampled(hashed_with(bank, bank.scale), (1, 1, 3.5)), bank.degradation)
    maps = trust_maps(lr, run_method(method, lr), bank, threads=1)
    window = lr.normalized().window
    assert maps.expected_error.grid.shape == maps.support.grid.shape == (20, 17, 32)
    np.testing.assert_allclose(maps.expected_error.data, 0.01 * (window.high - window.low), 1e-4)
    # Consistent, but for columns with voxels that were raised to the scan's minimum.
    assert np.median(np.abs(maps.consistency.data[5:15, 5:12])) < 1e-3 * window.high


def test_linear_interpolation_keeps_a_slope_and_the_edges():
    slope = np.arange(5, dtype=np.float32)[None, None]
    found = maps_module.linear_operator(5, 8).apply(slope, 2)[0, 0]
    np.testing.assert_allclose(found, np.clip((np.arange(8) + 0.5) * 5 / 8 - 0.5, 0, 4), atol=1e-6)
