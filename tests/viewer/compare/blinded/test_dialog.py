"""The dialog that starts a blinded reading: cases, file of answers, and what it tells."""

from __future__ import annotations

from dataclasses import replace

import pytest
from qtpy.QtWidgets import QFileDialog, QLabel

from napari_mrisr.comparison.blinded.cases import read_plan
from napari_mrisr.comparison.blinded.plan import LESION
from napari_mrisr.comparison.blinded.session import Reading, key_path, load_key
from napari_mrisr.io import write_volume
from napari_mrisr.viewer.compare.blinded import dialog as module
from napari_mrisr.viewer.compare.blinded.dialog import ReadingDialog


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(module, "last_folder", lambda: tmp_path / "home")


@pytest.fixture
def folder(tmp_path, volumes):
    """Three cases of two methods, by name."""
    made = tmp_path / "study"
    made.mkdir()
    for case in ("sub-1", "sub-2", "sub-3"):
        for method in ("hashed", "tricubic"):
            write_volume(volumes[method], made / f"{case}_desc-{method}_T1w.nii")
    return made


@pytest.fixture
def open_dialog(qtbot):
    def make(*arguments) -> ReadingDialog:
        dialog = ReadingDialog(None, *arguments)
        qtbot.addWidget(dialog)
        return dialog

    return make


def test_a_folder_is_enough(open_dialog, folder, monkeypatch):
    dialog = open_dialog()
    assert dialog.files_button.isChecked()
    assert "Choose a folder or a list" in dialog.status.text()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    dialog.folder_button.click()
    assert "3 cases of 2 images: hashed, tricubic." in dialog.status.text()
    dialog.start()
    assert dialog.result() == ReadingDialog.DialogCode.Accepted
    reading = dialog.reading
    assert reading.path == folder / "reading.csv"
    # The seed is random and recorded.
    assert load_key(key_path(reading.path))["seed"] == reading.plan.seed
    assert [item.name for item in reading.remaining] == ["sub-1_T1w", "sub-2_T1w", "sub-3_T1w"]


def test_a_reading_that_was_begun_continues_with_its_question(open_dialog, folder):
    dialog = open_dialog()
    dialog.cases.setText(str(folder))
    dialog.cases.editingFinished.emit()
    dialog.kind.setCurrentIndex(1)
    dialog.question.setText("Which is sharper?")
    dialog.start()
    first = dialog.reading
    first.answer(first.remaining[0], [1], 2.0)
    again = open_dialog()
    again.cases.setText(str(folder))
    again.cases.editingFinished.emit()
    assert "the reading continues" in again.status.text()
    assert again.question.text() == "Which is sharper?"
    again.start()
    assert again.reading.plan.seed == first.plan.seed
    assert len(again.reading.remaining) == 2


def test_the_open_layers_are_the_first_choice(open_dialog, volumes, tmp_path):
    truth, tricubic, hashed = (volumes[key] for key in ("truth", "tricubic", "hashed"))
    layers = {"Jane": truth, "Jane cubic": tricubic, "Jane hashed": hashed}
    sources = {"Jane cubic": "Jane", "Jane hashed": "Jane"}
    dialog = open_dialog(layers, sources)
    assert dialog.layers_button.isChecked()
    assert "1 case of 2 images" in dialog.status.text()
    dialog.start()
    assert dialog.reading.path == tmp_path / "home" / "reading.csv"
    reading = dialog.reading
    shown = reading.volumes(reading.remaining[0])
    assert {id(volume.data) for volume in shown.values()} == {id(tricubic.data), id(hashed.data)}
    reading.answer(reading.remaining[0], [1], 1.0)
    # The next reading of layers does not continue that of others.
    assert "reading-2.csv" in open_dialog(layers, sources).answers.placeholderText()
    # Without two images there is nothing to compare.
    alone = open_dialog({"Jane": replace(truth, history={})})
    assert alone.files_button.isChecked()


def test_reference_points_of_lesions_need_no_list(open_dialog, volumes):
    layers = {key: volumes[key] for key in ("tricubic", "hashed")}
    marked = {"Crosshair": lambda: [(1.0, 2.0, 3.0)], "spots": lambda: [(4.0, 5.0, 6.0)] * 2}
    dialog = open_dialog(layers, {}, marked)
    assert not dialog.targets.isVisibleTo(dialog)
    dialog.kind.setCurrentIndex(dialog.kind.findData(LESION))
    assert dialog.targets.isVisibleTo(dialog)
    assert "reference point" not in dialog.status.text()
    dialog.targets.setCurrentText("spots")
    assert "2 reference points." in dialog.status.text()
    dialog.targets.setCurrentText("Crosshair")
    dialog.start()
    assert dialog.reading.plan.cases[0].targets == ((1.0, 2.0, 3.0),)


def test_what_is_wrong_is_said(open_dialog, tmp_path):
    dialog = open_dialog()
    dialog.start()
    assert "Choose a folder or a list" in dialog.status.text()
    dialog.cases.setText(str(tmp_path / "missing.csv"))
    dialog.start()
    assert "missing.csv" in dialog.status.text()
    assert dialog.reading is None


def test_results_of_an_earlier_reading(open_dialog, folder, monkeypatch, qtbot):
    plan = read_plan(folder, 3)
    reading = Reading(plan, folder / "r.csv")
    reading.answer(plan.items[0], [2], 2.0)
    dialog = open_dialog()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(folder / "r.csv"), ""))
    dialog.results_button.click()
    assert dialog.results is not None
    qtbot.addWidget(dialog.results)
    assert "1 of 3 cases" in dialog.results.findChildren(QLabel)[0].text()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(folder / "no.csv"), ""))
    other = open_dialog()
    other.results_button.click()
    assert "no.key.json" in other.status.text()
