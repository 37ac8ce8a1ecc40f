"""Dock widget "Compare methods"."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtWidgets import QFileDialog

from napari_mrisr.comparison.state import MAX_COLUMNS
from napari_mrisr.errors import MrisrError
from napari_mrisr.evaluation.one_scan import ScanReport
from napari_mrisr.methods import ONE_PER_FAMILY, available_methods, method_summary
from napari_mrisr.run.upscale import UpscaleParameters
from napari_mrisr.viewer.common.dialogs import last_folder, remember_folder
from napari_mrisr.viewer.common.dock import Dock
from napari_mrisr.viewer.common.labels import (
    COMMON_SCALES,
    bytes_label,
    duration_label,
    error_line,
    isotropic_choice,
    source_label,
)
from napari_mrisr.viewer.common.worker import Worker
from napari_mrisr.viewer.compare.methods.panel import MethodsPanel
from napari_mrisr.viewer.compare.methods.requests import (
    MethodsRequest,
    Rates,
    result_name,
    save_page,
    time_text,
    unfit,
)
from napari_mrisr.viewer.compare.widget import CompareWidget
from napari_mrisr.viewer.layers.convert import (
    LayerSnapshot,
    frame_on_screen,
    history_of,
    result_layer_data,
    snapshot,
)
from napari_mrisr.viewer.preview.array import PreviewArray

if TYPE_CHECKING:
    from napari.viewer import Viewer

EMPTY = "Open an MRI volume, or try File > Open Sample > MRI super-resolution."

_LAYER_EVENTS = ("name", "scale", "translate", "units", "data")
_SECONDS = "seconds"


class MethodsWidget(Dock):
    """Runs methods on a layer, and opens their results in Compare.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that offers its layers and gets the results.

    Attributes
    ----------
    report : ScanReport or None
        Of the last run, until the form changes.
    """

    panel: MethodsPanel

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, "compare-methods", MethodsPanel(ONE_PER_FAMILY))
        self.watch_layers(self._layers_listed, dict.fromkeys(_LAYER_EVENTS, self._layer_changed))
        self.report: ScanReport | None = None
        self._request: MethodsRequest | None = None
        self._rates: Rates = {}
        self._measuring: set[UpscaleParameters] = set()
        self._shown: Image | None = None  # the form fits this layer
        self.timer = Worker()
        self.timer.reported.connect(self._rate_measured)
        self.timer.finished.connect(self._show_plan)
        panel = self.panel
        panel.layer.chosen.connect(self._layer_chosen)
        panel.kind.buttonClicked.connect(self._form_changed)
        panel.scale.chosen.connect(self._form_changed)
        panel.table.picked.connect(self._show_plan)
        panel.run_button.clicked.connect(self.run)
        panel.save_button.clicked.connect(self.save)
        self.attach()

    # What the user does.

    def choose_layer(self, layer: Image) -> None:
        """Choose a layer of the viewer."""
        self.panel.layer.layer = layer

    def run(self) -> None:
        """Run the chosen methods."""
        if self.busy:
            return
        try:
            request = self._make_request()
            if request is None:
                return
            request.memory()
        except MrisrError as error:
            self.tell_error(error)
            return
        self.timer.cancel()
        self._request, self.report = request, None
        self.run_work(request.run, f"Starting {len(request.methods)} methods…")

    def save(self) -> None:
        """Save the page of the last run as PDF; ask for the file."""
        if self.report is None or self.busy:
            return
        suggested = str(last_folder() / "methods.pdf")
        path, _ = QFileDialog.getSaveFileName(self, "Save the page", suggested, "PDF (*.pdf)")
        if path:
            self.write(Path(path if Path(path).suffix else f"{path}.pdf"))

    def write(self, path: Path) -> None:
        """Save the page of the last run to a file."""
        report = self.report
        if report is not None:
            work = functools.partial(save_page, report, path)
            self.run_work(work, f"Writing {path.name}…")

    # The run.

    def work_finished(self, result: Any) -> None:
        """Add the layers and open Compare, or show that the page was saved."""
        if isinstance(result, Path):
            remember_folder(result.parent)
            self.panel.show_saved(result)
            return
        assert self._request is not None, "it has started the work"
        layers: list[Image] = []
        try:
            columns, truth, measured = self._add_layers(self._request, result, layers)
        except Exception as error:  # napari's own
            for layer in layers:
                self._viewer.layers.remove(layer)
            self.tell_error(error)
            return
        self.report = result
        self._show_plan()
        took = duration_label(self.worker.seconds)
        self.panel.show_status(f"Compared {len(result.results)} methods in {took}.")
        self._open_comparison(columns, truth, measured)

    def _add_layers(
        self, request: MethodsRequest, report: ScanReport, layers: list[Image]
    ) -> tuple[list[str], str | None, str]:
        """Add the layers; return the columns, the reference and the measured scan."""
        source = request.source
        original = next(x for x in self._viewer.layers if str(x.unique_id) == source.layer_id)
        truth, measured = None, original
        if request.simulate:
            data, kwargs, _ = result_layer_data(report.low, request.low_name, source)
            measured = self._viewer.add_image(data, **kwargs)
            layers.append(measured)
            truth, source = original.name, snapshot(measured)
        results = []
        for method, volume in report.results.items():
            name = result_name(source, request.upscaling(method))
            data, kwargs, _ = result_layer_data(volume, name, source)
            results.append(self._viewer.add_image(data, **kwargs))
            layers.append(results[-1])
        shown = results
        if len(results) >= MAX_COLUMNS:  # the first is the baseline, the last ones gain most
            shown = [results[0], *results[2 - MAX_COLUMNS :]]
        return [original.name, *(layer.name for layer in shown)], truth, measured.name

    def _open_comparison(self, columns: list[str], truth: str | None, measured: str) -> None:
        docks = [d for d in self.window().findChildren(CompareWidget) if d.comparison is not None]
        if not docks:
            docks = [self._viewer.window.add_plugin_dock_widget("napari-mrisr", "Compare")[1]]
        window = docks[0].comparison
        assert window is not None, "it is there while docked"
        window.open_window()
        window.open(columns, truth, measured)

    def work_cancelled(self) -> None:
        """Show that nothing is left."""
        self.panel.show_status("Cancelled. No layer was added, no file saved.")

    # What the form would do.

    def refresh(self) -> None:
        """Show what the form would do."""
        super().refresh()
        self._show_plan()

    def _snapshot(self) -> LayerSnapshot | None:
        layer = self.panel.layer.layer
        if layer is None:
            return None
        return snapshot(layer, frame_on_screen(layer, self._viewer.dims.point))

    def _make_request(self) -> MethodsRequest | None:
        """Return the form, frozen; None if there is nothing to run."""
        source, scale, panel = self._snapshot(), self.panel.scale.scale, self.panel
        methods = panel.table.chosen()
        if source is None or scale is None or not methods:
            return None
        return MethodsRequest(source, methods, scale, panel.simulate.isChecked())

    def _form_changed(self, _: Any = None) -> None:
        """Offer the methods for another layer, kind or scale."""
        self.report = None
        scale, simulate = self.panel.scale.scale, self.panel.simulate.isChecked()
        if scale is None or self.busy:
            return
        offered = {
            name: (method_summary(name), unfit(name, scale, simulate=simulate))
            for name in available_methods()
        }
        self.panel.table.show_methods(offered)
        self._show_plan()

    def _show_plan(self, _: Any = None) -> None:
        """Show times, numbers, memory, or why nothing can run; measure speeds that are missing."""
        panel = self.panel
        if self.busy:
            return
        panel.save_button.setEnabled(self.report is not None)
        can_run, plan, request = False, "", None
        try:
            source = self._snapshot()
            panel.source.setText("" if source is None else source_label(source))
            request = self._make_request()
            if source is None:
                panel.show_status(EMPTY)
            elif request is None:
                plan = "Check at least one method."
            else:
                estimated = request.seconds(self._rates)
                text = time_text(estimated, len(request.methods))
                plan = f"{bytes_label(request.memory())} of memory, {text}"
                can_run = True
        except MrisrError as error:
            panel.show_error(error_line(error))
        panel.plan.setText(plan)
        panel.run_button.setEnabled(can_run)
        self._show_numbers(request)
        if request is not None and can_run:
            self._measure_speeds(request)

    def _measure_speeds(self, request: MethodsRequest) -> None:
        """Measure the speeds that are missing, unless that is going on."""
        missing = {request.upscaling(name) for name in request.methods} - set(self._rates)
        if missing and not (self.timer.busy and missing <= self._measuring):
            self._measuring = missing
            self.timer.submit(functools.partial(request.measure_rates, tuple(self._rates)))

    def _show_numbers(self, request: MethodsRequest | None) -> None:
        """Show estimated times; after a run the measured ones, and the numbers."""
        times: dict[str, str] = {}
        headings: list[str] = []
        rows: dict[str, list[str]] = {}
        if self.report is not None:
            (_, *headings), *found = self.report.table()
            headings.remove(_SECONDS)
            rows = {name: cells[: len(headings)] for name, *cells in found}
            values = self.report.values.items()
            times = {name: duration_label(one[_SECONDS]) for name, one in values}
        elif request is not None:
            estimated = request.seconds(self._rates).items()
            times = {name: f"≈ {duration_label(seconds)}" for name, seconds in estimated}
        self.panel.table.show_numbers(times, headings, rows)

    def _rate_measured(self, found: Any) -> None:
        parameters, rate = found
        self._rates[parameters] = rate
        self._show_plan()

    # The viewer's layers.

    def _layers_listed(self, event: Any = None) -> None:
        assert self.layers is not None, "watched since the start"
        layers = [layer for layer in reversed(self._viewer.layers) if isinstance(layer, Image)]
        layers = [layer for layer in layers if not isinstance(layer.data, PreviewArray)]
        self.layers.watch(layers)
        self.panel.layer.set_layers(layers)

    def _layer_changed(self, event: Any) -> None:
        assert self.layers is not None, "watched since the start"
        if event.type == "name":
            self.panel.layer.set_layers(self.layers.layers)
        elif event.source is self._shown:
            self._shown = None
            self._layer_chosen()

    def _layer_chosen(self) -> None:
        """Offer scales and the kind that suit another layer."""
        panel, layer = self.panel, self.panel.layer.layer
        if self.busy or (layer is self._shown and layer is not None):
            return
        self._shown = layer
        if layer is not None:
            panel.show_status("")
        try:
            source = self._snapshot()
        except MrisrError:  # shown with the plan
            source = None
        grid = None if source is None else source.grid
        first = None if grid is None else isotropic_choice(grid, "tricubic")
        if layer is not None:
            low = first is not None or "degraded_by" in history_of(layer)
            (panel.direct if low else panel.simulate).setChecked(True)
        panel.scale.set_voxel_size(None if grid is None else grid.voxel_size)
        panel.scale.set_scales(COMMON_SCALES, True, first)
        self._form_changed()

    # Life cycle.

    def detached(self, *, closing: bool) -> None:
        """End the measurements of speed."""
        self.timer.close()
