"""The explainer: it shows the values of the API, and leaves nothing behind."""

from __future__ import annotations

import re
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.leaks import sweep
from helpers.scans import head
from qtpy.QtWidgets import QFileDialog

from napari_mrisr.bank.model import load_bank
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.explain import NetworkExplanation, explain_voxel, steps_of
from napari_mrisr.explain.steps import plain, stage_label
from napari_mrisr.viewer.explain import layers
from napari_mrisr.viewer.explain.layers import MARKER_NAME, OutputGrid
from napari_mrisr.viewer.explain.widget import ExplainWidget
from napari_mrisr.viewer.layers.convert import snapshot

VOXEL = (17, 22, 15)


@pytest.fixture
def desk(model_desk, truth, lr):
    desk = model_desk(ExplainWidget)
    desk.add(truth, "head")
    desk.add(lr, "head LR 2x")
    return desk


@pytest.fixture
def real_desk(open_desk, truth, lr):
    desk = open_desk("Explain a voxel")
    desk.add(truth, "head")
    desk.add(lr, "head LR 2x")
    return desk


def world_of(desk, voxel):
    layer = desk.viewer.layers["head LR 2x"]
    return OutputGrid.of(layer, snapshot(layer), (2, 2, 2)).world_of(voxel)


def click(desk, position, drag=0):
    """Click, or drag by some pixels, as napari reports it to its callbacks."""
    event = SimpleNamespace(
        button=1, modifiers=(), pos=np.zeros(2), position=position, type="mouse_press"
    )
    generators = [callback(desk.viewer, event) for callback in desk.viewer.mouse_drag_callbacks]
    for generator in generators:
        next(generator, None)
    event.type = "mouse_move"
    for step in range(drag):
        event.pos = np.array([step + 1.0, 0.0])
        for generator in generators:
            next(generator, None)
    event.type = "mouse_release"
    for generator in generators:
        next(generator, None)


def plain_text(html):
    return re.sub(r"<[^>]+>", " ", html).replace("&nbsp;", " ")


def test_empty_state(model_desk):
    desk = model_desk(ExplainWidget)
    assert "Guided tour" in desk.widget.panel.status.text()
    assert not desk.widget.panel.find_button.isEnabled()
    assert not desk.widget.panel.export_button.isEnabled()
    desk.widget.find()
    desk.widget.pick((0.0, 0.0, 0.0))
    desk.widget.export(".html")
    assert not desk.widget.explainer.busy
    assert not desk.widget.worker.busy


def test_scan_and_reference_are_chosen_automatically(desk):
    assert desk.widget.panel.layer.layer.name == "head LR 2x"
    assert desk.widget.panel.reference.layer.name == "head"
    assert "Click a voxel" in desk.widget.panel.status.text()


def test_a_click_shows_the_numbers_of_the_api(desk, truth, lr):
    click(desk, world_of(desk, VOXEL))
    desk.wait()
    found = explain_voxel(lr, load_bank("default-2x"), VOXEL, truth)
    widget, slides = desk.widget, desk.widget.slides
    assert widget.explanation.voxel == VOXEL
    assert widget.explanation.output == found.output
    assert widget.explanation.truth == pytest.approx(found.truth, abs=1e-6)
    for stage in range(3):
        widget.choose_stage(stage)
        assert widget.panel.stage.currentText() == stage_label(found, stage)
        for number, step in enumerate(steps_of(found, stage)):
            slides.go_to(number)
            assert slides.title.text() == step.title
            assert slides.sentence.text() == step.sentence
            assert slides.count.text() == f"{number + 1} of 9"
            told = plain_text(slides.numbers.text())
            for name, value in step.numbers:
                assert name.replace("'", "&#x27;") in told
                assert value in told
    assert plain(found.truth) in slides.sentence.text()
    desk.wait()


def test_the_marker_is_at_the_voxel(desk):
    desk.widget.explain(VOXEL)
    desk.wait()
    layer = desk.viewer.layers[MARKER_NAME]
    for row in layer.data:
        np.testing.assert_allclose(layer.data_to_world(row), world_of(desk, VOXEL), atol=1e-5)
    half = np.array([1.3, 1.1, 1.0]) / 2
    assert (np.abs(np.array(desk.viewer.dims.point) - world_of(desk, VOXEL)) <= half + 1e-3).all()
    assert desk.viewer.layers.selection.active.name == "head LR 2x"
    desk.widget.explain((3, 4, 5))
    desk.wait()
    assert desk.names.count(MARKER_NAME) == 1
    desk.viewer.layers.remove(layer)
    desk.widget.explain(VOXEL)
    desk.wait()
    assert MARKER_NAME in desk.names


def test_a_drag_picks_nothing_and_a_click_outside_is_reported(desk):
    click(desk, world_of(desk, VOXEL), drag=6)
    assert desk.widget.explanation is None
    assert not desk.widget.explainer.busy
    click(desk, tuple(np.array(world_of(desk, VOXEL)) + 500))
    assert "outside" in desk.widget.panel.status.text()


def test_find_an_edge(desk):
    desk.widget.panel.find_button.click()
    desk.wait()
    assert desk.widget.explanation.stages[0].features["coherence"] > 0.2


def test_the_step_stays_when_the_voxel_changes(desk):
    desk.widget.explain(VOXEL)
    desk.wait()
    desk.widget.slides.go_to(4)
    desk.widget.choose_stage(2)
    desk.widget.explain((20, 21, 14))
    desk.wait()
    assert desk.widget.slides.index == 4
    assert desk.widget.panel.stage.currentIndex() == 2


def test_values_under_the_mouse(real_desk):
    desk = real_desk
    desk.viewer.window.show()
    desk.widget.explain(VOXEL)
    desk.qtbot.waitUntil(lambda: desk.widget.explanation is not None)
    desk.qtbot.waitUntil(lambda: desk.widget.slides.picture.picture is not None)
    desk.wait()
    picture = desk.widget.slides.picture
    left, bottom, width, height = picture.picture.cells[0].rect
    x, y = (left + width / 2) * picture.width(), (1 - bottom - height / 2) * picture.height()
    value = float(desk.widget.explanation.lr_patch[2, 2, 2])
    assert float(picture.text_at(x, y).split()[-1]) == pytest.approx(value, rel=2e-3)
    assert picture.text_at(1, 1) == ""


def test_another_bank_or_scale(desk):
    widget = desk.widget
    widget.explain(VOXEL)
    desk.wait()
    widget.panel.bank.setCurrentText("paper-2x")
    desk.wait()
    assert widget.explanation.bank_name == "paper-2x"
    assert len(widget.explanation.stages) == 1
    assert not widget.panel.stage.isEnabled()
    widget.panel.bank.setCurrentText("default-3x")
    desk.wait()
    assert widget.explanation is None
    assert MARKER_NAME not in desk.names
    widget.explain((5, 6, 7))
    desk.wait()
    assert "reference" in widget.panel.status.text()  # its grid is that of 2×
    assert widget.explanation is None


def test_a_changed_volume_discards_the_explanation(desk):
    layer = desk.viewer.layers["head LR 2x"]
    desk.widget.explain(VOXEL)
    desk.wait()
    layer.name = "another name"
    assert desk.widget.explanation is not None
    assert desk.widget.panel.layer.currentText() == "another name"
    before = desk.widget.explanation.output
    layer.data = np.sqrt(layer.data)
    assert desk.widget.explanation is None
    assert not desk.widget.panel.export_button.isEnabled()
    desk.widget.explain(VOXEL)
    desk.wait()
    assert desk.widget.explanation.output != before
    desk.viewer.layers.remove(layer)
    assert desk.widget.explanation is None


def test_export_writes_the_page_of_this_voxel(desk, tmp_path, monkeypatch):
    desk.widget.panel.bank.setCurrentText("paper-2x")  # one stage: fewer pictures
    desk.widget.explain(VOXEL)
    desk.wait()
    path = tmp_path / "page"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    desk.widget.export(".html")
    desk.wait()
    text = (tmp_path / "page.html").read_text("utf-8")
    assert plain(desk.widget.explanation.output) in text
    assert "head" not in re.sub(r'src="[^"]*"', "", text).replace("<head>", "").replace(
        "</head>", ""
    )
    assert "Saved page.html" in desk.widget.panel.status.text()
    desk.widget.export(".pdf", str(tmp_path / "missing" / "page.pdf"))
    with desk.qtbot.capture_exceptions():
        desk.wait()
    assert "choose another folder" in desk.widget.panel.status.text()


def test_errors_of_the_thread_are_shown(desk, monkeypatch):
    def broken(*_):
        raise RuntimeError("some trouble")

    monkeypatch.setattr(layers, "explain_voxel", broken)
    desk.widget.explain(VOXEL)
    desk.wait()
    assert "some trouble" in desk.widget.panel.status.text()
    assert desk.widget.explanation is None


def test_themes(desk):
    desk.viewer.theme = "light"
    light = desk.widget.slides.sheet_style.ink
    desk.viewer.theme = "dark"
    assert desk.widget.slides.sheet_style.ink != light


@pytest.mark.parametrize("when", ["busy", "explained"])
def test_closing_leaves_no_layer_no_callback_no_thread(real_desk, when):
    desk = real_desk
    if when != "idle":
        desk.widget.explain(VOXEL)
    if when == "explained":
        desk.wait()
    desk.close()
    assert desk.names == ["head", "head LR 2x"]
    groups = [desk.viewer.layers.events, desk.viewer.events]
    groups += [layer.events for layer in desk.viewer.layers]
    held = [str(c) for group in groups for e in group.emitters.values() for c in e.callbacks]
    held += [str(callback) for callback in desk.viewer.mouse_drag_callbacks]
    assert [text for text in held if "explain" in text.lower()] == []
    widget, desk.widget = weakref.ref(desk.widget), None
    sweep()
    assert widget() is None


def test_closing_the_window_while_busy(real_desk):
    desk = real_desk
    desk.viewer.window.show()
    desk.widget.explain(VOXEL)
    desk.viewer.close()


def test_a_scan_of_thick_slices_is_explained_by_the_network(model_desk):
    shape = (24, 20, 7)
    desk = model_desk(ExplainWidget)
    desk.add(Volume(head(5, shape), Grid(shape, np.diag([1.0, 1.0, 3.5, 1.0]))), "thick")
    desk.widget.find()
    desk.wait()
    found = desk.widget.explanation
    assert isinstance(found, NetworkExplanation)
    assert found.scale == (1, 1, 3.5)
    assert len(desk.widget.slides.slides) == 5
    assert desk.widget.panel.stage.count() == 0
    assert "network thick-slices" in desk.widget.panel.status.text()
