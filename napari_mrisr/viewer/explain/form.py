"""Form of the explainer, and its slides: title, sentence, picture and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from qtpy.QtCore import QPointF, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.explain.draw import StepImage, picture_of
from napari_mrisr.explain.model import VoxelExplanation
from napari_mrisr.explain.sheet import ON_DARK, ON_LIGHT, SheetStyle
from napari_mrisr.explain.steps import Step, small
from napari_mrisr.viewer.common.dock import FormPanel, note
from napari_mrisr.viewer.common.fields import BankField, LayerField, OptionalLayerField, narrow
from napari_mrisr.viewer.common.worker import Worker

Draw = Callable[[SheetStyle, tuple[int, int], float], StepImage]
"""Draws a picture in a style, with a size in pixels and pixels per inch, on any thread."""

_DPI = 100.0
_RESIZE_DELAY_MS = 80

EMPTY = "Open a scan, or start Plugins > MRI super-resolution > Guided tour."
HINT = "Click a voxel of the scan, or press “Find an edge”."


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


def slide_of(explanation: VoxelExplanation, step: Step) -> Slide:
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


class ExplainForm(FormPanel):
    """The dock connects the signals and calls the ``show_`` methods."""

    stage_chosen = Signal(int)
    export_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layer = LayerField(self)
        tip = "Layer with the true values, to show the error of the result"
        self.reference = OptionalLayerField("none", tip, self)
        self.bank = BankField(self)
        self.find_button = QPushButton("Find an edge", self)
        self.find_button.setToolTip("Explain a voxel on a clear edge in the center of the head")
        self.export_button = QPushButton("Lecture page", self)
        self.export_button.setToolTip("Save all steps of this voxel in one file, without names")
        self.menu = QMenu(self.export_button)
        for suffix, text in ((".html", "HTML, one file…"), (".pdf", "PDF…")):
            action = self.menu.addAction(text)
            action.triggered.connect(lambda _=False, s=suffix: self.export_requested.emit(s))
        self.export_button.setMenu(self.menu)
        self.stage = narrow(QComboBox(self))
        self.stage.setToolTip("Stage of the bank whose steps are shown")
        self.stage.activated.connect(self.stage_chosen.emit)
        self.slides = SlideView(self)
        self.fields = (self.layer, self.reference, self.bank, self.find_button, self.export_button)
        self._lay_out()

    def _lay_out(self) -> None:
        # Two columns leave more of a small screen to the picture.
        form = QGridLayout()
        fields: dict[str, QWidget] = {
            "Scan": self.layer, "Reference": self.reference, "Bank": self.bank, "Stage": self.stage,
        }  # fmt: skip
        for number, (name, field) in enumerate(fields.items()):
            row, column = divmod(number, 2)
            form.addWidget(QLabel(name, self), row, 2 * column)
            form.addWidget(field, row, 2 * column + 1)
            form.setColumnStretch(2 * column + 1, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.find_button, 1)
        buttons.addWidget(self.export_button)
        buttons.addWidget(self.cancel_button)
        # No space for a hidden bar and an empty line: the picture needs it.
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(False)
        self.bar.setSizePolicy(policy)
        self.bar.setMaximumHeight(8)
        self.status.setMinimumHeight(0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(4)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        layout.addWidget(self.slides, 1)
        # Keeps the form on top while no slides are shown.
        layout.addStretch(0)
        self.setMinimumWidth(self.slides.minimumSizeHint().width() + 12)

    def show_stages(self, labels: list[str], chosen: int) -> None:
        """Offer the bank's stages."""
        self.stage.clear()
        self.stage.addItems(labels)
        self.stage.setCurrentIndex(chosen if labels else -1)
        self.stage.setEnabled(len(labels) > 1)

    def show_ready(self, *, explanation: bool) -> None:
        """Enable what can be pressed; show the slides if there is an explanation."""
        self.find_button.setEnabled(self.layer.layer is not None)
        self.layer.setEnabled(self.layer.count() > 0)
        self.export_button.setEnabled(explanation)
        self.slides.setVisible(explanation)
