"""Boxes read from files: the same as boxes of the volume from read_volume."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
from helpers.streams import OBLIQUE, save_scan

from napari_mrisr.core.volume import Region
from napari_mrisr.errors import Cancelled, ParameterError, VolumeError
from napari_mrisr.io import read_volume
from napari_mrisr.streaming import source as sources
from napari_mrisr.streaming.source import go_on, open_file, prepare_file

SHAPE = (7, 9, 11)


def boxes(shape):
    yield Region.whole(shape)
    yield Region((1, 0, 2), (4, shape[1], 5))
    yield Region(tuple(n - 1 for n in shape), shape)
    yield Region((0, 3, 0), (shape[0], 4, shape[2]))


def check(path, folder, frame=None):
    volume = read_volume(path, frame=frame)
    aid = prepare_file(path, frame, folder, lambda text: None, go_on)
    with open_file(path, frame, None, aid) as source:
        assert source.grid.shape == volume.grid.shape
        np.testing.assert_array_equal(source.grid.affine, volume.grid.affine)
        for box in boxes(volume.grid.shape):
            found = source.read(box)
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, volume.data[box.slices])
        layers = list(source.layers())
        covered = np.zeros(volume.grid.shape, int)
        for layer in layers:
            covered[layer.slices] += 1
        assert (covered == 1).all()
    return aid


def turned(codes):
    affine = np.diag([1.0, 1.25, 1.5, 1.0])
    lib = nib.orientations
    turn = lib.ornt_transform(lib.axcodes2ornt("RAS"), lib.axcodes2ornt(codes))
    return affine @ lib.inv_ornt_aff(turn, SHAPE)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "ASL", "IPR", "SLA"])
def test_orientations(tmp_path, codes):
    check(save_scan(tmp_path / "a.nii", shape=SHAPE, affine=turned(tuple(codes))), tmp_path)


@pytest.mark.parametrize("dtype", ["<i2", ">i2", ">f4", "<f8", "|u1"])
@pytest.mark.parametrize("slope", [None, (0.37, -12.5)])
def test_types(tmp_path, dtype, slope):
    dtype = dtype if dtype != "|u1" else "<u1"
    check(save_scan(tmp_path / "a.nii", shape=SHAPE, dtype=dtype, slope=slope), tmp_path)


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii.bz2"])
def test_compressed(tmp_path, monkeypatch, indexed, name):
    if indexed:
        pytest.importorskip("indexed_gzip")
    monkeypatch.setattr(sources, "has_indexed_gzip", lambda: indexed)
    aid = check(save_scan(tmp_path / name, shape=SHAPE), tmp_path)
    assert aid.name == ("input.gzidx" if indexed and name.endswith("gz") else "input.raw")


def test_other_formats(tmp_path):
    data = np.arange(7 * 9 * 11, dtype=np.int16).reshape(SHAPE)
    nib.save(nib.MGHImage(data, OBLIQUE), tmp_path / "a.mgh")
    nib.save(nib.Nifti1Pair(data, OBLIQUE), tmp_path / "b.hdr")
    for name in ("a.mgh", "b.hdr", "b.img"):
        check(tmp_path / name, tmp_path)


def test_a_frame(tmp_path):
    path = save_scan(tmp_path / "a.nii", shape=(*SHAPE, 3))
    check(path, tmp_path, frame=2)
    with (
        pytest.raises(VolumeError, match="choose one with --frame"),
        open_file(path, None, None, None),
    ):
        pass


def test_formats_without_contiguous_voxels_are_refused(tmp_path):
    colors = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colors, np.eye(4)), tmp_path / "a.nii")
    with (
        pytest.raises(VolumeError, match="convert it to NIfTI"),
        open_file(tmp_path / "a.nii", 0, None, None),
    ):
        pass


def test_impossible_fill(scan):
    with (
        pytest.raises(ParameterError, match="--fill-nonfinite"),
        open_file(scan, None, np.inf, None),
    ):
        pass


@pytest.mark.parametrize("indexed", [True, False])
def test_damaged_gzip_is_refused(tmp_path, monkeypatch, indexed):
    monkeypatch.setattr(sources, "has_indexed_gzip", lambda: indexed)
    path = save_scan(tmp_path / "a.nii.gz")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(VolumeError, match="damaged"):
        prepare_file(path, None, tmp_path, lambda text: None, go_on)


def test_reading_is_cancelled(scan):
    count = itertools.count()

    def check():
        if next(count) == 4:
            raise Cancelled

    with open_file(scan, None, None, None) as source, pytest.raises(Cancelled):
        source.read(Region.whole(source.grid.shape), check)


def test_identity_changes_with_the_file(scan):
    with open_file(scan, None, None, None) as source:
        before = source.identity
    scan.write_bytes(scan.read_bytes())
    with open_file(scan, None, None, None) as source:
        assert source.identity != before
