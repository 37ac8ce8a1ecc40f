"""Super-resolve dock.

The dock reads its form into one frozen request. A worker thread runs the request and never
sees the form. With the live preview on, Run waits for the preview and keeps its layer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_mrisr.bank.folder import NETWORK_SUFFIX, user_banks, user_networks
from napari_mrisr.core.scale import RealScale, Scale, is_whole, whole_scale
from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import MemoryEstimateError, MrisrError
from napari_mrisr.methods.network import METHODS, bundled_networks
from napari_mrisr.networks.file import ISOTROPIC, THICK
from napari_mrisr.networks.foreign import SUFFIXES, is_foreign
from napari_mrisr.run.upscale import UpscaleParameters, check_memory
from napari_mrisr.viewer.common.dialogs import (
    remember_folder,
)
from napari_mrisr.viewer.common.dock import Dock
from napari_mrisr.viewer.common.fields import bank_news
from napari_mrisr.viewer.common.labels import (
    duration_label,
    error_line,
    fitting_banks,
    grid_label,
    has_scale,
    isotropic_choice,
    listed,
    made_label,
    network_kind,
    network_scales,
    networks_of,
    offered_scales,
    source_label,
)
from napari_mrisr.viewer.common.worker import Worker
from napari_mrisr.viewer.layers.complex_scans import (
    is_phase,
    phase_of,
)
from napari_mrisr.viewer.layers.convert import (
    LayerSnapshot,
    frame_on_screen,
    snapshot,
)
from napari_mrisr.viewer.preview.array import PreviewArray
from napari_mrisr.viewer.preview.layer import LayerPreview
from napari_mrisr.viewer.super_resolve.cautions import CautionWatch
from napari_mrisr.viewer.super_resolve.panel import Panel
from napari_mrisr.viewer.super_resolve.requests import (
    BLENDED,
    Request,
    SimulateRequest,
    UpscaleRequest,
    is_learned,
    model_for_maps,
    plan_label,
)
from napari_mrisr.viewer.super_resolve.saving import ResultSaver

if TYPE_CHECKING:
    from napari.viewer import Viewer

EMPTY = "Open an MRI volume, or try File > Open Sample > MRI super-resolution."
CHOOSE = "Choose a layer. The layers here are results already."
PREVIEW = "Preview, identical to the final result. Run keeps it as a layer."
PREVIEW_MAGNITUDE = "Preview of the magnitude alone. Run computes magnitude and phase."
NO_PREVIEW = "No preview: this network takes magnitude and phase. Run computes both."
PHASE_CHOSEN = "A phase jumps where it wraps: choose its magnitude instead."

# Methods whose filters or network the user can choose.
_WITH_BANK = ("hashed", *METHODS.values())

_LAYER_EVENTS = ("name", "scale", "translate", "units", "data")


class SuperResolveWidget(Dock):
    """Super-resolves a layer, or simulates a low-resolution scan from it.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that offers its layers and gets the results.
    """

    panel: Panel

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, "super-resolve", Panel())
        self.watch_layers(self._layers_listed, dict.fromkeys(_LAYER_EVENTS, self._layer_changed))
        self.watch = CautionWatch(self.panel.show_cautions)
        self.live = LayerPreview(napari_viewer)
        self.live.arrived.connect(self._preview_arrived)
        self.live.failed.connect(self._preview_failed)
        self._network_file: str | None = None
        self._network_scales: list[Scale] = []
        self.opener = Worker()
        self.opener.finished.connect(self._network_opened)
        self.opener.failed.connect(self.tell_error)
        self._request: Request | None = None
        self._from_preview = False  # the run takes its result from the preview

        panel = self.panel
        self.saver = ResultSaver(self, panel, napari_viewer, self._run_save)
        panel.layer.chosen.connect(self._layer_chosen)
        panel.phase.chosen.connect(self._form_changed)
        panel.method.chosen.connect(self._method_chosen)
        panel.scale.chosen.connect(self._scale_chosen)
        panel.bank.chosen.connect(self._form_changed)
        panel.bank.browsed.connect(self.open_bank)
        panel.blend.toggled.connect(self._form_changed)
        panel.live.toggled.connect(self._form_changed)
        panel.run_button.clicked.connect(self.run)
        panel.simulate_button.clicked.connect(self.simulate)
        panel.methods_button.clicked.connect(self.open_methods)
        self._method_chosen()
        self.attach()

    # What the user does.

    def run(self) -> None:
        """Super-resolve the chosen layer."""
        self._start(self._upscale_request)

    def simulate(self) -> None:
        """Simulate a low-resolution scan from the chosen layer."""
        self._start(self._simulate_request)

    def open_methods(self) -> None:
        """Open the dock "Compare methods" with the chosen layer."""
        _, dock = self._viewer.window.add_plugin_dock_widget("napari-mrisr", "Compare methods")
        if self.panel.layer.layer is not None:
            dock.choose_layer(self.panel.layer.layer)

    def choose_layer(self, layer: Image) -> None:
        """Choose a layer of the viewer as input."""
        self.panel.layer.layer = layer

    def open_bank(self, path: str) -> None:
        """Choose a filter bank from a file, and its scale."""
        from napari_mrisr.bank.model import load_bank

        if Path(path).suffix.lower() in SUFFIXES:
            self._open_network(path)
            return
        try:
            scale = load_bank(path).scale
        except MrisrError as error:
            self.tell_error(error)
            return
        # The file decides the scale, which need not be one of the bundled ones.
        self.panel.bank.add_file(path, scale)
        self._method_chosen()
        self.panel.scale.scale = scale
        self._scale_chosen()
        self.panel.bank.choose_file()

    def _open_network(self, path: str) -> None:
        if is_foreign(path):  # may take seconds to examine
            self.panel.show_status(f"Examining {Path(path).name}…")
            self.opener.submit(lambda _: (path, network_scales(path)))
            return
        try:
            self._network_opened((path, network_scales(path)))
        except MrisrError as error:
            self.tell_error(error)

    def _network_opened(self, found: tuple[str, list[Scale]]) -> None:
        """Choose a network that was examined, and a scale that it has."""
        path, scales = found
        self._network_file, self._network_scales = path, scales
        method = self.panel.method.name = _method_of(path)
        self._method_chosen()
        scale = self.panel.scale.scale
        # A factor that makes a scan isotropic may be met by resampling.
        kept = scale is not None and not is_whole(scale) and has_scale(method, scale, path)
        if scales and scale not in scales and not kept:
            self.panel.scale.scale = scales[0]
        self._scale_chosen()
        self.panel.bank.setCurrentIndex(self.panel.bank.findData(path))

    def _method_chosen(self) -> None:
        panel = self.panel
        method = panel.method.name
        try:
            scales, others = offered_scales(method)
        except MrisrError as error:
            scales, others = [], False
            panel.show_error(error_line(error))
        if method == "hashed" and panel.bank.file_scale is not None:
            scales = listed([*scales, panel.bank.file_scale])
        file = self._network_file
        if file is not None and method == _method_of(file):
            scales = listed([*scales, *self._network_scales])
            others = others or is_foreign(file)
        else:
            file = None
        panel.show_bank(method in _WITH_BANK, blend=method in BLENDED, trust=is_learned(method))
        grid = self._grid()
        first = None if grid is None else isotropic_choice(grid, method, file)
        panel.scale.set_voxel_size(None if grid is None else grid.voxel_size)
        panel.scale.set_scales(scales, others or first is not None, first)

    def _layer_chosen(self) -> None:
        assert self.layers is not None, "watched since the start"
        self.panel.offer_phases(self.panel.layer.layer, self.layers.layers)
        if self.busy:
            return
        grid = self._grid()
        if grid is not None:
            thick = isotropic_choice(grid, "network") is not None
            self.panel.method.suggest("network" if thick else UpscaleParameters().method)
        self._method_chosen()

    def _grid(self) -> Grid | None:
        try:
            source = self._snapshot()
        except MrisrError:  # shown with the plan
            return None
        return None if source is None else source.grid

    def _scale_chosen(self) -> None:
        scale, method = self.panel.scale.scale, self.panel.method.name
        if scale is not None and method == "hashed":
            try:
                self.panel.bank.set_names(fitting_banks(scale, any_order=True), scale)
            except MrisrError as error:
                self.panel.show_error(error_line(error))
        elif method in _WITH_BANK:
            self.panel.bank.set_names(self._networks(method, scale), None)
        self._form_changed()

    def _networks(self, method: str, scale: RealScale | None) -> list[str]:
        """Return the user's networks for a scale, by name, and the file that was opened."""
        one = scale is not None and len(set(scale)) == 1
        kinds = [kind for kind, runs in METHODS.items() if runs == method]
        kind = kinds[0] if len(kinds) == 1 else ISOTROPIC if one else THICK
        names = [name for name in networks_of(kind) if name not in bundled_networks()]
        file = self._network_file
        if file is None or _method_of(file) != method:
            return names
        return [*names, file] if network_kind(Path(file)) in (kind, None) else names

    def _bank_saved(self, path: str) -> None:
        """Offer a bank that was trained in this session."""
        from napari_mrisr.bank.model import load_bank

        if path.endswith(NETWORK_SUFFIX):
            if Path(path) not in user_networks().values():
                self._network_file, self._network_scales = path, network_scales(path)
        elif Path(path) not in user_banks().values():
            self.panel.bank.add_file(path, load_bank(path).scale)
        self._method_chosen()

    # Requests: the form, frozen.

    def _snapshot(self) -> LayerSnapshot | None:
        layer = self.panel.layer.layer
        return None if layer is None else self._snapshot_of(layer)

    def _snapshot_of(self, layer: Image) -> LayerSnapshot:
        return snapshot(layer, frame_on_screen(layer, self._viewer.dims.point))

    def _parameters(self) -> UpscaleParameters | None:
        scale, method = self.panel.scale.scale, self.panel.method.name
        if scale is None:
            return None
        bank = self.panel.bank.bank if method in _WITH_BANK else None
        if method in BLENDED and self.panel.blend.isChecked():
            method = f"{method}:blend"
        return UpscaleParameters(scale=scale, method=method, bank=bank)

    def _upscale_request(self) -> UpscaleRequest | None:
        source, parameters = self._snapshot(), self._parameters()
        if not (source and parameters):
            return None
        trust = is_learned(parameters.method) and self.panel.trust.isChecked()
        if trust:
            model_for_maps(parameters)
        phase = self.panel.phase.layer
        taken = None if phase is None else self._snapshot_of(phase)
        return UpscaleRequest(source, parameters, trust, taken)

    def _simulate_request(self) -> SimulateRequest | None:
        source, scale = self._snapshot(), self.panel.scale.scale
        degradation = self.panel.degradation.name
        if not (source and scale):
            return None
        return SimulateRequest(source, whole_scale(scale, "the simulation"), degradation)

    # The run.

    def _start(self, make_request: Callable[[], Request | None]) -> None:
        if self.busy:
            return
        try:
            request = make_request()
        except MrisrError as error:
            self.tell_error(error)
            return
        if request is None:
            return
        self._request, self._from_preview = request, False
        work: Any = request.run
        if isinstance(request, UpscaleRequest) and request.phase is None and self.live.result:
            self._from_preview = True
            work = functools.partial(request.run, compute=self.live.result)
        self.run_work(work, f"Starting “{request.result_name}”…")

    def _run_save(self, work: Callable[..., Path], text: str) -> None:
        self._request = None
        self.run_work(work, text)

    def work_finished(self, result: Any) -> None:
        """Add the resulting layers; the preview's layer becomes the first of them.

        Or show that a file was saved.
        """
        if isinstance(result, Path):
            remember_folder(result.parent)
            self.panel.show_saved(result)
            return
        layers: list[Image] = []
        made = list(result)
        kept = self.live.finish(made[0]) if self._from_preview else None
        if kept is not None:
            layers, made = [kept], made[1:]
            self._layers_listed()
        elif isinstance(self._request, UpscaleRequest):
            self.live.retire()
        try:
            for data, kwargs, _ in made:
                layers.append(self._viewer.add_image(data, **kwargs))
        except Exception as error:  # napari's own
            for layer in layers:
                self._viewer.layers.remove(layer)
            self.tell_error(error)
            return
        layer = layers[0]
        if isinstance(self._request, SimulateRequest):
            self.choose_layer(layer)
        more = ""
        if phase_of(layer, layers) is not None:
            more = " and its phase"
        elif len(layers) > 1:
            more = f" and {len(layers) - 1} trust maps"
        took = duration_label(self.worker.seconds)
        self.panel.show_status(f"Added “{layer.name}”{more} in {took}.")

    def work_cancelled(self) -> None:
        """Show what is left."""
        if self._request is None:
            self.panel.show_status("Cancelled. No file was saved.")
            return
        kept = "The preview stays." if self._from_preview else "No layer was added."
        self.panel.show_status(f"Cancelled. {kept}")

    # What the form would do.

    def refresh(self) -> None:
        """Show what the form would do, and the preview of it."""
        super().refresh()
        self._update_plan()
        self._update_preview()
        self.saver.offer()

    def _form_changed(self, _: Any = None) -> None:
        if not self.busy:
            self.refresh()

    def _update_plan(self) -> None:
        panel = self.panel
        source: LayerSnapshot | None = None
        looked = False
        try:
            source, parameters = self._snapshot(), self._parameters()
            if source is None:
                panel.show_plan("", "", can_run=False, can_simulate=False)
                panel.show_status(CHOOSE if panel.layer.count() else EMPTY)
            elif parameters is None:
                panel.show_plan(grid_label(source.grid), "", can_run=False, can_simulate=False)
                panel.show_error(
                    "No filter banks are installed. Choose another method or a bank file."
                )
            else:
                phased = panel.phase.layer is not None
                plan = plan_label(source.grid, parameters, phased=phased)
                label = source_label(source)
                if made := made_label(source):
                    label += f"\n⚠ {made}"
                if is_phase(panel.layer.layer):
                    label += f"\n⚠ {PHASE_CHOSEN}"
                panel.show_plan(label, plan, can_run=True, can_simulate=True)
                if is_learned(parameters.method):
                    self.watch.look(source, parameters)
                    looked = True
                check_memory(source.grid, parameters)
        except MemoryEstimateError as error:
            # Run stays enabled: memory may be free by then, and the run checks again.
            panel.show_error(error_line(error))
        except MrisrError as error:
            label = "" if source is None else source_label(source)
            panel.show_plan(label, "", can_run=False, can_simulate=source is not None)
            panel.show_error(error_line(error))
        if not looked:
            self.watch.clear()

    def _update_preview(self) -> None:
        try:
            request = self._upscale_request() if self.panel.live.isChecked() else None
            if request is not None and request.has_no_preview:
                request = None
                self.panel.show_hint(NO_PREVIEW)
        except MrisrError:  # shown with the plan
            request = None
        if request is None:
            self.live.clear()
        else:
            name = f"{request.result_name} (preview)"
            self.live.show(request.source, request.parameters, name)
            self._preview_arrived()

    def _preview_arrived(self) -> None:
        if self.live.layer is not None and not self.busy:
            alone = self.panel.phase.layer is None
            self.panel.show_hint(PREVIEW if alone else PREVIEW_MAGNITUDE)

    def _preview_failed(self, error: Exception) -> None:
        if not self.busy:
            self.panel.show_error(error_line(error))

    # The viewer's layers.

    def _layers_listed(self, event: Any = None) -> None:
        assert self.layers is not None, "watched since the start"
        preview = self.live.layer
        if preview is not None and preview not in self._viewer.layers:
            self.panel.live.setChecked(False)  # the user has deleted it
            self.live.clear()
        layers = [layer for layer in reversed(self._viewer.layers) if isinstance(layer, Image)]
        layers = [layer for layer in layers if not isinstance(layer.data, PreviewArray)]
        self.layers.watch(layers)
        self.panel.layer.set_layers(layers)
        self.saver.offer()

    def _layer_changed(self, event: Any) -> None:
        assert self.layers is not None, "watched since the start"
        if event.type == "name":
            self.panel.layer.set_layers(self.layers.layers)
            self.saver.offer()
            return
        if event.type == "data":
            self.live.forget()
        self._layer_chosen()

    def _frame_changed(self, event: Any = None) -> None:
        layer = self.panel.layer.layer
        if layer is not None and layer.ndim == 4:
            self._form_changed()

    # Life cycle.

    def attached(self) -> None:
        """Follow the viewer's frames and the user's new banks."""
        self._viewer.dims.events.point.connect(self._frame_changed)
        self._viewer.layers.selection.events.active.connect(self.saver.offer)
        bank_news().saved.connect(self._bank_saved)

    def detached(self, *, closing: bool) -> None:
        """End the preview and the measurements."""
        self.watch.close()
        self.opener.close()
        self.live.close(remove=not closing)
        self._viewer.dims.events.point.disconnect(self._frame_changed)
        self._viewer.layers.selection.events.active.disconnect(self.saver.offer)
        bank_news().saved.disconnect(self._bank_saved)


def _method_of(network: str) -> str:
    """Return the method that runs the network of a file."""
    return METHODS.get(network_kind(Path(network)) or "", "network")
