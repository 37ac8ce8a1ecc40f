"""The "Inspect buckets" dock widget."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout

from napari_mrisr.bank.model import load_bank
from napari_mrisr.errors import MrisrError
from napari_mrisr.inspection import MeasuredGain
from napari_mrisr.viewer.common.dock import Docked
from napari_mrisr.viewer.common.fields import VerticalScroll
from napari_mrisr.viewer.common.jobs import Ended, Failed, Finished, Jobs, Message, Progressed, Said
from napari_mrisr.viewer.common.labels import duration_label, error_line, progress_label
from napari_mrisr.viewer.common.mailbox import Mailbox
from napari_mrisr.viewer.common.theme import error_color
from napari_mrisr.viewer.inspect.choosing import Chooser
from napari_mrisr.viewer.inspect.controller import Inspector
from napari_mrisr.viewer.inspect.follow import Follower
from napari_mrisr.viewer.inspect.lighting import MapLayer
from napari_mrisr.viewer.inspect.maps import part_title, parts_of
from napari_mrisr.viewer.inspect.panel import BUCKETS, VOXEL, InspectPanel
from napari_mrisr.viewer.inspect.requests import (
    Inspection,
    MapRequest,
    MeasureRequest,
    PartRequest,
    Request,
)

if TYPE_CHECKING:
    from napari.viewer import Viewer

_log = logging.getLogger(__name__)

EMPTY = "Open a low-resolution volume, or try File > Open Sample > MRI super-resolution."
READY = "“Show bucket map” tells which filter each voxel gets, and why."
NO_VOXEL = "Move the cursor over the map."


class InspectWidget(Docked):
    """Bucket maps, and what is behind the bucket under the cursor.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Whose layers are offered, and which gets the maps.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self.setObjectName("inspect")
        self._request: Request | None = None
        self.map = MapLayer(napari_viewer)
        self._truth: Any = None
        self.inspector = Inspector()
        # Without a parent: it must outlive this widget for as long as a thread posts.
        self._mailbox = Mailbox()
        self._mailbox.posted.connect(self._receive, Qt.ConnectionType.QueuedConnection)
        self.jobs = Jobs(self._mailbox.post)
        self.follower = Follower(napari_viewer, self.point_at, self._clicked)
        self.panel = InspectPanel()
        self.chooser = Chooser(napari_viewer, self.panel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(VerticalScroll(self.panel, self))
        self._connect()
        self._show_inspection()
        self.attach()

    def _connect(self) -> None:
        panel = self.panel
        self.chooser.changed.connect(self._refresh)
        self.chooser.failed.connect(self._tell_error)
        panel.show_button.clicked.connect(self.show_map)
        panel.cancel_button.clicked.connect(self.cancel)
        panel.parts.triggered.connect(lambda action: self.add_part(action.data()))
        panel.truth.chosen.connect(self._truth_chosen)
        panel.second.chosen.connect(self._second_chosen)
        panel.second.browsed.connect(self.compare_with)
        panel.histogram.chosen.connect(self.choose_bucket)
        panel.only.toggled.connect(self._light)
        panel.filter.changed.connect(self._show_filter)

    # What the person does.

    def show_map(self) -> None:
        """Compute the chosen layer's bucket map and show it."""
        if self.jobs.running:
            return
        try:
            source, scale = self.chooser.source(), self.panel.scale.scale
        except MrisrError as error:
            self._tell_error(error)
            return
        if source is None or scale is None:
            return
        shown = self.inspector.inspection
        earlier = shown.source if shown is not None else None
        bank, number = self.panel.bank.bank, self.chooser.number
        request = MapRequest(source, scale, bank, number, earlier)
        self._start(request, f"Buckets of “{source.name}”…")

    def add_part(self, part: str) -> None:
        """Add a part of the map, or a feature, as a layer of its own."""
        shown = self.inspector.inspection
        if shown is not None and not self.jobs.running:
            self._start(PartRequest(shown, part), f"{part.capitalize()}…")

    def cancel(self) -> None:
        """Stop the work; nothing of it is left."""
        if self.jobs.running:
            self.jobs.cancel()
            self.panel.show_stopping()

    def point_at(self, world: Any) -> None:
        """Show what is at a position of napari's world, as under the cursor."""
        if self.panel.follow.isChecked() and self.inspector.point_at(world):
            self._show_voxel()

    def choose_bucket(self, bucket: int) -> None:
        """Show a bucket's filter and light its voxels."""
        if self.inspector.inspection is None:
            return
        self.inspector.choose(bucket)
        self._show_bucket()
        self.panel.only.setChecked(True)
        self._light()

    def open_bank(self, path: str) -> None:
        """Inspect a filter bank of one's own, at its scale."""
        self.chooser.open_bank(path)

    def compare_with(self, path: str) -> None:
        """Compare the bank shown with one of one's own."""
        shown = self.inspector.inspection
        if shown is not None:
            self.chooser.open_second(path, shown.source.bank)

    def _clicked(self, world: Any) -> None:
        """Hold the voxel that was clicked, or go on following."""
        follow = self.panel.follow
        if self.inspector.inspection is None:
            return
        if follow.isChecked():
            self.point_at(world)
        follow.toggle()

    def _second_chosen(self) -> None:
        shown = self.inspector.inspection
        if shown is None:
            return
        name = self.panel.second.bank
        try:
            self.inspector.compare(load_bank(name) if name else None)
            self._refresh()
        except MrisrError as error:
            self._tell_error(error)
        self.panel.filter.set_two_banks(self.inspector.comparison is not None)
        self.panel.histogram.set_columns(self.inspector.columns)
        self._show_filter()

    def _truth_chosen(self) -> None:
        """Measure against a truth; told again, with the same layer, whenever layers change."""
        layer, shown = self.panel.truth.truth, self.inspector.inspection
        if layer is self._truth or shown is None:
            return
        self._truth = layer
        if layer is None:
            self.inspector.measured = None
            self.panel.histogram.set_columns(self.inspector.columns)
            return
        try:
            request = MeasureRequest(shown, self.chooser.snapshot(layer))
        except MrisrError as error:
            self.panel.truth.set_none()
            self._tell_error(error)
            return
        self._start(request, f"Measuring against “{layer.name}”…")

    # What is shown.

    def _show_inspection(self) -> None:
        """The tabs anew."""
        panel, inspection = self.panel, self.inspector.inspection
        panel.parts.clear()
        panel.show_inspected(inspection is not None)
        panel.readout.show_facts(NO_VOXEL, ())
        panel.bucket_line.setText("A click on a row lights its voxels." if inspection else "")
        panel.only.setChecked(False)
        panel.filter.set_two_banks(False)
        first = None if inspection is None else inspection.source.bank
        self.chooser.offer_second(first, keep=False)
        self._truth = None
        panel.truth.set_none()
        if inspection is not None:
            stage = inspection.source.stage
            for part in parts_of(stage.spec.hash):
                panel.parts.addAction(part_title(part)).setData(part)
            panel.filter.set_outputs(stage.weights.shape[2])
            panel.histogram.set_columns(self.inspector.columns)
        self._show_filter()

    def _show_voxel(self) -> None:
        inspector, panel = self.inspector, self.panel
        panel.readout.show_facts(inspector.voxel_heading, inspector.voxel_facts)
        if panel.tabs.currentIndex() == BUCKETS:
            panel.bucket_line.setText(inspector.bucket_line)
        self._show_filter()

    def _show_bucket(self) -> None:
        inspector, panel = self.inspector, self.panel
        panel.readout.show_facts(f"Bucket {inspector.bucket}", inspector.bucket_facts)
        panel.bucket_line.setText(inspector.bucket_line)
        self._show_filter()

    def _show_filter(self) -> None:
        panel = self.panel.filter
        scene = self.inspector.scene(
            panel.along_volume_axes, panel.chosen_output, panel.chosen_bank
        )
        panel.show_scene(scene, "The filter of the voxel under the cursor will be here.")

    def _light(self, on: bool | None = None) -> None:
        """Paint the chosen bucket only, or all."""
        inspection = self.inspector.inspection
        if inspection is not None:
            lit = self.inspector.bucket if self.panel.only.isChecked() else None
            self.map.light(inspection, lit)

    # Work.

    def _start(self, request: Request, text: str) -> None:
        self._request = request
        # Only now: while being docked, the dock is not in the main window yet.
        self.follow_window()
        self.panel.show_running(text)
        self.jobs.start(request.run)

    def _receive(self, message: Message) -> None:
        accepted = self.jobs.accept(message)
        panel = self.panel
        if isinstance(accepted, Progressed):
            panel.show_progress(accepted.state, progress_label(accepted.state))
        elif isinstance(accepted, Said):
            panel.show_busy(accepted.text)
        elif isinstance(accepted, Ended):
            request, self._request = self._request, None
            self._refresh()
            if isinstance(accepted, Finished):
                self._add_result(accepted)
                return
            if isinstance(request, MeasureRequest):
                panel.truth.set_none()
            if isinstance(accepted, Failed):
                self._tell_error(accepted.error)
            else:
                panel.show_status("Cancelled. No layer was added.")

    def _add_result(self, message: Finished) -> None:
        try:
            if isinstance(message.result, Inspection):
                self.inspector.show(message.result)
                self._show_inspection()
                self.panel.tabs.setCurrentIndex(VOXEL)
                text = f"Added “{self.map.show(message.result).name}”"
            elif isinstance(message.result, MeasuredGain):
                # The truth may have been taken away meanwhile.
                self.inspector.measured = message.result if self._truth is not None else None
                self.panel.histogram.set_columns(self.inspector.columns)
                text = "Measured against the truth"
            else:
                data, kwargs, kind = message.result
                add = self._viewer.add_labels if kind == "labels" else self._viewer.add_image
                text = f"Added “{add(data, **kwargs).name}”"
        except Exception as error:  # napari's own
            self._tell_error(error)
            return
        self._offer_buttons()
        self.panel.show_status(f"{text} in {duration_label(message.seconds)}.")

    def _tell_error(self, error: Exception) -> None:
        line = error_line(error)
        if not isinstance(error, MrisrError):
            _log.error("%s", line, exc_info=error)
        self.panel.show_error(line)
        show_error(line)

    # The form.

    def _refresh(self) -> None:
        """Say anew what the form would do."""
        if self.jobs.running:
            return
        panel, shown = self.panel, self.inspector.inspection
        panel.show_idle("")
        self._offer_buttons()
        if panel.layer.layer is None:
            panel.show_status(EMPTY)
        elif shown is None:
            panel.show_status(READY)
        else:
            panel.show_status(f"Shown: {shown.title}.")

    def _offer_buttons(self) -> None:
        idle, shown = not self.jobs.running, self.inspector.inspection is not None
        self.panel.offer(show=idle and self.chooser.ready, parts=idle and shown)

    def _layer_removed(self, event: Any) -> None:
        if self.map.forget_removed():
            self.panel.only.setChecked(False)

    def _theme_changed(self, event: Any = None) -> None:
        self.panel.error_color = error_color(self._viewer.theme)

    # Coming and going.

    def attached(self) -> None:
        """Listen to the viewer."""
        self._viewer.layers.events.removed.connect(self._layer_removed)
        self._viewer.events.theme.connect(self._theme_changed)
        self.follower.attach()
        self.chooser.attach()
        self.map.forget_removed()
        self._theme_changed()

    def detached(self, *, closing: bool) -> None:
        """End the work and let go of the viewer."""
        self.jobs.abandon()
        self.follower.detach()
        self.chooser.detach()
        self._viewer.layers.events.removed.disconnect(self._layer_removed)
        self._viewer.events.theme.disconnect(self._theme_changed)
        self.panel.show_idle("")
        self._offer_buttons()
