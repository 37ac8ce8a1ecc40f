"""The curve of validation gain and the histogram of samples, painted by Qt."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFont, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_mrisr.viewer.train import texts
from napari_mrisr.viewer.train.story import DECADES, Story

_ACCENT = QColor("#2f9bff")
_DECADE_LABELS = ("0", "1", "10", "100", "1k", "10k", "100k", "≥1M")


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About ``count`` round numbers from at most ``low`` to at least ``high``."""
    raw = max(high - low, 1e-9) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [n * step for n in range(first, max(last, first + 1) + 1)]


class Chart(QWidget):
    """A title, a frame with axes, a note. Subclasses paint what is in the frame."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.story = Story()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_story(self, story: Story) -> None:
        """Draw anew."""
        self.story = story
        self.setToolTip(self.tip)
        self.update()

    def sizeHint(self) -> QSize:
        """Wide as it comes, some lines high."""
        return QSize(220, 11 * self.fontMetrics().lineSpacing())

    def minimumSizeHint(self) -> QSize:
        """Narrower is possible."""
        return QSize(160, self.sizeHint().height())

    @property
    def title(self) -> str:
        """Above the frame."""
        raise NotImplementedError

    @property
    def note(self) -> str:
        """Below the axis."""
        raise NotImplementedError

    @property
    def tip(self) -> str:
        """More, under the cursor."""
        return ""

    def paint_frame(self, painter: QPainter, frame: QRectF) -> None:
        """What is inside the axes, and their labels."""
        raise NotImplementedError

    @property
    def foreground(self) -> QColor:
        """Of texts, by the theme."""
        return self.palette().color(QPalette.ColorRole.WindowText)

    @property
    def faint(self) -> QColor:
        """Of lines in the background."""
        color = QColor(self.foreground)
        color.setAlpha(70)
        return color

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint all of it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = self.fontMetrics().lineSpacing()
        painter.setPen(self.foreground)
        whole = QRectF(self.rect())
        bold = QFont(self.font())
        bold.setBold(True)
        painter.setFont(bold)
        metrics = painter.fontMetrics()
        title = metrics.elidedText(self.title, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(whole, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft, title)
        painter.setFont(self.font())
        metrics = painter.fontMetrics()
        note = metrics.elidedText(self.note, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(whole, Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignLeft, note)
        left = metrics.horizontalAdvance("+0.00 ") + 4
        frame = QRectF(left, 1.7 * line, whole.width() - left - 8, whole.height() - 5.0 * line)
        self.paint_frame(painter, frame)
        painter.end()

    def below(self, painter: QPainter, frame: QRectF, x: float, text: str, row: int = 0) -> None:
        """A text centered under the frame at ``x``, kept within the widget."""
        metrics = painter.fontMetrics()
        width = metrics.horizontalAdvance(text) + 2
        left = min(max(0.0, x - width / 2), self.width() - width)
        line = metrics.lineSpacing()
        box = QRectF(left, frame.bottom() + 2 + row * line, width, line)
        painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, text)


class GainChart(Chart):
    """Mean gain over tricubic after each volume, stage beside stage."""

    @property
    def title(self) -> str:
        """See the base class."""
        return texts.gain_title(self.story)

    @property
    def note(self) -> str:
        """See the base class."""
        return texts.gain_note(self.story)

    @property
    def tip(self) -> str:
        """See the base class."""
        return texts.gain_tip(self.story)

    def paint_frame(self, painter: QPainter, frame: QRectF) -> None:
        """See the base class."""
        story = self.story
        values = [v for gains in story.gains.values() for v in gains]
        ticks = nice_ticks(min([0.0, *values]), max([0.5, *values]))
        span = max(1, story.stages * story.volumes)

        def at(x: float, y: float) -> QPointF:
            up = (y - ticks[0]) / (ticks[-1] - ticks[0])
            across = (x - 0.5) / span
            return QPointF(
                frame.left() + across * frame.width(), frame.bottom() - up * frame.height()
            )

        self._paint_axes(painter, frame, ticks, at)
        if not story.gains:
            center = Qt.AlignmentFlag.AlignCenter
            painter.drawText(frame, center, "after the first volume,\nwith one to validate on")
            return
        for line in story.range_of_volumes:
            _paint_line(painter, [at(x, y) for x, y in line], self.faint, 1.5)
        for line in story.curve:
            _paint_line(painter, [at(x, y) for x, y in line], _ACCENT, 2.5)

    def _paint_axes(
        self, painter: QPainter, frame: QRectF, ticks: Sequence[float], at: object
    ) -> None:
        assert callable(at)
        story, metrics = self.story, painter.fontMetrics()
        decimals = 2 if ticks[1] - ticks[0] < 0.1 else 1
        for tick in ticks:
            y = at(0.5, tick).y()
            painter.setPen(QPen(self.faint, 1))
            painter.drawLine(QPointF(frame.left(), y), QPointF(frame.right(), y))
            painter.setPen(self.foreground)
            label = f"{tick:+.{decimals}f}" if tick else "0"
            box = QRectF(0, y - metrics.height() / 2, frame.left() - 4, metrics.height())
            painter.drawText(box, Qt.AlignmentFlag.AlignRight, label)
        for stage in range(1, story.stages + 1):
            first = (stage - 1) * story.volumes
            if stage > 1:
                x = at(first + 0.5, 0).x()
                painter.setPen(QPen(self.faint, 1, Qt.PenStyle.DashLine))
                painter.drawLine(QPointF(x, frame.top()), QPointF(x, frame.bottom()))
            painter.setPen(self.foreground)
            room = frame.width() / max(1, story.stages)
            for n in _shown_volumes(story.volumes, room, metrics.horizontalAdvance("00") + 6):
                self.below(painter, frame, at(first + n, 0).x(), str(n))
            middle = at(first + (story.volumes + 1) / 2, 0).x()
            wide = metrics.horizontalAdvance("volumes, stage 0 ") < room
            self.below(painter, frame, middle, f"{'volumes, ' if wide else ''}stage {stage}", 1)


class SupportChart(Chart):
    """How many buckets have how many samples."""

    @property
    def title(self) -> str:
        """See the base class."""
        return texts.support_title(self.story)

    @property
    def note(self) -> str:
        """See the base class."""
        return texts.support_note(self.story)

    def paint_frame(self, painter: QPainter, frame: QRectF) -> None:
        """See the base class."""
        counts = self.story.buckets_by_decade
        highest = max(1, int(counts.max()))
        step = frame.width() / len(DECADES)
        metrics = painter.fontMetrics()
        painter.setPen(QPen(self.faint, 1))
        painter.drawLine(frame.bottomLeft(), frame.bottomRight())
        for n, (count, label) in enumerate(zip(counts, _DECADE_LABELS, strict=True)):
            left = frame.left() + n * step
            # Room for the number above the highest bar.
            height = float(count) / highest * (frame.height() - metrics.height())
            bar = QRectF(left + 2, frame.bottom() - height, step - 4, height)
            painter.fillRect(bar, _ACCENT)
            painter.setPen(self.foreground)
            self.below(painter, frame, left + (0.5 if n == 0 else 0.0) * step, label)
            if count:
                box = QRectF(left - step, bar.top() - metrics.height(), 3 * step, metrics.height())
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, str(int(count)))
        self.below(painter, frame, frame.center().x(), "samples of a bucket (bars: buckets)", 1)
        if not self.story.support.size:
            painter.drawText(frame, Qt.AlignmentFlag.AlignCenter, "after the first volume")


def _paint_line(painter: QPainter, points: Sequence[QPointF], color: QColor, radius: float) -> None:
    """Points, joined."""
    painter.setPen(QPen(color, 0.8 * radius))
    painter.drawPolyline(QPolygonF(points))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    for point in points:
        painter.drawEllipse(point, radius, radius)
    painter.setBrush(Qt.BrushStyle.NoBrush)


def _shown_volumes(count: int, room: float, label: float) -> list[int]:
    """Which of the volumes 1 to ``count`` get a label in so much room."""
    if count == 0:
        return []
    fit = max(1, int(room // label))
    step = -(-count // fit)
    return list(range(step, count + 1, step))
