"""Intensities and traits of a file: the same as those of the volume in memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from helpers.scans import head
from helpers.streams import save_scan, small_request

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import IntensityWindow
from napari_mrisr.errors import Cancelled, VolumeError
from napari_mrisr.io import read_volume, write_blocks
from napari_mrisr.scan.traits import measure_traits
from napari_mrisr.streaming import prepare
from napari_mrisr.streaming import survey as surveys
from napari_mrisr.streaming.source import open_file
from napari_mrisr.streaming.survey import SampledTraits, survey


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


def test_nonfinite_voxels_are_filled(tmp_path):
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


SHAPE = (70, 81, 66)


@pytest.fixture
def scan(tmp_path):
    """Head stored right to left and superior to inferior, with planes along x."""
    data = head(7, SHAPE).astype(np.int16)
    affine = np.diag([1.0, 1.1, 2.5, 1.0]) @ nib.orientations.inv_ornt_aff(
        np.array([[2, -1], [1, 1], [0, -1]]), SHAPE
    )
    image = nib.Nifti1Image(np.transpose(data, (2, 1, 0))[::-1, :, ::-1], affine)
    nib.save(image, tmp_path / "scan.nii")
    return tmp_path / "scan.nii"


def plan_of(path, suffix=".nii"):
    return prepare(small_request(path, path.with_name(f"out{suffix}")))


def few(monkeypatch, count):
    monkeypatch.setattr(surveys, "_MOST_MEASURED", count)


def as_zarr(scan):
    pytest.importorskip("zarr")
    volume, out = read_volume(scan), scan.with_name("copy.ome.zarr")
    write_blocks(lambda box: volume.data[box.slices], volume.grid, out, history={}, limits=(0, 1))
    return out


@pytest.mark.parametrize("suffix", [".nii", ".ome.zarr"])
def test_traits_of_a_volume_that_fits_equal_those_in_memory(scan, suffix):
    expected = measure_traits(read_volume(scan))
    path = scan if suffix == ".nii" else as_zarr(scan)
    assert plan_of(path).traits() == SampledTraits(expected)


@pytest.mark.parametrize("suffix", [".nii", ".ome.zarr"])
@pytest.mark.parametrize(
    ("count", "edge", "steps"), [(150_000, 53, (2, 2, 1)), (30_000, 31, (3, 3, 2))]
)
def test_traits_of_a_large_volume_come_from_two_parts(
    scan, suffix, monkeypatch, count, edge, steps
):
    path = scan if suffix == ".nii" else as_zarr(scan)
    few(monkeypatch, count)
    found = plan_of(path).traits()
    volume = read_volume(scan).normalized()
    assert volume.grid.shape == SHAPE
    start = tuple((n - edge) // 2 for n in SHAPE)
    middle = measure_traits(volume.cropped(start, (edge, edge, edge)))
    sparse = volume.data[tuple(slice(None, None, step) for step in steps)]
    grid = replace(volume.grid, shape=sparse.shape)
    contrast = measure_traits(replace(volume, data=sparse, grid=grid)).contrast
    assert found.traits == replace(middle, contrast=contrast)
    # Along the file's axes: the one is stored last axis first.
    shown = steps[::-1] if suffix == ".nii" else steps
    assert " × ".join([str(edge)] * 3) in found.part
    assert "steps of {} × {} × {} voxels".format(*shown) in found.part
    whole = measure_traits(volume)
    assert found.traits.voxel_size == whole.voxel_size
    assert found.traits.contrast == pytest.approx(whole.contrast, abs=0.1)


def test_a_flat_volume_keeps_its_short_axis():
    assert surveys._middle((100, 90, 7), 7 * 2500).shape == (50, 50, 7)
    assert surveys._steps((100, 90, 7), 7 * 2500) == (2, 2, 1)
    assert surveys._steps((100, 90, 7), 63_000) == (1, 1, 1)


@pytest.mark.parametrize("count", [10**9, 700_000])
def test_traits_stay_within_their_memory(tmp_path, monkeypatch, count):
    shape = (98, 107, 101)
    data = np.arange(np.prod(shape), dtype=np.int32).reshape(shape) % 977
    nib.save(nib.Nifti1Image(data.astype(np.int16), np.eye(4)), tmp_path / "scan.nii")
    plan = plan_of(tmp_path / "scan.nii")
    few(monkeypatch, 10_000)
    plan.traits()  # what is imported and kept
    few(monkeypatch, count)
    tracemalloc.start()
    try:
        plan.traits()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < surveys._MEASURED * min(count, data.size)


def test_traits_are_cancelled(scan, monkeypatch):
    few(monkeypatch, 100_000)
    plan = plan_of(scan)

    class Stopped(Progress):
        def show(self, state):
            if "measuring the scan" in state.task and state.done == 3:
                self.token.cancel()

    with pytest.raises(Cancelled):
        plan.traits(Stopped())
