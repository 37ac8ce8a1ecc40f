"""The tour: it does all clicking, and restores the viewer."""

from __future__ import annotations

import threading
import time
import weakref

import numpy as np
import pytest
from helpers.desk import Pulse
from helpers.leaks import sweep

from napari_mrisr.errors import VolumeError
from napari_mrisr.explain import explain_voxel
from napari_mrisr.explain.steps import plain
from napari_mrisr.io import samples
from napari_mrisr.scan.masks import head_mask
from napari_mrisr.viewer.explain import tour
from napari_mrisr.viewer.explain.layers import MARKER_NAME
from napari_mrisr.viewer.explain.tour import LR, REFERENCE, RESULT, TRICUBIC, TourWidget
from napari_mrisr.viewer.explain.widget import ExplainWidget
from napari_mrisr.viewer.layers.geometry import to_display


@pytest.fixture
def small_sample(monkeypatch, truth):
    monkeypatch.setattr(samples, "phantom", lambda: truth)


@pytest.fixture
def endless(monkeypatch):
    """Replace the preparation by one that ends only when cancelled."""
    running = threading.Event()

    def prepare(progress):
        progress.begin("endless", 10_000)
        while True:
            running.set()
            time.sleep(0.01)
            progress.advance()

    monkeypatch.setattr(tour, "prepare", prepare)
    return running


@pytest.fixture
def desk(model_desk, small_sample):
    desk = model_desk(TourWidget)
    desk.wait()
    return desk


def shown(desk):
    return [
        layer.name for layer in desk.viewer.layers if layer.visible and layer.name != MARKER_NAME
    ]


def test_pressing_next_leads_to_the_output_voxel(desk, truth, lr):
    seen = [shown(desk)]
    titles = [desk.widget.slides.title.text()]
    while desk.widget.slides.next.isEnabled():
        desk.widget.slides.next.click()
        seen.append(shown(desk))
        titles.append(desk.widget.slides.title.text())
    assert len(titles) == 8
    assert [title[:2] for title in titles] == [f"{n}." for n in range(1, 9)]
    assert seen == [[REFERENCE], [LR], [LR], [TRICUBIC], [LR], [LR], [TRICUBIC], [RESULT]]
    desk.wait()
    found = desk.widget.material.explanation
    again = explain_voxel(lr, found.bank_name, found.voxel, truth)
    text = desk.widget.slides.sentence.text()
    assert plain(again.output) in text
    assert plain(again.truth) in text
    result = desk.viewer.layers[RESULT]
    world = desk.viewer.layers[MARKER_NAME].data_to_world(desk.viewer.layers[MARKER_NAME].data[0])
    index = tuple(np.round(result.world_to_data(world)).astype(int))
    assert result.data[index] == pytest.approx(again.to_scan(again.output), rel=1e-5)


def test_the_stated_errors_are_those_of_the_volumes(desk):
    material = desk.widget.material
    truth, result = (desk.viewer.layers[name].data.astype(float) for name in (REFERENCE, RESULT))
    window = material.explanation.intensities
    inside = to_display(head_mask(to_display(truth)))
    rmse = np.sqrt(np.mean((result[inside] - truth[inside]) ** 2)) / (window.high - window.low)
    assert material.errors[RESULT] == pytest.approx(rmse, rel=1e-5)


def test_ending_restores_the_viewer(open_desk, small_sample, truth):
    desk = open_desk("Guided tour")
    mine = desk.add(truth, "mine")
    desk.viewer.dims.order = (1, 0, 2)
    desk.viewer.scene.camera.zoom = 3.5
    desk.wait()
    assert not mine.visible
    desk.widget.slides.go_to(3)
    desk.widget.end_button.click()
    assert desk.names == ["mine"]
    assert mine.visible
    assert tuple(desk.viewer.dims.order) == (1, 0, 2)
    assert desk.viewer.scene.camera.zoom == pytest.approx(3.5)
    assert not desk.viewer.window.dock_widgets


def test_keeping_the_volumes_opens_the_explainer(open_desk, small_sample):
    desk = open_desk("Guided tour")
    desk.wait()
    assert not desk.widget.keep_button.isEnabled()
    desk.widget.slides.go_to(7)
    desk.widget.keep_button.click()
    assert desk.names == [REFERENCE, LR, TRICUBIC, RESULT]
    docked = desk.viewer.window.dock_widgets.values()
    (explainer,) = [widget for widget in docked if isinstance(widget, ExplainWidget)]
    assert explainer.panel.layer.layer.name == LR
    assert explainer.panel.reference.layer.name == REFERENCE


def test_layers_deleted_during_the_tour_do_no_harm(desk):
    for name in (TRICUBIC, LR):
        desk.viewer.layers.remove(desk.viewer.layers[name])
        desk.widget.slides.go_to(desk.widget.slides.index + 1)
    desk.widget.slides.go_to(7)
    desk.widget.end()
    assert desk.names == []


def test_closing_while_preparing_leaves_nothing(open_desk, endless):
    desk = open_desk("Guided tour")
    assert endless.wait(60)
    # The dock is as wide as the slides that follow.
    assert desk.widget.minimumSizeHint().width() > desk.panel.slides.minimumSizeHint().width()
    desk.qtbot.waitUntil(lambda: "endless" in desk.widget.panel.status.text())
    desk.close()
    assert desk.names == []
    widget, desk.widget = weakref.ref(desk.widget), None
    sweep()
    assert widget() is None


def test_closing_the_window_while_preparing(open_desk, endless):
    desk = open_desk("Guided tour")
    desk.viewer.window.show()
    assert endless.wait(60)
    desk.viewer.close()


def test_errors_are_shown(model_desk, monkeypatch):
    def broken():
        raise VolumeError("phantom: not among the sample files; install napari-mrisr again")

    monkeypatch.setattr(samples, "phantom", broken)
    desk = model_desk(TourWidget)
    desk.wait()
    assert "install napari-mrisr again" in desk.widget.panel.status.text()
    assert desk.names == []


def test_the_gui_responds_while_preparing(model_desk, small_sample, qtbot):
    desk = model_desk(TourWidget)
    with Pulse(lambda: desk.widget.worker.running) as pulse:
        qtbot.waitUntil(lambda: not desk.widget.worker.running)
    assert pulse.count > 5
    assert pulse.longest < 0.3
    desk.wait()
