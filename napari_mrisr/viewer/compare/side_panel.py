"""Side panel of the window: columns and their roles, regions."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QVBoxLayout, QWidget

from napari_mrisr.comparison.state import MAX_COLUMNS, CompareState
from napari_mrisr.viewer.compare.fields import NONE, ChoiceBox, number
from napari_mrisr.viewer.compare.model.controller import Controller


class SidePanel(QWidget):
    """Fields of what is compared and measured.

    Parameters
    ----------
    controller : Controller
        Shown; the window changes it.
    """

    columns_picked = Signal(list)
    truth_picked = Signal(object)
    measured_picked = Signal(object)
    depth_set = Signal(float)
    regions_picked = Signal(object)

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._seen: object = None
        self.setMinimumWidth(220)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 4)
        tip = "Columns from left to right; the first defines the axes and the slices"
        self.columns = [
            ChoiceBox(tip, None if i == 0 else NONE, self, 12) for i in range(MAX_COLUMNS)
        ]
        for choice in self.columns:
            choice.picked.connect(lambda _: self._pick_columns())
        self.truth = ChoiceBox("Reference volume, for the numbers of the others", NONE, self, 12)
        self.truth.picked.connect(self.truth_picked)
        tip = "Measured low-resolution scan: consistency of a column with it\nneeds no reference"
        self.measured = ChoiceBox(tip, NONE, self, 12)
        self.measured.picked.connect(self.measured_picked)
        form = _form(layout, "Columns")
        for number_, choice in enumerate(self.columns, start=1):
            form.addRow(str(number_), choice)
        form.addRow("Reference", self.truth)
        form.addRow("Measured scan", self.measured)
        self.depth = number(" mm", (0.1, 500.0), "Depth of the region through its plane", self)
        self.depth.setValue(20.0)
        self.depth.valueChanged.connect(self.depth_set)
        self.regions = ChoiceBox("napari layer whose shapes or labels are regions", NONE, self, 12)
        self.regions.picked.connect(self.regions_picked)
        form = _form(layout, "Regions")
        form.addRow("Depth", self.depth)
        form.addRow("From layer", self.regions)
        layout.addStretch(1)

    def _pick_columns(self) -> None:
        chosen = [choice.currentData() for choice in self.columns]
        self.columns_picked.emit([key for key in chosen if key is not None])

    def show_again(self) -> None:
        """Show the state again after a choice has changed the fields."""
        self._seen = None
        self.show_state(self._controller.state)

    def show_state(self, state: CompareState) -> None:
        """Show the choices; emit nothing. Returns at once if they have not changed."""
        controller = self._controller
        names = tuple((key, controller.title(key)) for key in controller.volumes)
        seen = (names, state.columns, state.truth, state.measured)
        if seen == self._seen:
            return
        self._seen = seen
        keys = [key for key, _ in names]
        titles = [title for _, title in names]
        for i, choice in enumerate(self.columns):
            chosen = state.columns[i] if i < len(state.columns) else None
            choice.show_choices(keys, titles, chosen)
        self.truth.show_choices(keys, titles, state.truth)
        self.measured.show_choices(keys, titles, state.measured)

    def show_depth(self, depth_mm: float) -> None:
        """Show the depth of the selected region; emit nothing."""
        self.depth.blockSignals(True)
        self.depth.setValue(depth_mm)
        self.depth.blockSignals(False)

    def show_regions(self, names: Sequence[str], chosen: str | None) -> None:
        """Offer the layers whose shapes or labels may be regions."""
        self.regions.show_choices(names, names, chosen)


def _form(layout: QVBoxLayout, title: str) -> QFormLayout:
    """Add a titled form."""
    heading = QLabel(title)
    heading.setStyleSheet("font-weight: bold;")
    heading.setAlignment(Qt.AlignmentFlag.AlignLeft)
    layout.addWidget(heading)
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 6)
    form.setVerticalSpacing(3)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.addLayout(form)
    return form
