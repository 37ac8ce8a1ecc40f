"""Voxels: every transfer syntax gives the same, and what cannot be decoded is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from helpers import dicoms
from pydicom.data import get_testdata_file
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

import napari_mrisr as sr
from napari_mrisr.errors import VolumeError
from napari_mrisr.io.dicom.headers import read_file_header
from napari_mrisr.io.dicom.pixels import read_images

SHAPE = (64, 48, 3)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_lossless_compression_changes_no_voxel(tmp_path, syntax):
    data = dicoms.voxels(SHAPE).astype(np.uint16)
    slices = dicoms.classic(data)
    for one in slices:
        one.compress(syntax, generate_instance_uid=False)
    volume = sr.read_volume(dicoms.save(slices, tmp_path))
    np.testing.assert_array_equal(volume.data, data[::-1, ::-1])


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE",
        "MR_small_bigendian",
        "MR_small_expb",
        "MR_small_implicit",
        "MR_small_jp2klossless",
        "MR_small_jpeg_ls_lossless",
        "MR_small_padded",
    ],
)
def test_pydicom_s_own_files_hold_the_same_image(name):
    planes = []
    for stem in ("MR_small", name):
        header = read_file_header(Path(get_testdata_file(f"{stem}.dcm", download=False)))
        stored = read_images(header.images, {header.path: header}, sr.Progress())
        planes.append(stored.voxels[..., 0])
    reference = pydicom.dcmread(get_testdata_file("MR_small.dcm")).pixel_array
    np.testing.assert_array_equal(planes[0], reference.T)
    np.testing.assert_array_equal(planes[1], planes[0])


def test_a_truncated_file_is_refused_with_its_size():
    path = Path(get_testdata_file("MR_truncated.dcm", download=False))
    header = read_file_header(path)
    with pytest.raises(VolumeError, match=r"MR_truncated\.dcm: pixel data of 8130 bytes are"):
        read_images(header.images, {path: header}, sr.Progress())


@pytest.mark.parametrize(
    ("syntax", "name"),
    [("1.2.840.10008.1.2.4.100", "MPEG2"), ("1.2.3.4.5", "unknown")],
)
def test_an_unknown_transfer_syntax_is_refused_by_name(tmp_path, syntax, name):
    slices = dicoms.classic()
    for one in slices:
        one.file_meta.TransferSyntaxUID = syntax
        one.PixelData = pydicom.encaps.encapsulate([one.PixelData])
        one["PixelData"].is_undefined_length = True
        one["PixelData"].VR = "OB"
    folder = dicoms.save(slices, tmp_path)
    with pytest.raises(VolumeError, match=f"{name}.*export it uncompressed"):
        sr.read_volume(folder)


def test_a_huge_size_is_refused_before_it_is_allocated(tmp_path):
    slices = dicoms.classic(dicoms.voxels(SHAPE).astype(np.uint16))
    for one in slices:
        one.compress(RLELossless, generate_instance_uid=False)
        one.Rows = one.Columns = 65535
    with pytest.raises(VolumeError, match="shorter than the header says"):
        sr.read_volume(dicoms.save(slices, tmp_path))
