"""Series: listed without pixels, named, and chosen by path."""

from __future__ import annotations

import subprocess

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


def unevenly_scaled():
    slices = dicoms.classic(orientation=dicoms.OBLIQUE, distance=-3.5)
    for k, one in enumerate(slices):
        one.RescaleSlope, one.RescaleIntercept = 0.5 + 0.25 * k, -10
    return slices


@pytest.mark.parametrize(
    "make",
    [
        lambda: dicoms.classic(orientation=dicoms.SAGITTAL),
        lambda: dicoms.classic(orientation=(0, -1, 0, 1, 0, 0)),
        unevenly_scaled,
        lambda: [dicoms.enhanced(orientation=dicoms.CORONAL)],
    ],
    ids=["sagittal", "decubitus", "oblique with slopes", "enhanced"],
)
def test_a_series_equals_what_dcm2niix_makes_of_it(tmp_path, make):
    dcm2niix = pytest.importorskip("dcm2niix")
    folder = dicoms.save(make(), tmp_path / "study")
    command = [dcm2niix.bin, "-z", "n", "-b", "n", "-f", "theirs", "-o", tmp_path, folder]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    theirs, ours = sr.read_volume(tmp_path / "theirs.nii"), sr.read_volume(folder)
    np.testing.assert_allclose(ours.grid.affine, theirs.grid.affine, atol=1e-3)
    np.testing.assert_allclose(ours.data, theirs.data, rtol=1e-6)


def test_a_listing_is_read_anew_when_files_change(tmp_path):
    folder = dicoms.series(tmp_path / "study")
    before = sr.list_series(folder)
    assert sr.list_series(folder)[0] is before[0]
    dicoms.series(folder, number=9)
    assert [series.label for series in sr.list_series(folder)] == ["2_T1w", "9_T1w"]


def test_progress_counts_the_files_and_a_cancel_stops(tmp_path):
    folder = dicoms.series(tmp_path / "study")
    progress = sr.Progress()
    sr.list_series(folder, progress=progress)
    assert progress.state.done == progress.state.total == 10
    (folder / "new").touch()
    progress.token.cancel()
    with pytest.raises(sr.Cancelled):
        sr.list_series(folder, progress=progress)


def test_two_series_of_one_name_have_different_labels(tmp_path):
    folder = dicoms.series(tmp_path / "a")
    dicoms.series(tmp_path / "b", dicoms.voxels((9, 8, 6)))
    first, second = sr.list_series(tmp_path)
    assert (first.label, second.label) == ("2_T1w", "2_T1w-2")
    assert sr.read_volume(second.path).grid.shape == (9, 8, 6)
    assert first.files[0].parent == folder


def test_a_thumbnail_shows_the_middle_slice_with_square_pixels(tmp_path):
    (series,) = sr.list_series(dicoms.series(tmp_path))
    image = series.thumbnail(40)
    # 12 rows of 0.75 mm and 14 columns of 0.5 mm.
    assert image.shape == (40, 31) and image.dtype == np.uint8
    assert int(image[-1, -1]) > int(image[0, 0])


def test_a_cancel_stops_the_reading_of_voxels(tmp_path):
    folder = dicoms.series(tmp_path)
    sr.list_series(folder)  # the headers are kept

    class Impatient(sr.Progress):
        def show(self, state):
            if state.done:
                self.token.cancel()

    with pytest.raises(sr.Cancelled):
        sr.read_volume(folder, progress=Impatient())
