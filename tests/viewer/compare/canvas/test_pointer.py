"""Real mouse events over a real canvas."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.scenes import AXIAL, SAGITTAL, cut, picture, scene, view
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_mrisr.viewer.compare.canvas.canvas import CompareCanvas
from napari_mrisr.viewer.compare.model.pointing import PointerEvent

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def canvas(qtbot) -> Iterator[CompareCanvas]:
    made = CompareCanvas()
    made.resize(602, 324)
    made.show()
    qtbot.waitExposed(made)
    # 2 panels of 300 x 300 pixels, 10 pixels a mm.
    panels = tuple(
        view(picture(cut()), plane=plane, column=column, center=(1.0, 2.0))
        for plane, column in ((AXIAL, 4), (SAGITTAL, 5))
    )
    made.draw(scene(panels, span_mm=30.0))
    yield made
    made.close()


@pytest.fixture
def heard(canvas: CompareCanvas) -> list[tuple[str, PointerEvent | None]]:
    messages: list[tuple[str, PointerEvent | None]] = []
    names = ("pressed", "moved", "dragged", "released", "wheeled", "double_clicked")
    for name in names:
        signal = getattr(canvas.mouse, name)
        signal.connect(lambda pointer, name=name: messages.append((name, pointer)))
    canvas.mouse.left.connect(lambda: messages.append(("left", None)))
    return messages


def test_a_drag_belongs_to_the_panel_it_began_in(canvas: CompareCanvas, heard) -> None:
    native = canvas
    QTest.mousePress(native, LEFT, SHIFT, QPoint(100, 124))
    move(canvas, 110, 119)
    move(canvas, 400, 119)
    QTest.mouseRelease(native, LEFT, SHIFT, QPoint(400, 119))
    names = [name for name, _ in heard]
    assert names[0] == "pressed"
    assert names[-1] == "released"
    assert set(names[1:-1]) == {"dragged"}
    first, last = heard[0][1], heard[-1][1]
    # Panel's middle: (150, 174) is (1, 2) mm; the patient's right is to the left.
    assert (first.across_mm, first.upward_mm) == pytest.approx((6.0, 7.0))
    assert (first.row, first.column, first.plane, first.state_column) == (0, 0, AXIAL, 4)
    assert first.button == "left"
    assert first.modifiers == {"shift"}
    assert first.mm_per_px == pytest.approx(0.1)
    assert first.fraction_x == pytest.approx(1 / 3)
    assert (last.row, last.column) == (0, 0)
    assert last.fraction_x == pytest.approx(4 / 3)
    assert last.across_mm == pytest.approx(-24.0)
    way = [pointer for name, pointer in heard if name in ("dragged", "released")]
    assert sum(p.dx_px for p in way) == 300
    assert sum(p.dy_px for p in way) == -5


def move(canvas: CompareCanvas, x: int, y: int) -> None:
    """Send a move at once; QTest's moves come with the next events."""
    none = Qt.MouseButton.NoButton
    at, everywhere = QPointF(x, y), QPointF(canvas.mapToGlobal(QPoint(x, y)))
    kind, keys = QEvent.Type.MouseMove, Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(canvas, QMouseEvent(kind, at, everywhere, none, none, keys))


def test_moves_say_where_and_when_they_leave(canvas: CompareCanvas, heard) -> None:
    move(canvas, 452, 174)
    move(canvas, 452, 5)
    moves = [pointer for name, pointer in heard if name == "moved"]
    assert moves[-1].plane is SAGITTAL
    assert (moves[-1].across_mm, moves[-1].upward_mm) == pytest.approx((1.0, 2.0))
    assert heard[-1][0] == "left"


def test_a_second_button_does_not_end_a_drag(canvas: CompareCanvas, heard) -> None:
    QTest.mousePress(canvas, RIGHT, pos=QPoint(100, 100))
    QTest.mousePress(canvas, LEFT, pos=QPoint(101, 100))
    QTest.mouseRelease(canvas, LEFT, pos=QPoint(102, 100))
    QTest.mouseRelease(canvas, RIGHT, pos=QPoint(103, 100))
    buttons = [(name, p.button) for name, p in heard if name != "dragged"]
    assert buttons == [("pressed", "right"), ("released", "right")]


def test_presses_beside_panels_are_nobodys(canvas: CompareCanvas, heard) -> None:
    QTest.mouseClick(canvas, LEFT, pos=QPoint(100, 5))
    assert [name for name, _ in heard if name != "left"] == []


def test_double_click(canvas: CompareCanvas, heard) -> None:
    QTest.mouseDClick(canvas, LEFT, pos=QPoint(400, 100))
    doubles = [pointer for name, pointer in heard if name == "double_clicked"]
    assert [pointer.state_column for pointer in doubles] == [5]
    # Nothing is held after it.
    heard.clear()
    move(canvas, 410, 110)
    assert "dragged" not in {name for name, _ in heard}


@pytest.mark.parametrize(("delta", "notches"), [(120, 1.0), (-240, -2.0), (30, 0.25)])
def test_wheel(canvas: CompareCanvas, heard, delta: int, notches: float) -> None:
    at = QPointF(100, 124)
    event = QWheelEvent(
        at, QPointF(canvas.mapToGlobal(QPoint(100, 124))), QPoint(), QPoint(0, delta),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.ControlModifier,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(canvas, event)
    [pointer] = [pointer for name, pointer in heard if name == "wheeled"]
    assert pointer.notches == notches
    assert pointer.modifiers == {"control"}
    assert pointer.across_mm == pytest.approx(6.0)


def test_a_drag_ends_with_its_panel(canvas: CompareCanvas, heard) -> None:
    QTest.mousePress(canvas, LEFT, pos=QPoint(400, 100))
    canvas.draw(scene((view(picture(cut())),)))
    heard.clear()
    move(canvas, 410, 110)
    assert [name for name, _ in heard if name == "dragged"] == []
    QTest.mouseRelease(canvas, LEFT, pos=QPoint(410, 110))
    assert [name for name, _ in heard if name == "released"] == ["released"]
