"""Slides: title, sentence, picture and numbers, with Back and Next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from qtpy.QtCore import QPointF, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.explain.draw import StepImage, picture_of
from napari_mrisr.explain.model import Explanation
from napari_mrisr.explain.sheet import ON_DARK, ON_LIGHT, SheetStyle
from napari_mrisr.explain.steps import Step, small
from napari_mrisr.viewer.common.dock import note
from napari_mrisr.viewer.common.worker import Worker

Draw = Callable[[SheetStyle, tuple[int, int], float], StepImage]
"""Draws a picture in a style, with a size in pixels and pixels per inch, on any thread."""

_DPI = 100.0
_RESIZE_DELAY_MS = 80


@dataclass(frozen=True, eq=False)
class Slide:
    """One slide.

    Attributes
    ----------
    title, sentence : str
    numbers : tuple of (str, str)
        Names and values.
    source : str
        Source of the equation; may be empty.
    draw : callable or None
        Draws the picture.
    """

    title: str
    sentence: str
    numbers: tuple[tuple[str, str], ...] = ()
    source: str = ""
    draw: Draw | None = None


def slide_of(explanation: Explanation, step: Step) -> Slide:
    """Return the slide of a step."""

    def draw(style: SheetStyle, size: tuple[int, int], dpi: float) -> StepImage:
        return picture_of(explanation, step, style, size, dpi)

    return Slide(step.title, step.sentence, step.numbers, step.source, draw)


class PictureView(QWidget):
    """A picture that fills the widget and shows the value under the mouse."""

    resized = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.picture: StepImage | None = None
        self._image = QImage()
        self.setMouseTracking(True)
        self.setMinimumSize(360, 260)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """Return a size that holds three planes."""
        return QSize(400, 330)

    def show_picture(self, picture: StepImage | None) -> None:
        """Show a picture, or nothing."""
        self.picture = picture
        self._image = QImage()
        if picture is not None:
            height, width, _ = picture.pixels.shape
            kind = QImage.Format.Format_RGBA8888
            self._image = QImage(picture.pixels.tobytes(), width, height, 4 * width, kind).copy()
        self.update()

    def text_at(self, x: float, y: float) -> str:
        """Return name and value of the square at a pixel; empty outside the squares."""
        if self.picture is None:
            return ""
        across, up = x / max(1, self.width()), 1.0 - y / max(1, self.height())
        for cells in self.picture.cells:
            value = cells.at(across, up)
            if value is not None:
                return f"{cells.name} {small(value)}"
        return ""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the picture over the whole widget."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(self.rect(), self._image)
        painter.end()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Show the value under the mouse as a tooltip."""
        at: QPointF = event.position()
        text = self.text_at(at.x(), at.y())
        QToolTip.showText(event.globalPosition().toPoint(), text, self)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Report the new size."""
        super().resizeEvent(event)
        self.resized.emit()


class SlideView(QWidget):
    """Shows slides one at a time; a thread draws their pictures.

    Signals
    -------
    changed : int
        The user went to another slide (number from 0).
    """

    changed = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slides: tuple[Slide, ...] = ()
        self.index = 0
        self.sheet_style: SheetStyle = ON_DARK
        self.drawer = Worker()
        self.count = _label(self)
        self.title = _label(self)
        self.sentence = _label(self)
        self.picture = PictureView(self)
        self.source = _label(self)
        self.numbers = _label(self)
        self.numbers.setTextFormat(Qt.TextFormat.RichText)
        self.back = QPushButton("‹ Back", self)
        self.next = QPushButton("Next ›", self)
        self.back.clicked.connect(lambda: self.go_to(self.index - 1))
        self.next.clicked.connect(lambda: self.go_to(self.index + 1))
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_RESIZE_DELAY_MS)
        self._timer.timeout.connect(self._draw)
        self.drawer.finished.connect(self.picture.show_picture)
        self.picture.resized.connect(self._timer.start)
        self._lay_out()
        self.show_slides([])

    def _lay_out(self) -> None:
        font = self.title.font()
        font.setBold(True)
        font.setPointSizeF(1.25 * font.pointSizeF())
        self.title.setFont(font)
        buttons = QHBoxLayout()
        buttons.addWidget(self.back)
        buttons.addWidget(self.count, 1)
        buttons.addWidget(self.next)
        self.count.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        # The buttons come first, so that they stay in place when the texts grow.
        layout.addLayout(buttons)
        layout.addWidget(self.title)
        layout.addWidget(self.sentence)
        layout.addWidget(self.picture, 1)
        layout.addWidget(self.source)
        layout.addWidget(self.numbers)

    @property
    def busy(self) -> bool:
        """True while a picture is still to come."""
        return self.drawer.busy or self._timer.isActive()

    def show_slides(self, slides: Sequence[Slide], index: int = 0) -> None:
        """Show these slides, starting with one of them."""
        self.slides = tuple(slides)
        self.index = min(max(0, index), max(0, len(self.slides) - 1))
        self._show()

    def go_to(self, index: int) -> None:
        """Show another slide if the number exists."""
        if 0 <= index < len(self.slides) and index != self.index:
            self.index = index
            self._show()
            self.changed.emit(index)

    def set_dark(self, dark: bool) -> None:
        """Draw for a dark or a light background."""
        self.sheet_style = ON_DARK if dark else ON_LIGHT
        self._timer.start()

    def stop(self) -> None:
        """Stop drawing, and wait for the thread."""
        self._timer.stop()
        self.drawer.close()

    def _show(self) -> None:
        some = bool(self.slides)
        slide = self.slides[self.index] if some else Slide("", "")
        self.title.setText(slide.title)
        self.sentence.setText(slide.sentence)
        self.source.setText(f"<small>{escape(slide.source)}</small>" if slide.source else "")
        self.numbers.setText(_table(slide.numbers))
        self.count.setText(f"{self.index + 1} of {len(self.slides)}" if some else "")
        self.back.setEnabled(self.index > 0)
        self.next.setEnabled(self.index + 1 < len(self.slides))
        for widget in (self.back, self.next, self.count, self.title, self.sentence):
            widget.setVisible(some)
        for label in (self.source, self.numbers):
            label.setVisible(bool(label.text()))
        if slide.draw is None:
            self.drawer.cancel()
            self.picture.show_picture(None)
        self._timer.start()

    def _draw(self) -> None:
        draw = self.slides[self.index].draw if self.slides else None
        if draw is None or not self.picture.isVisible():
            return
        style, ratio = self.sheet_style, self.picture.devicePixelRatioF()
        size = (round(self.picture.width() * ratio), round(self.picture.height() * ratio))
        self.drawer.submit(lambda progress: draw(style, size, _DPI * ratio))


def _table(numbers: tuple[tuple[str, str], ...]) -> str:
    if not numbers:
        return ""
    rows = "".join(
        f"<tr><td>{escape(name)}&nbsp;&nbsp;</td><td><b>{escape(value)}</b></td></tr>"
        for name, value in numbers
    )
    return f"<table cellspacing='0'>{rows}</table>"


def _label(parent: QWidget) -> QLabel:
    label = note(parent)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
