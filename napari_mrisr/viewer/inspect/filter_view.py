"""A bucket's filter: planes, frequency response, 3D, and what of it to show."""

from __future__ import annotations

from dataclasses import dataclass

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
from napari_mrisr.viewer.inspect.balls import FilterBalls
from napari_mrisr.viewer.inspect.pictures import (
    DIVERGING,
    SEQUENTIAL,
    PlanePictures,
    PlaneSet,
    symmetric_limits,
)
from napari_mrisr.viewer.inspect.readout import Lines

AS_APPLIED, CANONICAL = "as applied", "canonical"
UNDER_CURSOR = -1

_PLANE_NAMES = {
    AS_APPLIED: ("axial", "coronal", "sagittal"),
    CANONICAL: ("1 →, 2 ↑", "1 →, 3 ↑", "2 →, 3 ↑"),
}
_TIPS = {
    AS_APPLIED: "Turned to the voxel: along the scan's axes, the patient's right at the left",
    CANONICAL: "As stored: the first axis lies closest to v1, the third farthest from it",
}
_NO_FILTER = "Flat voxels have no filter: they are left as they are."


@dataclass(frozen=True, eq=False)
class FilterScene:
    """A filter and how to call it.

    Attributes
    ----------
    view : FilterView
    title : str
    residual : bool
        Whether it makes what is added to a voxel, or the voxel.
    unit : str
        Of frequencies: whose voxels.
    """

    view: FilterView
    title: str
    residual: bool
    unit: str


class FilterPanel(QWidget):
    """Shows a :class:`FilterScene`; tells when another is wanted."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.scene: FilterScene | None = None
        self.title = Lines(1, self)
        self.orientation = narrow(QComboBox(self))
        for place, name in enumerate((AS_APPLIED, CANONICAL)):
            self.orientation.addItem(name)
            self.orientation.setItemData(place, _TIPS[name], 3)
        self.output = narrow(QComboBox(self))
        self.output.setToolTip("Which sub-voxel of a low-resolution voxel the filter is for")
        self.bank = narrow(QComboBox(self))
        self.bank.addItems(["first bank", "second bank", "second − first"])
        self.bank.setToolTip("Whose filter")
        self.solid = QPushButton("3D", self)
        self.solid.setCheckable(True)
        self.solid.setToolTip("A ball a weight; drag to turn")
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
        """Whether filters are to be shown along the voxel's axes."""
        return self.orientation.currentText() == AS_APPLIED

    @property
    def chosen_output(self) -> int:
        """The canonical output wanted, or :data:`UNDER_CURSOR`."""
        return int(self.output.currentData())

    @property
    def chosen_bank(self) -> int:
        """0: the first bank, 1: the second, 2: their difference."""
        return max(0, self.bank.currentIndex()) if self.bank.isVisibleTo(self) else 0

    def set_outputs(self, count: int) -> None:
        """Offer the outputs of a stage; none to choose where there is one."""
        self.output.blockSignals(True)
        self.output.clear()
        self.output.addItem("sub-voxel here", UNDER_CURSOR)
        for number in range(count if count > 1 else 0):
            self.output.addItem(f"phase {number}", number)
        self.output.blockSignals(False)
        self.output.setVisible(count > 1)

    def set_two_banks(self, two: bool) -> None:
        """Whether there is a second bank."""
        self.bank.blockSignals(True)
        self.bank.setCurrentIndex(0)
        self.bank.blockSignals(False)
        self.bank.setVisible(two)

    def show_scene(self, scene: FilterScene | None, why: str) -> None:
        """Draw a filter, or say why there is none."""
        self.scene = scene
        self.title.setText(scene.title if scene else "")
        cube = scene.view.cube if scene is not None else None
        if scene is None or cube is None:
            self.weights.show_planes(None, why if scene is None else _NO_FILTER)
            self.response.show_planes(None)
            self.balls.show_cube(None, ("", "", ""))
            return
        view = scene.view
        self.weights.show_planes(
            PlaneSet(
                shown(view.planes, view),
                _names(view),
                symmetric_limits([cube]),
                DIVERGING,
                "Weights of what is added" if scene.residual else "Weights",
            )
        )
        highest = max(float(plane.max()) for plane in view.response) or 1.0
        self.response.show_planes(
            PlaneSet(
                shown(view.response, view),
                _names(view),
                (0.0, highest),
                SEQUENTIAL,
                f"Frequency response, ±0.5 cycles/{scene.unit}",
            )
        )
        self.balls.show_cube(cube, ("R", "A", "S") if _is_turned(view) else ("1", "2", "3"))


def shown(planes: tuple[NDArray, ...], view: FilterView) -> list[NDArray[np.floating]]:
    """Planes (first axis, second axis) as pictures (row from the top, column).

    Along the scan's axes as napari shows them: right, anterior and superior at
    the left or on top. Canonical: the first axis to the right, the second up.
    """
    if _is_turned(view):
        return [plane[::-1, ::-1].T for plane in planes]
    return [plane.T[::-1] for plane in planes]


def _is_turned(view: FilterView) -> bool:
    return view.element is not None


def _names(view: FilterView) -> tuple[str, str, str]:
    return _PLANE_NAMES[AS_APPLIED if _is_turned(view) else CANONICAL]
