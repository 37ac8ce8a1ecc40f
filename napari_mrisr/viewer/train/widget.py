"""The "Train filters" dock widget.

The widget freezes its fields into one request, which a background thread runs. The events
of the training go into a :class:`~napari_mrisr.viewer.train.model.TrainingHistory`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.theme import get_theme
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog

from napari_mrisr.bank.folder import bank_folder
from napari_mrisr.core.progress import CancelToken, ProgressState
from napari_mrisr.core.scale import format_scale
from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import MemoryEstimateError, MrisrError
from napari_mrisr.training import TrainingReport, checkpoint_path
from napari_mrisr.training.cost import check_memory
from napari_mrisr.training.events import (
    GainMeasured,
    TrainEvent,
    TrainingStarted,
    VolumeAdded,
)
from napari_mrisr.training.presets import TrainParameters
from napari_mrisr.training.sources import TrainingSource, VolumeSource
from napari_mrisr.viewer.common.dock import Dock
from napari_mrisr.viewer.common.fields import bank_news
from napari_mrisr.viewer.common.labels import error_line
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
from napari_mrisr.viewer.train.panel import TrainPanel

if TYPE_CHECKING:
    from napari.viewer import Viewer

_LAYER_EVENTS = ("name", "scale", "units", "data")


class TrainWidget(Dock):
    """Choose volumes, train, watch the gain grow; stop and resume.

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
        self.history = TrainingHistory()
        # Updates the time left.
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self._show_stage)
        self._connect()
        self._suggest_name()
        self.attach()

    def _connect(self) -> None:
        panel = self.panel
        panel.volumes.changed.connect(self.refresh)
        panel.volumes.failed.connect(self.tell_error)
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
        """Train a bank on the ticked volumes."""
        self._start(resume=False)

    def resume(self) -> None:
        """Continue the bank of this name with the ticked volumes."""
        self._start(resume=True)

    def cancel(self) -> None:
        """Stop the training; the finished volumes become a bank."""
        if self.busy:
            self._stop.cancel()
            self._clock.stop()
            self.panel.show_stopping()

    def set_folder(self, folder: Path | None) -> None:
        """Save banks into a folder; None means the user's folder of banks."""
        self._folder = folder
        self.refresh()

    def _browse_folder(self) -> None:
        start = str(self._folder or bank_folder())
        path = QFileDialog.getExistingDirectory(self, "Save banks into", start)
        if path:
            self.set_folder(Path(path))

    def _scale_chosen(self) -> None:
        self._suggest_name()
        self.refresh()

    def _suggest_name(self) -> None:
        name, scale = self.panel.name, self.panel.scale.scale
        if scale is not None and not name.property("typed"):
            name.setText(f"mine-{format_scale(scale)}x")

    def _snapshot(self, layer: Image) -> LayerSnapshot:
        """Freeze a layer; of a 4D layer, the frame on screen."""
        return snapshot(layer, frame_on_screen(layer, self._viewer.dims.point))

    def _source(self, entry: Any) -> TrainingSource:
        if isinstance(entry, FileEntry):
            return entry.source
        frozen = self._snapshot(entry)
        return VolumeSource(frozen.name, frozen.to_volume)

    def _parameters(self) -> TrainParameters | None:
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

    def _make_request(self, resume: bool) -> TrainRequest | None:
        parameters, volumes = self._parameters(), self.panel.volumes
        if parameters is None:
            return None
        return TrainRequest(
            tuple(self._source(entry) for entry in volumes.chosen(TRAIN)),
            tuple(self._source(entry) for entry in volumes.chosen(VALIDATE)),
            bank_path(self.panel.name.text(), self._folder),
            parameters,
            resume=resume,
            overwrite=self.panel.replace.isChecked(),
            stop=self._stop,
        )

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
            self.history = TrainingHistory()
        self._request = request
        self.panel.replace.setChecked(False)
        self.panel.show_history(self.history)
        self.run_work(request.run, model.stage_text(TrainingHistory()))
        self._clock.start()

    def work_reported(self, event: TrainEvent) -> None:
        """Show an event of the training."""
        self.history.add(event)
        # The other events do not change the charts.
        if isinstance(event, (TrainingStarted, VolumeAdded, GainMeasured)):
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

    def work_finished(self, result: TrainingReport) -> None:
        """Show the result, and offer the bank to the other docks."""
        assert self._request is not None
        out = self._request.out
        self.panel.show_status(model.outcome_text(result, out, self.history))
        bank_news().saved.emit(str(out))

    def work_cancelled(self) -> None:
        """Show that there is no bank yet."""
        self.panel.show_status("Stopped before the first volume: there is no bank yet.")

    def _show_stage(self) -> None:
        if self.busy and not self._stop.cancelled:
            self.panel.show_status(model.stage_text(self.history))

    def refresh(self, _: Any = None) -> None:
        """Show the plan of the form, or why it cannot start."""
        if self.busy:
            return
        self._clock.stop()
        panel = self.panel
        panel.show_idle()
        chosen, checking = panel.volumes.chosen(TRAIN), panel.volumes.chosen(VALIDATE)
        out: Path | None = None
        try:
            out, parameters = bank_path(panel.name.text(), self._folder), self._parameters()
            grids = self._grids([*chosen, *checking])
            assert parameters is not None
            memory = training_memory(parameters, grids)
            plan = model.plan_text(len(chosen), len(checking), grids, memory)
            found = model.warnings(self._grids(chosen), len(chosen), len(checking))
            panel.show_plan(plan if chosen else "", found, str(out))
            if not (panel.volumes.layers or panel.volumes.files):
                panel.show_status(model.EMPTY)
            elif not chosen:
                panel.show_status(model.NO_VOLUME)
            check_memory(memory, parameters.preset)
        except MemoryEstimateError as error:
            # Training stays possible: it checks the memory again when it starts.
            panel.show_error(error_line(error))
        except MrisrError as error:
            panel.show_plan("", [], "" if out is None else str(out))
            panel.show_error(error_line(error))
            panel.offer(train=False, resume=False, replace=False)
            return
        assert out is not None
        exists, resumable = out.exists(), checkpoint_path(out).exists()
        may_write = panel.replace.isChecked() or not exists
        panel.offer(train=bool(chosen) and may_write, resume=resumable, replace=exists)

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
