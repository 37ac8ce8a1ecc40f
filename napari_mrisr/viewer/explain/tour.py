"""Guided tour: from a scan to one voxel of the result, for users who do not know napari."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_mrisr.core.progress import ProgressState
from napari_mrisr.viewer.common.dock import Dock, FormPanel
from napari_mrisr.viewer.common.labels import progress_label
from napari_mrisr.viewer.explain.form import SlideView
from napari_mrisr.viewer.explain.marker import Marker, OutputGrid
from napari_mrisr.viewer.explain.tour_stops import LR, REFERENCE, Material, Stop, prepare, stops_of
from napari_mrisr.viewer.layers.convert import layer_data, snapshot

if TYPE_CHECKING:
    from napari.viewer import Viewer

_PLUGIN, _EXPLAINER = "napari-mrisr", "Explain a voxel"
_ZOOM = 4.5
_PREPARING = (
    "Preparing a sample head, a simulated low-resolution scan, and its super-resolution. "
    "This takes a few seconds (the first time up to 30 s)."
)


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
