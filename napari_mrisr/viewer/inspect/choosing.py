"""The form's choices: layer, scale, bank, stage; kept in step with the viewer."""

from __future__ import annotations

from typing import Any

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_mrisr.bank.model import FilterBank, bank_for, load_bank
from napari_mrisr.errors import BankError, MrisrError, explain
from napari_mrisr.inspection.texts import stage_text
from napari_mrisr.viewer.common.choices import fitting_banks, offered_scales
from napari_mrisr.viewer.common.layer_watch import LayerWatch
from napari_mrisr.viewer.inspect.panel import InspectPanel
from napari_mrisr.viewer.layers.convert import LayerSnapshot, frame_on_screen, snapshot


class Chooser(QObject):
    """Offers what there is; tells when the choice changed.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    panel : InspectPanel
    """

    changed = Signal()
    failed = Signal(object)

    def __init__(self, viewer: Any, panel: InspectPanel) -> None:
        super().__init__()
        self._viewer, self._panel = viewer, panel
        self._layers = LayerWatch(viewer, self._refresh_layers, {"name": self._renamed})
        panel.layer.chosen.connect(self.changed)
        panel.scale.chosen.connect(self._scale_chosen)
        panel.bank.chosen.connect(self._bank_chosen)
        panel.bank.browsed.connect(self.open_bank)
        panel.stage.currentIndexChanged.connect(self.changed)
        self._offer_scales()

    @property
    def ready(self) -> bool:
        """Whether all is chosen."""
        return self._panel.layer.layer is not None and self._panel.stage.count() > 0

    @property
    def number(self) -> int:
        """The stage chosen, from 0."""
        return max(0, self._panel.stage.currentIndex())

    def source(self) -> LayerSnapshot | None:
        """The chosen layer; None without one."""
        layer = self._panel.layer.layer
        return None if layer is None else self.snapshot(layer)

    def snapshot(self, layer: Image) -> LayerSnapshot:
        """A layer, of a 4D one the frame that is on screen.

        Raises
        ------
        VolumeError, GeometryError
            As :func:`napari_mrisr.viewer.layers.convert.snapshot`.
        """
        return snapshot(layer, frame_on_screen(layer, self._viewer.dims.point))

    def open_bank(self, path: str) -> None:
        """Offer a bank file and choose it, with its scale."""
        panel = self._panel
        try:
            scale = load_bank(path).scale
        except MrisrError as error:
            self.failed.emit(error)
            return
        panel.bank.add_file(path, scale)
        self._offer_scales()
        panel.scale.scale = scale
        self._scale_chosen()
        panel.bank.choose_file()

    def offer_second(self, first: FilterBank | None, keep: bool) -> None:
        """Offer banks to compare with a bank; choose none unless the choice is to be kept."""
        second = self._panel.second
        second.blockSignals(True)
        if first is not None:
            others = [name for name in fitting_banks(first.scale) if name != first.name]
            second.set_names(others, first.scale)
        if not keep:
            second.setCurrentIndex(0)
        second.blockSignals(False)

    def open_second(self, path: str, first: FilterBank) -> None:
        """Offer a bank file to compare with a bank, and choose it."""
        second = self._panel.second
        try:
            bank = load_bank(path)
            if bank.scale != first.scale:
                mend = "choose a bank of the same preset and scale"
                raise BankError(explain(path, f"another scale than {first.name}", mend))
        except MrisrError as error:
            self.failed.emit(error)
            return
        second.add_file(path, bank.scale)
        self.offer_second(first, keep=True)
        second.choose_file()

    def _offer_scales(self) -> None:
        scales, others = offered_scales("hashed")
        own = self._panel.bank.file_scale
        self._panel.scale.set_scales(sorted({*scales, *([own] if own else [])}), others)
        self._scale_chosen()

    def _scale_chosen(self) -> None:
        scale = self._panel.scale.scale
        if scale is not None:
            try:
                self._panel.bank.set_names(fitting_banks(scale), scale)
            except MrisrError as error:
                self.failed.emit(error)
        self._bank_chosen()

    def _bank_chosen(self) -> None:
        panel, combo = self._panel, self._panel.stage
        before = combo.currentIndex()
        combo.blockSignals(True)
        combo.clear()
        try:
            if panel.scale.scale is not None:
                bank = bank_for(panel.scale.scale, panel.bank.bank)
                combo.addItems([stage_text(bank, n) for n in range(len(bank.stages))])
                combo.setCurrentIndex(before if 0 <= before < len(bank.stages) else 0)
        except MrisrError as error:
            self.failed.emit(error)
        finally:
            combo.blockSignals(False)
        self.changed.emit()

    # The viewer's layers.

    def attach(self) -> None:
        """Listen to the viewer."""
        self._layers.attach()
        self._refresh_layers()

    def detach(self) -> None:
        """Let go of the viewer."""
        self._layers.detach()

    def _refresh_layers(self, event: Any = None) -> None:
        layers = [
            layer
            for layer in reversed(self._viewer.layers)
            if isinstance(layer, Image) and not layer.rgb
        ]
        self._layers.watch(layers)
        self._offer(layers)

    def _offer(self, layers: list[Image]) -> None:
        self._panel.layer.set_layers(layers)
        self._panel.truth.set_layers(layers)

    def _renamed(self, event: Any) -> None:
        self._offer(self._layers.layers)
