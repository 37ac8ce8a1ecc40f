"""The traits of a streamed volume: those of memory, or of named parts, within the memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from helpers.scans import head
from helpers.streams import small_request

from napari_mrisr.core.progress import Progress
from napari_mrisr.errors import Cancelled
from napari_mrisr.io import read_volume
from napari_mrisr.scan.traits import measure_traits
from napari_mrisr.streaming import look, memory, prepare
from napari_mrisr.streaming.look import look_at
from napari_mrisr.streaming.save import save_zarr

SHAPE = (70, 81, 66)


@pytest.fixture
def scan(tmp_path):
    """A head, stored from right to left and from head to foot, its planes along x."""
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
    monkeypatch.setattr(look, "voxels_to_look_at", lambda memory: count)


def as_zarr(scan):
    pytest.importorskip("zarr")
    volume, out = read_volume(scan), scan.with_name("copy.ome.zarr")
    save_zarr(lambda box: volume.data[box.slices], volume.grid, out, history={}, limits=(0, 1))
    return out


@pytest.mark.parametrize("suffix", [".nii", ".ome.zarr"])
def test_whole_it_is_as_in_memory(scan, suffix):
    expected = measure_traits(read_volume(scan))
    path = scan if suffix == ".nii" else as_zarr(scan)
    assert look_at(plan_of(path)) == look.Glance(expected)


@pytest.mark.parametrize("suffix", [".nii", ".ome.zarr"])
@pytest.mark.parametrize(
    ("count", "edge", "steps"), [(150_000, 53, (2, 2, 1)), (30_000, 31, (3, 3, 2))]
)
def test_parts_stand_for_what_is_too_large(scan, suffix, monkeypatch, count, edge, steps):
    path = scan if suffix == ".nii" else as_zarr(scan)
    few(monkeypatch, count)
    found = look_at(plan_of(path))
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
    assert " x ".join([str(edge)] * 3) in found.part
    assert "steps of {} x {} x {} voxels".format(*shown) in found.part
    whole = measure_traits(volume)
    assert found.traits.voxel_size == whole.voxel_size
    assert found.traits.contrast == pytest.approx(whole.contrast, abs=0.1)


def test_a_flat_volume_keeps_its_short_axis():
    assert look._middle((100, 90, 7), 7 * 2500).shape == (50, 50, 7)
    assert look._steps((100, 90, 7), 7 * 2500) == (2, 2, 1)
    assert look._steps((100, 90, 7), 63_000) == (1, 1, 1)


@pytest.mark.parametrize("count", [10**9, 700_000])
def test_it_takes_no_more_memory_than_it_may(tmp_path, monkeypatch, count):
    shape = (98, 107, 101)
    data = np.arange(np.prod(shape), dtype=np.int32).reshape(shape) % 977
    nib.save(nib.Nifti1Image(data.astype(np.int16), np.eye(4)), tmp_path / "scan.nii")
    plan = plan_of(tmp_path / "scan.nii")
    few(monkeypatch, 10_000)
    look_at(plan)  # what is imported and kept
    few(monkeypatch, count)
    tracemalloc.start()
    try:
        look_at(plan)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < memory._LOOKED_AT * min(count, data.size)


def test_it_can_be_stopped(scan, monkeypatch):
    few(monkeypatch, 100_000)
    plan = plan_of(scan)

    class Stopped(Progress):
        def show(self, state):
            if "looking through" in state.task and state.done == 3:
                self.token.cancel()

    with pytest.raises(Cancelled):
        look_at(plan, Stopped())
