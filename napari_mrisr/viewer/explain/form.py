"""The explainer's fields and looks; no logic."""

from __future__ import annotations

from html import escape
from types import SimpleNamespace
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.viewer.common.fields import BankField, LayerField, narrow
from napari_mrisr.viewer.explain.slide_view import SlideView

NO_TRUTH = SimpleNamespace(name="none")
"""Stands for no layer in the field of the truth."""

EMPTY = "Open a scan, or take Plugins > MRI super-resolution > Guided tour."
HINT = "Click a voxel of the scan in the viewer, or let an edge be found."


class ExplainForm(QWidget):
    """Its owner connects the signals and calls the ``show_`` methods."""

    stage_chosen = Signal(int)
    export_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.error_color = "#d02020"
        self.layer = LayerField(self)
        self.truth = LayerField(self)
        self.bank = BankField(self)
        self.find_button = QPushButton("Find an edge", self)
        self.find_button.setToolTip("Take the clearest edge in the middle of the head")
        self.export_button = QToolButton(self)
        self.export_button.setText("Lecture page")
        self.export_button.setToolTip("All steps of this voxel on one page, without names")
        self.export_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self.export_button)
        for suffix, text in ((".html", "HTML, one file…"), (".pdf", "PDF…")):
            action = self.menu.addAction(text)
            action.triggered.connect(lambda _=False, s=suffix: self.export_asked.emit(s))
        self.export_button.setMenu(self.menu)
        self.stage = narrow(QComboBox(self))
        self.stage.setToolTip("A bank works in stages; the steps are shown for one of them")
        self.stage.activated.connect(self.stage_chosen.emit)
        self.status = QLabel("", self)
        self.status.setWordWrap(True)
        self.status.setTextFormat(Qt.TextFormat.RichText)
        self.status.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.slides = SlideView(self)
        self._lay_out()

    def _lay_out(self) -> None:
        # Two by two, which leaves more of a low screen to the picture.
        form = QGridLayout()
        fields: dict[str, QWidget] = {
            "Scan": self.layer, "Truth": self.truth, "Bank": self.bank, "Stage": self.stage,
        }  # fmt: skip
        for number, (name, field) in enumerate(fields.items()):
            row, column = divmod(number, 2)
            form.addWidget(QLabel(name, self), row, 2 * column)
            form.addWidget(field, row, 2 * column + 1)
            form.setColumnStretch(2 * column + 1, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.find_button, 1)
        buttons.addWidget(self.export_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.status)
        layout.addWidget(self.slides, 1)
        # So that the form stays on top while there are no slides.
        layout.addStretch(0)
        self.setMinimumWidth(self.slides.minimumSizeHint().width() + 12)

    def show_stages(self, labels: list[str], chosen: int) -> None:
        """Offer the bank's stages."""
        self.stage.clear()
        self.stage.addItems(labels)
        self.stage.setCurrentIndex(chosen if labels else -1)
        self.stage.setEnabled(len(labels) > 1)

    def show_ready(self, *, layer: bool, explanation: bool) -> None:
        """What can be pressed."""
        self.find_button.setEnabled(layer)
        self.export_button.setEnabled(explanation)
        self.slides.setVisible(explanation)

    def show_status(self, text: str) -> None:
        """Say something."""
        self.status.setText(escape(text))
        self.status.setVisible(bool(text))

    def show_error(self, line: str) -> None:
        """Say what is wrong."""
        self.status.setText(f'<span style="color: {self.error_color}">{escape(line)}</span>')
        self.status.setVisible(True)

    @property
    def truth_layer(self) -> Any:
        """The truth chosen, or None."""
        return None if self.truth.layer is NO_TRUTH else self.truth.layer
