"""Fields of the dialog for planted lesions: scan, degradation, methods, lesions."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QSpinBox,
    QWidget,
)

from napari_mrisr.comparison.opening import ORIGINAL, role
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Volume
from napari_mrisr.evaluation.planted_reading import PlantedParameters
from napari_mrisr.evaluation.tasks.planting import CONTRASTS, RADII
from napari_mrisr.methods import ONE_PER_FAMILY, method_summary
from napari_mrisr.viewer.common.fields import narrow
from napari_mrisr.viewer.common.labels import COMMON_SCALES, scale_label

_USUAL = PlantedParameters()


class PlantedFields(QWidget):
    """Choice of what is planted, and of the hidden methods.

    Parameters
    ----------
    volumes : mapping of str to Volume
        Open volumes; results and trust maps are not offered.

    Signals
    -------
    changed
    """

    changed = Signal()

    def __init__(self, volumes: Mapping[str, Volume], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._volumes = {
            key: volume
            for key, volume in volumes.items()
            if role(key, volume.history)[0] == ORIGINAL
        }
        self.scan = narrow(QComboBox(self))
        for key in self._volumes:
            self.scan.addItem(key, key)
        self.scan.setToolTip("High-resolution scan of a head; the lesions are planted in a copy")
        self.scale = narrow(QComboBox(self))
        for scale in COMMON_SCALES:
            self.scale.addItem(scale_label(scale), scale)
        self.scale.setToolTip("The scan is degraded by this factor, then super-resolved")
        self.methods = {name: QCheckBox(name, self) for name in ONE_PER_FAMILY}
        for name, box in self.methods.items():
            box.setToolTip(method_summary(name))
            box.setChecked(name in _USUAL.methods)
        self.cases = QSpinBox(self)
        self.cases.setRange(1, 40)
        self.cases.setValue(_USUAL.cases)
        self.cases.setToolTip("Each lesion is one case, and is shown once per method")
        self.radius, self.contrast = QComboBox(self), QComboBox(self)
        for radius in RADII:
            self.radius.addItem(f"radius {radius} voxel{'s' if radius > 1 else ''}", radius)
        for contrast in CONTRASTS:
            self.contrast.addItem(f"contrast ±{100 * contrast:g} %", contrast)
        self.radius.setToolTip("Of a sphere of the same volume; ellipsoids and sheets occur too")
        self.contrast.setToolTip("Part of the scan's intensity window, brighter or darker")
        self.radius.setCurrentIndex(RADII.index(_USUAL.radius))
        self.contrast.setCurrentIndex(CONTRASTS.index(_USUAL.contrast))
        self._lay_out()
        for combo in (self.scan, self.scale, self.radius, self.contrast):
            combo.currentIndexChanged.connect(self._tell)
        for box in self.methods.values():
            box.toggled.connect(self._tell)
        self.cases.valueChanged.connect(self._tell)

    def _lay_out(self) -> None:
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        scan, lesions, methods = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        scan.addWidget(self.scan, 2)
        scan.addWidget(self.scale, 1)
        for part in (self.cases, self.radius, self.contrast):
            lesions.addWidget(part, 1)
        for box in self.methods.values():
            methods.addWidget(box)
        methods.addStretch(1)
        form.addRow("Scan", scan)
        form.addRow("Lesions", lesions)
        form.addRow("Methods", methods)

    @property
    def volume(self) -> Volume | None:
        """Return the chosen scan; None without one."""
        return self._volumes.get(self.scan.currentData())

    def parameters(self, seed: int) -> PlantedParameters:
        """Return the fields, or raise :class:`ParameterError`."""
        chosen = tuple(name for name, box in self.methods.items() if box.isChecked())
        scale: Scale = self.scale.currentData()
        return PlantedParameters(
            chosen,
            scale,
            self.cases.value(),
            int(self.radius.currentData()),
            float(self.contrast.currentData()),
            seed,
        )

    def _tell(self, *_: object) -> None:
        self.changed.emit()
