"""Requests refused before any work, and the choice of blocks."""

from __future__ import annotations

import shutil
import tracemalloc
from collections import namedtuple
from dataclasses import dataclass, replace

import numpy as np
import pytest
from helpers.streams import save_scan, small_request

from napari_mrisr.errors import DeviceError, MemoryEstimateError, OutputError, ParameterError
from napari_mrisr.methods import get_method
from napari_mrisr.run.upscale import UpscaleParameters
from napari_mrisr.streaming import check, compute, parse_memory, stream
from napari_mrisr.streaming import request as requests
from napari_mrisr.streaming.request import bytes_needed, choose_block

Usage = namedtuple("Usage", "total used free")


@dataclass
class Whole:
    """Method that needs the whole volume at once."""

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


def test_check_returns_the_grid(tmp_path, scan):
    grid = check(small_request(scan, tmp_path / "out.nii"))
    assert sorted(grid.shape) == [19, 23, 66]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("out.mgz", "written in blocks as .mgz; choose one of .nii, .nii.gz, .ome.zarr"),
        ("out", "a file without suffix"),
        ("scan.nii", "is the input itself"),
        ("nowhere/out.nii", "no such folder"),
        ("folder.nii", "is a folder"),
        ("folder.ome.zarr", "is a folder"),
        ("old.nii", "exists already"),
    ],
)
def test_impossible_outputs(tmp_path, scan, name, text):
    (tmp_path / "folder.nii").mkdir()
    (tmp_path / "folder.ome.zarr").mkdir()
    (tmp_path / "old.nii").touch()
    good = small_request(scan, tmp_path / "good.nii")
    refused(replace(good, out=tmp_path / name), OutputError, text, tmp_path)


def test_other_folders_are_never_replaced(tmp_path, scan):
    (tmp_path / "thesis.ome.zarr").mkdir()
    (tmp_path / "thesis.ome.zarr" / "chapter-1.txt").touch()
    request = small_request(scan, tmp_path / "good.nii", overwrite=True)
    refused(replace(request, out=tmp_path / "thesis.ome.zarr"), OutputError, "a folder", tmp_path)


@pytest.mark.parametrize(
    ("name", "factor"), [("out.nii", 1.0), ("out.nii.gz", 2.0), ("out.ome.zarr", 1.0)]
)
def test_disk_space(tmp_path, scan, monkeypatch, name, factor):
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


def test_damaged_input(tmp_path):
    path = save_scan(tmp_path / "a.nii")
    path.write_bytes(path.read_bytes()[:1000])
    scan = save_scan(tmp_path / "scan.nii")
    request = replace(small_request(scan, tmp_path / "out.nii"), path=path)
    refused(request, ValueError, "a.nii", tmp_path)


LOW = (300, 200, 250)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2GB", 2 * 10**9),
        ("500 MB", 500 * 10**6),
        ("1.5g", 1_500_000_000),
        ("2GiB", 2 * 2**30),
        ("4096 KiB", 2**22),
        ("3000000", 3_000_000),
    ],
)
def test_memory_sizes_are_parsed(text, expected):
    assert parse_memory(text) == expected


@pytest.mark.parametrize("text", ["", "much", "-1GB", "2PB", "GB", "1.2.3GB", "2 i"])
def test_other_memory_sizes_are_refused(text):
    with pytest.raises(ParameterError, match="--memory: cannot read"):
        parse_memory(text)


@pytest.mark.parametrize("name", ["hashed", "tricubic"])
@pytest.mark.parametrize("slow", [0, 2])
def test_blocks_grow_with_the_memory_and_fit(name, slow):
    method = get_method(name, (2, 2, 2))
    least = bytes_needed((64, 64, 64), LOW, method, 2)
    sizes = []
    for memory in (least, 5 * 10**8, 7 * 10**8, 10**9, 4 * 10**9):
        block = choose_block(LOW, method, 2, memory, slow)
        assert bytes_needed(block, LOW, method, 2) <= memory
        assert all(n % 64 == 0 or n == 2 * m for n, m in zip(block, LOW, strict=True))
        sizes.append(np.prod(block))
    assert sizes == sorted(sizes)
    assert sizes[0] == 64**3
    assert sizes[-1] == 8 * np.prod(LOW)


def test_the_slow_axis_is_cut_first():
    method = get_method("tricubic", (2, 2, 2))
    for slow in range(3):
        block = choose_block(LOW, method, 1, 6 * 10**8, slow)
        whole = [2 * n for n in LOW]
        assert [axis for axis in range(3) if block[axis] < whole[axis]] == [slow]


def test_too_little_memory():
    method = get_method("hashed", (2, 2, 2))
    with pytest.raises(MemoryEstimateError, match=r"--memory: 0.1 GB is too little.* needs 0.3"):
        choose_block(LOW, method, 2, 10**8, 2)


def test_run_stays_within_the_estimated_memory(tmp_path, monkeypatch):
    """Count all arrays by Python's allocator, to which numpy reports."""
    for module in (requests, compute):
        monkeypatch.setattr(module, "PIECE_VOXELS", 20_000)
    path = save_scan(tmp_path / "scan.nii", shape=(80, 76, 200))
    request = small_request(path, tmp_path / "out.nii")
    arrays = request.memory - requests._PROGRAM
    output = 4 * 8 * 80 * 76 * 200
    assert arrays < output / 2
    # Loads and compiles.
    stream(small_request(save_scan(tmp_path / "small.nii"), tmp_path / "small-out.nii"))
    tracemalloc.start()
    try:
        stream(request)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < arrays
