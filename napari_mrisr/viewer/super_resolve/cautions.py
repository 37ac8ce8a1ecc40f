"""Cautions about the chosen layer, found in the background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari_mrisr.bank.model import FilterBank
from napari_mrisr.core.notice import Caution
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.slices import slices_of
from napari_mrisr.methods.network import model_of
from napari_mrisr.networks.file import NetworkFile
from napari_mrisr.run.upscale import UpscaleParameters, check_parameters
from napari_mrisr.scan.traits import Traits, measure_traits
from napari_mrisr.trust import cautions_for
from napari_mrisr.viewer.common.worker import Worker
from napari_mrisr.viewer.layers.convert import LayerSnapshot


@dataclass(frozen=True)
class _Measurement:
    """Traits of a layer to measure, and the bank or network to compare them with."""

    source: LayerSnapshot
    bank: FilterBank | NetworkFile

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for the same voxels of the same size."""
        source = self.source
        return id(source.data), source.frame, source.grid.shape, source.grid.voxel_size

    def run(self, progress: Progress) -> tuple[_Measurement, Traits]:
        """Measure, on the worker thread."""
        volume = self.source.to_volume()
        progress.token.check()
        return self, measure_traits(volume, Progress(progress.token))  # without a bar

    def cautions(self, traits: Traits) -> tuple[Caution, ...]:
        """Return the cautions about the layer."""
        source = self.source
        origin = None if source.record is None else source.record.origin
        return cautions_for(traits, self.bank, slices_of(source.grid, origin))


class CautionWatch:
    """Measures the chosen layer in the background and shows what is unusual.

    Parameters
    ----------
    show : callable
        Receives the cautions in the GUI thread; none while they are not known.
    """

    def __init__(self, show: Callable[[tuple[Caution, ...]], None]) -> None:
        self._show = show
        self.worker = Worker()
        self.worker.finished.connect(self._measured)
        self._wanted: _Measurement | None = None
        self._running: _Measurement | None = None
        self._known: tuple[_Measurement, Traits] | None = None

    def look(self, source: LayerSnapshot, parameters: UpscaleParameters) -> None:
        """Compare a layer with the bank or network of some parameters; no caution without."""
        bank = model_of(check_parameters(parameters))
        if bank is None:
            self.clear()
            return
        wanted = self._wanted = _Measurement(source, bank)
        # The snapshot is kept, so that no other array can get its id.
        if self._known is not None and self._known[0].key == wanted.key:
            self._show(wanted.cautions(self._known[1]))
            return
        self._show(())
        if not self.worker.busy or self._running is None or self._running.key != wanted.key:
            self._running = wanted
            self.worker.submit(wanted.run)

    def clear(self) -> None:
        """Show nothing."""
        self._wanted = None
        self.worker.cancel()
        self._show(())

    def close(self) -> None:
        """End the thread and forget the layer."""
        self._wanted = self._running = self._known = None
        self.worker.close()

    def _measured(self, result: tuple[_Measurement, Traits]) -> None:
        self._known = result
        if self._wanted is not None and self._wanted.key == result[0].key:
            self._show(self._wanted.cautions(result[1]))
