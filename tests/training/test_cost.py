"""Memory before the start; rates, and the work that is left."""

from __future__ import annotations

import pytest
from helpers.training import small_preset

from napari_mrisr.errors import MemoryEstimateError
from napari_mrisr.training.cost import MemoryNeed, WorkMeter, check_memory, estimate_training
from napari_mrisr.training.presets import get_preset

S2 = (2, 2, 2)


def test_memory_of_the_paper_preset():
    """576 buckets of 11³ taps: Q and V in float32, once in memory and once to save."""
    need = estimate_training(get_preset("paper", S2), S2)
    assert need.sums == 2 * 4 * 576 * 1331 * 1332
    assert need.volume == 0
    assert need.total == need.sums + need.batches


def test_memory_grows_with_the_largest_volume_and_the_threads():
    preset = get_preset("default", S2)
    small = estimate_training(preset, S2, (50, 60, 70))
    large = estimate_training(preset, S2, (100, 60, 70))
    assert large.volume == 2 * small.volume > 0
    assert large.sums == small.sums
    assert estimate_training(preset, S2, threads=4).batches == 4 * small.batches


def test_training_that_does_not_fit_is_refused_with_a_remedy(monkeypatch):
    import psutil

    free = type("Memory", (), {"available": 3 * 2**30})()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    check_memory(MemoryNeed(2**31, 2**29, 0), "default")
    with pytest.raises(
        MemoryEstimateError, match=r"needs 4\.0 GB, 3\.0 GB are free; use the preset"
    ):
        check_memory(MemoryNeed(2**32, 0, 0), "paper")
    with pytest.raises(
        MemoryEstimateError, match=r"8\.0 GB for the largest volume.*; crop the volumes"
    ):
        check_memory(MemoryNeed(2**20, 2**33, 0), "default")


def test_rates_are_samples_and_operations_per_second():
    work = WorkMeter(small_preset("default", (2, 2, 2)).stages, (2, 2, 2))
    assert (work.samples_per_s, work.gflops) == (0.0, 0.0)
    work.count(600, 27, 8, 0.3)
    work.count(400, 27, 8, 0.2)
    assert work.samples_per_s == 2000
    # 27 · 28 / 2 sums of products for Q and 27 · 8 for V, per sample.
    products = sum(1 for i in range(27) for _ in range(i, 27)) + 27 * 8
    assert work.gflops == pytest.approx(2 * products * 1000 / 0.5 / 1e9)


def test_share_left_falls_to_zero():
    work = WorkMeter(small_preset("default", (2, 2, 2)).stages, (2, 2, 2))
    shares = [work.share_left]
    for missing in ((1, 2), (0, 2)):
        work.volume_done(0, 50_000, missing)
        shares.append(work.share_left)
    for missing in ((0, 1), (0, 0)):
        work.volume_done(1, 20_000, missing)
        shares.append(work.share_left)
    assert shares[0] == 1.0
    assert shares == sorted(shares, reverse=True)
    assert 0.2 < shares[2] < 0.8
    assert shares[-1] == 0.0
