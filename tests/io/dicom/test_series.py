"""Series: listed without pixels, named, and chosen by path."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import dicoms

import napari_mrisr as sr
from napari_mrisr.errors import VolumeError


def test_a_folder_lists_each_series_with_its_volume(tmp_path):
    dicoms.series(tmp_path / "a", number=4, description="FLAIR (fat sat)")
    dicoms.series(tmp_path / "a", dicoms.voxels((9, 8, 6)), number=3)
    first, second = sr.list_series(tmp_path)
    assert (first.label, second.label) == ("3_T1w", "4_FLAIR-fat-sat")
    assert second.description == "FLAIR (fat sat)" and second.modality == "MR"
    assert second.stacks[0].shape == dicoms.SHAPE and len(second.files) == 10
    assert second.stacks[0].spacing == pytest.approx((0.5, 0.75, 3.5))
    assert second.files == sorted(second.files)


def test_a_series_is_read_by_its_folder_a_file_or_its_label(tmp_path):
    folder = dicoms.series(tmp_path / "one")
    by_folder = sr.read_volume(folder)
    by_file = sr.read_volume(folder / "IM0003")
    dicoms.series(tmp_path / "one", number=7, description="other")
    by_label = sr.read_volume(folder / "2_T1w")
    for volume in (by_file, by_label):
        np.testing.assert_array_equal(volume.data, by_folder.data)
        np.testing.assert_array_equal(volume.grid.affine, by_folder.grid.affine)
    with pytest.raises(VolumeError, match=r"holds 2 series \(2_T1w, 7_other\); name one"):
        sr.read_volume(folder)
