"""Files written in boxes, in any order: the same bytes as in one go."""

from __future__ import annotations

import gzip
import itertools
import stat

import nibabel as nib
import numpy as np
import pytest
from helpers.streams import OBLIQUE

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import Grid, Origin, Region, Volume
from napari_mrisr.errors import Cancelled
from napari_mrisr.io import write_volume
from napari_mrisr.streaming.target import NiftiTarget, make_private, move_into_place

SHAPE = (10, 12, 14)
HISTORY = {"method": "tricubic", "scale": "2"}


def target_of(tmp_path, codes, suffix):
    folder = tmp_path / "part"
    make_private(folder)
    return NiftiTarget(folder, SHAPE, codes, suffix == ".nii.gz")


def corners():
    for x, y, z in itertools.product([(0, 4), (4, 10)], [(0, 12)], [(0, 5), (5, 14)]):
        yield Region((x[0], y[0], z[0]), (x[1], y[1], z[1]))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "ASL", "SRP"])
@pytest.mark.parametrize(
    "header", [None, nib.Nifti1Header, nib.Nifti2Header, nib.MGHImage.header_class]
)
def test_boxes_make_the_file_of_one_go(tmp_path, rng, suffix, codes, header):
    data = rng.random(SHAPE, dtype=np.float32)
    origin = Origin("scan.nii", tuple(codes), None if header is None else header())
    volume = Volume(data, Grid(SHAPE, OBLIQUE), origin=origin, history=HISTORY)
    expected = tmp_path / f"expected{suffix}"
    write_volume(volume, expected)
    target = target_of(tmp_path, tuple(codes), suffix)
    target.create(volume.grid, origin, HISTORY, (0.0, 1.0))
    for region in reversed(list(corners())):
        target.write(region, np.ascontiguousarray(data[region.slices]), ThreadPool())
    made = target.finish(Progress())
    if suffix == ".nii":
        assert made.read_bytes() == expected.read_bytes()
    else:
        unpacked = gzip.decompress(made.read_bytes())
        assert unpacked == gzip.decompress(expected.read_bytes())
        assert made.read_bytes()[4:8] == b"\0\0\0\0"  # no time


def test_compressing_is_cancelled(tmp_path, rng):
    target = target_of(tmp_path, ("R", "A", "S"), ".nii.gz")
    target.create(Grid(SHAPE, OBLIQUE), Origin("a.nii"), HISTORY, (0.0, 1.0))
    progress = Progress()
    progress.token.cancel()
    with pytest.raises(Cancelled):
        target.finish(progress)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_private_folder_and_what_leaves_it(tmp_path):
    folder = tmp_path / "part"
    make_private(folder)
    assert mode(folder) == 0o700
    (folder / "result.nii").write_bytes(b"new")
    (tmp_path / "other").touch()
    (tmp_path / "out.nii").write_bytes(b"old")
    move_into_place(folder / "result.nii", tmp_path / "out.nii")
    assert (tmp_path / "out.nii").read_bytes() == b"new"
    assert mode(tmp_path / "out.nii") == mode(tmp_path / "other")


def test_a_folder_takes_the_place_of_an_older_one(tmp_path):
    folder = tmp_path / "part"
    make_private(folder)
    for parent, name in ((folder / "result.ome.zarr", "new"), (tmp_path / "out.ome.zarr", "old")):
        parent.mkdir()
        (parent / name).touch()
    (tmp_path / "other").mkdir()
    move_into_place(folder / "result.ome.zarr", tmp_path / "out.ome.zarr")
    assert [p.name for p in (tmp_path / "out.ome.zarr").iterdir()] == ["new"]
    assert mode(tmp_path / "out.ome.zarr") == mode(tmp_path / "other")
