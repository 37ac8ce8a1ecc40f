"""Blinded reading: keys, progress, hidden names, closing half-way."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QLabel, QWidget

from napari_mrisr.comparison.blinded.cases import read_plan
from napari_mrisr.comparison.blinded.session import Reading
from napari_mrisr.io import write_volume
from napari_mrisr.viewer.compare.blinded.results import ResultsWindow
from napari_mrisr.viewer.compare.blinded.window import ReadingWindow

DIGITS = [Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_4, Qt.Key.Key_5]


@pytest.fixture
def cases(tmp_path, volumes) -> Path:
    """Three cases of three methods."""
    rows = ["case,truth,tricubic,hashed"]
    for name in ("one", "two", "three"):
        for method in ("truth", "tricubic", "hashed"):
            write_volume(volumes[method], tmp_path / f"{name}-{method}.nii.gz")
        rows.append(",".join([name, *(f"{name}-{m}.nii.gz" for m in rows[0].split(",")[1:])]))
    path = tmp_path / "cases.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def pair_of(cases: Path) -> Path:
    """The same cases with two methods."""
    path = cases.with_name("pairs.csv")
    lines = [line.split(",") for line in cases.read_text("utf-8").split()]
    path.write_text("\n".join(",".join([r[0], *r[2:]]) for r in lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def open_window(qtbot):
    opened = []

    def open_it(plan, out) -> ReadingWindow:
        window = ReadingWindow(Reading(plan, out))
        opened.append(window)
        window.resize(800, 600)
        window.show()
        wait(window, qtbot)
        return window

    yield open_it
    for window in opened:
        try:
            window.close()
        except RuntimeError:  # closed by the test
            continue
    opened.clear()


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def wait(window, qtbot) -> None:
    """Wait until the case is loaded."""
    qtbot.waitUntil(lambda: bool(window.controller.state.columns))


def press(window, key) -> None:
    QTest.keyClick(window.view.canvas, key)


def texts(window: QWidget) -> str:
    """Return all visible texts, with tooltips."""
    found = [window.windowTitle(), window.view.message]
    for kind in (QLabel, QAbstractButton):
        for entry in window.findChildren(kind):
            found += [entry.text(), entry.toolTip()]
    scene = window.controller.scene()
    return "\n".join(found + [view.title for row in scene.panels for view in row])


def test_preferences_by_keys_and_resumed(cases, tmp_path, open_window, qtbot):
    plan, out = read_plan(pair_of(cases), seed=3), tmp_path / "reading.csv"
    window = open_window(plan, out)
    assert "case 1 of 3" in window.progress.text()
    for word in ("tricubic", "hashed", "one", ".nii", str(tmp_path)):
        assert word not in texts(window)
    assert window.answers[0].text().endswith("A much better")
    press(window, DIGITS[4])
    wait(window, qtbot)
    assert "case 2 of 3" in window.progress.text()
    rows = rows_of(out)
    assert [row["preference"] for row in rows] == ["2"]
    # Taken back, and given otherwise.
    press(window, Qt.Key.Key_Backspace)
    wait(window, qtbot)
    assert "case 1 of 3" in window.progress.text()
    press(window, DIGITS[0])
    wait(window, qtbot)
    window.close()
    # Closed half-way, it goes on with the second case.
    again = open_window(plan, out)
    assert "case 2 of 3" in again.progress.text()
    for _ in range(2):
        press(again, DIGITS[2])
        if again.progress.text().startswith("case"):
            wait(again, qtbot)
    assert "All 3 cases are read" in again.view.message
    assert not again.answers[0].isVisible()
    assert again.results_button.isVisible()
    rows = rows_of(out)
    assert [row["preference"] for row in rows] == ["-2", "0", "0"]
    assert "hashed" not in out.read_text("utf-8")


def test_ratings_of_three(cases, tmp_path, open_window, qtbot):
    out = tmp_path / "reading.csv"
    window = open_window(read_plan(cases), out)
    assert "Rate A" in window.question.text()
    press(window, DIGITS[1])
    assert "Rate B" in window.question.text()
    press(window, Qt.Key.Key_Backspace)
    assert "Rate A" in window.question.text()
    for key in (DIGITS[3], DIGITS[0], DIGITS[4]):
        press(window, key)
    wait(window, qtbot)
    (row,) = rows_of(out)
    assert [row[f"rating_{letter}"] for letter in "ABC"] == ["4", "1", "5"]
    # Modes are on the function keys, digits answer.
    press(window, Qt.Key.Key_F2)
    assert window.controller.state.mode == "swipe"


def test_a_file_that_went_is_told(cases, tmp_path, qtbot, open_window):
    plan = read_plan(pair_of(cases))
    (tmp_path / "one-hashed.nii.gz").unlink()
    window = ReadingWindow(Reading(plan, tmp_path / "reading.csv"))
    qtbot.waitUntil(lambda: "one-hashed" in window.progress.text())
    window.close()


def test_closed_while_it_loads(cases, tmp_path):
    window = ReadingWindow(Reading(read_plan(cases), tmp_path / "reading.csv"))
    window.close()


def pair_plan(cases, **options):
    return read_plan(pair_of(cases), seed=3, **options)


def test_the_next_case_is_loaded_while_one_is_read(cases, tmp_path, open_window, qtbot):
    window = open_window(pair_plan(cases), tmp_path / "reading.csv")
    qtbot.waitUntil(lambda: not window._loader.busy)
    # The files of the second case are gone, and it is shown all the same, at once.
    for method in ("tricubic", "hashed"):
        (tmp_path / f"two-{method}.nii.gz").unlink()
    press(window, DIGITS[4])
    assert window.controller.state.columns == ("A", "B")
    assert "case 2 of 3" in window.progress.text()


def test_a_forced_choice_has_a_button_per_column_and_no_tie(cases, tmp_path, open_window, qtbot):
    plan, out = read_plan(cases, kind="choice"), tmp_path / "reading.csv"
    window = open_window(plan, out)
    shown = [made.text() for made in window.answers if made.isVisible()]
    assert shown == ["1   A is best", "2   B is best", "3   C is best"]
    press(window, DIGITS[3])  # no such column
    assert not out.exists()
    press(window, DIGITS[1])
    wait(window, qtbot)
    assert rows_of(out)[0]["choice"] == "B"


def test_a_lesion_is_marked_with_the_mouse(cases, tmp_path, open_window, qtbot):
    path = pair_of(cases)
    lines = path.read_text("utf-8").splitlines()
    points = [",x_mm,y_mm,z_mm", *[",1,2,3"] * 3]
    path.write_text("\n".join(a + b for a, b in zip(lines, points, strict=True)), "utf-8")
    out = tmp_path / "reading.csv"
    window = open_window(read_plan(path, kind="lesion"), out)
    assert "case 1 of 6" in window.progress.text()
    assert window.controller.state.columns == ("A",)
    titles = {view.title for row in window.controller.scene().panels for view in row}
    assert not any("A" in title for title in titles)
    press(window, DIGITS[0])
    assert "Click on the lesion first" in window.progress.text()
    before = window.controller.state.crosshair
    canvas = window.view.canvas
    place = QPoint(canvas.width() // 2 + 30, canvas.height() // 2 + 20)
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=place)
    marked = window.controller.state.crosshair
    assert marked != before
    press(window, DIGITS[0])
    wait(window, qtbot)
    (row,) = rows_of(out)
    assert [float(row[f"{axis}_mm"]) for axis in "xyz"] == pytest.approx(marked, abs=0.01)
    assert float(row["distance_mm"]) == pytest.approx(math.dist(marked, (1, 2, 3)), abs=0.01)
    press(window, DIGITS[1])
    wait(window, qtbot)
    assert rows_of(out)[1]["x_mm"] == ""


def test_results_are_shown_at_the_end(cases, tmp_path, open_window, qtbot):
    plan, out = pair_plan(cases), tmp_path / "reading.csv"
    reading = Reading(plan, out)
    for item in plan.items:
        side = plan.order(item.case).index("hashed")
        reading.answer(item, [2 if side else -2], 1.0)
    window = ReadingWindow(reading)
    window.show()
    qtbot.mouseClick(window.results_button, Qt.MouseButton.LeftButton)
    found = [w for w in QApplication.topLevelWidgets() if isinstance(w, ResultsWindow)]
    (results,) = [w for w in found if w.isVisible()]
    table = {results.methods.item(r, 0).text(): r for r in range(2)}
    assert results.methods.item(table["hashed"], 2).text() == "+2"
    assert results.methods.item(table["tricubic"], 2).text() == "−2"
    results.close()
    window.close()
