"""The "Train" dock widget.

The widget freezes its fields into one request, which a background thread runs. The events
of the training go into a history, which the charts show.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.theme import get_theme
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog

from napari_mrisr.bank.folder import NETWORK_SUFFIX, SUFFIX, bank_folder
from napari_mrisr.core.progress import CancelToken, ProgressState
from napari_mrisr.core.scale import format_scale
from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import MemoryEstimateError, MrisrError
from napari_mrisr.networks.file import THICK, UNROLLED
from napari_mrisr.training import checkpoint_path
from napari_mrisr.training.cost import check_memory
from napari_mrisr.training.events import TrainEvent
from napari_mrisr.training.networks import run
from napari_mrisr.training.networks.run import (
    FINE_TUNING_STEPS,
    STEPS,
    NetworkParameters,
    check_network_memory,
    network_checkpoint,
    network_memory,
)
from napari_mrisr.training.presets import TrainParameters
from napari_mrisr.training.sources import TrainingSource, VolumeSource
from napari_mrisr.viewer.common.dock import Dock
from napari_mrisr.viewer.common.fields import bank_news
from napari_mrisr.viewer.common.labels import error_line, networks_of
from napari_mrisr.viewer.layers.convert import LayerSnapshot, frame_on_screen, snapshot
from napari_mrisr.viewer.train import model
from napari_mrisr.viewer.train.model import (
    TRAIN,
    UNKNOWN_LICENSE,
    VALIDATE,
    FileEntry,
    TrainingHistory,
    TrainRequest,
    bank_path,
    training_memory,
)
from napari_mrisr.viewer.train.network import OF_THICK, NetworkHistory
from napari_mrisr.viewer.train.panel import TrainPanel

if TYPE_CHECKING:
    from napari.viewer import Viewer

_LAYER_EVENTS = ("name", "scale", "units", "data")


class TrainWidget(Dock):
    """Choose volumes, train filters or a network, watch the gain grow; stop and resume.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Its layers can be trained on.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, "train", TrainPanel())
        self.watch_layers(self._list_layers, dict.fromkeys(_LAYER_EVENTS, self._layer_changed))
        self._request: TrainRequest | None = None
        self._stop = CancelToken()
        self._folder: Path | None = None
        self.history: TrainingHistory | NetworkHistory = TrainingHistory()
        self._drawn = 0
        # Updates the time left, and the curve of steps.
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self._tick)
        self._connect()
        self._method_chosen()
        self.attach()

    def _connect(self) -> None:
        panel = self.panel
        panel.volumes.changed.connect(self.refresh)
        panel.volumes.failed.connect(self.tell_error)
        panel.method.chosen.connect(self._method_chosen)
        panel.start.currentIndexChanged.connect(self._start_chosen)
        panel.scale.chosen.connect(self._scale_chosen)
        panel.preset.currentTextChanged.connect(self.refresh)
        panel.degradation.currentTextChanged.connect(self.refresh)
        panel.name.textChanged.connect(self.refresh)
        panel.name.textEdited.connect(lambda: panel.name.setProperty("typed", True))
        panel.folder_button.clicked.connect(self._browse_folder)
        panel.replace.toggled.connect(self.refresh)
        panel.train_button.clicked.connect(self.train)
        panel.resume_button.clicked.connect(self.resume)

    def train(self) -> None:
        """Train on the ticked volumes."""
        self._start(resume=False)

    def resume(self) -> None:
        """Continue the training of this name with the ticked volumes."""
        self._start(resume=True)

    def cancel(self) -> None:
        """Stop the training and save what is finished."""
        if self.busy:
            self._stop.cancel()
            self._clock.stop()
            self.panel.show_stopping()

    def set_folder(self, folder: Path | None) -> None:
        """Save into a folder; None means the user's folder of banks."""
        self._folder = folder
        self.refresh()

    def _browse_folder(self) -> None:
        start = str(self._folder or bank_folder())
        path = QFileDialog.getExistingDirectory(self, "Save into", start)
        if path:
            self.set_folder(Path(path))

    @property
    def _network(self) -> bool:
        return self.panel.method.name in run.KINDS

    def _method_chosen(self) -> None:
        self.panel.show_method(self.panel.method.name)
        self._list_networks()
        self._start_chosen()

    def _start_chosen(self, _: int = 0) -> None:
        started = self.panel.start.currentData()
        self.panel.steps.setValue(FINE_TUNING_STEPS if started else STEPS)
        self._scale_chosen()

    def _scale_chosen(self) -> None:
        self._suggest_name()
        self.refresh()

    def _suggest_name(self) -> None:
        name, scale = self.panel.name, self.panel.scale.scale
        if name.property("typed"):
            return
        if self._network:
            name.setText(f"mine-{self.panel.method.name}")
        elif scale is not None:
            name.setText(f"mine-{format_scale(scale)}x")

    def _list_networks(self) -> None:
        """Offer the networks that can be trained further."""
        start = self.panel.start
        chosen = start.currentData()
        start.blockSignals(True)
        start.clear()
        start.addItem("New network", "")
        kind = self.panel.method.name
        found = networks_of(kind) + (networks_of(THICK) if kind == UNROLLED else [])
        for name in found:
            start.addItem(name, name)
        start.setCurrentIndex(max(0, start.findData(chosen)))
        start.blockSignals(False)

    def _snapshot(self, layer: Image) -> LayerSnapshot:
        """Freeze a layer; of a 4D layer, the frame on screen."""
        return snapshot(layer, frame_on_screen(layer, self._viewer.dims.point))

    def _source(self, entry: Any) -> TrainingSource:
        if isinstance(entry, FileEntry):
            return entry.source
        frozen = self._snapshot(entry)
        return VolumeSource(frozen.name, frozen.to_volume)

    def _out(self) -> Path:
        suffix = NETWORK_SUFFIX if self._network else SUFFIX
        return bank_path(self.panel.name.text(), self._folder, suffix)

    def _bank_parameters(self) -> TrainParameters | None:
        panel = self.panel
        if panel.scale.scale is None:
            return None
        return TrainParameters(
            scale=panel.scale.scale,
            preset=panel.preset.currentText(),
            degradation=panel.degradation.currentText(),
            license=panel.license.text().strip() or UNKNOWN_LICENSE,
            names=panel.names.isChecked(),
        )

    def _network_parameters(self) -> NetworkParameters:
        panel = self.panel
        return NetworkParameters(
            panel.steps.value(),
            panel.method.name,
            panel.start.currentData(),
            license=panel.license.text().strip() or UNKNOWN_LICENSE,
            names=panel.names.isChecked(),
        )

    def _make_request(self, resume: bool) -> TrainRequest | None:
        volumes = self.panel.volumes
        common: dict[str, Any] = {
            "sources": tuple(self._source(entry) for entry in volumes.chosen(TRAIN)),
            "validation": tuple(self._source(entry) for entry in volumes.chosen(VALIDATE)),
            "out": self._out(),
            "resume": resume,
            "overwrite": self.panel.replace.isChecked(),
            "stop": self._stop,
        }
        if self._network:
            return TrainRequest(parameters=self._network_parameters(), **common)
        parameters = self._bank_parameters()
        return None if parameters is None else TrainRequest(parameters=parameters, **common)

    def _start(self, resume: bool) -> None:
        if self.busy:
            return
        self._stop = CancelToken()
        try:
            request = self._make_request(resume)
        except MrisrError as error:
            self.tell_error(error)
            return
        if request is None:
            return
        if not (resume and self._request is not None and self._request.out == request.out):
            self.history = request.new_history()
        self._request = request
        self.panel.replace.setChecked(False)
        self.panel.show_history(self.history)
        self.run_work(request.run, request.new_history().status)
        self._clock.start()

    def work_reported(self, event: TrainEvent) -> None:
        """Show an event of the training."""
        self.history.add(event)
        if self.history.changed_by(event):
            self.panel.show_history(self.history)
        self._show_stage()

    def work_progressed(self, state: ProgressState) -> None:
        """Show progress until the training is stopped."""
        if not self._stop.cancelled:
            self.panel.show_progress(state)

    def work_messaged(self, text: str) -> None:
        """Show a message until the training is stopped."""
        if not self._stop.cancelled:
            self.panel.show_busy(text)

    def work_finished(self, result: Any) -> None:
        """Show the result, and offer it to the other docks."""
        assert self._request is not None
        self.panel.show_history(self.history)
        self.panel.show_status(self.history.outcome(result))
        bank_news().saved.emit(str(self._request.out))

    def work_cancelled(self) -> None:
        """Show that there is no result yet."""
        what = "step: there is no network" if self._network else "volume: there is no bank"
        self.panel.show_status(f"Stopped before the first {what} yet.")

    def _tick(self) -> None:
        self._show_stage()
        history = self.history
        if isinstance(history, NetworkHistory) and len(history.losses) != self._drawn:
            self._drawn = len(history.losses)
            self.panel.show_history(history)

    def _show_stage(self) -> None:
        if self.busy and not self._stop.cancelled:
            self.panel.show_status(self.history.status)

    def refresh(self, _: Any = None) -> None:
        """Show the plan of the form, or why it cannot start."""
        if self.busy:
            return
        self._clock.stop()
        panel = self.panel
        panel.show_idle()
        self._list_networks()
        chosen, checking = panel.volumes.chosen(TRAIN), panel.volumes.chosen(VALIDATE)
        out: Path | None = None
        try:
            out, grids = self._out(), self._grids([*chosen, *checking])
            need, check = self._memory(grids)
            plan = model.plan_text(len(chosen), len(checking), grids, need)
            of_thick = OF_THICK if self._network else model.OF_THICK
            counts = (len(chosen), len(checking))
            found = model.warnings(self._grids(chosen), *counts, of_thick)
            panel.show_plan(plan if chosen else "", found, str(out))
            if not (panel.volumes.layers or panel.volumes.files):
                panel.show_status(model.EMPTY)
            elif not chosen:
                panel.show_status(model.NO_VOLUME)
            check()
        except MemoryEstimateError as error:
            # Training stays possible: it checks the memory again when it starts.
            panel.show_error(error_line(error))
        except MrisrError as error:
            panel.show_plan(error_line(error), [], "" if out is None else str(out))
            panel.show_error(error_line(error))
            panel.offer(train=False, resume=False, replace=False)
            return
        assert out is not None
        checkpoint = network_checkpoint(out) if self._network else checkpoint_path(out)
        exists, resumable = out.exists(), checkpoint.exists()
        may_write = panel.replace.isChecked() or not exists
        panel.offer(train=bool(chosen) and may_write, resume=resumable, replace=exists)

    def _memory(self, grids: list[Grid]) -> tuple[int, Callable[[], None]]:
        """Return the memory that the training needs, and a function that checks it."""
        if self._network:
            run.require_torch()
            need = network_memory([grid.shape for grid in grids])
            return need, functools.partial(check_network_memory, need)
        parameters = self._bank_parameters()
        assert parameters is not None
        memory = training_memory(parameters, grids)
        return memory.total, functools.partial(check_memory, memory, parameters.preset)

    def _grids(self, entries: list[Any]) -> list[Grid]:
        """Return the grids of layers, and of files whose headers were read."""
        grids = []
        for entry in entries:
            grid = entry.grid if isinstance(entry, FileEntry) else self._snapshot(entry).grid
            if grid is not None:
                grids.append(grid)
        return grids

    def _list_layers(self, event: Any = None) -> None:
        assert self.layers is not None
        layers = [
            layer
            for layer in reversed(self._viewer.layers)
            if isinstance(layer, Image) and not layer.rgb and layer.ndim in (3, 4)
        ]
        self.layers.watch(layers)
        self.panel.volumes.set_layers(layers)

    def _layer_changed(self, event: Any) -> None:
        assert self.layers is not None
        if event.type == "name":
            self.panel.volumes.set_layers(self.layers.layers)
        else:
            self.refresh()

    def theme_changed(self) -> None:
        """Draw the charts in the colors of napari's theme."""
        theme = get_theme(self._viewer.theme)
        self.panel.set_chart_colors(theme.text.as_hex(), theme.background.as_hex())

    def detached(self, *, closing: bool) -> None:
        """Stop the timers; the worker has kept the sums of finished volumes."""
        self._clock.stop()
        self.panel.volumes.stop()
