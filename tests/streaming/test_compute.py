"""Blocks of every method: the same bits as the whole run."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.streams import save_scan

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import BoxArray, Grid, Region
from napari_mrisr.io import read_volume
from napari_mrisr.methods import get_method
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.methods.permuted import hashed_with
from napari_mrisr.methods.resampled import Resampled
from napari_mrisr.run.upscale import run_method
from napari_mrisr.streaming import compute
from napari_mrisr.streaming.compute import BlockRun, LazyVolume, pieces
from napari_mrisr.streaming.source import open_file
from napari_mrisr.streaming.survey import survey


def blocks(shape):
    x, y, z = shape
    yield Region.whole(shape)
    yield Region((0, 0, 0), (3, 5, 2))  # less than the halo, in a corner
    yield Region((x - 5, y - 1, 0), (x, y, z))
    yield Region((x // 3, 1, z // 2), (x // 3 + 7, y - 3, z // 2 + 9))


def check(method, path):
    volume = read_volume(path)
    expected = run_method(method, volume, threads=2).data
    with open_file(path, None, None, None) as source:
        run = BlockRun(method, source, survey(source, Progress()))
        for block in blocks(expected.shape):
            told = []
            found = run.compute(block, ThreadPool(2), told.append)
            np.testing.assert_array_equal(found, expected[block.slices])
            assert sum(told) == run.steps(block)


@pytest.fixture
def small_scan(tmp_path, monkeypatch):
    # Many pieces even in a small volume.
    monkeypatch.setattr(compute, "PIECE_VOXELS", 4000)
    return save_scan(tmp_path / "scan.nii", shape=(13, 17, 22))


@pytest.mark.parametrize("name", ["nearest", "tricubic", "quadratic"])
@pytest.mark.parametrize("scale", [(2, 2, 2), (1, 3, 4)])
def test_blocks_of_interpolation(small_scan, name, scale):
    check(get_method(name, scale), small_scan)


@pytest.mark.parametrize("name", ["nearest", "tricubic"])
@pytest.mark.parametrize("scale", [(1, 1, 4.8), (1.3, 2, 2.7)])
def test_blocks_at_factors_that_are_not_whole(small_scan, name, scale):
    check(get_method(name, scale), small_scan)


@pytest.mark.parametrize("scale", [(1, 1, 3.4), (2.6, 1, 1)])
def test_blocks_of_a_resampled_bank(small_scan, make_bank, scale):
    whole = tuple(4 if factor > 1 else 1 for factor in scale)
    bank = make_bank((1, 1, 4), ("cell", "voxel"))
    check(Resampled(hashed_with(bank, whole), scale), small_scan)


@pytest.mark.parametrize(
    ("scale", "grids"),
    [((2, 2, 2), ("cell", "voxel", "voxel")), ((3, 1, 2), ("voxel",)), ((1, 2, 3), ("cell",))],
)
def test_blocks_of_hashed(small_scan, make_bank, scale, grids):
    check(Hashed(make_bank(scale, grids)), small_scan)


def test_blocks_with_the_bundled_bank(small_scan):
    check(get_method("hashed", (2, 2, 2)), small_scan)


@pytest.mark.parametrize("scale", [(2, 2, 2), (1, 3, 4)])
@pytest.mark.parametrize(
    "box",
    [
        Region((0, 0, 0), (128, 64, 190)),
        Region((6, 3, 4), (7, 300, 301)),
        Region((1, 1, 1), (2, 2, 2)),
    ],
)
def test_pieces_cover_a_box_once_at_whole_cells(box, scale):
    covered = np.zeros(box.shape, np.uint8)
    for piece in pieces(box, scale):
        covered[compute.within(piece, box.start)] += 1
        for start, stop, s, a, b in zip(
            piece.start, piece.stop, scale, box.start, box.stop, strict=True
        ):
            assert start == a or start % s == 0
            assert stop == b or stop % s == 0
        assert np.prod(piece.shape) <= 2 * compute.PIECE_VOXELS
    assert (covered == 1).all()


def test_a_bank_in_another_order_of_axes(small_scan, make_bank):
    check(hashed_with(make_bank((1, 2, 3), ("cell", "voxel")), (3, 1, 2)), small_scan)


def test_boxes_inside_and_outside(rng):
    whole = rng.random((9, 8, 7), dtype=np.float32)
    asked = []

    def missing(region):
        asked.append(region)
        return whole[region.slices]

    lazy = BoxArray(whole[2:6, 1:8, 3:5].copy(), (2, 1, 3), whole.shape, missing)
    np.testing.assert_array_equal(lazy[2:6, 1:8, 3:5], whole[2:6, 1:8, 3:5])
    np.testing.assert_array_equal(lazy[3:4, 5:8, 4:5], whole[3:4, 5:8, 4:5])
    assert asked == []
    for index in (np.s_[1:6, 1:8, 3:5], np.s_[2:7, 1:8, 3:5], np.s_[2:6, :, 3:4]):
        np.testing.assert_array_equal(lazy[index], whole[index])
    assert asked[0] == Region((1, 1, 3), (6, 8, 5))
    assert len(asked) == 3


def test_box_array_is_never_loaded_as_a_whole():
    lazy = BoxArray(np.zeros((2, 2, 2), np.float32), (0, 0, 0), (4, 4, 4))
    with pytest.raises(TypeError, match="only a box"):
        np.asarray(lazy)
    with pytest.raises(IndexError):
        lazy[0:3, 0:1, 0:1]


def test_lazy_volume_knows_its_extrema():
    lazy = BoxArray(np.zeros((2, 2, 2), np.float32), (0, 0, 0), (4, 4, 4))
    volume = LazyVolume(lazy, Grid((4, 4, 4), np.eye(4)), bounds=(np.float32(-1), np.float32(3)))
    assert volume.extrema == (-1, 3)
    assert volume.data is lazy
