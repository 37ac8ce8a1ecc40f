"""The "Train filters" dock widget.

The widget reads its fields into one frozen request and hands it to
:class:`~napari_mrisr.viewer.common.jobs.Jobs`; the thread never sees the widget. What
the training tells goes into a :class:`~napari_mrisr.viewer.train.story.Story`.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFileDialog, QVBoxLayout

from napari_mrisr.bank.folder import bank_folder
from napari_mrisr.core.progress import CancelToken
from napari_mrisr.core.scale import format_scale
from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import MemoryEstimateError, MrisrError
from napari_mrisr.training import checkpoint_path
from napari_mrisr.training.cost import check_memory
from napari_mrisr.training.presets import TrainParameters
from napari_mrisr.training.sources import TrainingSource, VolumeSource
from napari_mrisr.viewer.common.dock import Docked
from napari_mrisr.viewer.common.fields import VerticalScroll, bank_news
from napari_mrisr.viewer.common.jobs import (
    Ended,
    Failed,
    Finished,
    Jobs,
    Message,
    Progressed,
    Said,
    Told,
)
from napari_mrisr.viewer.common.labels import error_line
from napari_mrisr.viewer.common.layer_watch import LayerWatch
from napari_mrisr.viewer.common.mailbox import Mailbox
from napari_mrisr.viewer.common.theme import error_color
from napari_mrisr.viewer.layers.convert import LayerSnapshot, frame_on_screen, snapshot
from napari_mrisr.viewer.train import texts
from napari_mrisr.viewer.train.entries import TRAIN, VALIDATE, FileEntry
from napari_mrisr.viewer.train.panel import TrainPanel
from napari_mrisr.viewer.train.request import (
    UNKNOWN_LICENSE,
    TrainRequest,
    bank_path,
    training_memory,
)
from napari_mrisr.viewer.train.story import Story

if TYPE_CHECKING:
    from napari.viewer import Viewer

_log = logging.getLogger(__name__)

_LAYER_EVENTS = ("name", "scale", "units", "data")


class TrainWidget(Docked):
    """Choose volumes, train, watch the gain grow; stop and resume.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Whose layers are offered.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self.setObjectName("train")
        self._layers = LayerWatch(
            napari_viewer,
            self._refresh_layers,
            dict.fromkeys(_LAYER_EVENTS, self._layer_changed),
        )
        self._request: TrainRequest | None = None
        self._stop = CancelToken()
        self._folder: Path | None = None
        self.story = Story()
        # Without a parent: it must outlive this widget for as long as a thread posts.
        self._mailbox = Mailbox()
        self._mailbox.posted.connect(self._receive, Qt.ConnectionType.QueuedConnection)
        self.jobs = Jobs(self._mailbox.post)
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self._show_stage)
        self.panel = TrainPanel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(VerticalScroll(self.panel, self))
        self._connect()
        self._suggest_name()
        self.attach()

    def _connect(self) -> None:
        panel = self.panel
        panel.volumes.changed.connect(self._refresh)
        panel.volumes.failed.connect(self._tell_error)
        panel.scale.chosen.connect(self._scale_chosen)
        panel.preset.currentTextChanged.connect(self._refresh)
        panel.degradation.currentTextChanged.connect(self._refresh)
        panel.name.textChanged.connect(self._refresh)
        panel.name.textEdited.connect(lambda: panel.name.setProperty("typed", True))
        panel.folder_button.clicked.connect(self._browse_folder)
        panel.replace.toggled.connect(self._refresh)
        panel.train_button.clicked.connect(self.train)
        panel.resume_button.clicked.connect(self.resume)
        panel.stop_button.clicked.connect(self.stop)

    # What the person does.

    def train(self) -> None:
        """Train a bank on the volumes ticked."""
        self._start(resume=False)

    def resume(self) -> None:
        """Go on with the bank of this name, with the volumes ticked."""
        self._start(resume=True)

    def stop(self) -> None:
        """Stop; what is finished becomes a bank."""
        if self.jobs.running:
            self._stop.cancel()
            self._clock.stop()
            self.panel.show_stopping()

    def set_folder(self, folder: Path | None) -> None:
        """Save banks into a folder; None for the user's folder of banks."""
        self._folder = folder
        self._refresh()

    def _browse_folder(self) -> None:
        start = str(self._folder or bank_folder())
        path = QFileDialog.getExistingDirectory(self, "Save banks into", start)
        if path:
            self.set_folder(Path(path))

    def _scale_chosen(self) -> None:
        self._suggest_name()
        self._refresh()

    def _suggest_name(self) -> None:
        name, scale = self.panel.name, self.panel.scale.scale
        if scale is not None and not name.property("typed"):
            name.setText(f"mine-{format_scale(scale)}x")

    # The request: the form, frozen.

    def _snapshot(self, layer: Image) -> LayerSnapshot:
        """A layer as it is now; of a 4D one the frame on screen."""
        return snapshot(layer, frame_on_screen(layer, self._viewer.dims.point))

    def _source(self, entry: Any) -> TrainingSource:
        if isinstance(entry, FileEntry):
            return entry.source
        taken = self._snapshot(entry)
        return VolumeSource(taken.name, taken.to_volume)

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
        if self.jobs.running:
            return
        self._stop = CancelToken()
        try:
            request = self._make_request(resume)
        except MrisrError as error:
            self._tell_error(error)
            return
        if request is None:
            return
        if not (resume and self._request is not None and self._request.out == request.out):
            self.story = Story()
        self._request = request
        self.follow_window()
        self.panel.show_story(self.story)
        self.panel.show_running(texts.stage_text(Story()))
        self._clock.start()
        self.jobs.start(request.run)

    # What the thread tells.

    def _receive(self, message: Message) -> None:
        accepted = self.jobs.accept(message)
        if isinstance(accepted, Told):
            self.story.add(accepted.event)
            self.panel.show_story(self.story)
            self._show_stage()
        elif isinstance(accepted, Progressed):
            if not self._stop.cancelled:
                self.panel.show_progress(accepted.state.done, accepted.state.total)
        elif isinstance(accepted, Said):
            self.panel.show_busy(accepted.text)
        elif isinstance(accepted, Ended):
            self._clock.stop()
            self.panel.replace.setChecked(False)
            self._refresh()
            if isinstance(accepted, Finished):
                self._show_outcome(accepted)
            elif isinstance(accepted, Failed):
                self._tell_error(accepted.error)
            else:
                self.panel.show_status("Stopped before the first volume: there is no bank yet.")

    def _show_outcome(self, message: Finished) -> None:
        assert self._request is not None
        out = self._request.out
        self.panel.show_status(texts.outcome_text(message.result, out, self.story))
        bank_news().saved.emit(str(out))

    def _show_stage(self) -> None:
        if self.jobs.running and not self._stop.cancelled:
            self.panel.show_status(texts.stage_text(self.story))

    def _tell_error(self, error: Exception) -> None:
        line = error_line(error)
        if not isinstance(error, MrisrError):
            _log.error("%s", line, exc_info=error)
        self.panel.show_error(line)
        show_error(line)

    # The form.

    def _refresh(self, _: Any = None) -> None:
        """Say anew what the form would do."""
        if self.jobs.running:
            return
        panel = self.panel
        panel.show_idle("")
        chosen, checking = panel.volumes.chosen(TRAIN), panel.volumes.chosen(VALIDATE)
        out: Path | None = None
        try:
            out, parameters = bank_path(panel.name.text(), self._folder), self._parameters()
            grids = self._grids([*chosen, *checking])
            assert parameters is not None
            memory = training_memory(parameters, grids)
            plan = texts.plan_text(len(chosen), len(checking), grids, memory)
            found = texts.warnings(self._grids(chosen), len(chosen), len(checking))
            panel.show_plan(plan if chosen else "", found, str(out))
            if not (panel.volumes.layers or panel.volumes.files):
                panel.show_status(texts.EMPTY)
            elif not chosen:
                panel.show_status(texts.NO_VOLUME)
            check_memory(memory, parameters.preset)
        except MemoryEstimateError as error:
            # Train stays: memory may be free by then, and the training asks again.
            panel.show_error(error_line(error))
        except MrisrError as error:
            panel.show_plan("", [], "" if out is None else str(out))
            panel.show_error(error_line(error))
            panel.offer(train=False, resume=False, replace=False)
            return
        assert out is not None
        there, sums = out.exists(), checkpoint_path(out).exists()
        may_write = panel.replace.isChecked() or not there
        panel.offer(train=bool(chosen) and may_write, resume=sums, replace=there)

    def _grids(self, entries: list[Any]) -> list[Grid]:
        """Where voxels are, as far as headers have been read."""
        grids = []
        for entry in entries:
            grid = entry.grid if isinstance(entry, FileEntry) else self._snapshot(entry).grid
            if grid is not None:
                grids.append(grid)
        return grids

    # The viewer's layers.

    def _refresh_layers(self, event: Any = None) -> None:
        layers = [
            layer
            for layer in reversed(self._viewer.layers)
            if isinstance(layer, Image) and not layer.rgb and layer.ndim in (3, 4)
        ]
        self._layers.watch(layers)
        self.panel.volumes.set_layers(layers)

    def _layer_changed(self, event: Any) -> None:
        if event.type == "name":
            self.panel.volumes.set_layers(self._layers.layers)
        else:
            self._refresh()

    def _theme_changed(self, event: Any = None) -> None:
        self.panel.error_color = error_color(self._viewer.theme)

    # Coming and going.

    def attached(self) -> None:
        """Follow the viewer."""
        self._layers.attach()
        self._viewer.events.theme.connect(self._theme_changed)
        self._theme_changed()
        self._refresh_layers()

    def detached(self, *, closing: bool) -> None:
        """End the training, keeping the sums of finished volumes, and let go of the viewer."""
        self._clock.stop()
        self.panel.volumes.stop()
        self.jobs.abandon()
        self._layers.detach()
        self._viewer.events.theme.disconnect(self._theme_changed)
        self._refresh()
