"""DICOM series as layers, and napari's choice of the reader."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from helpers import dicoms
from napari.layers import Image

import napari_mrisr as sr
from napari_mrisr.errors import VolumeError
from napari_mrisr.viewer.dicom.reading import get_reader, series_layer
from napari_mrisr.viewer.layers.convert import METADATA_KEY, snapshot
from napari_mrisr.viewer.layers.saving import save_as_dicom


def echoes(folder, **change):
    slices = dicoms.classic(description="GRE")
    for one in dicoms.classic(dicoms.voxels(seed=4), series_uid=slices[0].SeriesInstanceUID):
        one.EchoTime, one.SeriesDescription = 80, "GRE"
        slices.append(one)
    return dicoms.save(slices, folder)


def test_the_reader_takes_dicom_and_leaves_the_rest(tmp_path):
    folder = dicoms.series(tmp_path / "study")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.tif").write_bytes(b"II*\0")
    (tmp_path / "a.dcm").write_text("no DICOM")
    assert get_reader(str(folder)) is not None
    assert get_reader(str(folder / "IM0001")) is not None
    assert get_reader(str(tmp_path / "pictures")) is None
    assert get_reader(str(tmp_path / "a.dcm")) is None


def test_a_series_becomes_a_layer_named_by_its_description(tmp_path):
    folder = dicoms.series(tmp_path / "study", description="Sag FLAIR")
    [(data, kwargs, kind)] = get_reader(folder)(folder)
    volume = sr.read_volume(folder)
    assert kind == "image" and kwargs["name"] == "Sag FLAIR"
    np.testing.assert_array_equal(data, volume.data.transpose(2, 1, 0)[::-1, ::-1, ::-1])
    np.testing.assert_allclose(kwargs["scale"], (3.5, 0.75, 0.5))
    # Window center and width of the middle slice: 805 and 1200.
    assert kwargs["contrast_limits"] == (205.0, 1405.0)
    assert kwargs["metadata"][METADATA_KEY].origin.slice_thickness == 3.0
    text = str(kwargs)
    assert not [v for v in dicoms.PATIENT.values() if len(v) > 3 and v in text]


def test_several_volumes_become_the_frames_of_a_layer(tmp_path):
    (series,) = sr.list_series(echoes(tmp_path / "study"))
    data, kwargs, _ = series_layer(series)
    assert data.shape == (2, 10, 12, 14) and kwargs["axis_labels"][0] == "frame"
    single, named, _ = series_layer(series, 1)
    assert named["name"] == "GRE echo 2"
    np.testing.assert_array_equal(data[1], single)


def test_a_frame_is_saved_with_its_own_header(tmp_path):
    (series,) = sr.list_series(echoes(tmp_path / "study"))
    data, kwargs, _ = series_layer(series)
    for frame, echo in ((0, 12.5), (1, 80)):
        taken = snapshot(Image(data, **kwargs), frame)
        folder = save_as_dicom(taken, tmp_path / f"{frame}")
        assert pydicom.dcmread(folder / "0001.dcm").EchoTime == echo
        np.testing.assert_array_equal(sr.read_volume(folder).data, taken.to_volume().data)


def test_several_series_without_a_window_are_an_error(tmp_path):
    for number in (3, 4):
        folder = dicoms.series(tmp_path / "study", number=number)
    with pytest.raises(VolumeError, match=r"holds 2 series \(3_T1w, 4_T1w\)"):
        get_reader(folder)(folder)
