"""Side panel of the window: columns and their roles, contrast, overlay, slices, regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFormLayout,
    QHeaderView,
    QLabel,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.comparison.state import (
    MAX_COLUMNS,
    SLABS,
    CompareState,
    point_text,
)
from napari_mrisr.viewer.common.dock import note
from napari_mrisr.viewer.compare.fields import NONE, ChoiceBox, number
from napari_mrisr.viewer.compare.model.controller import Controller

_LARGE = 1e9


class SidePanel(QWidget):
    """Fields of what is compared, how it is shown, and what is measured.

    Parameters
    ----------
    controller : Controller
        Shown and changed; roles and columns are checked by the window first.
    """

    columns_picked = Signal(list)
    truth_picked = Signal(object)
    measured_picked = Signal(object)
    axes_picked = Signal(object)
    overlay_picked = Signal(object)
    frame_set = Signal(int)
    depth_set = Signal(float)
    regions_picked = Signal(object)
    region_selected = Signal(str)

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._seen: object = None
        self._shown_regions: object = None
        self.column = 0
        # Volumes that can be the reference.
        self.references: Sequence[str] = ()
        self.setMinimumWidth(250)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(8, 4, 8, 4)
        self._add_columns()
        self._add_contrast()
        self._add_overlay()
        self._add_slices()
        self._add_regions()
        self._layout.addStretch(1)

    # Construction.

    def _choice(self, tip: str, none: str | None, signal: Any) -> ChoiceBox:
        made = ChoiceBox(tip, none, self, 12)
        made.picked.connect(signal)
        return made

    def _add_columns(self) -> None:
        tip = "Columns from left to right; the first defines the slices"
        self.columns = [
            self._choice(tip, None if i == 0 else NONE, lambda _: self._pick_columns())
            for i in range(MAX_COLUMNS)
        ]
        tip = "Reference volume, for the numbers of the others"
        self.truth = self._choice(tip, NONE, self.truth_picked)
        tip = "Measured scan: consistency of a column with it needs no reference"
        self.measured = self._choice(tip, NONE, self.measured_picked)
        tip = "Volume along whose axes all are cut; oblique ones are resliced (trilinear)"
        self.axes = self._choice(tip, "first column", self.axes_picked)
        self.frame = QSpinBox(self)
        self.frame.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.frame.valueChanged.connect(self.frame_set)
        form = self._form("Columns")
        for place, choice in enumerate(self.columns, start=1):
            form.addRow(str(place), choice)
        form.addRow("Reference", self.truth)
        form.addRow("Measured scan", self.measured)
        form.addRow("Axes of", self.axes)
        form.addRow("Frame", self.frame)
        self._columns_form = form
        form.setRowVisible(self.frame, False)

    def _add_contrast(self) -> None:
        self.width_field = number("", (1e-9, _LARGE), "Window width, in the scan's units", self)
        self.level_field = number("", (-_LARGE, _LARGE), "Window level (its middle)", self)
        for field in (self.width_field, self.level_field):
            field.setDecimals(2)
            field.valueChanged.connect(self._set_window)
        form = self._form("Contrast")
        form.addRow("Window", self.width_field)
        form.addRow("Level", self.level_field)

    def _add_overlay(self) -> None:
        tip = "Volume in color over all columns, such as a trust map"
        self.overlay = self._choice(tip, NONE, self.overlay_picked)
        self.opacity = number(" %", (0.0, 100.0), "Opacity of the overlay", self)
        self.opacity.setDecimals(0)
        self.opacity.valueChanged.connect(self._set_overlay)
        self.lowest = number("", (-_LARGE, _LARGE), "Smaller values are transparent", self)
        self.lowest.setDecimals(3)
        self.lowest.valueChanged.connect(self._set_overlay)
        self.legend = note(self)
        form = self._form("Overlay")
        form.addRow("Volume", self.overlay)
        form.addRow("Opacity", self.opacity)
        form.addRow("From", self.lowest)
        form.addRow(self.legend)
        self._overlay_form = form

    def _add_slices(self) -> None:
        controller = self._controller
        self.slab = number(" mm", (0.0, 500.0), "Thickness of the projection; 0: one slice", self)
        self.slab.setSpecialValueText("one slice")
        self.slab.valueChanged.connect(lambda mm: controller.change(slab_mm=float(mm)))
        self.projection = self._choice(
            "Projection through the slab. A difference map shows that of the differences of the\n"
            "slices, as if one volume had been subtracted from the other first.",
            None,
            lambda name: controller.change(slab=name),
        )
        self.mosaic = QSpinBox(self)
        self.mosaic.setRange(0, 100)
        self.mosaic.setSpecialValueText("auto")
        self.mosaic.setToolTip("Mosaic: every n-th slice")
        self.mosaic.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.mosaic.valueChanged.connect(lambda n: controller.change(mosaic_step=int(n)))
        form = self._form("Slices")
        form.addRow("Slab", self.slab)
        form.addRow("Projection", self.projection)
        form.addRow("Mosaic step", self.mosaic)

    def _add_regions(self) -> None:
        self.depth = number(" mm", (0.1, 500.0), "Depth of the region through its plane", self)
        self.depth.setValue(20.0)
        self.depth.valueChanged.connect(self.depth_set)
        tip = "napari layer whose shapes, labels or mask are outlined and measured"
        self.regions = self._choice(tip, NONE, self.regions_picked)
        self.list = QTableWidget(0, 3, self)
        self.list.setHorizontalHeaderLabels(["Name", "mm³", "Center"])
        self.list.verticalHeader().hide()
        self.list.setToolTip("Double-click a name to change it")
        self.list.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        header = self.list.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self.list.setMaximumHeight(130)
        self.list.itemChanged.connect(self._rename)
        self.list.cellClicked.connect(self._select)
        form = self._form("Regions")
        form.addRow("Depth", self.depth)
        form.addRow("From layer", self.regions)
        form.addRow(self.list)

    def _form(self, title: str) -> QFormLayout:
        """Add a titled form."""
        heading = QLabel(title, self)
        heading.setStyleSheet("font-weight: bold;")
        self._layout.addWidget(heading)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 6)
        form.setVerticalSpacing(3)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._layout.addLayout(form)
        return form

    # Actions.

    def _pick_columns(self) -> None:
        chosen = [choice.currentData() for choice in self.columns]
        self.columns_picked.emit([key for key in chosen if key is not None])

    def _set_window(self) -> None:
        width, level = self.width_field.value(), self.level_field.value()
        self._controller.set_limits(self.column, (level - width / 2.0, level + width / 2.0))

    def _set_overlay(self) -> None:
        over = self._controller.state.overlay
        if over is not None:
            opacity, lowest = self.opacity.value() / 100.0, float(self.lowest.value())
            self._controller.change(overlay=replace(over, opacity=opacity, lowest=lowest))

    def _rename(self, item: QTableWidgetItem) -> None:
        rois = self._controller.state.rois
        if item.column() == 0 and item.row() < len(rois):
            self._controller.rename_roi(rois[item.row()].name, item.text())
            self._shown_regions = None
            self._show_list(self._controller.state)

    def _select(self, row: int, _: int) -> None:
        rois = self._controller.state.rois
        if row < len(rois):
            self.region_selected.emit(rois[row].name)

    # Display.

    def show_again(self) -> None:
        """Show the state again after a choice has changed the fields."""
        self._seen = None
        self.show_state(self._controller.state)

    def show_state(self, state: CompareState) -> None:
        """Show the choices; emit nothing."""
        self._show_contrast(state)
        self._show_list(state)
        names = tuple(self._controller.volumes)
        seen = (
            (names, self.references, state.columns, state.truth, state.measured, state.axes),
            (state.overlay, state.slab_mm, state.slab, state.mosaic_step),
        )
        if seen == self._seen:
            return
        self._seen = seen
        for i, choice in enumerate(self.columns):
            chosen = state.columns[i] if i < len(state.columns) else None
            choice.show_choices(names, names, chosen)
        references = [key for key in names if key in self.references or key == state.truth]
        self.truth.show_choices(references, references, state.truth)
        self.measured.show_choices(names, names, state.measured)
        self.axes.show_choices(names, names, state.axes)
        self.overlay.show_choices(names, names, state.overlay and state.overlay.key)
        self.projection.show_choices(SLABS, SLABS, state.slab)
        _show(self.slab, state.slab_mm)
        with QSignalBlocker(self.mosaic):
            self.mosaic.setValue(state.mosaic_step)
        over = state.overlay
        for field in (self.opacity, self.lowest):
            self._overlay_form.setRowVisible(field, over is not None)
        if over is not None:
            _show(self.opacity, 100.0 * over.opacity)
            _show(self.lowest, over.lowest or 0.0)
        volume = None if over is None else self._controller.volumes[over.key]
        self.legend.setText("" if volume is None else volume.history.get("map", ""))
        self._overlay_form.setRowVisible(self.legend, bool(self.legend.text()))

    def _show_contrast(self, state: CompareState) -> None:
        self.column = min(self.column, max(0, len(state.columns) - 1))
        if state.columns:
            low, high = self._controller.look(state.columns[self.column]).limits
            _show(self.width_field, high - low)
            _show(self.level_field, (low + high) / 2.0)

    def _show_list(self, state: CompareState) -> None:
        """Show name, volume and center of each region."""
        if self._shown_regions is state.rois:
            return
        self._shown_regions = state.rois
        with QSignalBlocker(self.list):
            self.list.setRowCount(len(state.rois))
            for row, roi in enumerate(state.rois):
                texts = (roi.name, f"{roi.volume_mm3:,.0f}", point_text(roi.center))
                for place, text in enumerate(texts):
                    item = QTableWidgetItem(text)
                    if place:
                        item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
                    self.list.setItem(row, place, item)

    def show_depth(self, depth_mm: float) -> None:
        """Show the depth of the selected region; emit nothing."""
        _show(self.depth, depth_mm)

    def show_regions(self, names: Sequence[str], chosen: str | None) -> None:
        """Offer the layers whose shapes, labels or mask may be regions."""
        self.regions.show_choices(names, names, chosen)

    def show_frames(self, count: int, frame: int, seconds: float | None) -> None:
        """Show the choice of a frame of time series; hide it if there is none.

        Parameters
        ----------
        count, frame : int
            Number of frames, and the one that is shown.
        seconds : float or None
            Repetition time; None if unknown.
        """
        self._columns_form.setRowVisible(self.frame, count > 1)
        time = "" if seconds is None else f"   at {frame * seconds:.6g} s"
        repetition = "unknown" if seconds is None else f"{seconds:.6g} s"
        tip = f"Frame of the time series, 0 to {count - 1}. Repetition time (TR): {repetition}"
        self.frame.setToolTip(tip)
        with QSignalBlocker(self.frame):
            self.frame.setRange(0, max(0, count - 1))
            self.frame.setValue(frame)
            self.frame.setSuffix(f" of {count - 1}{time}")


def _show(field: Any, value: float) -> None:
    """Show a number unless the user is typing one; emit nothing."""
    if not field.hasFocus():
        with QSignalBlocker(field):
            field.setValue(value)
