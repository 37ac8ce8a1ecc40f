"""What the inspector looks like: fields, buttons, tabs. No logic.

Texts are :class:`Lines`, not labels that wrap: with one of these Qt would scroll
the panel where it need not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QMenu,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.core.progress import ProgressState
from napari_mrisr.core.scale import Scale
from napari_mrisr.viewer.common.fields import BankField, LayerField, ScaleField, narrow
from napari_mrisr.viewer.inspect.buckets import BucketView
from napari_mrisr.viewer.inspect.filter_view import FilterPanel
from napari_mrisr.viewer.inspect.readout import Lines, Readout

NO_COMPARISON = "no second bank"
MAP, VOXEL, BUCKETS = range(3)
_FACTS = 15
_IGNORED = QSizePolicy.Policy.Ignored

_ABOUT = (
    "A bucket is a set of ranges of what the gradients around a voxel look like; "
    "all voxels of a bucket get the same filter. In the map, label n is bucket n − 1; "
    "flat voxels, which have no filter, are not painted. Phases of a bucket share a color."
)


class SecondBankField(BankField):
    """A bank to compare with; at first none."""

    def set_names(self, names: Sequence[str], scale: Scale | None) -> None:
        """See :class:`BankField`; what was "auto" is none."""
        super().set_names(names, scale)
        self.setItemText(0, NO_COMPARISON)
        self.setToolTip("A bank whose buckets are the same, to compare filter by filter")


class _NoLayer:
    """Stands for no truth among the layers."""

    name = "no truth"


class TruthField(LayerField):
    """A layer to measure against; at first none."""

    _none = _NoLayer()

    @property
    def truth(self) -> Any:
        """The layer chosen, or None."""
        layer = self.layer
        return None if layer is self._none else layer

    def set_layers(self, layers: Sequence[Any]) -> None:
        """Offer these, and none."""
        super().set_layers([self._none, *layers])

    def set_none(self) -> None:
        """Choose none."""
        self.setCurrentIndex(0)

    def _tell(self) -> None:
        super()._tell()
        self.setToolTip("Measures the gain over tricubic in each bucket, against this layer")


class InspectPanel(QWidget):
    """The form, the two tabs and the filter. Its owner connects the signals."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.error_color = "#d02020"
        self.layer = LayerField(self)
        self.scale = ScaleField(self)
        self.bank = BankField(self)
        self.stage = narrow(QComboBox(self))
        self.stage.setToolTip(
            "A bank works in stages, each with buckets of its own.\n"
            "Later ones see what the earlier ones make of the volume."
        )
        self.show_button = QPushButton("Show bucket map", self)
        self.parts_button = QPushButton("Add a part of the map as a layer", self)
        self.parts_button.setToolTip("Bins, features and orientations as layers of their own")
        self.parts = QMenu(self.parts_button)
        self.parts_button.setMenu(self.parts)
        self.cancel_button = QPushButton("Cancel", self)
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(8)
        self.status = Lines(2, self)
        self.follow = QCheckBox("Follow the cursor (a click in the image holds a voxel)", self)
        self.follow.setChecked(True)
        self.readout = Readout(_FACTS, self)
        self.second = SecondBankField(self)
        self.truth = TruthField(self)
        self.truth.set_layers([])
        self.only = QPushButton("Light it only", self)
        self.only.setCheckable(True)
        self.only.setToolTip("Paint the chosen bucket's voxels and no others")
        self.histogram = BucketView(self)
        self.bucket_line = Lines(3, self)
        self.filter = FilterPanel(self)
        self._fields = (self.layer, self.scale, self.bank, self.stage)
        self._lay_out()
        self.show_idle("")

    def _lay_out(self) -> None:
        self.tabs = QTabWidget(self)
        self.tabs.addTab(self._map_tab(), "Map")
        self.tabs.addTab(self._voxel_tab(), "Voxel")
        self.tabs.addTab(self._bucket_tab(), "Buckets")
        self.tabs.currentChanged.connect(self._tab_changed)
        self._tab_changed(MAP)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.filter)

    def _tab_changed(self, current: int) -> None:
        self.filter.setVisible(current != MAP)
        for number in range(self.tabs.count()):
            # Tabs out of sight take no room: the tallest would push the filter off the screen.
            shown = QSizePolicy.Policy.Preferred if number == current else _IGNORED
            self.tabs.widget(number).setSizePolicy(QSizePolicy.Policy.Preferred, shown)

    def _map_tab(self) -> QWidget:
        tab = QWidget(self)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, field in zip(("Layer", "Scale", "Bank", "Stage"), self._fields, strict=True):
            form.addRow(name, field)
        buttons = QHBoxLayout()
        buttons.addWidget(self.show_button, 3)
        buttons.addWidget(self.cancel_button, 2)
        about = Lines(7, tab)
        about.setText(_ABOUT)
        column = QVBoxLayout(tab)
        column.addLayout(form)
        column.addLayout(buttons)
        column.addWidget(self.parts_button)
        column.addWidget(about)
        column.addStretch(1)
        return tab

    def _voxel_tab(self) -> QWidget:
        tab = QWidget(self)
        column = QVBoxLayout(tab)
        column.setContentsMargins(4, 4, 4, 0)
        column.addWidget(self.follow)
        column.addWidget(self.readout)
        column.addStretch(1)
        return tab

    def _bucket_tab(self) -> QWidget:
        tab = QWidget(self)
        bar = QHBoxLayout()
        bar.setSpacing(4)
        bar.addWidget(self.second, 1)
        bar.addWidget(self.truth, 1)
        bar.addWidget(self.only)
        self.histogram.setMinimumHeight(150)
        column = QVBoxLayout(tab)
        column.setContentsMargins(0, 4, 0, 0)
        column.addLayout(bar)
        column.addWidget(self.histogram, 1)
        column.addWidget(self.bucket_line)
        return tab

    def show_inspected(self, inspected: bool) -> None:
        """Whether there is something to look at."""
        for tab in (VOXEL, BUCKETS):
            self.tabs.setTabEnabled(tab, inspected)

    def show_status(self, text: str) -> None:
        """Say something."""
        self.status.setText(text)

    def show_error(self, line: str) -> None:
        """Say what is wrong."""
        self.status.setText(line, self.error_color)

    def show_running(self, text: str) -> None:
        """Work has begun."""
        for field in (*self._fields, self.truth, self.show_button, self.parts_button):
            field.setEnabled(False)
        self.cancel_button.setEnabled(True)
        self.bar.show()
        self.show_busy(text)

    def show_busy(self, text: str) -> None:
        """Something takes its time, nobody knows how long."""
        self.bar.setRange(0, 0)
        self.show_status(text)

    def show_progress(self, state: ProgressState, text: str) -> None:
        """Some steps are done."""
        self.bar.setRange(0, max(1, state.total))
        self.bar.setValue(state.done)
        self.show_status(text)

    def show_stopping(self) -> None:
        """Cancel was pressed."""
        self.cancel_button.setEnabled(False)
        self.show_busy("Stopping…")

    def show_idle(self, text: str) -> None:
        """No work."""
        for field in (*self._fields, self.truth):
            field.setEnabled(True)
        self.layer.setEnabled(self.layer.count() > 0)
        self.cancel_button.setEnabled(False)
        self.bar.hide()
        self.show_status(text)

    def offer(self, *, show: bool, parts: bool) -> None:
        """Which of the buttons can be pressed."""
        self.show_button.setEnabled(show)
        self.parts_button.setEnabled(parts)
