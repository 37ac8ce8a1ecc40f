"""The "Explain a voxel" dock widget.

A click becomes a frozen :class:`~.asking.ExplainRequest`; one thread answers it,
another draws the pictures; neither sees a widget.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QFileDialog, QVBoxLayout

from napari_mrisr.bank.model import FilterBank, bank_for, list_banks, load_bank
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Shape
from napari_mrisr.errors import MrisrError
from napari_mrisr.explain import Explanation, save_lecture, steps_of
from napari_mrisr.explain.steps import stage_label, voxel_text
from napari_mrisr.viewer.common.dock import Docked
from napari_mrisr.viewer.common.fields import VerticalScroll
from napari_mrisr.viewer.common.labels import error_line
from napari_mrisr.viewer.common.latest import Latest
from napari_mrisr.viewer.common.layer_watch import LayerWatch
from napari_mrisr.viewer.common.theme import error_color, is_dark
from napari_mrisr.viewer.explain.asking import (
    DEFAULT_SCALE,
    Explained,
    ExplainRequest,
    Prepared,
    fits,
    history_of,
    likely_roles,
    scale_between,
)
from napari_mrisr.viewer.explain.form import EMPTY, HINT, NO_TRUTH, ExplainForm
from napari_mrisr.viewer.explain.marker import Marker, Picker
from napari_mrisr.viewer.explain.places import Places
from napari_mrisr.viewer.explain.slides import slide_of
from napari_mrisr.viewer.layers.convert import LayerSnapshot, frame_on_screen, snapshot

if TYPE_CHECKING:
    from napari.viewer import Viewer

_log = logging.getLogger(__name__)

# What makes another volume of a layer.
_VOXEL_EVENTS = ("data", "scale", "translate", "units")


class ExplainWidget(Docked):
    """Pick a voxel, step through how it is made.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Whose layers are offered and in which voxels are picked.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self.setObjectName("explain")
        self.explanation: Explanation | None = None
        self._prepared: Prepared | None = None
        self._places: Places | None = None
        self._layers = LayerWatch(
            napari_viewer,
            self._refresh_layers,
            {**dict.fromkeys(_VOXEL_EVENTS, self._voxels_changed), "name": self._show_layers},
        )
        self._stage = 0
        self._by_hand = False
        self._quiet = False
        self.marker = Marker(napari_viewer)
        self.picker = Picker(napari_viewer, self.pick)
        self.form = ExplainForm(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(VerticalScroll(self.form, self))
        form = self.form
        form.bank.set_names(list_banks(), None)
        form.layer.chosen.connect(self._layers_chosen)
        form.truth.chosen.connect(self._layers_chosen)
        form.layer.activated.connect(self._chosen_by_hand)
        form.truth.activated.connect(self._chosen_by_hand)
        form.bank.chosen.connect(self._again)
        form.bank.browsed.connect(self.open_bank)
        form.find_button.clicked.connect(self.find)
        form.stage_chosen.connect(self.choose_stage)
        form.export_asked.connect(self.export)
        self.attach()

    @property
    def slides(self) -> Any:
        """The steps, as they are shown."""
        return self.form.slides

    @property
    def busy(self) -> bool:
        """Whether something is still to come."""
        return self.work.busy or self.writer.busy or self.slides.busy

    # What the person does.

    def pick(self, position: tuple[float, ...]) -> None:
        """Explain the voxel at a place in napari's world."""
        try:
            places = self._places_now()
        except MrisrError as error:
            self._tell_error(error)
            return
        if places is None:
            return
        voxel = places.voxel_at(position)
        if voxel is None:
            self.form.show_status("That place lies outside the scan.")
        else:
            self.explain(voxel)

    def explain(self, voxel: Shape | None) -> None:
        """Explain an output voxel; None for one on a clear edge."""
        try:
            request = self._request(voxel)
            self._places = self._places_now()
        except MrisrError as error:
            self._tell_error(error)
            return
        if request is None or self._places is None:
            return
        if voxel is not None:
            self._mark(voxel)
        self.form.show_status("Computing … (the very first time up to 10 s)")
        self.work.ask(request)

    def find(self) -> None:
        """Explain a voxel on a clear edge."""
        self.explain(None)

    def choose(self, layer: Image, truth: Image | None) -> None:
        """Choose the low-resolution layer and its truth."""
        self._by_hand = True
        self.form.layer.layer = layer
        self.form.truth.layer = truth or NO_TRUTH

    def choose_stage(self, number: int) -> None:
        """Show the steps of a stage (from 0)."""
        self._stage = number
        self.form.stage.setCurrentIndex(number)
        self._show_slides()

    def open_bank(self, path: str) -> None:
        """Use a filter bank of one's own."""
        try:
            scale = load_bank(path).scale
        except MrisrError as error:
            self._tell_error(error)
            return
        bank = self.form.bank
        bank.add_file(path, scale)
        bank.set_names(list_banks(), scale)
        bank.choose_file()

    def export(self, suffix: str, path: str = "") -> None:
        """Write the lecture page; without a path the person is asked for one."""
        found = self.explanation
        if found is None:
            return
        if not path:
            name = "voxel-" + "-".join(str(n) for n in found.voxel) + suffix
            kind = f"{suffix[1:].upper()} (*{suffix})"
            path, _ = QFileDialog.getSaveFileName(self, "Save the lecture page", name, kind)
        if not path:
            return
        path = path if Path(path).suffix else path + suffix
        self.form.show_status(f"Writing {Path(path).name} …")

        def write(progress: Progress) -> str:
            save_lecture(found, path, progress)
            return path

        self.writer.ask(write)

    # Requests: the form, frozen.

    def _bank(self) -> FilterBank:
        layer, truth = self.form.layer.layer, self.form.truth_layer
        if self.form.bank.bank is not None:
            return load_bank(self.form.bank.bank)
        scale = DEFAULT_SCALE
        if truth is not None:
            scale = scale_between(self._snapshot(truth).grid, self._snapshot(layer).grid) or scale
        return bank_for(scale)

    def _request(self, voxel: Shape | None) -> ExplainRequest | None:
        layer, truth = self.form.layer.layer, self.form.truth_layer
        if layer is None:
            return None
        taken = self._snapshot(truth) if truth is not None else None
        return ExplainRequest(self._snapshot(layer), taken, self._bank(), voxel, self._prepared)

    def _snapshot(self, layer: Image) -> LayerSnapshot:
        return snapshot(layer, frame_on_screen(layer, self._viewer.dims.point))

    def _places_now(self) -> Places | None:
        layer = self.form.layer.layer
        if layer is None:
            return None
        return Places.of(layer, self._snapshot(layer), self._bank().scale)

    def _mark(self, voxel: Shape) -> None:
        layer = self.form.layer.layer
        if self._places is not None and layer is not None:
            self.marker.show(self._places, voxel, layer.units[-3:])

    # What the threads tell.

    def _explained(self, found: Explained) -> None:
        self._prepared, self.explanation = found.prepared, found.explanation
        self._mark(found.explanation.voxel)
        self._stage = min(self._stage, len(found.explanation.stages) - 1)
        self.form.show_ready(layer=True, explanation=True)
        factor = "×".join(str(n) for n in found.explanation.scale)
        self.form.show_status(
            f"Voxel {voxel_text(found.explanation.voxel)} of the result, "
            f"{factor}, bank {found.explanation.bank_name}"
        )
        self._show_slides()

    def _show_slides(self) -> None:
        found = self.explanation
        if found is None:
            return
        labels = [stage_label(found, number) for number in range(len(found.stages))]
        self.form.show_stages(labels, self._stage)
        slides = [slide_of(found, step) for step in steps_of(found, self._stage)]
        self.slides.show_slides(slides, self.slides.index)

    def _written(self, path: str) -> None:
        self.form.show_status(f"Saved {Path(path).name}.")

    def _tell_error(self, error: Exception) -> None:
        line = error_line(error)
        if not isinstance(error, MrisrError):
            _log.error("%s", line, exc_info=error)
        self.form.show_error(line)
        show_error(line)

    # What changes.

    def _again(self) -> None:
        """Another bank: explain the voxel anew, where it still is one."""
        found = self.explanation
        if found is None:
            return
        try:
            same = self._bank().scale == found.scale
        except MrisrError as error:
            self._tell_error(error)
            return
        if same:
            self.explain(found.voxel)
        else:
            self._forget()

    def _forget(self) -> None:
        """Other volumes: nothing that was computed counts any more."""
        self.work.drop()
        self._prepared, self.explanation = None, None
        some = self.form.layer.layer is not None
        self.form.show_ready(layer=some, explanation=False)
        self.form.show_stages([], 0)
        self.form.show_status(HINT if some else EMPTY)
        self.marker.remove()

    def _chosen_by_hand(self, _: int = 0) -> None:
        self._by_hand = True

    def _refresh_layers(self, event: Any = None) -> None:
        layers = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
        if layers == self._layers.layers:
            return
        before = (self.form.layer.layer, self.form.truth_layer)
        self._layers.watch(layers)
        self._show_layers()
        if not self._by_hand:
            self._quiet = True
            self._choose_likely(layers)
            self._quiet = False
        if before != (self.form.layer.layer, self.form.truth_layer) or not layers:
            self._forget()

    def _choose_likely(self, layers: list[Image]) -> None:
        known = []
        for layer in layers:
            try:
                known.append((layer, self._snapshot(layer).grid, history_of(layer)))
            except MrisrError:
                continue
        lr, truth = likely_roles([(layer.name, grid, made) for layer, grid, made in known])
        if lr is not None:
            self.form.layer.layer = known[lr][0]
        chosen = truth is not None and fits(known[truth][1], known[lr or 0][1])
        self.form.truth.layer = known[truth][0] if chosen and truth is not None else NO_TRUTH

    def _voxels_changed(self, event: Any) -> None:
        if event.source in (self.form.layer.layer, self.form.truth_layer):
            self._forget()

    def _show_layers(self, event: Any = None) -> None:
        """Offer the layers under their names, which they may have changed."""
        self._quiet = True
        layers = self._layers.layers[::-1]
        self.form.layer.set_layers(layers)
        self.form.truth.set_layers([NO_TRUTH, *layers])
        self._quiet = False

    def _layers_chosen(self) -> None:
        if not self._quiet:
            self._forget()

    def _theme_changed(self, event: Any = None) -> None:
        self.form.error_color = error_color(self._viewer.theme)
        self.slides.set_dark(is_dark(self._viewer.theme))

    # Coming and going.

    def attached(self) -> None:
        """Listen to the viewer; start what works behind."""
        self.work, self.writer = Latest(), Latest()
        self.work.finished.connect(self._explained)
        self.work.failed.connect(self._tell_error)
        self.writer.finished.connect(self._written)
        self.writer.failed.connect(self._tell_error)
        self._layers.attach()
        self._viewer.events.theme.connect(self._theme_changed)
        self.picker.attach()
        self._theme_changed()
        self._refresh_layers()
        self._forget()

    def detached(self, *, closing: bool) -> None:
        """End all threads and let go of the viewer."""
        self._layers.detach()
        self._viewer.events.theme.disconnect(self._theme_changed)
        self.picker.detach()
        for worker in (self.work, self.writer):
            worker.close()
        self.slides.close_view()
        if not closing:
            self.marker.remove()
