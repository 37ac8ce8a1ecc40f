"""Form of the explainer: fields, buttons, slides; no logic."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.viewer.common.dock import FormPanel
from napari_mrisr.viewer.common.fields import BankField, LayerField, OptionalLayerField, narrow
from napari_mrisr.viewer.explain.slides import SlideView

EMPTY = "Open a scan, or start Plugins > MRI super-resolution > Guided tour."
HINT = "Click a voxel of the scan, or press “Find an edge”."


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
