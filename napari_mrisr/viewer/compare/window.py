"""Window of Compare: its parts, linked to one another and to napari's viewer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.qt import get_stylesheet
from napari.utils.theme import get_theme
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QCloseEvent, QKeyEvent
from qtpy.QtWidgets import QApplication, QWidget

from napari_mrisr.comparison.document import OpenedState
from napari_mrisr.comparison.opening import (
    Choice,
    choose,
    column_labels,
    opening_state,
    possible_references,
)
from napari_mrisr.comparison.roi import BoxRoi, Roi
from napari_mrisr.comparison.state import MAX_COLUMNS, CompareState
from napari_mrisr.errors import MrisrError
from napari_mrisr.io.formats import stem_of
from napari_mrisr.run.upscale import UpscaleParameters
from napari_mrisr.viewer.common.dock import link_color
from napari_mrisr.viewer.common.labels import error_line
from napari_mrisr.viewer.compare.form import CompareForm
from napari_mrisr.viewer.compare.linking.layers import (
    LayerRegions,
    look_keywords,
    reference_points,
)
from napari_mrisr.viewer.compare.linking.link import Link
from napari_mrisr.viewer.compare.live import LiveColumns, empty, fill_menu
from napari_mrisr.viewer.compare.model.controller import Controller
from napari_mrisr.viewer.compare.model.regions import RegionOutlines
from napari_mrisr.viewer.compare.model.texts import parse_position
from napari_mrisr.viewer.compare.numbers import Meter
from napari_mrisr.viewer.compare.settings import (
    as_remembered,
    remember_place,
    remember_shown,
    restore_place,
)
from napari_mrisr.viewer.layers.convert import layer_data, moved_by_mm, put_back

if TYPE_CHECKING:
    from napari.viewer import Viewer

# napari follows a drag when it rests this long: one of its frames takes longer than ours.
_PUSH_AFTER_MS = 200
# Of the screen, for a window that opens for the first time.
_SHARE = 0.85
# A smaller move of a layer is rounding.
_MOVED_MM = 0.05


class CompareWindow(CompareForm):
    """Top-level window that compares the viewer's volumes in three planes.

    It listens to the viewer and measures only while it is open.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Viewer whose layers are compared.
    controller : Controller
        Keeps the comparison while no window exists.
    tell : callable
        Shows an error to the user, as :meth:`.Dock.tell_error`.
    """

    def __init__(
        self, viewer: Viewer, controller: Controller, tell: Callable[[Exception], None]
    ) -> None:
        super().__init__(controller)
        self._viewer, self._tell = viewer, tell
        self._attached = False
        self.link = Link(viewer, self.controller, self._layers_changed)
        self.live: LiveColumns | None = None
        self._status = self._line = ""
        self._measured_state: CompareState | None = None
        self._roles: tuple[Any, ...] = ()
        self.view.pause()
        self.regions = LayerRegions(self._regions_changed)
        self._push_timer = QTimer(self)
        self._push_timer.setSingleShot(True)
        self._push_timer.setInterval(_PUSH_AFTER_MS)
        self._push_timer.timeout.connect(self.link.push)
        self._connect()

    def _connect(self) -> None:
        toolbar, side = self.toolbar, self.side
        self.methods.triggered.connect(self.open_methods)
        self.blinded.triggered.connect(self.start_reading)
        self.numbers_button.toggled.connect(self._show_numbers)
        self.side_button.toggled.connect(self._show_side)
        self.help.triggered.connect(self.view.toggle_help)
        self.full.triggered.connect(self.toggle_full_screen)
        toolbar.live_menu.aboutToShow.connect(self._fill_live_menu)
        toolbar.tool_picked.connect(self.view.pointing.choose_tool)
        toolbar.preset_picked.connect(self._apply_preset)
        side.columns_picked.connect(self._pick_columns)
        side.truth_picked.connect(lambda key: self._pick_role("truth", key))
        side.measured_picked.connect(lambda key: self._pick_role("measured", key))
        side.depth_set.connect(self._set_depth)
        side.regions_picked.connect(self._pick_regions)
        side.region_selected.connect(self._select_region)
        side.axes_picked.connect(self._pick_axes)
        side.overlay_picked.connect(self._pick_overlay)
        side.frame_set.connect(self.link.set_frame)
        self.place.returnPressed.connect(self._go_to)
        self.notice.put_back.clicked.connect(self._put_back)
        self.numbers.copy_requested.connect(self.exporter.copy_table)
        self.numbers.save_requested.connect(self.exporter.save_table)
        self.numbers.region_selected.connect(self._select_region)
        self.view.acted.connect(self._acted)
        self.view.tool_changed.connect(self._tool_changed)

    # The window.

    def open_window(self) -> None:
        """Show the window, or raise it."""
        if not self._attached:
            self.attach()
            if not restore_place(self):
                room = self.screen().availableSize()
                self.resize(QSize(int(_SHARE * room.width()), int(_SHARE * room.height())))
        if self.isMinimized():
            self.showNormal()
        self.show()
        self.raise_()
        self.activateWindow()

    def toggle_full_screen(self) -> None:
        """Enter or leave full screen."""
        # Other states, such as maximized, stay as they are for the way back.
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Act on our keys, wherever the focus is."""
        if not self.view.handle_key(event):
            super().keyPressEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember the place; stop listening and measuring."""
        remember_place(self)
        self.detach()
        super().closeEvent(event)

    def remove(self, *, napari_closes: bool) -> None:
        """Close the window for good.

        Parameters
        ----------
        napari_closes : bool
            Layers that are still computed can stay.
        """
        self.detach(closing=napari_closes)
        self.close()
        self.view.close_view()
        self.deleteLater()

    def set_theme(self, theme: str, error_color: str) -> None:
        """Show napari's theme."""
        self.setStyleSheet(get_stylesheet(theme))
        self.numbers.error_color, self.numbers.link_color = error_color, link_color(theme)
        colors = get_theme(theme)
        parts = (colors.foreground, colors.current, colors.text)
        self.toolbar.set_colors(*(color.as_hex() for color in parts))

    def tell_error(self, error: Exception) -> None:
        """Show an error in this window, in the dock and as napari's notification."""
        self.numbers.show_error(error_line(error))
        self._tell(error)

    # Actions of the user.

    def open(self, columns: Sequence[str], truth: str | None, measured: str | None) -> None:
        """Compare layers, given by name, with the head in view."""
        self.controller.chooses_columns = False
        self._open(Choice(tuple(columns), truth, measured))

    def _open(self, choice: Choice) -> None:
        """Start with the layers' contrast and at the position of napari's sliders."""
        if not choice.columns:
            self.controller.restore(CompareState())
            return
        chosen = (choice.columns, choice.truth, choice.measured)
        state = self.link.start(opening_state(self.link.volumes, *chosen))
        self.controller.restore(as_remembered(state))
        place = self.link.point()
        if place is not None:
            self.controller.go_to(place)
        self.link.settle()

    def restore(self, state: CompareState) -> None:
        """Show a saved comparison; its keys are layer names."""
        self.controller.chooses_columns = False
        self.controller.restore(state)
        self._push_soon()

    def _pick_columns(self, keys: list[str]) -> None:
        self.controller.chooses_columns = False
        self.numbers.show_error("")
        usable = [key for key in keys if self._usable(key)]
        # Layers that were added later have no look yet.
        self.controller.set_looks({**self.link.looks(), **self.controller.state.looks})
        self.controller.set_columns(usable)
        self.side.show_again()

    def _fill_live_menu(self) -> None:
        live, volumes = self.live, self.link.volumes
        if live is not None:
            layers = {key: volumes.layer(key) for key in volumes if key not in live.names()}
            menu, measured = self.toolbar.live_menu, self.controller.state.measured
            fill_menu(menu, layers, measured, live.is_on, self.toggle_live)

    def toggle_live(self, layer: Any, parameters: UpscaleParameters) -> None:
        """Add or remove a column that computes a layer's result."""
        if self.live is not None:
            self.controller.chooses_columns = False
            self.live.toggle(layer, parameters)

    def _live_added(self, key: str) -> None:
        self._pick_columns([*self.controller.state.columns[: MAX_COLUMNS - 1], key])

    def _live_changed(self, key: str) -> None:
        self.controller.forget_slices(key)
        self.view.schedule()
        self._show_status(self._status)

    def _live_gone(self) -> None:
        self._show_status(self._status)
        self._measure(self.controller.state)

    def _show_status(self, text: str) -> None:
        """Show what is measured, or still computed; what another wrote since then stays."""
        self._status = text
        if not text and self.live is not None and self.live.names():
            share = round(100 * self.live.share())
            text = f"{share} % of {', '.join(self.live.names())} computed; its numbers follow."
        if text or self.numbers.status.text() == self._line:
            self.numbers.show_status(text)
        self._line = text and self.numbers.status.text()

    def _pick_role(self, role: str, key: str | None) -> None:
        if key is None or self._usable(key):
            other = "measured" if role == "truth" else "truth"
            both = key is not None and getattr(self.controller.state, other) == key
            self.controller.change(**{role: key}, **({other: None} if both else {}))
        self.side.show_again()

    def _usable(self, key: str) -> bool:
        error = self.link.volumes.trouble(key)
        if error is not None:
            self.tell_error(error)
        return error is None

    def _set_depth(self, depth_mm: float) -> None:
        self.view.pointing.set_depth(depth_mm)
        self._regions_changed()

    def _pick_regions(self, name: str | None) -> None:
        found = [layer for layer in self.link.regions() if layer.name == name]
        self.regions.watch(found[0] if found else None)
        self._regions_changed()

    def _select_region(self, name: str) -> None:
        if self.controller.roi(name) is not None:
            self.view.pointing.chosen = name

    def _pick_axes(self, key: str | None) -> None:
        if key is None or self._usable(key):
            self.controller.set_axes(key)
        self.side.show_again()

    def _pick_overlay(self, key: str | None) -> None:
        if key is None or self._usable(key):
            self.controller.set_overlay(key, self.link.looks().get(key or ""))
        self.side.show_again()

    def _apply_preset(self, percentiles: tuple[float, float] | None, of_region: bool) -> None:
        """Set the contrast to percentiles; None resets it."""
        controller, chosen = self.controller, self.view.pointing.chosen
        if percentiles is None:
            controller.reset_windows()
            return
        box = controller.roi(chosen) if chosen else None
        if of_region and box is None:
            self.numbers.show_status("Select a region first: click its outline.")
            return
        roi = BoxRoi(box) if of_region and box is not None else None
        controller.apply_percentiles(*percentiles, roi)

    def _go_to(self) -> None:
        """Move the crosshair to the position that the user typed."""
        volume = self.controller.first_volume
        if volume is None:
            return
        try:
            at = parse_position(self.place.text(), volume.grid)
        except MrisrError as error:
            self.numbers.show_error(error_line(error))
            return
        self.numbers.show_error("")
        self.controller.go_to(at)
        self.controller.center_on_crosshair()
        self.view.setFocus()

    def show_opened(self, found: OpenedState) -> None:
        """Show a saved comparison; volumes that are not open yet become layers."""
        self.controller.chooses_columns = False
        names = dict(found.names)
        for key, path in found.paths.items():
            look = found.state.looks.get(key)
            keywords = None if look is None else look_keywords(look)
            data, kwargs, _ = layer_data(found.volumes[key], stem_of(path), keywords)
            names[key] = self._viewer.add_image(data, **kwargs).name
        self.restore(found.state.relabeled(names))

    def _show_moved(self) -> None:
        """Say which layer was moved by hand, such as by napari's *transform* tool."""
        found = {
            key: moved_by_mm(self.link.volumes.layer(key))
            for key in self.controller.state.columns
            if self.link.volumes.layer(key) is not None
        }
        self.notice.show_moved({key: mm for key, mm in found.items() if mm > _MOVED_MM})

    def _put_back(self) -> None:
        for key in self.controller.state.columns:
            layer = self.link.volumes.layer(key)
            if layer is not None and moved_by_mm(layer) > _MOVED_MM:
                put_back(layer)

    def open_methods(self) -> None:
        """Open the dock "Compare methods" in napari's window."""
        _, dock = self._viewer.window.add_plugin_dock_widget("napari-mrisr", "Compare methods")
        dock.window().raise_()
        dock.window().activateWindow()

    def start_reading(self) -> None:
        """Ask for a list of cases and open the window for blinded reading."""
        from napari_mrisr.viewer.compare.blinded.dialog import ask_reading
        from napari_mrisr.viewer.compare.blinded.window import ReadingWindow

        volumes = self.link.volumes
        usable = {key: volumes[key] for key in volumes if volumes.trouble(key) is None}
        axes, cross = self.link.axes(), self.controller.state.crosshair
        marked = {"Crosshair": lambda: [cross]} if self.controller.state.columns else {}
        marked |= {x.name: partial(reference_points, x, axes) for x in self.link.markings()}
        reading = ask_reading(self, usable, volumes.sources(), marked, QWidget.show)
        if reading is not None:
            window = ReadingWindow(reading, self.styleSheet())
            window.showMaximized()

    # Changes.

    def _layers_changed(self) -> None:
        volumes, sources = self.link.volumes, self.link.volumes.sources()
        masks = {layer.name for layer in self.link.regions()}
        usable = {
            key: volumes[key]
            for key in volumes
            if key not in masks and volumes.trouble(key) is None
        }
        self.side.references = possible_references(usable, sources)
        if self.controller.chooses_columns or not self.controller.state.columns:
            self.controller.chooses_columns = True
            choice = choose(usable, sources)
            state = self.controller.state
            if choice != Choice(state.columns, state.truth, state.measured):
                self._open(choice)
        self.link.settle()
        layers = [layer.name for layer in self.link.regions()]
        watched = self.regions.layer
        if watched is not None and watched not in self.link.regions():
            self._pick_regions(None)
            watched = None
        self.side.show_regions(layers, watched.name if watched is not None else None)
        self.side.show_frames(volumes.frames(), volumes.frame, volumes.frame_seconds())
        self._show_moved()
        self._state_changed(self.controller.state)

    def _state_changed(self, state: CompareState) -> None:
        self._label(state)
        self.toolbar.show_state(state)
        self.side.show_state(state)
        self.numbers.setVisible(bool(state.columns) and self.numbers_button.isChecked())
        if self.live is not None:
            self.live.prune()
            self.live.look()
        self._push_soon()
        self._measure(state)

    def _label(self, state: CompareState) -> None:
        """Label the columns by role."""
        volumes = self.controller.volumes
        keys = state.keys()
        roles = (keys, state.truth, state.measured, tuple(id(volumes[key]) for key in keys))
        if roles != self._roles:
            self._roles = roles
            self.controller.titles = column_labels(volumes, *roles[:3])
            self.view.schedule()

    def _push_soon(self) -> None:
        if self._attached:
            self._push_timer.start()

    # Numbers.

    def _measure(self, state: CompareState) -> None:
        if not self._attached or not self.numbers_button.isChecked():
            return
        self.numbers.set_titles(self.controller.titles_of_state())
        # Incomplete volumes are not measured.
        for key in self.live.names() if self.live is not None else ():
            state = state.without(key)
        self.meter.set_volumes(self.controller.volumes, state.columns, state.truth, state.measured)
        before = self._measured_state
        self._measured_state = state
        if before is None or (before.rois, before.columns) != (state.rois, state.columns):
            self.meter.set_regions(self._rois())

    def _rois(self) -> list[Roi]:
        drawn: list[Roi] = [BoxRoi(roi) for roi in self.controller.state.rois]
        axes, through = self.link.axes(), self.link.along_axes()
        depth = self.side.depth.value()
        try:
            found = self.regions.rois(axes, depth, through)
        except MrisrError as error:
            self.numbers.show_error(error_line(error))
            found = []
        outlines = RegionOutlines(found, self.controller.frame) if found else None
        self.controller.outlines = outlines
        self.view.schedule()
        return drawn + found

    def _regions_changed(self) -> None:
        if self._attached:
            rois = self._rois()
            if self.numbers_button.isChecked():
                self.meter.set_regions(rois)

    def _show_side(self, shown: bool) -> None:
        remember_shown("side", shown)
        self.side_scroll.setVisible(shown)

    def _show_numbers(self, shown: bool) -> None:
        remember_shown("numbers", shown)
        self.numbers.setVisible(shown and bool(self.controller.state.columns))
        if shown:
            self._measured_state = None
            self._measure(self.controller.state)
        elif self._attached:
            self.meter.forget()

    # Keys that the panels pass on.

    def _acted(self, action: str) -> None:
        if action == "numbers":
            self.numbers_button.toggle()
        elif action == "side_panel":
            self.side_button.toggle()
        elif action == "go_to":
            self.place.setFocus()
            self.place.selectAll()
        elif action == "reset_window":
            self.controller.reset_windows()
        elif action == "full_screen":
            self.toggle_full_screen()
        elif action == "escape":
            self._go_back()

    def _go_back(self) -> None:
        """Leave a field, help, tool or maximized panel, then full screen."""
        focused = QApplication.focusWidget()
        if focused is not None and focused is not self.view.canvas and self.isAncestorOf(focused):
            self.view.setFocus()
        elif not self.view.step_back() and self.isFullScreen():
            self.toggle_full_screen()

    # Life cycle.

    def attach(self) -> None:
        """Connect to the viewer; start measuring and drawing."""
        self._attached = True
        self.meter = Meter()
        self.meter.regions_measured.connect(self.numbers.show_regions)
        self.meter.head_measured.connect(self.numbers.show_head)
        self.meter.status_changed.connect(self._show_status)
        self._measured_state = None
        self.live = LiveColumns(self._viewer, self.controller)
        self.live.added.connect(self._live_added)
        self.live.changed.connect(self._live_changed)
        self.live.gone.connect(self._live_gone)
        self.live.failed.connect(self.tell_error)
        self.controller.subscribe(self._state_changed)
        self.view.resume()
        self.link.attach()

    def _tool_changed(self, tool: str) -> None:
        self.toolbar.show_tool(tool)
        self.side.show_depth(self.view.pointing.depth_mm)

    def detach(self, *, closing: bool = False) -> None:
        """End all threads and timers, and disconnect from the viewer.

        Parameters
        ----------
        closing : bool
            napari closes: layers that are still computed can stay.
        """
        if not self._attached:
            return
        self._attached = False
        self._push_timer.stop()
        self.view.pause()
        self.controller.unsubscribe(self._state_changed)
        live, self.live = self.live, None
        if live is not None:
            live.close(remove=not closing)
        empty(self.toolbar.live_menu)
        self.link.detach()
        self.regions.watch(None)
        self.exporter.close()
        self.meter.close()
        self.meter.deleteLater()
