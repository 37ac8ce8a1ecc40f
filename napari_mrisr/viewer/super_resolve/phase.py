"""Choice of the phase of a complex scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

from napari_mrisr.viewer.common.fields import narrow
from napari_mrisr.viewer.layers.complex_scans import belongs, phases_for

_NONE = "None: magnitude alone"


class PhaseField(QComboBox):
    """Choice among the layers that may be the phase of the chosen layer.

    By default the one that belongs to it, else none.
    """

    chosen = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        narrow(self)
        self.setToolTip(
            "Phase of this magnitude. Both are super-resolved as one complex scan,\n"
            "so that a wrap of the phase stays a wrap."
        )
        self._layers: list[Any] = []
        self._magnitude: Any = None
        self._user_choice: Any = None
        self.activated.connect(self._activated)

    @property
    def layer(self) -> Any:
        """Return the chosen phase, or None."""
        index = self.currentIndex() - 1
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def offer(self, magnitude: Any, layers: Sequence[Any]) -> None:
        """Offer the phases for a magnitude; a choice of the user for it stays."""
        if magnitude != self._magnitude:
            self._magnitude, self._user_choice = magnitude, None
        self._layers = [] if magnitude is None else phases_for(magnitude, layers)
        index = int(bool(self._layers) and belongs(self._layers[0], magnitude))
        if self._user_choice is not None:
            (layer,) = self._user_choice
            known = layer is None or layer in self._layers
            if known:
                index = 0 if layer is None else self._layers.index(layer) + 1
        self.clear()
        self.addItems([_NONE, *(layer.name for layer in self._layers)])
        self.setCurrentIndex(index)

    def _activated(self, _: int) -> None:
        self._user_choice = (self.layer,)
        self.chosen.emit()
