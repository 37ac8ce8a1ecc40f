"""Guided tour: from a scan to one voxel of the result, for users who do not know napari."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_mrisr.bank.model import bank_for
from napari_mrisr.core.progress import Progress, ProgressState
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.threads import processors
from napari_mrisr.core.volume import Volume
from napari_mrisr.explain import Explanation, explain_voxel
from napari_mrisr.explain.steps import error_text, plain, signed, step_of, sum_rows
from napari_mrisr.explain.trace import find_edge
from napari_mrisr.io import samples
from napari_mrisr.methods import get_method
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.run.upscale import run_method
from napari_mrisr.scan.masks import head_mask
from napari_mrisr.viewer.common.dock import Dock, FormPanel
from napari_mrisr.viewer.common.labels import progress_label
from napari_mrisr.viewer.explain.form import Draw, Slide, SlideView, slide_of
from napari_mrisr.viewer.explain.layers import Marker, OutputGrid
from napari_mrisr.viewer.layers.convert import layer_data, snapshot

if TYPE_CHECKING:
    from napari.viewer import Viewer

SCALE: Scale = (2, 2, 2)

REFERENCE, LR = "tour: reference", "tour: scan"
TRICUBIC, RESULT = "tour: interpolation", "tour: result"
"""Names of the layers, the lowest first."""

_PLUGIN, _EXPLAINER = "napari-mrisr", "Explain a voxel"
_ZOOM = 4.5
_PREPARING = (
    "Preparing a sample head, a simulated low-resolution scan, and its super-resolution. "
    "This takes a few seconds (the first time up to 30 s)."
)


@dataclass(frozen=True, eq=False)
class Material:
    """Volumes, explanation and errors that the tour shows.

    Attributes
    ----------
    volumes : dict of str to Volume
        Volume of each layer, by name.
    explanation : Explanation
        Explanation of the voxel at the end of the tour.
    errors : dict of str to float
        Root mean squared error in the head of :data:`TRICUBIC` and :data:`RESULT`,
        engine units.
    """

    volumes: dict[str, Volume]
    explanation: Explanation
    errors: dict[str, float]


def prepare(progress: Progress) -> Material:
    """Compute all volumes on the sample head, and explain a voxel on an edge."""
    truth = samples.phantom().cropped_to_multiple(SCALE)
    progress.token.check()
    lr = degrade(truth, SCALE)
    bank = bank_for(SCALE)
    threads = processors()
    guess = run_method(get_method("tricubic", SCALE), lr, threads=threads, progress=progress)
    hashed = get_method("hashed", SCALE)
    result = run_method(hashed, lr, threads=threads, progress=progress)
    normalized = lr.normalized()
    unit = {
        name: normalized.window.to_unit(volume.data)
        for name, volume in ((REFERENCE, truth), (TRICUBIC, guess), (RESULT, result))
    }
    progress.token.check()
    voxel = find_edge(normalized, SCALE, unit[REFERENCE], unit[TRICUBIC], progress=progress)
    head = head_mask(truth.data, progress)
    progress.token.check()
    errors = {
        name: float(np.sqrt(np.mean((unit[name][head] - unit[REFERENCE][head]) ** 2)))
        for name in (TRICUBIC, RESULT)
    }
    return Material(
        {REFERENCE: truth, LR: lr, TRICUBIC: guess, RESULT: result},
        explain_voxel(normalized, bank, voxel, truth),
        errors,
    )


@dataclass(frozen=True, eq=False)
class Stop:
    """One stop of the tour.

    Attributes
    ----------
    slide : Slide
    layer : str
        Name of the only visible layer.
    near : bool
        True if the camera is close to the voxel.
    marked : bool
        True if the voxel is marked.
    """

    slide: Slide
    layer: str
    near: bool = True
    marked: bool = True


def stops_of(material: Material) -> tuple[Stop, ...]:
    """Return the eight stops, from the scan to the result and its error."""
    found = material.explanation
    stage = found.stages[0]
    return (
        Stop(Slide("1. A scan", _SCAN), REFERENCE, near=False, marked=False),
        Stop(Slide("2. The same head with an eighth of the voxels", _LOW), LR, near=False),
        Stop(_slide(found, "scan", "3. One voxel", _VOXEL), LR),
        Stop(
            _slide(found, "start", "4. First guess: interpolation", _interpolation(found)), TRICUBIC
        ),
        Stop(_slide(found, "gradients", "5. The neighbors", _NEIGHBORS), LR),
        Stop(
            _slide(found, "bucket", "6. The bucket", _bucket(stage.support)),
            LR,
        ),
        Stop(_slide(found, "filter", "7. The correction", _correction(found)), TRICUBIC),
        Stop(_last(material), RESULT),
    )


def _slide(found: Explanation, key: str, title: str, sentence: str) -> Slide:
    return Slide(title, sentence, (), "", _picture(found, key))


def _picture(found: Explanation, key: str) -> Draw | None:
    """Return the picture of a step without the equation."""
    return slide_of(found, replace(step_of(found, key, 0), equation="")).draw


_SCAN = (
    "This is a slice through a head. The patient's right (R) is at the left of the image, anterior "
    "(A) is on top. The image consists of small cubes, called voxels. A program drew this head, so "
    "the true value of every voxel is known. Press Next; the tour does all clicking."
)

_LOW = (
    "A faster scan measures fewer, larger voxels: here half as many along each direction. The "
    "image looks blocky. The orange ring marks a voxel at an edge. The next steps show how "
    "super-resolution computes it."
)

_VOXEL = (
    "The view is now close to the voxel. In the picture below, each square is one measured voxel "
    "with its brightness, from 0 (black) to 1 (white). We split the yellow voxel into eight. We "
    "want to know the orange one."
)

_NEIGHBORS = (
    "The program looks at the neighbors. Each arrow points toward increasing brightness; a long "
    "arrow means a fast change. If most arrows agree, there is an edge, and they show its "
    "direction."
)


def _interpolation(found: Explanation) -> str:
    return (
        "Interpolation fits a smooth curve to the measured values (tricubic). It gives "
        f"{plain(found.start_value)} for our voxel. The blocks are gone, but the edge is blurred."
    )


def _bucket(support: int) -> str:
    return (
        "A few numbers describe the arrows, and each falls into a range (orange). Voxels with the "
        f"same ranges share a bucket. In training, the program saw {support:,} voxels of this "
        "bucket in scans of other people. Their true values were known."
    )


def _correction(found: Explanation) -> str:
    later = ""
    if len(found.stages) > 1:
        rest = sum(part.change for part in found.stages[1:])
        later = f" Later stages look at finer arrows and add {signed(rest)}."
    return (
        "From these voxels the program learned weights. It multiplies each difference from the "
        "center by its weight and adds the products. This changes the first guess by "
        f"{signed(found.stages[0].change)}.{later}"
    )


def _last(material: Material) -> Slide:
    found = material.explanation
    assert found.truth is not None
    errors = error_text(found.output - found.truth, found.tricubic - found.truth)
    ratio = 1.0 - material.errors[RESULT] / material.errors[TRICUBIC]
    sentence = (
        f"The result is {plain(found.output)}. The true value (reference) is "
        f"{plain(found.truth)}. {errors} "
        f"Over the whole head, the error is {abs(ratio):.0%} "
        f"{'smaller' if ratio >= 0 else 'larger'} than with tricubic interpolation, but not zero: "
        "super-resolution estimates what the scan did not measure."
    )
    rows = (*sum_rows(found), ("reference", plain(found.truth)))
    picture = _picture(found, "output")
    return Slide("8. Result and error", sentence, rows, "", picture)


@dataclass(frozen=True)
class _ViewerState:
    """State of the viewer before the tour."""

    visible: dict[Any, bool]
    ndisplay: int
    order: tuple[int, ...]
    point: tuple[float, ...]
    center: tuple[float, ...]
    zoom: float


class TourPanel(FormPanel):
    """Status, progress bar and slides of the tour."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slides = SlideView(self)
        # "End the tour" cancels.
        self.cancel_button.hide()
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(False)
        self.bar.setSizePolicy(policy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.status)
        layout.addWidget(self.bar)
        layout.addWidget(self.slides, 1)
        layout.addStretch(0)
        self.setMinimumWidth(self.slides.minimumSizeHint().width() + 12)


class TourWidget(Dock):
    """Leads through eight stops; restores the viewer at the end.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Shows the volumes.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, "guided-tour", TourPanel())
        self.material: Material | None = None
        self.stops: tuple[Stop, ...] = ()
        self._tour_layers: dict[str, Any] = {}
        self._before: _ViewerState | None = None
        self.marker = Marker(napari_viewer)
        self.slides: SlideView = self.panel.slides
        self.slides.changed.connect(self._go_to)
        self.keep_button = QPushButton("Try another voxel", self)
        self.keep_button.setToolTip("Keep these volumes and explain any voxel that you click")
        self.end_button = QPushButton("End the tour", self)
        self.end_button.setToolTip("Remove the tour's layers and restore the view")
        self.keep_button.clicked.connect(self.keep_volumes)
        self.end_button.clicked.connect(self.end)
        buttons = QHBoxLayout()
        buttons.setContentsMargins(6, 0, 6, 6)
        buttons.addWidget(self.keep_button)
        buttons.addWidget(self.end_button)
        layout = self.layout()
        assert isinstance(layout, QVBoxLayout)
        layout.addLayout(buttons)
        self.attach()

    @property
    def busy(self) -> bool:
        """True while the volumes or a picture are still to come."""
        return self.worker.busy or self.slides.busy

    def keep_volumes(self) -> None:
        """Close the tour, keep its volumes, and open the explainer on them."""
        layers, self._tour_layers = self._tour_layers, {}
        viewer = self._viewer
        if self._before is not None:
            for layer, visible in self._before.visible.items():
                if layer in viewer.layers:
                    layer.visible = visible
        self._before = None
        self.end()
        _, widget = viewer.window.add_plugin_dock_widget(_PLUGIN, _EXPLAINER)
        if all(layer in viewer.layers for layer in layers.values()):
            widget.choose(layers[LR], layers[REFERENCE])

    def end(self) -> None:
        """Close the tour and restore the viewer."""
        self.detach()
        dock = self.parentWidget()
        while dock is not None and not hasattr(dock, "destroyOnClose"):
            dock = dock.parentWidget()
        if dock is not None:
            dock.destroyOnClose()
        else:
            self.close()

    def work_progressed(self, state: ProgressState) -> None:
        """Show progress below the introduction."""
        super().work_progressed(state)
        self.panel.show_status(f"{_PREPARING} {progress_label(state)}")

    def work_finished(self, material: Material) -> None:
        """Add the layers and go to the first stop."""
        viewer = self._viewer
        self.material, self.stops = material, stops_of(material)
        self._save_state()
        for layer in viewer.layers:
            layer.visible = False
        display = None
        for name, volume in material.volumes.items():
            data, kwargs, _ = layer_data(volume, name, display)
            display = display or {key: kwargs[key] for key in ("colormap", "contrast_limits")}
            self._tour_layers[name] = viewer.add_image(data, visible=False, **kwargs)
        low = self._tour_layers[LR]
        self._grid = OutputGrid.of(low, snapshot(low), material.explanation.scale)
        viewer.dims.ndisplay = 2
        viewer.dims.order = tuple(range(viewer.dims.ndim))
        self.panel.status.setVisible(False)
        self.slides.setVisible(True)
        self.slides.show_slides([stop.slide for stop in self.stops])
        self._go_to(0)

    def _go_to(self, number: int) -> None:
        """Show a stop, without layers that the user has deleted."""
        stop, viewer = self.stops[number], self._viewer
        self.keep_button.setEnabled(number == len(self.stops) - 1)
        # Show the new layer first, so that the canvas is never empty.
        shown = [name for name in self._tour_layers if name == stop.layer]
        for name in [*shown, *(name for name in self._tour_layers if name != stop.layer)]:
            if self._tour_layers[name] in viewer.layers:
                self._tour_layers[name].visible = name == stop.layer
        if self._tour_layers[LR] not in viewer.layers:
            return
        assert self.material is not None
        voxel = self.material.explanation.voxel
        if stop.marked:
            self.marker.show(self._grid, voxel, self._tour_layers[LR].units)
        else:
            self.marker.remove()
        viewer.dims.point = (*viewer.dims.point[:-3], *self._grid.world_of(voxel))
        viewer.reset_view()
        if stop.near:
            camera = viewer.scene.camera
            camera.zoom = _ZOOM * camera.zoom
            camera.center = (*camera.center[:-2], *self._grid.world_of(voxel)[1:])

    def _save_state(self) -> None:
        viewer, camera = self._viewer, self._viewer.scene.camera
        self._before = _ViewerState(
            {layer: bool(layer.visible) for layer in viewer.layers},
            int(viewer.dims.ndisplay),
            tuple(viewer.dims.order),
            tuple(viewer.dims.point),
            tuple(camera.center),
            float(camera.zoom),
        )

    def _restore(self) -> None:
        viewer, before = self._viewer, self._before
        self.marker.remove()
        for layer in self._tour_layers.values():
            if layer in viewer.layers:
                viewer.layers.remove(layer)
        self._tour_layers = {}
        self._before = None
        if before is None:
            return
        for layer, visible in before.visible.items():
            if layer in viewer.layers:
                layer.visible = visible
        if before.visible and len(before.order) == viewer.dims.ndim:
            viewer.dims.ndisplay = before.ndisplay
            viewer.dims.order = before.order
            viewer.dims.point = before.point
            viewer.scene.camera.center = before.center
            viewer.scene.camera.zoom = before.zoom

    # Life cycle.

    def theme_changed(self) -> None:
        """Draw the slides for the new background."""
        self.slides.set_dark(self.dark)

    def attached(self) -> None:
        """Start the tour."""
        self.slides.setVisible(False)
        self.keep_button.setEnabled(False)
        self.panel.status.setVisible(True)
        self.run_work(prepare, _PREPARING)

    def detached(self, *, closing: bool) -> None:
        """Restore the viewer unless the window closes."""
        self.slides.stop()
        if not closing:
            self._restore()
        self._tour_layers, self.material, self.stops = {}, None, ()
