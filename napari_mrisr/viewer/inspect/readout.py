"""Facts as a small table of text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_mrisr.inspection.texts import Fact


class Readout(QLabel):
    """Facts, three columns: what, its value, its bucket's range."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.facts: tuple[Fact, ...] = ()
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setWordWrap(True)
        self.setAlignment(Qt.AlignmentFlag.AlignTop)
        # Ignored: a long line must not widen the dock.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def show_facts(self, heading: str, facts: Sequence[Fact]) -> None:
        """Show these below a heading."""
        self.facts = tuple(facts)
        rows = "".join(
            f"<tr><td>{escape(f.name)}&nbsp;&nbsp;</td><td><b>{escape(f.value)}</b>&nbsp;&nbsp;</td>"
            f"<td>{escape(f.range)}</td></tr>"
            for f in facts
        )
        self.setText(f"<b>{escape(heading)}</b><table cellspacing='0'>{rows}</table>")

    def show_line(self, text: str) -> None:
        """Show one line instead."""
        self.facts = ()
        self.setText(escape(text))

    def value(self, name: str) -> str:
        """The value shown for a fact; empty when it is not shown."""
        return next((f.value for f in self.facts if f.name == name), "")
