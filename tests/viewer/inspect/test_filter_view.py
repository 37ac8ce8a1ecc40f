"""View of one filter: orientation, captions and choices."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import patterns

from napari_mrisr.inspection import FilterView
from napari_mrisr.viewer.inspect.controller import UNDER_CURSOR, FilterScene
from napari_mrisr.viewer.inspect.filter_view import (
    CANONICAL_AXES,
    FilterPanel,
    as_pictures,
)

STAGE = patterns.planted_bank().stages[1]


@pytest.fixture
def panel(qtbot):
    widget = FilterPanel()
    qtbot.addWidget(widget)
    return widget


def test_planes_as_napari_shows_them():
    cube = np.arange(27.0).reshape(3, 3, 3)
    axial, coronal, sagittal = as_pictures(
        (cube[:, :, 1], cube[:, 1], cube[1]), FilterView(0, 0, 5, cube)
    )
    # Right, anterior, superior have the highest index.
    assert axial[0, 0] == cube[2, 2, 1]
    assert axial[0, 2] == cube[0, 2, 1]
    assert coronal[0, 2] == cube[0, 1, 2]
    assert sagittal[0, 2] == cube[1, 0, 2]
    first, *_ = as_pictures((cube[:, :, 1],) * 3, FilterView(0, 0, None, cube))
    assert first[0, 2] == cube[2, 2, 1]
    assert first[2, 0] == cube[0, 0, 1]


def test_scene_is_drawn(panel):
    view = FilterView.of(STAGE, 4, 0, 11)
    panel.show_scene(FilterScene(view, "a title", True, "upsampled voxel"), "")
    assert panel.title.text() == "a title"
    weights, response = panel.weights.planes, panel.response.planes
    np.testing.assert_array_equal(weights.images[0], view.planes[0][::-1, ::-1].T)
    largest = float(np.abs(view.cube).max())
    assert weights.limits == (-largest, largest)
    assert response.limits[0] == 0
    assert response.limits[1] == pytest.approx(max(p.max() for p in view.response))
    assert weights.titles == ("axial", "coronal", "sagittal")
    assert "cycles per upsampled voxel" in response.caption
    assert "added" in weights.caption
    assert panel.balls.axes == ("R", "A", "S")
    panel.show_scene(FilterScene(FilterView.of(STAGE, 4), "t", False, "voxel"), "")
    assert panel.weights.planes.titles[0].startswith("1")
    assert panel.balls.axes == ("1", "2", "3")
    assert "added" not in panel.weights.planes.caption


def test_messages_without_a_filter(panel):
    panel.show_scene(None, "move")
    assert panel.weights.planes is None
    assert panel.weights.message == "move"
    flat = FilterView.of(STAGE, STAGE.spec.hash.filter_count)
    panel.show_scene(FilterScene(flat, "flat", True, "voxel"), "")
    assert "no filter" in panel.weights.message
    assert panel.balls.cube is None


def test_choices_are_signaled(panel, qtbot):
    assert panel.along_volume_axes
    assert panel.chosen_output == UNDER_CURSOR
    assert panel.output.isHidden()
    panel.set_outputs(8)
    assert not panel.output.isHidden()
    with qtbot.waitSignal(panel.changed):
        panel.output.setCurrentIndex(4)
    assert panel.chosen_output == 3
    with qtbot.waitSignal(panel.changed):
        panel.orientation.setCurrentText(CANONICAL_AXES)
    assert not panel.along_volume_axes
    assert panel.chosen_bank == 0
    panel.set_two_banks(True)
    panel.bank.setCurrentIndex(2)
    assert panel.chosen_bank == 2
    panel.set_two_banks(False)
    assert panel.chosen_bank == 0
    panel.solid.setChecked(True)
    assert panel.stack.currentWidget() is panel.balls
