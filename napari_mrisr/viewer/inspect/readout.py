"""Texts that change with every move of the cursor.

They are painted, in a room of fixed size: a label whose text changes makes Qt
lay out the whole window anew, which takes longer than everything else here.
"""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QPoint, QRect, QSize, Qt
from qtpy.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_mrisr.inspection.texts import Fact

_GAP = 12


class Lines(QWidget):
    """A text of at most so many lines, wrapped.

    Parameters
    ----------
    count : int
        Lines to have room for.
    """

    def __init__(self, count: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._count, self._text = count, ""
        self._color: QColor | None = None
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def text(self) -> str:
        """The text shown."""
        return self._text

    def setText(self, text: str, color: str | None = None) -> None:
        """Show a text, in a color of its own; all of it is in the tooltip."""
        self._text = text
        self._color = None if color is None else QColor(color)
        self.setToolTip(text)
        self.update()

    def sizeHint(self) -> QSize:
        """Room for the lines."""
        return QSize(100, self._count * self.fontMetrics().lineSpacing() + 2)

    def minimumSizeHint(self) -> QSize:
        """As high, of any width."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The text; one line is cut off with dots."""
        painter = QPainter(self)
        painter.setPen(self._color or self.palette().windowText().color())
        if self._count == 1:
            elide = Qt.TextElideMode.ElideRight
            text = self.fontMetrics().elidedText(self._text, elide, self.width())
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignVCenter, text)
        else:
            wrap = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignTop
            painter.drawText(self.rect(), int(wrap), self._text)


class Readout(QWidget):
    """Facts in three columns: what, its value, its bucket's range.

    Parameters
    ----------
    count : int
        Facts to have room for, below the heading.
    """

    def __init__(self, count: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.heading = ""
        self.facts: tuple[Fact, ...] = ()
        self._count = count
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_facts(self, heading: str, facts: Sequence[Fact]) -> None:
        """Show these below a heading."""
        self.heading, self.facts = heading, tuple(facts)
        lines = [heading, *(f"{f.name}: {f.value}  {f.range}" for f in facts)]
        self.setAccessibleDescription("\n".join(lines))
        self.update()

    def value(self, name: str) -> str:
        """The value shown for a fact; empty when it is not shown."""
        return next((f.value for f in self.facts if f.name == name), "")

    def sizeHint(self) -> QSize:
        """Room for all lines."""
        return QSize(360, (self._count + 1) * self.fontMetrics().lineSpacing() + 4)

    def minimumSizeHint(self) -> QSize:
        """As high; the last column is cut off first."""
        return QSize(300, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Heading, then a line a fact; values are bold."""
        painter = QPainter(self)
        painter.setPen(self.palette().windowText().color())
        plain = self.font()
        bold = self.font()
        bold.setBold(True)
        wide = QFontMetrics(bold)
        metrics = self.fontMetrics()
        step, y = metrics.lineSpacing(), metrics.ascent() + 1
        name = max((metrics.horizontalAdvance(f.name) for f in self.facts), default=0) + _GAP
        # Wide enough for most values, so that columns do not jump.
        least = wide.horizontalAdvance("−0.00, −0.00, −0.00")
        values = [wide.horizontalAdvance(f.value) for f in self.facts]
        last = name + max([least, *values]) + _GAP
        painter.setFont(bold)
        elide = Qt.TextElideMode.ElideRight
        painter.drawText(QPoint(0, y), wide.elidedText(self.heading, elide, self.width()))
        for line, fact in enumerate(self.facts, 1):
            painter.setFont(plain)
            painter.drawText(QPoint(0, y + line * step), fact.name)
            rest = QRect(last, 0, max(0, self.width() - last), step)
            text = metrics.elidedText(fact.range, elide, rest.width())
            painter.drawText(QPoint(last, y + line * step), text)
            painter.setFont(bold)
            painter.drawText(QPoint(name, y + line * step), fact.value)
