"""The dock of DICOM series."""

from __future__ import annotations

import pytest
from helpers import dicoms
from helpers.desk import Desk
from qtpy.QtCore import Qt

from napari_mrisr.viewer.dicom.widget import DicomWidget

from .test_reading import echoes


class DicomDesk(Desk):
    def open(self, *paths):
        for path in paths:  # napari hands over dropped files one by one
            self.widget.open_paths([path])
        self.wait()

    def wait(self):
        super().wait()
        # The only series is opened after the listing.
        self.qtbot.wait(10)
        super().wait()

    @property
    def rows(self):
        tree = self.panel.tree
        return [tree.topLevelItem(i) for i in range(tree.topLevelItemCount())]


@pytest.fixture
def desk(model_desk):
    return model_desk(DicomWidget, DicomDesk)


def test_files_dropped_together_open_one_layer(desk, tmp_path):
    folder = dicoms.series(tmp_path / "study")
    desk.open(*sorted(folder.iterdir()))
    assert desk.names == ["T1w"]
    assert desk.rows[0].text(0) == "T1w\n14 × 12 × 10\n0.5 × 0.75 × 3.5 mm"
    assert "slices 3 mm thick, 3.5 mm apart" in desk.rows[0].toolTip(0)
    size = desk.panel.tree.iconSize()
    assert desk.rows[0].icon(0).actualSize(size) == size
    assert "Opened “T1w”" in desk.status


def test_several_series_wait_for_a_choice(desk, tmp_path):
    folder = dicoms.series(tmp_path / "study", number=4, description="T2w")
    echoes(folder)
    localizer = dicoms.classic(dicoms.voxels((8, 7, 3)), number=1, description="Survey")
    for one in localizer:
        one.ImageType = ["ORIGINAL", "PRIMARY", "M", "LOCALIZER"]
    dicoms.save(localizer, folder)
    desk.open(folder)
    assert desk.names == [] and "3 series" in desk.status
    survey, gre, t2 = desk.rows
    assert survey.isDisabled() and "localizer" in survey.text(0)
    assert [gre.child(i).text(0) for i in range(2)] == ["echo 1", "echo 2"]
    desk.panel.tree.setCurrentItem(gre.child(1))
    t2.setSelected(True)
    desk.qtbot.mouseClick(desk.panel.load_button, Qt.MouseButton.LeftButton)
    desk.wait()
    assert sorted(desk.names) == ["GRE echo 2", "T2w"]


def test_a_folder_without_dicom_is_an_error(desk, tmp_path):
    desk.open(tmp_path)
    assert "No DICOM series" in desk.status
    desk.open(tmp_path / "none")
    assert "no such file" in desk.status


def test_a_refused_series_says_why(desk, tmp_path):
    slices = dicoms.classic()
    del slices[4]
    desk.open(dicoms.save(slices, tmp_path / "study"))
    assert desk.names == []
    assert desk.rows[0].text(0) == "T1w\na slice is missing at 6.00 mm"
