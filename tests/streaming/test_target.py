"""Files written box by box, in any order: the same bytes as at once."""

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
from napari_mrisr.io.atomic import make_private
from napari_mrisr.streaming.target import NiftiTarget

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
def test_boxes_in_any_order_make_the_same_file(tmp_path, rng, suffix, codes, header):
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
