"""The "Super-resolve" dock widget.

The widget reads its fields into one frozen request and hands it to
:class:`~napari_mrisr.viewer.common.jobs.Jobs`; the thread never sees the widget.
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.notifications import show_error
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout

from napari_mrisr.bank.folder import user_banks
from napari_mrisr.errors import MemoryEstimateError, MrisrError
from napari_mrisr.run.upscale import UpscaleParameters, check_memory
from napari_mrisr.viewer.common.choices import fitting_banks, offered_scales
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
)
from napari_mrisr.viewer.common.labels import (
    duration_label,
    error_line,
    grid_label,
    progress_label,
    source_label,
)
from napari_mrisr.viewer.common.layer_watch import LayerWatch
from napari_mrisr.viewer.common.mailbox import Mailbox
from napari_mrisr.viewer.common.theme import error_color
from napari_mrisr.viewer.layers.convert import LayerSnapshot, frame_on_screen, snapshot
from napari_mrisr.viewer.preview.array import PreviewArray
from napari_mrisr.viewer.preview.layer import LayerPreview
from napari_mrisr.viewer.super_resolve.cautions import CautionWatch
from napari_mrisr.viewer.super_resolve.panel import Panel
from napari_mrisr.viewer.super_resolve.requests import (
    Request,
    SimulateRequest,
    UpscaleRequest,
    plan_label,
)

if TYPE_CHECKING:
    from napari.viewer import Viewer

_log = logging.getLogger(__name__)

EMPTY = "Open an MRI volume, or try File > Open Sample > MRI super-resolution."
PREVIEW = "Preview, identical to the final result. Run keeps it as a layer."

# What a change of can change the text under the layer's name.
_LAYER_EVENTS = ("name", "scale", "translate", "units", "data")


class SuperResolveWidget(Docked):
    """Choose a layer, scale, method and bank; run; get a new layer.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Whose layers are offered, and which gets the results.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._layers = LayerWatch(
            napari_viewer,
            self._refresh_layers,
            dict.fromkeys(_LAYER_EVENTS, self._layer_changed),
        )
        # Without a parent: it must outlive this widget for as long as a thread posts.
        self._mailbox = Mailbox()
        self._mailbox.posted.connect(self._receive, Qt.ConnectionType.QueuedConnection)
        self.jobs = Jobs(self._mailbox.post)

        self.setObjectName("super-resolve")
        self.panel = Panel()
        self.watch = CautionWatch(self.panel.show_cautions)
        self.live = LayerPreview(napari_viewer)
        self.live.arrived.connect(self._say_preview)
        self.live.failed.connect(self._preview_failed)
        self._from_preview = False  # the run takes its result from the preview
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(VerticalScroll(self.panel, self))

        panel = self.panel
        panel.layer.chosen.connect(self._refresh)
        panel.method.currentTextChanged.connect(self._method_chosen)
        panel.scale.chosen.connect(self._scale_chosen)
        panel.bank.chosen.connect(self._refresh)
        panel.bank.browsed.connect(self.open_bank)
        panel.live.toggled.connect(self._live_toggled)
        panel.run_button.clicked.connect(self.run)
        panel.simulate_button.clicked.connect(self.simulate)
        panel.cancel_button.clicked.connect(self.cancel)
        self._method_chosen()
        self.attach()

    # What the person does.

    def run(self) -> None:
        """Super-resolve the chosen layer."""
        self._start(self._upscale_request)

    def simulate(self) -> None:
        """Make the low-resolution volume of the chosen layer."""
        self._start(self._simulate_request)

    def choose_layer(self, layer: Image) -> None:
        """Choose a layer of the viewer as input."""
        self.panel.layer.layer = layer

    def open_bank(self, path: str) -> None:
        """Choose a filter bank of one's own, and with it its scale."""
        from napari_mrisr.bank.model import load_bank

        try:
            scale = load_bank(path).scale
        except MrisrError as error:
            self._tell_error(error)
            return
        # The file decides the scale, which need not be one of the bundled ones.
        self.panel.bank.add_file(path, scale)
        self._method_chosen()
        self.panel.scale.scale = scale
        self._scale_chosen()
        self.panel.bank.choose_file()

    def cancel(self) -> None:
        """Stop the run; nothing of it is left."""
        if self.jobs.running:
            self.jobs.cancel()
            self.panel.show_stopping()

    def _method_chosen(self, _: str = "") -> None:
        panel = self.panel
        method = panel.method.currentText()
        try:
            scales, others = offered_scales(method)
        except MrisrError as error:
            scales, others = [], False
            panel.show_error(error_line(error))
        if method == "hashed" and panel.bank.file_scale is not None:
            scales = sorted({*scales, panel.bank.file_scale})
        panel.show_bank(method == "hashed")
        panel.scale.set_scales(scales, others)

    def _scale_chosen(self) -> None:
        scale = self.panel.scale.scale
        if scale is not None and self.panel.method.currentText() == "hashed":
            try:
                self.panel.bank.set_names(fitting_banks(scale, any_order=True), scale)
            except MrisrError as error:
                self.panel.show_error(error_line(error))
        self._refresh()

    def _bank_saved(self, path: str) -> None:
        """Offer a bank that was trained just now."""
        from napari_mrisr.bank.model import load_bank

        if Path(path) not in user_banks().values():
            self.panel.bank.add_file(path, load_bank(path).scale)
        self._method_chosen()

    # Requests: the form, frozen.

    def _snapshot(self) -> LayerSnapshot | None:
        layer = self.panel.layer.layer
        if layer is None:
            return None
        return snapshot(layer, frame_on_screen(layer, self._viewer.dims.point))

    def _parameters(self) -> UpscaleParameters | None:
        return self._parameters_of(self.panel.method.currentText())

    def _parameters_of(self, method: str) -> UpscaleParameters | None:
        panel = self.panel
        if panel.scale.scale is None:
            return None
        bank = panel.bank.bank if method == "hashed" else None
        return UpscaleParameters(scale=panel.scale.scale, method=method, bank=bank)

    def _upscale_request(self) -> Request | None:
        source, parameters = self._snapshot(), self._parameters()
        if not (source and parameters):
            return None
        trusted = parameters.method == "hashed" and self.panel.trust.isChecked()
        return UpscaleRequest(source, parameters, trusted)

    def _simulate_request(self) -> Request | None:
        source, scale = self._snapshot(), self.panel.scale.scale
        degradation = self.panel.degradation.currentText()
        return SimulateRequest(source, scale, degradation) if source and scale else None

    def _start(self, make_request: Any) -> None:
        if self.jobs.running:
            return
        try:
            request = make_request()
        except MrisrError as error:
            self._tell_error(error)
            return
        if request is None:
            return
        self._request = request
        # Only now: while being docked, the dock is not in the main window yet.
        self.follow_window()
        self.panel.show_running(request.result_name)
        self._from_preview = False
        work = request.run
        if isinstance(request, UpscaleRequest) and self.live.result is not None:
            self._from_preview = True
            work = functools.partial(request.run, compute=self.live.result)
        self.jobs.start(work)

    # What the thread tells.

    def _receive(self, message: Message) -> None:
        accepted = self.jobs.accept(message)
        panel = self.panel
        if isinstance(accepted, Progressed):
            panel.show_progress(accepted.state, progress_label(accepted.state))
        elif isinstance(accepted, Said):
            panel.show_busy(accepted.text)
        elif isinstance(accepted, Ended):
            self._refresh()
            if isinstance(accepted, Finished):
                self._add_result(accepted)
            elif isinstance(accepted, Failed):
                self._tell_error(accepted.error)
            else:
                kept = "The preview stays." if self._from_preview else "No layer was added."
                panel.show_status(f"Cancelled. {kept}")

    def _add_result(self, message: Finished) -> None:
        made = list(message.result)
        layers: list[Image] = []
        kept = self.live.finish(made[0]) if self._from_preview else None
        if kept is not None:
            layers, made = [kept], made[1:]
            self._refresh_layers()
        elif not isinstance(self._request, SimulateRequest):
            self.live.retire()
        try:
            for data, kwargs, _ in made:
                layers.append(self._viewer.add_image(data, **kwargs))
        except Exception as error:  # napari's own
            for layer in layers:
                self._viewer.layers.remove(layer)
            self._tell_error(error)
            return
        layer = layers[0]
        if isinstance(self._request, SimulateRequest):
            self.choose_layer(layer)
        maps = f" and {len(layers) - 1} trust maps" if len(layers) > 1 else ""
        took = duration_label(message.seconds)
        self.panel.show_status(f"Added “{layer.name}”{maps} in {took}.")

    def _tell_error(self, error: Exception) -> None:
        line = error_line(error)
        if not isinstance(error, MrisrError):
            _log.error("%s", line, exc_info=error)
        self.panel.show_error(line)
        show_error(line)

    # The viewer's layers.

    def _refresh_layers(self, event: Any = None) -> None:
        preview = self.live.layer
        if preview is not None and preview not in self._viewer.layers:
            self.panel.live.setChecked(False)  # the person has deleted it
        layers = [layer for layer in reversed(self._viewer.layers) if isinstance(layer, Image)]
        layers = [layer for layer in layers if not isinstance(layer.data, PreviewArray)]
        self._layers.watch(layers)
        self.panel.layer.set_layers(layers)

    def _layer_changed(self, event: Any) -> None:
        if event.type == "name":
            self.panel.layer.set_layers(self._layers.layers)
        else:
            if event.type == "data":
                self.live.forget()
            self._refresh()

    def _frame_changed(self, event: Any = None) -> None:
        layer = self.panel.layer.layer
        if layer is not None and layer.ndim == 4:
            self._refresh()

    def _theme_changed(self, event: Any = None) -> None:
        self.panel.error_color = error_color(self._viewer.theme)

    def _refresh(self) -> None:
        """Say anew what the form would do."""
        if not self.jobs.running:
            self.panel.show_idle("")
            self._update_plan()
            self._update_preview()

    def _update_preview(self) -> None:
        """Show what the form would make, if that is wanted and possible."""
        try:
            request = self._upscale_request() if self.panel.live.isChecked() else None
        except MrisrError:  # told below the buttons
            request = None
        if isinstance(request, UpscaleRequest):
            name = f"{request.result_name} (preview)"
            self.live.show(request.source, request.parameters, name)
            self._say_preview()
        else:
            self.live.clear()

    def _live_toggled(self, on: bool) -> None:
        if not on:
            self.live.clear()
        self._refresh()

    def _say_preview(self) -> None:
        if self.live.layer is not None and not self.jobs.running:
            self.panel.show_hint(PREVIEW)

    def _preview_failed(self, error: Exception) -> None:
        if not self.jobs.running:
            self.panel.show_error(error_line(error))

    def _update_plan(self) -> None:
        panel = self.panel
        source: LayerSnapshot | None = None
        looked = False
        try:
            source, parameters = self._snapshot(), self._parameters()
            if source is None:
                panel.show_plan("", "", can_run=False, can_simulate=False)
                panel.show_status(EMPTY)
            elif parameters is None:
                panel.show_plan(grid_label(source.grid), "", can_run=False, can_simulate=False)
                panel.show_error("no filter banks are installed; choose another method or a file")
            else:
                plan = plan_label(source.grid, parameters)
                panel.show_plan(source_label(source), plan, can_run=True, can_simulate=True)
                if parameters.method == "hashed":
                    self.watch.look(source, parameters)
                    looked = True
                check_memory(source.grid, parameters)
        except MemoryEstimateError as error:
            # Run stays: memory may be free by then, and the run asks again.
            panel.show_error(error_line(error))
        except MrisrError as error:
            label = "" if source is None else source_label(source)
            panel.show_plan(label, "", can_run=False, can_simulate=source is not None)
            panel.show_error(error_line(error))
        if not looked:
            self.watch.clear()

    # Coming and going.

    def attached(self) -> None:
        """Listen to the viewer."""
        self._layers.attach()
        self._viewer.dims.events.point.connect(self._frame_changed)
        self._viewer.events.theme.connect(self._theme_changed)
        bank_news().saved.connect(self._bank_saved)
        self._theme_changed()
        self._refresh_layers()

    def detached(self, *, closing: bool) -> None:
        """End the run and let go of the viewer."""
        self.jobs.abandon()
        self.watch.abandon()
        self._layers.detach()
        self.live.close(remove=not closing)
        self._viewer.dims.events.point.disconnect(self._frame_changed)
        self._viewer.events.theme.disconnect(self._theme_changed)
        bank_news().saved.disconnect(self._bank_saved)
        self.panel.show_idle("")
