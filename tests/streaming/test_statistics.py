"""Percentile, window and extremes of a file: those of the volume in memory, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.streams import save_scan

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import IntensityWindow
from napari_mrisr.errors import Cancelled, VolumeError
from napari_mrisr.io import read_volume
from napari_mrisr.streaming.source import open_file
from napari_mrisr.streaming.statistics import exact_percentile, survey, window_from


def in_pieces(data):
    return lambda: iter(np.array_split(data, 7))


def arrays():
    rng = np.random.default_rng(0)
    for n in (2, 3, 999, 1000, 1001, 1002, 31_417):
        noise = rng.standard_normal(n).astype(np.float32)
        yield f"noise of {n}", (noise * 10.0 ** rng.integers(-3, 9)).astype("f4")
        yield f"whole numbers of {n}", np.round(noise * 3)
        yield f"mostly nothing of {n}", np.where(rng.random(n) < 0.9985, 0, noise).astype("f4")
        yield f"below zero of {n}", -np.abs(noise) - 1


@pytest.mark.parametrize(
    ("name", "data"), list(arrays()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_percentile_and_window_are_numpys(name, data):
    assert data.dtype == np.float32
    found = exact_percentile(in_pieces(data), data.size)
    assert found == float(np.percentile(data, 99.9))
    low, high = float(data.min()), float(data.max())
    assert window_from(low, high, found) == IntensityWindow.of(data)


@pytest.mark.parametrize("percent", [0.0, 12.5, 50.0, 99.99, 100.0])
def test_other_percentiles(rng, percent):
    data = (rng.standard_normal(5003) * 100).astype(np.float32)
    found = exact_percentile(in_pieces(data), data.size, percent)
    assert found == float(np.percentile(data, percent))


def test_window_of_constant_and_sparse_data():
    for data in ([5.0, 5.0], [0.0] * 5000 + [3.0], [-2.0] * 5000 + [-1.0], [-1.0, -1.0]):
        array = np.array(data, np.float32)
        percentile = exact_percentile(in_pieces(array), array.size)
        window = window_from(float(array.min()), float(array.max()), percentile)
        assert window == IntensityWindow.of(array)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_survey_of_a_file(tmp_path, suffix):
    path = save_scan(tmp_path / f"scan{suffix}")
    volume = read_volume(path)
    with open_file(path, None, None, None) as source:
        if suffix == ".nii.gz":
            source = type(source)(**{**vars(source), "voxels": _unpacked(path)})
        found = survey(source, Progress())
    assert found.window == IntensityWindow.of(volume.data)
    assert (found.low, found.high) == tuple(map(float, volume.extrema))


def _unpacked(path):
    import gzip

    out = path.with_suffix(".raw")
    out.write_bytes(gzip.decompress(path.read_bytes()))
    return out


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_voxels_are_judged_as_in_memory(tmp_path, value):
    path = save_scan(tmp_path / "scan.nii", dtype="<f4", slope=None)
    content = bytearray(path.read_bytes())
    content[-4:] = np.array([value], "<f4").tobytes()
    path.write_bytes(content)
    with pytest.raises(VolumeError) as in_memory:
        read_volume(path)
    with open_file(path, None, None, None) as source, pytest.raises(VolumeError) as streamed:
        survey(source, Progress())
    assert str(streamed.value) == str(in_memory.value)


def test_what_is_not_finite_is_filled(tmp_path):
    path = save_scan(tmp_path / "scan.nii", dtype="<f4", slope=None)
    content = bytearray(path.read_bytes())
    content[-4:] = np.array([np.nan], "<f4").tobytes()
    path.write_bytes(content)
    volume = read_volume(path, fill_nonfinite=7777.0)
    with open_file(path, None, 7777.0, None) as source:
        found = survey(source, Progress())
    assert found.high == 7777.0
    assert found.window == IntensityWindow.of(volume.data)


def test_survey_is_cancelled(scan):
    progress = Progress()

    def cancel(state):
        if state.done == 3:
            progress.token.cancel()

    progress.show = cancel
    with open_file(scan, None, None, None) as source, pytest.raises(Cancelled):
        survey(source, progress)
