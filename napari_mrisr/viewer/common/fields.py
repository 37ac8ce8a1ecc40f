"""Fields of the docks' forms: layer, scale, filter bank, named choices."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_mrisr.core.frames import AXIS_NAMES
from napari_mrisr.core.scale import (
    MAX_FACTOR,
    MAX_SCALE,
    RealScale,
    Scale,
    parse_scale,
    scale_for_spacing,
)
from napari_mrisr.viewer.common.labels import described, scale_label
from napari_mrisr.viewer.layers.complex_scans import is_phase
from napari_mrisr.viewer.layers.convert import is_result

_AUTO_BANK = "Auto (bundled)"
_BROWSE = "Browse…"
_OTHER = "Other…"
_BY_SIZE = "mm"


def narrow(combo: QComboBox) -> QComboBox:
    """Allow a combo box to be narrower than its longest entry, which is then elided."""
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    combo.view().setTextElideMode(Qt.TextElideMode.ElideMiddle)
    return combo


class WheelGuard(QObject):
    """Leaves the mouse wheel to the widget around a field, which it never changes."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Ignore the wheel; Qt then asks the parent."""
        if event.type() != QEvent.Type.Wheel:
            return False
        event.ignore()
        return True


def guard_wheel(widget: QWidget) -> None:
    """Keep the mouse wheel from changing any field inside a widget."""
    guard = WheelGuard(widget)
    for kind in (QComboBox, QAbstractSpinBox, QSlider):
        for field in widget.findChildren(kind):
            field.installEventFilter(guard)


class BankNews(QObject):
    """Signal for filter banks that this session trained."""

    saved = Signal(str)
    """Path of the bank's file."""


@functools.cache
def bank_news() -> BankNews:
    """Return the one object that all docks share."""
    return BankNews()


class VerticalScroll(QScrollArea):
    """Vertical scroll area that is never narrower than its content."""

    def __init__(self, content: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(content)
        content.installEventFilter(self)

    def minimumSizeHint(self) -> QSize:
        """Return the content's width and the height of a few lines."""
        bar = self.verticalScrollBar().sizeHint().width()
        content = self.widget()
        # Qt's hint ignores a minimum width that was set.
        width = max(content.minimumSizeHint().width(), content.minimumWidth())
        return QSize(width + bar, 120)

    def sizeHint(self) -> QSize:
        """Return the size of the whole content."""
        return self.minimumSizeHint().expandedTo(self.widget().sizeHint())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Update when the content's size has changed, which Qt does not."""
        if watched is self.widget() and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)


def _is_input(layer: Any) -> bool:
    """Return whether a layer may be chosen as input without the user."""
    return not is_result(layer) and not is_phase(layer)


class LayerField(QComboBox):
    """Choice of an image layer; by default the topmost that is neither a result nor a phase.

    Parameters
    ----------
    parent : QWidget, optional
    results : bool
        Choose a result or phase if there is no other layer. Otherwise only the user does.
    """

    chosen = Signal()

    def __init__(self, parent: QWidget | None = None, *, results: bool = True) -> None:
        super().__init__(parent)
        narrow(self)
        self._results = results
        self._layers: list[Any] = []
        self._by_user = False
        self.currentIndexChanged.connect(self._tell)
        self.activated.connect(self._mark_chosen)

    @property
    def layer(self) -> Any:
        """Return the chosen layer, or None."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    @layer.setter
    def layer(self, layer: Any) -> None:
        if layer in self._layers:
            self._by_user = True
            self.setCurrentIndex(self._layers.index(layer))

    def set_layers(self, layers: Sequence[Any]) -> None:
        """Offer layers, the topmost first; keep the choice if it is among them."""
        chosen = self.layer
        self._by_user &= chosen in layers
        if chosen not in layers or not (_is_input(chosen) or self._by_user):
            chosen = next((layer for layer in layers if _is_input(layer)), chosen)
        self.blockSignals(True)
        self.clear()
        self._layers = list(layers)
        self.addItems([layer.name for layer in layers])
        for index, layer in enumerate(layers):
            self.setItemData(index, layer.name, Qt.ItemDataRole.ToolTipRole)
        self.setPlaceholderText("Choose a layer" if layers else "No image layer")
        if chosen in self._layers and (self._results or self._by_user or _is_input(chosen)):
            self.setCurrentIndex(self._layers.index(chosen))
        else:
            self.setCurrentIndex(0 if self._results else -1)
        self.setEnabled(bool(layers))
        self.blockSignals(False)
        self._tell()

    def _mark_chosen(self, _: int) -> None:
        self._by_user = True

    def _tell(self) -> None:
        self.setToolTip(self.currentText() or "Image layers of the viewer")
        self.chosen.emit()


class NamedChoice(QComboBox):
    """Choice among names, each with its one-line description: "hashed: learned filters".

    Parameters
    ----------
    summaries : mapping of str to str
        From name to description.
    """

    chosen = Signal()

    def __init__(self, summaries: Mapping[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        narrow(self)
        for name, summary in summaries.items():
            text = described(name, summary)
            self.addItem(text, name)
            self.setItemData(self.count() - 1, text, Qt.ItemDataRole.ToolTipRole)
        self._by_user = False
        self.activated.connect(self._mark_chosen)
        self.currentIndexChanged.connect(self._tell)
        self._tell()

    @property
    def name(self) -> str:
        """Return the chosen name."""
        return str(self.currentData())

    @name.setter
    def name(self, name: str) -> None:
        self._by_user = True
        self.setCurrentIndex(self.findData(name))

    def suggest(self, name: str) -> None:
        """Choose a name unless the user has chosen one."""
        if not self._by_user:
            self.setCurrentIndex(self.findData(name))

    def _mark_chosen(self, _: int) -> None:
        self._by_user = True

    def _tell(self) -> None:
        self.setToolTip(self.currentText())
        self.chosen.emit()


class ScaleField(QWidget):
    """Choice of a scale: the usual ones in a list, any other by a factor or size per axis.

    Parameters
    ----------
    parent : QWidget, optional
    real : bool
        Allow factors that are not whole, and voxel sizes.
    """

    chosen = Signal()

    def __init__(self, parent: QWidget | None = None, *, real: bool = False) -> None:
        super().__init__(parent)
        self._real = real
        self._voxel_size: tuple[float, float, float] | None = None
        self._combo = narrow(QComboBox(self))
        self._combo.setToolTip("Upscaling factor per axis of the patient")
        self._other = QWidget(self)
        self._factors = [self._factor(name) for name in AXIS_NAMES]
        self._sizes_box = QWidget(self)
        self._sizes = [self._size(name) for name in AXIS_NAMES]
        for box, fields in ((self._other, self._factors), (self._sizes_box, self._sizes)):
            rows = QFormLayout(box)
            rows.setContentsMargins(0, 0, 0, 0)
            rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
            for name, field in zip(AXIS_NAMES, fields, strict=True):
                rows.addRow(name, field)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        layout.addWidget(self._other)
        layout.addWidget(self._sizes_box)
        self._combo.currentIndexChanged.connect(self._tell)
        self._tell()

    def _factor(self, name: str) -> QSpinBox | QDoubleSpinBox:
        box = QDoubleSpinBox(self._other) if self._real else QSpinBox(self._other)
        most = MAX_FACTOR if self._real else MAX_SCALE
        box.setRange(1, most)
        box.setValue(2)
        box.setToolTip(f"Factor along {name}, 1 to {most}")
        box.valueChanged.connect(self._tell)
        return box

    def _size(self, name: str) -> QDoubleSpinBox:
        box = QDoubleSpinBox(self._sizes_box)
        box.setSuffix(" mm")
        box.setSingleStep(0.1)
        box.setToolTip(f"Voxel size of the result along {name}")
        box.valueChanged.connect(self._tell)
        return box

    def set_voxel_size(self, voxel_size: tuple[float, float, float] | None) -> None:
        """Take the voxel size of the scan, in mm along R–L, A–P, S–I, for choices by size."""
        if voxel_size is None or voxel_size == self._voxel_size:
            self._voxel_size = voxel_size
            return
        self._voxel_size = voxel_size
        for box, size in zip(self._sizes, voxel_size, strict=True):
            box.blockSignals(True)
            # Rounded inwards, so that no factor exceeds the largest one.
            box.setRange(math.ceil(100 * size / MAX_FACTOR) / 100, size)
            box.setValue(min(voxel_size))
            box.blockSignals(False)

    @property
    def scale(self) -> RealScale | None:
        """Return the chosen scale in RAS order; None if the list is empty."""
        if self._combo.currentIndex() < 0:
            return None
        listed = self._combo.currentData()
        if listed == _BY_SIZE:
            assert self._voxel_size is not None, "else not offered"
            return scale_for_spacing(self._voxel_size, [self._exact(box) for box in self._sizes])
        if listed is not None:
            x, y, z = listed
            return x, y, z
        return parse_scale([box.value() for box in self._factors])

    @scale.setter
    def scale(self, scale: RealScale) -> None:
        index = self._index(scale)
        if index < 0:
            index = self._combo.findText(_OTHER)
            if index < 0:
                return
            for box, factor in zip(self._factors, scale, strict=True):
                box.setValue(factor)
        self._combo.setCurrentIndex(index)

    def _exact(self, box: QDoubleSpinBox) -> float:
        """Return a voxel size; the scan's own where the field shows it, rounded."""
        assert self._voxel_size is not None, "else not offered"
        return next((s for s in self._voxel_size if round(s, 2) == box.value()), box.value())

    def set_scales(
        self, scales: Sequence[Scale], others: bool, first: tuple[str, RealScale] | None = None
    ) -> None:
        """Offer scales, with ``others`` also any other; keep the choice if possible.

        ``first`` is the text and scale of a further choice at the top, which is chosen if it
        was not offered before.
        """
        before = self.scale
        is_new = first is not None and self._combo.itemText(0) != first[0]
        self._combo.blockSignals(True)
        self._combo.clear()
        if first is not None:
            self._combo.addItem(*first)
        for scale in scales:
            self._combo.addItem(scale_label(scale), tuple(scale))
        if others:
            self._combo.addItem(_OTHER, None)
            if self._real and self._voxel_size is not None:
                self._combo.addItem("Other voxel size…", _BY_SIZE)
        self._combo.setCurrentIndex(0)
        self._combo.blockSignals(False)
        if before is not None and not is_new:
            self.scale = before
        self._tell()

    def _index(self, scale: RealScale) -> int:
        found = [i for i in range(self._combo.count()) if self._combo.itemData(i) == scale]
        return found[0] if found else -1

    def _tell(self) -> None:
        listed = self._combo.currentData()
        self._other.setVisible(self._combo.count() > 0 and listed is None)
        self._sizes_box.setVisible(listed == _BY_SIZE)
        self.chosen.emit()


class BankField(QComboBox):
    """Choice of a filter bank: automatic, a bundled one that fits, or a file."""

    chosen = Signal()
    browsed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        narrow(self)
        self.setToolTip(
            "Learned filters or a network. Auto: those that come with the plugin for this scale.\n"
            "“Train” makes a file from your own scans."
        )
        self._file: str | None = None
        self.file_scale: Scale | None = None
        self._before = 0
        self.set_names([], None)
        self.currentIndexChanged.connect(self._tell)
        self.activated.connect(self._activated)

    @property
    def bank(self) -> str | None:
        """Return the name or path of the chosen bank; None for the bundled one."""
        data = self.currentData()
        return None if data == _BROWSE else data

    def set_names(self, names: Sequence[str], scale: RealScale | None) -> None:
        """Offer banks of a scale, or networks; of paths, show the file's name. Keep the choice.

        The file of :meth:`add_file` is offered too if it has that scale.
        """
        before = self.bank if self.count() else None
        self.blockSignals(True)
        self.clear()
        self.addItem(_AUTO_BANK, None)
        for name in names:
            self.addItem(Path(name).name, name)
        if self._file is not None and self.file_scale == scale:
            self.addItem(Path(self._file).name, self._file)
        self.insertSeparator(self.count())
        self.addItem(_BROWSE, _BROWSE)
        self.setCurrentIndex(max(0, self.findData(before)) if before else 0)
        self._before = self.currentIndex()
        self.blockSignals(False)

    def add_file(self, path: str, scale: Scale | None) -> None:
        """Offer a file whenever its scale is chosen."""
        self._file, self.file_scale = path, scale

    def choose_file(self) -> None:
        """Choose the file; its scale must be chosen."""
        index = self.findData(self._file)
        self.setItemData(index, self._file, Qt.ItemDataRole.ToolTipRole)
        self.setCurrentIndex(index)

    def _activated(self, index: int) -> None:
        if self.itemData(index) != _BROWSE:
            return
        self.setCurrentIndex(self._before)
        path, _ = QFileDialog.getOpenFileName(
            self,
            "Open a filter bank or network",
            "",
            "Filter banks and networks (*.safetensors *.onnx *.zip *.yaml);;All files (*)",
        )
        if path:
            self.browsed.emit(path)

    def _tell(self) -> None:
        if self.currentData() == _BROWSE:
            return
        self._before = self.currentIndex()
        self.chosen.emit()


class OptionalLayerField(LayerField):
    """The image layers of a viewer, or none.

    Parameters
    ----------
    none : str
        Text of the first entry, which chooses no layer.
    tip : str
        Tooltip.
    """

    def __init__(self, none: str, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._none = SimpleNamespace(name=none)
        self.chosen.connect(lambda: self.setToolTip(tip))
        self.set_layers([])

    @property
    def layer(self) -> Any:
        """The chosen layer, or None."""
        layer = super().layer
        return None if layer is self._none else layer

    @layer.setter
    def layer(self, layer: Any) -> None:
        if layer is None or layer in self._layers:
            self.setCurrentIndex(0 if layer is None else self._layers.index(layer))

    def set_layers(self, layers: Sequence[Any]) -> None:
        """Offer these layers, and none."""
        super().set_layers([self._none, *layers])
