"""Shows slides: title, sentence, picture, numbers, Back and Next."""

from __future__ import annotations

from collections.abc import Sequence
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

from napari_mrisr.core.progress import Progress
from napari_mrisr.explain.draw import StepImage
from napari_mrisr.explain.sheet import ON_DARK, ON_LIGHT, SheetStyle
from napari_mrisr.explain.steps import small
from napari_mrisr.viewer.common.latest import Latest
from napari_mrisr.viewer.explain.slides import Paint, Slide

_DPI = 100.0
_SETTLE_MS = 80


class PictureView(QWidget):
    """A picture that fills its place and tells the value under the mouse."""

    resized = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.picture: StepImage | None = None
        self._image = QImage()
        self.setMouseTracking(True)
        self.setMinimumSize(360, 260)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """Wide enough for three planes."""
        return QSize(400, 330)

    def show_picture(self, picture: StepImage | None) -> None:
        """Show another one."""
        self.picture = picture
        self._image = QImage()
        if picture is not None:
            height, width, _ = picture.pixels.shape
            kind = QImage.Format.Format_RGBA8888
            self._image = QImage(picture.pixels.tobytes(), width, height, 4 * width, kind).copy()
        self.update()

    def text_at(self, x: float, y: float) -> str:
        """Name and value of the square at a place in pixels; empty beside squares."""
        if self.picture is None:
            return ""
        across, up = x / max(1, self.width()), 1.0 - y / max(1, self.height())
        for cells in self.picture.cells:
            value = cells.at(across, up)
            if value is not None:
                return f"{cells.name} {small(value)}"
        return ""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it, over the whole place."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(self.rect(), self._image)
        painter.end()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell the value."""
        at: QPointF = event.position()
        text = self.text_at(at.x(), at.y())
        QToolTip.showText(event.globalPosition().toPoint(), text, self)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Ask for one that fits."""
        super().resizeEvent(event)
        self.resized.emit()


class SlideView(QWidget):
    """Slides, one at a time.

    Signals
    -------
    turned : int
        Another slide is shown (number from 0).
    """

    turned = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._slides: tuple[Slide, ...] = ()
        self.index = 0
        self.style_: SheetStyle = ON_DARK
        self.painter = Latest()
        self.painter.finished.connect(self._painted_one)
        self.count = _label(self)
        self.title = _label(self)
        self.sentence = _label(self)
        self.picture = PictureView(self)
        self.source = _label(self)
        self.numbers = _label(self)
        self.numbers.setTextFormat(Qt.TextFormat.RichText)
        self.back = QPushButton("‹ Back", self)
        self.next = QPushButton("Next ›", self)
        self.back.clicked.connect(lambda: self.turn(self.index - 1))
        self.next.clicked.connect(lambda: self.turn(self.index + 1))
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SETTLE_MS)
        self._timer.timeout.connect(self._paint)
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
        # On top, where they stay when what is below grows.
        layout.addLayout(buttons)
        layout.addWidget(self.title)
        layout.addWidget(self.sentence)
        layout.addWidget(self.picture, 1)
        layout.addWidget(self.source)
        layout.addWidget(self.numbers)

    @property
    def slides(self) -> tuple[Slide, ...]:
        """All of them."""
        return self._slides

    @property
    def busy(self) -> bool:
        """Whether a picture is still to come."""
        return self.painter.busy or self._timer.isActive()

    def show_slides(self, slides: Sequence[Slide], index: int = 0) -> None:
        """Show others, from one on."""
        self._slides = tuple(slides)
        self.index = min(max(0, index), max(0, len(self._slides) - 1))
        self._show()

    def turn(self, index: int) -> None:
        """Show another slide, if there is one of that number."""
        if 0 <= index < len(self._slides) and index != self.index:
            self.index = index
            self._show()
            self.turned.emit(index)

    def set_dark(self, dark: bool) -> None:
        """Draw for a dark or a light ground."""
        self.style_ = ON_DARK if dark else ON_LIGHT
        self._timer.start()

    def close_view(self) -> None:
        """Stop drawing, and wait until it has."""
        self._timer.stop()
        self.painter.close()

    def _show(self) -> None:
        some = bool(self._slides)
        slide = self._slides[self.index] if some else Slide("", "")
        self.title.setText(slide.title)
        self.sentence.setText(slide.sentence)
        self.source.setText(f"<small>{escape(slide.source)}</small>" if slide.source else "")
        self.numbers.setText(_table(slide.numbers))
        self.count.setText(f"{self.index + 1} of {len(self._slides)}" if some else "")
        self.back.setEnabled(self.index > 0)
        self.next.setEnabled(self.index + 1 < len(self._slides))
        for widget in (self.back, self.next, self.count, self.title, self.sentence):
            widget.setVisible(some)
        for label in (self.source, self.numbers):
            label.setVisible(bool(label.text()))
        if slide.paint is None:
            self.painter.drop()
            self.picture.show_picture(None)
        self._timer.start()

    def _paint(self) -> None:
        if not self._slides or not self.picture.isVisible():
            return
        paint = self._slides[self.index].paint
        ratio = self.picture.devicePixelRatioF()
        size = (round(self.picture.width() * ratio), round(self.picture.height() * ratio))
        if paint is not None:
            self.painter.ask(_Painting(paint, self.style_, size, _DPI * ratio))

    def _painted_one(self, picture: StepImage) -> None:
        self.picture.show_picture(picture)


class _Painting:
    """A slide's picture to be drawn, frozen."""

    def __init__(self, paint: Paint, style: SheetStyle, size: tuple[int, int], dpi: float) -> None:
        self._asked = (style, size, dpi)
        self._paint = paint

    def __call__(self, progress: Progress) -> StepImage:
        return self._paint(*self._asked)


def _table(numbers: tuple[tuple[str, str], ...]) -> str:
    if not numbers:
        return ""
    rows = "".join(
        f"<tr><td>{escape(name)}&nbsp;&nbsp;</td><td><b>{escape(value)}</b></td></tr>"
        for name, value in numbers
    )
    return f"<table cellspacing='0'>{rows}</table>"


def _label(parent: QWidget) -> QLabel:
    label = QLabel("", parent)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    # Ignored: a long word must not widen the dock.
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label
