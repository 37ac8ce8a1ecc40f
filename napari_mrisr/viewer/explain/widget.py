"""Dock widget "Explain a voxel".

A click becomes a frozen :class:`~.layers.ExplainRequest`. One thread computes the
explanation, a second draws the pictures, a third writes lecture pages.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtWidgets import QFileDialog

from napari_mrisr.bank.folder import NETWORK_SUFFIX
from napari_mrisr.bank.model import FilterBank, list_banks, load_bank
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import RealScale
from napari_mrisr.core.volume import Shape
from napari_mrisr.errors import MrisrError
from napari_mrisr.explain import Explanation, VoxelExplanation, save_lecture, steps_of
from napari_mrisr.explain.steps import stage_label, voxel_text
from napari_mrisr.methods.network import list_networks
from napari_mrisr.networks.file import NetworkFile, load_network
from napari_mrisr.viewer.common.dock import Dock
from napari_mrisr.viewer.common.events import CanvasMouse
from napari_mrisr.viewer.common.worker import Worker
from napari_mrisr.viewer.explain.form import EMPTY, HINT, ExplainForm, SlideView, slide_of
from napari_mrisr.viewer.explain.layers import (
    Explained,
    ExplainRequest,
    Marker,
    OutputGrid,
    Prepared,
    choose_model,
    likely_roles,
)
from napari_mrisr.viewer.layers.convert import (
    LayerSnapshot,
    frame_on_screen,
    history_of,
    snapshot,
)

if TYPE_CHECKING:
    from napari.viewer import Viewer

# Layer events that change the volume.
_VOXEL_EVENTS = ("data", "scale", "translate", "units")


class ExplainWidget(Dock):
    """Shows step by step how a clicked voxel of the result is computed.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Its layers are offered, and its canvas is clicked.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, "explain", ExplainForm())
        self.explanation: VoxelExplanation | None = None
        self._prepared: Prepared | None = None
        self._grid: OutputGrid | None = None
        self._stage = 0
        self._layers_by_user = False
        self._updating_fields = False
        self.explainer = Worker()
        self.explainer.finished.connect(self._explained)
        self.explainer.failed.connect(self.tell_error)
        self.marker = Marker(napari_viewer)
        self.mouse = CanvasMouse(napari_viewer, self.pick)
        self.watch_layers(
            self._list_layers,
            {**dict.fromkeys(_VOXEL_EVENTS, self._voxels_changed), "name": self._show_layers},
        )
        panel = self.panel
        panel.bank.set_names([*list_networks(), *list_banks()], None)
        panel.bank.chosen.connect(self._bank_chosen)
        panel.bank.browsed.connect(self.open_bank)
        for field in (panel.layer, panel.reference):
            field.chosen.connect(self._layers_chosen)
            field.activated.connect(self._chosen_by_user)
        panel.find_button.clicked.connect(self.find)
        panel.stage_chosen.connect(self.choose_stage)
        panel.export_requested.connect(self.export)
        self.attach()

    @property
    def slides(self) -> SlideView:
        """View of the steps."""
        slides: SlideView = self.panel.slides
        return slides

    @property
    def busy(self) -> bool:
        """True while an explanation, a picture or a file is still to come."""
        return self.explainer.busy or self.worker.busy or self.slides.busy

    # Actions of the user.

    def pick(self, position: tuple[float, ...]) -> None:
        """Explain the voxel at a position in napari's world."""
        try:
            grid = self._current_grid()
        except MrisrError as error:
            self.tell_error(error)
            return
        if grid is None:
            return
        voxel = grid.voxel_at(position)
        if voxel is None:
            self.panel.show_status("This position lies outside the scan. Click inside it.")
        else:
            self.explain(voxel)

    def explain(self, voxel: Shape | None) -> None:
        """Explain an output voxel; with None, a voxel on a clear edge."""
        try:
            request = self._request(voxel)
            self._grid = self._current_grid()
        except MrisrError as error:
            self.tell_error(error)
            return
        if request is None or self._grid is None:
            return
        if voxel is not None:
            self._mark(voxel)
        self.panel.show_status("Computing… (the first time up to 10 s)")
        self.explainer.submit(request)

    def find(self) -> None:
        """Explain a voxel on a clear edge."""
        self.explain(None)

    def choose(self, layer: Image, reference: Image | None) -> None:
        """Choose the low-resolution layer and its reference."""
        self._layers_by_user = True
        self.panel.layer.layer = layer
        self.panel.reference.layer = reference

    def choose_stage(self, number: int) -> None:
        """Show the steps of a stage (from 0)."""
        self._stage = number
        self.panel.stage.setCurrentIndex(number)
        self._show_slides()

    def open_bank(self, path: str) -> None:
        """Use the filter bank in a file."""
        try:
            network = path.endswith(NETWORK_SUFFIX)
            scale = None if network else load_bank(path).scale
            if network:
                load_network(path)
        except MrisrError as error:
            self.tell_error(error)
            return
        bank = self.panel.bank
        bank.add_file(path, scale)
        bank.set_names([*list_networks(), *list_banks()], scale)
        bank.choose_file()

    def export(self, suffix: str, path: str = "") -> None:
        """Write the lecture page; without a path, ask for one."""
        explanation = self.explanation
        if explanation is None:
            return
        if not path:
            name = "voxel-" + "-".join(str(n) for n in explanation.voxel) + suffix
            kind = f"{suffix[1:].upper()} (*{suffix})"
            path, _ = QFileDialog.getSaveFileName(self, "Save the lecture page", name, kind)
        if not path:
            return
        path = path if Path(path).suffix else path + suffix

        def write(progress: Progress) -> str:
            save_lecture(explanation, path, progress)
            return path

        self.run_work(write, f"Writing {Path(path).name}…")

    # Requests: frozen from the form.

    def _model(self, source: LayerSnapshot) -> tuple[FilterBank | NetworkFile, RealScale]:
        """Return the bank or network, and the scale."""
        layer = self.panel.reference.layer
        reference = None if layer is None else self._snapshot(layer).grid
        return choose_model(self.panel.bank.bank, source.grid, reference)

    def _request(self, voxel: Shape | None) -> ExplainRequest | None:
        layer, reference = self.panel.layer.layer, self.panel.reference.layer
        if layer is None:
            return None
        source = self._snapshot(layer)
        taken = self._snapshot(reference) if reference is not None else None
        return ExplainRequest(source, taken, *self._model(source), voxel, self._prepared)

    def _snapshot(self, layer: Image) -> LayerSnapshot:
        return snapshot(layer, frame_on_screen(layer, self._viewer.dims.point))

    def _current_grid(self) -> OutputGrid | None:
        layer = self.panel.layer.layer
        if layer is None:
            return None
        source = self._snapshot(layer)
        return OutputGrid.of(layer, source, self._model(source)[1])

    def _mark(self, voxel: Shape) -> None:
        layer = self.panel.layer.layer
        if self._grid is not None and layer is not None:
            self.marker.show(self._grid, voxel, layer.units[-3:])

    # Results.

    def _explained(self, result: Explained) -> None:
        explanation = result.explanation
        self._prepared, self.explanation = result.prepared, explanation
        self._mark(explanation.voxel)
        stages = explanation.stages if isinstance(explanation, Explanation) else ()
        self._stage = min(self._stage, max(0, len(stages) - 1))
        kind = "bank" if stages else "network"
        self.panel.show_ready(explanation=True)
        self.panel.show_status(
            f"Voxel {voxel_text(explanation.voxel)}, {kind} {explanation.bank_name}"
        )
        self._show_slides()

    def _show_slides(self) -> None:
        explanation = self.explanation
        if explanation is None:
            return
        labels = []
        if isinstance(explanation, Explanation):
            labels = [stage_label(explanation, n) for n in range(len(explanation.stages))]
        self.panel.show_stages(labels, self._stage)
        slides = [slide_of(explanation, step) for step in steps_of(explanation, self._stage)]
        self.slides.show_slides(slides, self.slides.index)

    def refresh(self) -> None:
        """Show the idle form."""
        super().refresh()
        self.panel.show_ready(explanation=self.explanation is not None)

    def work_finished(self, path: str) -> None:
        """Show which file was written."""
        self.panel.show_status(f"Saved {Path(path).name}.")

    # Changes of bank and layers.

    def _bank_chosen(self) -> None:
        """Explain the voxel with another bank if it has the same scale."""
        explanation = self.explanation
        if explanation is None:
            return
        try:
            source = self._snapshot(self.panel.layer.layer)
            same = self._model(source)[1] == explanation.scale
        except MrisrError as error:
            self.tell_error(error)
            return
        if same:
            self.explain(explanation.voxel)
        else:
            self._reset()

    def _reset(self) -> None:
        """Discard the explanation, because the volumes or the scale changed."""
        self.explainer.cancel()
        self._prepared, self.explanation = None, None
        self.panel.show_ready(explanation=False)
        self.panel.show_stages([], 0)
        self.panel.show_status(HINT if self.panel.layer.layer is not None else EMPTY)
        self.marker.remove()

    def _chosen_by_user(self, _: int = 0) -> None:
        self._layers_by_user = True

    def _list_layers(self, event: Any = None) -> None:
        assert self.layers is not None
        layers = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
        if layers == self.layers.layers:
            return
        before = (self.panel.layer.layer, self.panel.reference.layer)
        self.layers.watch(layers)
        self._show_layers()
        if not self._layers_by_user:
            self._updating_fields = True
            self._choose_likely(layers)
            self._updating_fields = False
        if before != (self.panel.layer.layer, self.panel.reference.layer) or not layers:
            self._reset()

    def _choose_likely(self, layers: list[Image]) -> None:
        known = []
        for layer in layers:
            try:
                known.append((layer, self._snapshot(layer).grid, history_of(layer)))
            except MrisrError:
                continue
        lr, reference = likely_roles([(layer.name, grid, made) for layer, grid, made in known])
        if lr is not None:
            self.panel.layer.layer = known[lr][0]
        self.panel.reference.layer = None if reference is None else known[reference][0]

    def _voxels_changed(self, event: Any) -> None:
        if event.source in (self.panel.layer.layer, self.panel.reference.layer):
            self._reset()

    def _show_layers(self, event: Any = None) -> None:
        """Offer the layers under their present names."""
        assert self.layers is not None
        self._updating_fields = True
        layers = self.layers.layers[::-1]
        self.panel.layer.set_layers(layers)
        self.panel.reference.set_layers(layers)
        self._updating_fields = False

    def _layers_chosen(self) -> None:
        if not self._updating_fields:
            self._reset()

    # Life cycle.

    def theme_changed(self) -> None:
        """Draw the slides for the new background."""
        self.slides.set_dark(self.dark)

    def attached(self) -> None:
        """Listen to clicks."""
        self.mouse.attach()
        self._reset()

    def detached(self, *, closing: bool) -> None:
        """End all threads; remove the marker unless the window closes."""
        self.mouse.detach()
        self.explainer.close()
        self.slides.stop()
        if not closing:
            self.marker.remove()
