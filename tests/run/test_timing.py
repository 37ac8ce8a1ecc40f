"""Seconds of a run: estimated from its middle."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import Cancelled
from napari_mrisr.run import timing
from napari_mrisr.run.upscale import UpscaleParameters, upscale


def scan_of(rng, *shape: int) -> Volume:
    return Volume(rng.random(shape, dtype=np.float32), Grid(shape, np.eye(4)))


def test_the_speed_is_that_of_the_middle_of_a_volume(rng, monkeypatch):
    parts = []

    def one_second(parameters, volume, progress):
        parts.append(volume.grid.shape)
        return volume, 1.0

    monkeypatch.setattr(timing, "timed_run", one_second)
    scan = scan_of(rng, 100, 90, 80)
    rate = timing.seconds_per_voxel(scan, UpscaleParameters((2, 2, 2), "tv"), Progress())
    assert np.prod(parts[0]) * 8 == pytest.approx(timing._PART_VOXELS, rel=0.1)
    assert rate == pytest.approx(1.0 / np.prod(parts[0]))
    # A small volume is run as it is.
    small = scan_of(rng, 12, 14, 16)
    timing.seconds_per_voxel(small, UpscaleParameters((1, 1, 2), "tv"), Progress())
    assert parts[1] == (12, 14, 16)


def test_a_timed_run_is_the_run(rng):
    scan, parameters = scan_of(rng, 12, 14, 16), UpscaleParameters((2, 2, 2), "tricubic")
    result, seconds = timing.timed_run(parameters, scan, Progress())
    np.testing.assert_array_equal(result.data, upscale(scan, parameters).data)
    assert seconds > 0


def test_a_cancel_ends_it(rng):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        timing.seconds_per_voxel(
            scan_of(rng, 12, 14, 16), UpscaleParameters((2, 2, 2), "tricubic"), Progress(token)
        )
