"""What is refused before any work, in one line each."""

from __future__ import annotations

import shutil
from collections import namedtuple
from dataclasses import dataclass, replace

import pytest
from helpers.streams import save_scan, small_request

from napari_mrisr.errors import DeviceError, MemoryEstimateError, OutputError, ParameterError
from napari_mrisr.run.upscale import UpscaleParameters
from napari_mrisr.streaming import check
from napari_mrisr.streaming import request as requests

Usage = namedtuple("Usage", "total used free")


@dataclass
class Whole:
    """A method that needs everything at once."""

    name: str = "whole"
    scale: tuple[int, int, int] = (2, 2, 2)
    halo: None = None


def refused(request, kind, text, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(kind, match=text) as caught:
        check(request)
    message = str(caught.value)
    assert "\n" not in message
    assert message.count("; ") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_the_grid_of_a_good_request(tmp_path, scan):
    grid = check(small_request(scan, tmp_path / "out.nii"))
    assert sorted(grid.shape) == [19, 23, 66]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("out.mgz", "written piece by piece as .mgz; choose one of .nii, .nii.gz, .ome.zarr"),
        ("out", "a file without suffix"),
        ("scan.nii", "is the input itself"),
        ("nowhere/out.nii", "no such folder"),
        ("folder.nii", "is a folder"),
        ("folder.ome.zarr", "is a folder"),
        ("old.nii", "exists already"),
    ],
)
def test_places(tmp_path, scan, name, text):
    (tmp_path / "folder.nii").mkdir()
    (tmp_path / "folder.ome.zarr").mkdir()
    (tmp_path / "old.nii").touch()
    good = small_request(scan, tmp_path / "good.nii")
    refused(replace(good, out=tmp_path / name), OutputError, text, tmp_path)


def test_a_folder_that_is_no_zarr_is_never_replaced(tmp_path, scan):
    (tmp_path / "thesis.ome.zarr").mkdir()
    (tmp_path / "thesis.ome.zarr" / "chapter-1.txt").touch()
    request = small_request(scan, tmp_path / "good.nii", overwrite=True)
    refused(replace(request, out=tmp_path / "thesis.ome.zarr"), OutputError, "a folder", tmp_path)


@pytest.mark.parametrize(
    ("name", "factor"), [("out.nii", 1.0), ("out.nii.gz", 2.0), ("out.ome.zarr", 1.0)]
)
def test_room_on_the_disk(tmp_path, scan, monkeypatch, name, factor):
    request = small_request(scan, tmp_path / name)
    needed = int(4 * 8 * 19 * 23 * 66 * factor)
    for free in (needed, needed - 1):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: Usage(free, 0, free))
        if free == needed:
            check(request)
        else:
            refused(request, OutputError, "MiB and the disk has", tmp_path)


def test_memory_device_and_method(tmp_path, scan, monkeypatch):
    good = small_request(scan, tmp_path / "out.nii")
    refused(replace(good, memory=10**6), MemoryEstimateError, "--memory", tmp_path)
    gpu = UpscaleParameters(method="tricubic", device="gpu")
    refused(replace(good, parameters=gpu), DeviceError, "--device gpu", tmp_path)
    monkeypatch.setattr(requests, "check_parameters", lambda parameters: Whole())
    refused(good, ParameterError, "needs the whole volume at once", tmp_path)


def test_an_input_that_is_none(tmp_path):
    path = save_scan(tmp_path / "a.nii")
    path.write_bytes(path.read_bytes()[:1000])
    scan = save_scan(tmp_path / "scan.nii")
    request = replace(small_request(scan, tmp_path / "out.nii"), path=path)
    refused(request, ValueError, "a.nii", tmp_path)
