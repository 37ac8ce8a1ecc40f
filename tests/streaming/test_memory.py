"""Blocks that fit, and how memory is written."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from helpers.streams import save_scan, small_request

from napari_mrisr.errors import MemoryEstimateError, ParameterError
from napari_mrisr.methods import get_method
from napari_mrisr.streaming import compute, parse_memory, stream
from napari_mrisr.streaming import memory as memories
from napari_mrisr.streaming.memory import bytes_needed, choose_block, cut, voxels_to_look_at

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
def test_memory_is_read(text, expected):
    assert parse_memory(text) == expected


@pytest.mark.parametrize("text", ["", "much", "-1GB", "2PB", "GB", "1.2.3GB", "2 i"])
def test_other_words_are_refused(text):
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


@pytest.mark.parametrize("slow", [0, 1, 2])
def test_blocks_cover_the_output_once(slow):
    whole = (70, 130, 65)
    blocks = cut(whole, (64, 128, 64), slow)
    covered = np.zeros(whole, int)
    for block in blocks:
        covered[block.slices] += 1
        assert all(start % 64 == 0 for start in block.start)
    assert (covered == 1).all()
    starts = [block.start[slow] for block in blocks]
    assert starts == sorted(starts)


def test_a_run_holds_what_was_reckoned(tmp_path, monkeypatch):
    """All arrays together, as Python's allocator counts them (numpy tells it)."""
    for module in (memories, compute):
        monkeypatch.setattr(module, "PIECE_VOXELS", 20_000)
    path = save_scan(tmp_path / "scan.nii", shape=(80, 76, 200))
    request = small_request(path, tmp_path / "out.nii")
    arrays = request.memory - memories._PROGRAM
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


@pytest.mark.parametrize(
    ("memory", "voxels"),
    [(10**6, 0), (324 * 10**6, 10**6), (1200 * 10**6, 1 << 25), (10**12, 1 << 25)],
)
def test_voxels_to_look_at(memory, voxels):
    assert voxels_to_look_at(memory) == voxels
