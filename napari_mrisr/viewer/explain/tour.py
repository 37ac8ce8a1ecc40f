"""The guided tour: from a scan to one voxel of the result, without any knowledge of napari."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_mrisr.errors import MrisrError
from napari_mrisr.viewer.common.dock import Docked
from napari_mrisr.viewer.common.fields import VerticalScroll
from napari_mrisr.viewer.common.jobs import Ended, Failed, Finished, Jobs, Message, Progressed, Said
from napari_mrisr.viewer.common.labels import error_line, progress_label
from napari_mrisr.viewer.common.mailbox import Mailbox
from napari_mrisr.viewer.common.theme import is_dark
from napari_mrisr.viewer.explain.marker import Marker
from napari_mrisr.viewer.explain.places import Places
from napari_mrisr.viewer.explain.slide_view import SlideView
from napari_mrisr.viewer.explain.tour_stops import LR, REFERENCE, Material, Stop, prepare, stops_of
from napari_mrisr.viewer.layers.convert import layer_data, snapshot

if TYPE_CHECKING:
    from napari.viewer import Viewer

_log = logging.getLogger(__name__)

_PLUGIN, _EXPLAINER = "napari-mrisr", "Explain a voxel"
_CLOSER = 4.5
_PREPARING = (
    "A sample head is opened, a coarse scan of it simulated and super-resolved. "
    "This takes a few seconds (the very first time up to half a minute)."
)


@dataclass(frozen=True)
class _Before:
    """How the viewer was, to be put back."""

    visible: dict[Any, bool]
    ndisplay: int
    order: tuple[int, ...]
    point: tuple[float, ...]
    center: tuple[float, ...]
    zoom: float


class TourWidget(Docked):
    """Leads through eight stops; leaves the viewer as it found it.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Shows the volumes.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self.setObjectName("guided-tour")
        self.material: Material | None = None
        self.stops: tuple[Stop, ...] = ()
        self._layers: dict[str, Any] = {}
        self._before: _Before | None = None
        self.marker = Marker(napari_viewer)
        # Without a parent: it must outlive this widget for as long as a thread posts.
        self._mailbox = Mailbox()
        self._mailbox.posted.connect(self._receive, Qt.ConnectionType.QueuedConnection)
        self.jobs = Jobs(self._mailbox.post)
        self.status = QLabel("", self)
        self.status.setWordWrap(True)
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.slides = SlideView(self)
        self.slides.turned.connect(self._go_to)
        self.keep_button = QPushButton("Try another voxel", self)
        self.keep_button.setToolTip("Keep these volumes and explain any voxel that you click")
        self.end_button = QPushButton("End the tour", self)
        self.end_button.setToolTip("Take the tour's layers away; nothing else is changed")
        self.keep_button.clicked.connect(self.go_on)
        self.end_button.clicked.connect(self.end)
        self._lay_out()
        self.attach()

    def _lay_out(self) -> None:
        page = QWidget(self)
        inner = QVBoxLayout(page)
        inner.setContentsMargins(6, 6, 6, 6)
        inner.addWidget(self.status)
        inner.addWidget(self.bar)
        inner.addWidget(self.slides, 1)
        inner.addStretch(0)
        page.setMinimumWidth(self.slides.minimumSizeHint().width() + 12)
        buttons = QHBoxLayout()
        buttons.setContentsMargins(6, 0, 6, 6)
        buttons.addWidget(self.keep_button)
        buttons.addWidget(self.end_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(VerticalScroll(page, self), 1)
        layout.addLayout(buttons)

    @property
    def busy(self) -> bool:
        """Whether something is still to come."""
        return self.jobs.running or self.slides.busy

    def end(self) -> None:
        """Close the tour; the viewer is as before it."""
        self._close()

    def go_on(self) -> None:
        """Close the tour, keep its volumes, and open the explainer on them."""
        layers, self._layers = self._layers, {}
        viewer = self._viewer
        if self._before is not None:
            for layer, visible in self._before.visible.items():
                if layer in viewer.layers:
                    layer.visible = visible
        self._before = None
        self._close()
        _, widget = viewer.window.add_plugin_dock_widget(_PLUGIN, _EXPLAINER)
        if all(layer in viewer.layers for layer in layers.values()):
            widget.choose(layers[LR], layers[REFERENCE])

    def _close(self) -> None:
        self.detach()
        dock = self.parentWidget()
        while dock is not None and not hasattr(dock, "destroyOnClose"):
            dock = dock.parentWidget()
        if dock is not None:
            dock.destroyOnClose()
        else:
            self.close()

    # What the thread tells.

    def _receive(self, message: Message) -> None:
        accepted = self.jobs.accept(message)
        if isinstance(accepted, Progressed):
            self.bar.setRange(0, max(1, accepted.state.total))
            self.bar.setValue(accepted.state.done)
            self.status.setText(f"{_PREPARING}\n\n{progress_label(accepted.state)}")
        elif isinstance(accepted, Said):
            self.status.setText(f"{_PREPARING}\n\n{accepted.text}")
        elif isinstance(accepted, Ended):
            self.bar.setVisible(False)
            if isinstance(accepted, Finished):
                self._start(accepted.result)
            elif isinstance(accepted, Failed):
                line = error_line(accepted.error)
                if not isinstance(accepted.error, MrisrError):
                    _log.error("%s", line, exc_info=accepted.error)
                self.status.setText(line)
                show_error(line)

    def _start(self, material: Material) -> None:
        viewer = self._viewer
        self.material, self.stops = material, stops_of(material)
        self._remember()
        for layer in viewer.layers:
            layer.visible = False
        look = None
        for name, volume in material.volumes.items():
            data, kwargs, _ = layer_data(volume, name, look)
            look = look or {key: kwargs[key] for key in ("colormap", "contrast_limits")}
            self._layers[name] = viewer.add_image(data, visible=False, **kwargs)
        low = self._layers[LR]
        self._places = Places.of(low, snapshot(low), material.explanation.scale)
        viewer.dims.ndisplay = 2
        viewer.dims.order = tuple(range(viewer.dims.ndim))
        self.status.setVisible(False)
        self.slides.setVisible(True)
        self.slides.show_slides([stop.slide for stop in self.stops])
        self._go_to(0)

    def _go_to(self, number: int) -> None:
        """Show what a stop is about; layers that a person deleted meanwhile are left out."""
        stop, viewer = self.stops[number], self._viewer
        self.keep_button.setEnabled(number == len(self.stops) - 1)
        # First what is to be seen, so that the screen is never empty.
        shown = [name for name in self._layers if name == stop.layer]
        for name in [*shown, *(name for name in self._layers if name != stop.layer)]:
            if self._layers[name] in viewer.layers:
                self._layers[name].visible = name == stop.layer
        if self._layers[LR] not in viewer.layers:
            return
        assert self.material is not None
        voxel = self.material.explanation.voxel
        if stop.marked:
            self.marker.show(self._places, voxel, self._layers[LR].units)
        else:
            self.marker.remove()
        viewer.dims.point = (*viewer.dims.point[:-3], *self._places.world_of(voxel))
        viewer.reset_view()
        if stop.near:
            camera = viewer.scene.camera
            camera.zoom = _CLOSER * camera.zoom
            camera.center = (*camera.center[:-2], *self._places.world_of(voxel)[1:])

    # The viewer before and after.

    def _remember(self) -> None:
        viewer, camera = self._viewer, self._viewer.scene.camera
        self._before = _Before(
            {layer: bool(layer.visible) for layer in viewer.layers},
            int(viewer.dims.ndisplay),
            tuple(viewer.dims.order),
            tuple(viewer.dims.point),
            tuple(camera.center),
            float(camera.zoom),
        )

    def _put_back(self) -> None:
        viewer, before = self._viewer, self._before
        self.marker.remove()
        for layer in self._layers.values():
            if layer in viewer.layers:
                viewer.layers.remove(layer)
        self._layers = {}
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

    def _theme_changed(self, event: Any = None) -> None:
        self.slides.set_dark(is_dark(self._viewer.theme))

    # Coming and going.

    def attached(self) -> None:
        """Begin, or begin anew."""
        self._viewer.events.theme.connect(self._theme_changed)
        self._theme_changed()
        self.slides.setVisible(False)
        self.keep_button.setEnabled(False)
        self.status.setVisible(True)
        self.status.setText(_PREPARING)
        self.bar.setVisible(True)
        self.bar.setRange(0, 0)
        self.jobs.start(prepare)

    def detached(self, *, closing: bool) -> None:
        """End the work; put the viewer back."""
        self.jobs.abandon()
        self.slides.close_view()
        self._viewer.events.theme.disconnect(self._theme_changed)
        if not closing:
            self._put_back()
        self._layers, self.material, self.stops = {}, None, ()
