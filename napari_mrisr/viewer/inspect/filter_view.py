"""View of one filter: planes, frequency response, 3D."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.inspection import FilterView
from napari_mrisr.viewer.common.fields import narrow
from napari_mrisr.viewer.inspect.controller import UNDER_CURSOR, FilterScene
from napari_mrisr.viewer.inspect.painted import (
    DIVERGING,
    SEQUENTIAL,
    FilterBalls,
    Lines,
    PlanePictures,
    PlaneSet,
    symmetric_limits,
)

SCAN_AXES, CANONICAL_AXES = "scan axes", "canonical axes"

_PLANE_NAMES = {
    SCAN_AXES: ("axial", "coronal", "sagittal"),
    CANONICAL_AXES: ("1 →, 2 ↑", "1 →, 3 ↑", "2 →, 3 ↑"),
}
_TIPS = {
    SCAN_AXES: "Along the axes of the scan; R is at the left",
    CANONICAL_AXES: "As stored: axis 1 is closest to v1, axis 3 farthest from it",
}
_NO_FILTER = "Flat voxels have no filter; they stay unchanged."


class FilterPanel(QWidget):
    """Shows a :class:`FilterScene`; signals when the user chooses another."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.scene: FilterScene | None = None
        self.title = Lines(1, self)
        self.orientation = narrow(QComboBox(self))
        for place, name in enumerate((SCAN_AXES, CANONICAL_AXES)):
            self.orientation.addItem(name)
            self.orientation.setItemData(place, _TIPS[name], 3)
        self.output = narrow(QComboBox(self))
        self.output.setToolTip("Sub-voxel of the measured voxel that the filter computes")
        self.bank = narrow(QComboBox(self))
        self.bank.addItems(["first bank", "second bank", "second − first"])
        self.bank.setToolTip("Bank whose filter is shown")
        self.solid = QPushButton("3D", self)
        self.solid.setCheckable(True)
        self.solid.setToolTip("Show one ball per weight; drag to turn")
        self.weights, self.response = PlanePictures(self), PlanePictures(self)
        self.balls = FilterBalls(self)
        self._lay_out()
        for combo in (self.orientation, self.output, self.bank):
            combo.currentIndexChanged.connect(self.changed)
        self.solid.toggled.connect(lambda on: self.stack.setCurrentIndex(int(on)))
        self.set_outputs(1)
        self.bank.hide()
        self.show_scene(None, "")

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        bar.setSpacing(4)
        for combo in (self.orientation, self.output, self.bank):
            bar.addWidget(combo, 1)
        self.solid.setFixedWidth(44)
        bar.addWidget(self.solid)
        flat = QWidget(self)
        column = QVBoxLayout(flat)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.weights)
        column.addWidget(self.response)
        column.addStretch(1)
        self.stack = QStackedWidget(self)
        self.stack.addWidget(flat)
        self.stack.addWidget(self.balls)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.title)
        layout.addLayout(bar)
        layout.addWidget(self.stack)

    @property
    def along_volume_axes(self) -> bool:
        """True to show filters along the axes of the scan."""
        return self.orientation.currentText() == SCAN_AXES

    @property
    def chosen_output(self) -> int:
        """Chosen canonical output, or :data:`UNDER_CURSOR`."""
        return int(self.output.currentData())

    @property
    def chosen_bank(self) -> int:
        """Chosen bank: ``FIRST``, ``SECOND`` or ``DIFFERENCE``."""
        return max(0, self.bank.currentIndex()) if self.bank.isVisibleTo(self) else 0

    def set_outputs(self, count: int) -> None:
        """Offer the outputs of a stage, if it has more than one."""
        self.output.blockSignals(True)
        self.output.clear()
        self.output.addItem("at the cursor", UNDER_CURSOR)
        for number in range(count if count > 1 else 0):
            self.output.addItem(f"phase {number}", number)
        self.output.blockSignals(False)
        self.output.setVisible(count > 1)

    def set_two_banks(self, two: bool) -> None:
        """Offer the second bank, or only the first."""
        self.bank.blockSignals(True)
        self.bank.setCurrentIndex(0)
        self.bank.blockSignals(False)
        self.bank.setVisible(two)

    def show_scene(self, scene: FilterScene | None, message: str) -> None:
        """Draw a filter, or show a message."""
        self.scene = scene
        self.title.setText(scene.title if scene else "")
        cube = scene.view.cube if scene is not None else None
        if scene is None or cube is None:
            self.weights.show_planes(None, message if scene is None else _NO_FILTER)
            self.response.show_planes(None)
            self.balls.show_cube(None, ("", "", ""))
            return
        view = scene.view
        self.weights.show_planes(
            PlaneSet(
                as_pictures(view.planes, view),
                _names(view),
                symmetric_limits([cube]),
                DIVERGING,
                "Weights (output is added)" if scene.residual else "Weights",
            )
        )
        highest = max(float(plane.max()) for plane in view.response) or 1.0
        self.response.show_planes(
            PlaneSet(
                as_pictures(view.response, view),
                _names(view),
                (0.0, highest),
                SEQUENTIAL,
                f"Frequency response, ±0.5 cycles per {scene.unit}",
            )
        )
        self.balls.show_cube(cube, ("R", "A", "S") if _along_scan_axes(view) else ("1", "2", "3"))


def as_pictures(planes: tuple[NDArray, ...], view: FilterView) -> list[NDArray[np.floating]]:
    """Return planes (first axis, second axis) as pictures (row from the top, column).

    Along the axes of the scan, R or A is at the left, A or S on top, as in napari.
    Canonical: the first axis points to the right, the second up.
    """
    if _along_scan_axes(view):
        return [plane[::-1, ::-1].T for plane in planes]
    return [plane.T[::-1] for plane in planes]


def _along_scan_axes(view: FilterView) -> bool:
    return view.element is not None


def _names(view: FilterView) -> tuple[str, str, str]:
    return _PLANE_NAMES[SCAN_AXES if _along_scan_axes(view) else CANONICAL_AXES]
