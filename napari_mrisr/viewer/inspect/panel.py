"""Form of the inspector: fields, buttons, tabs, filter; no logic.

Texts that change often are :class:`Lines`, not labels: a wrapped label makes the
panel scroll without need.
"""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.core.scale import Scale
from napari_mrisr.viewer.common.dock import FormPanel
from napari_mrisr.viewer.common.fields import (
    BankField,
    LayerField,
    OptionalLayerField,
    ScaleField,
    narrow,
)
from napari_mrisr.viewer.inspect.buckets import BucketView
from napari_mrisr.viewer.inspect.filter_view import FilterPanel
from napari_mrisr.viewer.inspect.painted import Lines, Readout

MAP, VOXEL, BUCKETS = range(3)
_FACTS = 15

_ABOUT = (
    "A bucket is a set of ranges of gradient features. All voxels of a bucket get the same "
    "filter. In the map, label n is bucket n − 1. Flat voxels have no filter and no color. "
    "Buckets that differ only in phase share a color."
)


class SecondBankField(BankField):
    """A bank to compare with, or none."""

    def set_names(self, names: Sequence[str], scale: Scale | None) -> None:
        """Offer banks; the first entry is none instead of "auto"."""
        super().set_names(names, scale)
        self.setItemText(0, "no second bank")
        self.setToolTip("Bank with the same buckets, to compare filter by filter")


class InspectPanel(FormPanel):
    """The dock connects the signals and calls the ``show_`` methods."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.status.deleteLater()
        self.status = Lines(2, self)
        self.layer = LayerField(self)
        self.scale = ScaleField(self)
        self.bank = BankField(self)
        self.stage = narrow(QComboBox(self))
        self.stage.setToolTip(
            "A bank has several stages, each with its own buckets.\n"
            "Later stages work on the output of earlier stages."
        )
        self.show_button = QPushButton("Show bucket map", self)
        self.features_button = QPushButton("Add a feature map as a layer", self)
        self.features_button.setToolTip("Orientation, features, and the bins of features")
        self.features = QMenu(self.features_button)
        self.features_button.setMenu(self.features)
        self.bar.setMaximumHeight(8)
        self.follow = QCheckBox("Follow the cursor (click to hold a voxel)", self)
        self.follow.setChecked(True)
        self.readout = Readout(_FACTS, self)
        self.second = SecondBankField(self)
        tip = "Layer with the true values: measures the gain over tricubic per bucket"
        self.reference = OptionalLayerField("no reference", tip, self)
        self.only = QPushButton("Show only this", self)
        self.only.setCheckable(True)
        self.only.setToolTip("Show only the voxels of the chosen bucket in the map")
        self.table = BucketView(self)
        self.bucket_line = Lines(3, self)
        self.filter = FilterPanel(self)
        self._form = {
            "Scan": self.layer, "Scale": self.scale, "Bank": self.bank, "Stage": self.stage,
        }  # fmt: skip
        self.fields = (
            *self._form.values(), self.reference, self.show_button, self.features_button,
        )  # fmt: skip
        self._lay_out()
        self.show_idle()

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
            # Ignore hidden tabs: the tallest would push the filter off the screen.
            preferred, ignored = QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Ignored
            vertical = preferred if number == current else ignored
            self.tabs.widget(number).setSizePolicy(preferred, vertical)

    def _map_tab(self) -> QWidget:
        tab = QWidget(self)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, field in self._form.items():
            form.addRow(name, field)
        buttons = QHBoxLayout()
        buttons.addWidget(self.show_button, 3)
        buttons.addWidget(self.cancel_button, 2)
        about = Lines(7, tab)
        about.setText(_ABOUT)
        column = QVBoxLayout(tab)
        column.addLayout(form)
        column.addLayout(buttons)
        column.addWidget(self.features_button)
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
        bar.addWidget(self.reference, 1)
        bar.addWidget(self.only)
        self.table.setMinimumHeight(150)
        column = QVBoxLayout(tab)
        column.setContentsMargins(0, 4, 0, 0)
        column.addLayout(bar)
        column.addWidget(self.table, 1)
        column.addWidget(self.bucket_line)
        return tab

    def write_status(self, text: str, color: str | None) -> None:
        """Write into the status lines."""
        self.status.setText(text, color)

    def show_inspected(self, inspected: bool) -> None:
        """Enable the tabs for voxel and buckets if there is a map."""
        for tab in (VOXEL, BUCKETS):
            self.tabs.setTabEnabled(tab, inspected)

    def show_idle(self, text: str = "") -> None:
        """Enable the fields; without layers the scan stays disabled."""
        super().show_idle(text)
        self.layer.setEnabled(self.layer.count() > 0)

    def show_ready(self, *, show: bool, features: bool) -> None:
        """Enable the buttons that start a run."""
        self.show_button.setEnabled(show)
        self.features_button.setEnabled(features)
