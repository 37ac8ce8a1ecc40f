"""Dock widget "Inspect buckets"."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtWidgets import QFileDialog

from napari_mrisr.bank.model import FilterBank, bank_for, load_bank
from napari_mrisr.core.scale import thick_axis
from napari_mrisr.errors import BankError, MrisrError, explain
from napari_mrisr.inspection import MeasuredGain
from napari_mrisr.inspection.effective import EffectiveFilter
from napari_mrisr.inspection.texts import stage_text
from napari_mrisr.io import write_text
from napari_mrisr.methods.network import list_networks
from napari_mrisr.viewer.common.dock import Dock
from napari_mrisr.viewer.common.events import CanvasMouse
from napari_mrisr.viewer.common.labels import (
    duration_label,
    fitting_banks,
    listed,
    offered_scales,
)
from napari_mrisr.viewer.common.worker import Worker
from napari_mrisr.viewer.inspect.controller import (
    FeatureRequest,
    Inspection,
    Inspector,
    MapRequest,
    MeasureRequest,
    Request,
    table_csv,
)
from napari_mrisr.viewer.inspect.maps import MapLayer, feature_layers, menu_text
from napari_mrisr.viewer.inspect.network import (
    NetworkInspection,
    NetworkRequest,
    effective_facts,
)
from napari_mrisr.viewer.inspect.panel import BUCKETS, VOXEL, InspectPanel
from napari_mrisr.viewer.layers.convert import LayerSnapshot, frame_on_screen, snapshot

if TYPE_CHECKING:
    from napari.viewer import Viewer

EMPTY = "Open a low-resolution scan, or use File > Open Sample > MRI super-resolution."
READY = "“Show bucket map” shows which filter each voxel gets, and why."
READY_NETWORK = "“Inspect the network” shows the effective filter of each voxel that you click."
NO_VOXEL = "Move the cursor over the map."
NO_EFFECTIVE = "Click a voxel of the scan to see its effective filter."
NO_FILTER = "Move the cursor over the map to see a filter."


class InspectWidget(Dock):
    """Shows bucket maps, and features and filter of the voxel under the cursor.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Its layers are offered, and it shows the maps.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, "inspect", InspectPanel())
        self._request: Request | None = None
        self._reference: Any = None
        self.inspector = Inspector()
        self.map = MapLayer(napari_viewer)
        self.effective = Worker()
        self.effective.finished.connect(self._effective_found)
        self.effective.failed.connect(self.tell_error)
        self.mouse = CanvasMouse(napari_viewer, self._clicked, self.point_at)
        self.watch_layers(self._list_layers, {"name": self._list_layers})
        panel = self.panel
        panel.layer.chosen.connect(self.refresh)
        panel.scale.chosen.connect(self._scale_chosen)
        panel.bank.chosen.connect(self._bank_chosen)
        panel.bank.browsed.connect(self.open_bank)
        panel.stage.currentIndexChanged.connect(self.refresh)
        panel.show_button.clicked.connect(self.show_map)
        panel.features.triggered.connect(lambda action: self.add_feature(action.data()))
        panel.reference.chosen.connect(self._reference_chosen)
        panel.second.chosen.connect(self._second_chosen)
        panel.second.browsed.connect(self.compare_with)
        panel.table.chosen.connect(self.choose_bucket)
        panel.only.toggled.connect(self._show_only)
        panel.save_button.clicked.connect(lambda *_: self.save_table())
        panel.filter.changed.connect(self._show_filter)
        self._show_inspection()
        self._offer_scales()
        self.attach()

    @property
    def busy(self) -> bool:
        """True while work runs, or an effective filter is still to come."""
        return self.worker.running or self.effective.busy

    # Actions of the user.

    def show_map(self) -> None:
        """Compute the bucket map of the chosen layer and show it."""
        panel, shown = self.panel, self.inspector.inspection
        layer, scale = panel.layer.layer, panel.scale.scale
        if self.worker.running or layer is None or scale is None:
            return
        try:
            source = self._snapshot(layer)
        except MrisrError as error:
            self.tell_error(error)
            return
        if panel.bank.bank in list_networks():
            network = NetworkRequest(source, scale, panel.bank.bank)
            self._start(network, f"Reading “{source.name}”…")
            return
        earlier = shown.source if shown is not None else None
        number = max(0, panel.stage.currentIndex())
        request = MapRequest(source, scale, panel.bank.bank, number, earlier)
        self._start(request, f"Computing the buckets of “{source.name}”…")

    def add_feature(self, name: str) -> None:
        """Add a feature, its bins, or the orientation as a layer."""
        shown = self.inspector.inspection
        if shown is not None:
            self._start(FeatureRequest(shown, name), f"Computing {name}…")

    def point_at(self, world: Any) -> None:
        """Show the voxel at a position in napari's world, as under the cursor."""
        if self.panel.follow.isChecked() and self.inspector.point_at(world):
            inspector, panel = self.inspector, self.panel
            panel.readout.show_facts(inspector.voxel_heading, inspector.voxel_facts)
            if panel.tabs.currentIndex() == BUCKETS:
                panel.bucket_line.setText(inspector.bucket_line)
            self._show_filter()

    def save_table(self, path: str = "") -> None:
        """Save the table of buckets as CSV; without a path a dialog asks for one."""
        shown = self.inspector.inspection
        if shown is None:
            return
        if not path:
            kinds = "CSV (*.csv)"
            path, _ = QFileDialog.getSaveFileName(self, "Save the table", "buckets.csv", kinds)
        if not path:
            return
        target = Path(path if Path(path).suffix else f"{path}.csv")
        # Layer names may identify patients.
        title = f"{shown.source.bank.name} stage {shown.source.number + 1}"
        try:
            write_text(target, table_csv(self.inspector.columns, title))
        except MrisrError as error:
            self.tell_error(error)
        else:
            self.panel.show_status(f"Saved {target.name}.")

    def choose_bucket(self, bucket: int) -> None:
        """Show the filter of a bucket, and only its voxels in the map."""
        inspector, panel = self.inspector, self.panel
        if inspector.inspection is None:
            return
        inspector.choose(bucket)
        panel.readout.show_facts(f"Bucket {bucket}", inspector.bucket_facts)
        panel.bucket_line.setText(inspector.bucket_line)
        self._show_filter()
        panel.only.setChecked(True)
        self._show_only()

    def open_bank(self, path: str) -> None:
        """Inspect the filter bank in a file, at its scale."""
        panel = self.panel
        try:
            scale = load_bank(path).scale
        except MrisrError as error:
            self.tell_error(error)
            return
        panel.bank.add_file(path, scale)
        self._offer_scales()
        panel.scale.scale = scale
        self._scale_chosen()
        panel.bank.choose_file()

    def compare_with(self, path: str) -> None:
        """Compare the inspected bank with the bank in a file."""
        shown, second = self.inspector.inspection, self.panel.second
        if shown is None:
            return
        first = shown.source.bank
        try:
            bank = load_bank(path)
            if bank.scale != first.scale:
                remedy = "choose a bank of the same preset and scale"
                raise BankError(explain(path, f"its scale differs from {first.name}", remedy))
        except MrisrError as error:
            self.tell_error(error)
            return
        second.add_file(path, bank.scale)
        self._offer_second(first)
        second.choose_file()

    def _clicked(self, world: Any) -> None:
        """Hold the clicked voxel, or follow the cursor again; of a network, inspect it."""
        request = self.inspector.request_at(world)
        if request is not None:
            self.panel.show_status("Computing the effective filter…")
            self.effective.submit(request)
            return
        follow = self.panel.follow
        if self.inspector.inspection is None:
            return
        if follow.isChecked():
            self.point_at(world)
        follow.toggle()

    def _effective_found(self, found: EffectiveFilter) -> None:
        """Show the effective filter of the clicked voxel."""
        inspector = self.inspector
        if inspector.network is None:
            return
        inspector.effective = found
        heading = f"Voxel {', '.join(map(str, found.voxel))} of the result"
        self.panel.readout.show_facts(heading, effective_facts(found))
        self.panel.show_status(f"Shown: {inspector.network.title}.")
        self._show_filter()

    # Choices.

    def _snapshot(self, layer: Image) -> LayerSnapshot:
        """Return a layer; of a 4D layer, the frame on screen."""
        return snapshot(layer, frame_on_screen(layer, self._viewer.dims.point))

    def _list_layers(self, event: Any = None) -> None:
        assert self.layers is not None
        layers = [x for x in reversed(self._viewer.layers) if isinstance(x, Image) and not x.rgb]
        self.layers.watch(layers)
        self.panel.layer.set_layers(layers)
        self.panel.reference.set_layers(layers)
        if self.map.forget_removed():
            self.panel.only.setChecked(False)

    def _offer_scales(self) -> None:
        scales, others = offered_scales("hashed")
        own = self.panel.bank.file_scale
        self.panel.scale.set_scales(listed([*scales, *([own] if own else [])]), others)

    def _scale_chosen(self) -> None:
        scale = self.panel.scale.scale
        if scale is not None:
            try:
                thick = thick_axis(scale) is not None
                networks = list_networks() if thick else []
                self.panel.bank.set_names([*fitting_banks(scale), *networks], scale)
            except MrisrError as error:
                self.tell_error(error)
        self._bank_chosen()

    def _bank_chosen(self) -> None:
        panel, combo = self.panel, self.panel.stage
        before = combo.currentIndex()
        combo.blockSignals(True)
        combo.clear()
        try:
            if panel.scale.scale is not None and panel.bank.bank not in list_networks():
                bank = bank_for(panel.scale.scale, panel.bank.bank)
                combo.addItems([stage_text(bank, n) for n in range(len(bank.stages))])
                combo.setCurrentIndex(before if 0 <= before < len(bank.stages) else 0)
        except MrisrError as error:
            self.tell_error(error)
        finally:
            combo.blockSignals(False)
        self.refresh()

    def _offer_second(self, first: FilterBank | None, *, choose_none: bool = False) -> None:
        second = self.panel.second
        second.blockSignals(True)
        if first is not None:
            others = [name for name in fitting_banks(first.scale) if name != first.name]
            second.set_names(others, first.scale)
        if choose_none:
            second.setCurrentIndex(0)
        second.blockSignals(False)

    def _second_chosen(self) -> None:
        if self.inspector.inspection is None:
            return
        name = self.panel.second.bank
        try:
            self.inspector.compare(load_bank(name) if name else None)
            self.refresh()
        except MrisrError as error:
            self.tell_error(error)
        self.panel.filter.set_two_banks(self.inspector.comparison is not None)
        self.panel.table.set_columns(self.inspector.columns)
        self._show_filter()

    def _reference_chosen(self) -> None:
        """Measure against the reference; also called, with the same layer, when layers change."""
        layer, shown = self.panel.reference.layer, self.inspector.inspection
        if layer is self._reference or shown is None:
            return
        self._reference = layer
        if layer is None:
            self.inspector.measured = None
            self.panel.table.set_columns(self.inspector.columns)
            return
        try:
            request = MeasureRequest(shown, self._snapshot(layer))
        except MrisrError as error:
            self.panel.reference.layer = None
            self.tell_error(error)
            return
        self._start(request, f"Measuring against “{layer.name}”…")

    # Display.

    def _show_inspection(self) -> None:
        """Fill the tabs for a new map."""
        panel, inspection = self.panel, self.inspector.inspection
        panel.features.clear()
        panel.show_inspected(inspection is not None)
        panel.readout.show_facts(NO_VOXEL, ())
        panel.bucket_line.setText("Click a row to show its voxels." if inspection else "")
        panel.only.setChecked(False)
        panel.filter.set_two_banks(False)
        first = None if inspection is None else inspection.source.bank
        self._offer_second(first, choose_none=True)
        self._reference = None
        panel.reference.layer = None
        if inspection is not None:
            stage = inspection.source.stage
            for name in feature_layers(stage.spec.hash):
                panel.features.addAction(menu_text(name)).setData(name)
            panel.filter.set_outputs(stage.weights.shape[2])
            panel.table.set_columns(self.inspector.columns)
        self._show_filter()

    def _show_filter(self) -> None:
        view = self.panel.filter
        scene = self.inspector.scene(view.along_volume_axes, view.chosen_output, view.chosen_bank)
        view.show_scene(scene, NO_FILTER if self.inspector.network is None else NO_EFFECTIVE)

    def _show_only(self, on: bool | None = None) -> None:
        """Show only the chosen bucket in the map, or all buckets."""
        inspection = self.inspector.inspection
        if inspection is not None:
            bucket = self.inspector.bucket if self.panel.only.isChecked() else None
            self.map.show_only(bucket, inspection.layer)

    # Work.

    def _start(self, request: Request, text: str) -> None:
        if not self.worker.running:
            self._request = request
            self.run_work(request.run, text)

    def refresh(self, _: Any = None) -> None:
        """Show the idle form and what it would do."""
        if self.worker.running:
            return
        super().refresh()
        shown = self.inspector.inspection
        self._show_ready()
        if self.panel.layer.layer is None:
            self.panel.show_status(EMPTY)
        elif shown is None:
            network = self.panel.bank.bank in list_networks()
            self.panel.show_status(READY_NETWORK if network else READY)
        else:
            self.panel.show_status(f"Shown: {shown.title}.")

    def _show_ready(self) -> None:
        panel = self.panel
        network = panel.bank.bank in list_networks()
        ready = panel.layer.layer is not None and (network or panel.stage.count() > 0)
        panel.show_button.setText("Inspect the network" if network else "Show bucket map")
        panel.show_ready(show=ready, features=self.inspector.inspection is not None)

    def work_finished(self, result: Any) -> None:
        """Show a map, a measured gain, or a feature layer."""
        try:
            if isinstance(result, Inspection):
                self.inspector.show(result)
                self._show_inspection()
                self.panel.tabs.setCurrentIndex(VOXEL)
                text = f"Added “{self.map.show(result.layer).name}”"
            elif isinstance(result, NetworkInspection):
                self.inspector.show_network(result)
                self._show_inspection()
                self.panel.show_inspected(True, buckets=False)
                self.panel.readout.show_facts(NO_EFFECTIVE, ())
                self.panel.tabs.setCurrentIndex(VOXEL)
                text = f"Ready: {result.title}"
            elif isinstance(result, MeasuredGain):
                # The user may have removed the reference during the run.
                self.inspector.measured = result if self._reference is not None else None
                self.panel.table.set_columns(self.inspector.columns)
                text = "Measured against the reference"
            else:
                data, kwargs, kind = result
                add = self._viewer.add_labels if kind == "labels" else self._viewer.add_image
                text = f"Added “{add(data, **kwargs).name}”"
        except Exception as error:  # of napari
            self.tell_error(error)
            return
        self._show_ready()
        self.panel.show_status(f"{text} in {duration_label(self.worker.seconds)}.")

    def work_failed(self, error: Exception) -> None:
        """Show the error; choose no reference if it was refused."""
        self._discard_reference()
        self.tell_error(error)

    def work_cancelled(self) -> None:
        """Show that no layer was added."""
        self._discard_reference()
        self.panel.show_status("Cancelled. No layer was added.")

    def _discard_reference(self) -> None:
        if isinstance(self._request, MeasureRequest):
            self.panel.reference.layer = None

    # Life cycle.

    def attached(self) -> None:
        """Listen to the mouse."""
        self.mouse.attach()

    def detached(self, *, closing: bool) -> None:
        """Disconnect from the mouse."""
        self.mouse.detach()
        self.effective.close()
        self._show_ready()
