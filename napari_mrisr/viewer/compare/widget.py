"""Dock "Compare": panels, controls and numbers, linked to the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari.utils.theme import get_theme
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QSplitter, QVBoxLayout

from napari_mrisr.comparison.opening import Choice, choose, opening_state
from napari_mrisr.comparison.roi import BoxRoi, Roi
from napari_mrisr.comparison.state import MAX_COLUMNS, CompareState
from napari_mrisr.errors import MrisrError
from napari_mrisr.run.upscale import UpscaleParameters
from napari_mrisr.viewer.common.dock import Dock
from napari_mrisr.viewer.common.labels import error_line
from napari_mrisr.viewer.compare.controls import Controls, button
from napari_mrisr.viewer.compare.exporting import Exporter
from napari_mrisr.viewer.compare.linking.layers import LayerRegions
from napari_mrisr.viewer.compare.linking.link import Link
from napari_mrisr.viewer.compare.live import LiveColumns, empty, fill_menu
from napari_mrisr.viewer.compare.model.controller import Controller
from napari_mrisr.viewer.compare.model.regions import RegionOutlines
from napari_mrisr.viewer.compare.numbers import Meter, NumbersPanel
from napari_mrisr.viewer.compare.view import CompareView
from napari_mrisr.viewer.compare.window import FullScreen, as_remembered, remember_convention

if TYPE_CHECKING:
    from napari.viewer import Viewer

# napari follows a drag this often, since each of its frames costs as much as ours.
_PUSH_AFTER_MS = 200


class CompareWidget(Dock):
    """Dock that compares the viewer's volumes in three planes.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose layers are compared.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, "compare", NumbersPanel(), scroll=False)
        self.numbers: NumbersPanel = self.panel
        self.controller = Controller()
        self.link = Link(napari_viewer, self.controller, self._layers_changed)
        self.view: CompareView | None = None
        self.live: LiveColumns | None = None
        self._status = ""
        # New layers become columns until the user chooses columns.
        self._choose_columns = True
        self._measured_state: CompareState | None = None
        self.screen = FullScreen(self)

        self.controls = Controls(self.controller, self)
        self.regions = LayerRegions(self._regions_changed)
        self.exporter = Exporter(self)
        self._splitter = QSplitter(Qt.Orientation.Vertical, self)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(self.numbers)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.controls)
        layout.addWidget(self._splitter, 1)
        self._add_buttons()

        self._push_timer = QTimer(self)
        self._push_timer.setSingleShot(True)
        self._push_timer.setInterval(_PUSH_AFTER_MS)
        self._push_timer.timeout.connect(self.link.push)
        self._connect()
        self.attach()

    def _add_buttons(self) -> None:
        self.numbers_button = button("Numbers", "Show the numbers (T)", self, checkable=True)
        self.numbers_button.setChecked(True)
        self.numbers_button.toggled.connect(self._show_numbers)
        self.blinded_button = button(
            "Blinded…", "Blinded reading: cases with hidden names and shuffled columns", self
        )
        self.blinded_button.clicked.connect(self.start_reading)
        self.help_button = button("Keys", "Keys and mouse (H)", self)
        self.help_button.clicked.connect(self._toggle_help)
        self.full_button = button("Full", "Full screen (F11); Esc leaves it", self)
        self.full_button.clicked.connect(self.toggle_full_screen)
        self.controls.add_group(
            [
                self.numbers_button,
                self.exporter.button,
                self.blinded_button,
                self.help_button,
                self.full_button,
            ]
        )

    def _connect(self) -> None:
        controls = self.controls
        controls.columns_picked.connect(self._pick_columns)
        controls.live_menu.aboutToShow.connect(self._fill_live_menu)
        controls.truth_picked.connect(lambda key: self._pick_role("truth", key))
        controls.measured_picked.connect(lambda key: self._pick_role("measured", key))
        controls.convention_picked.connect(remember_convention)
        controls.tool_picked.connect(self._choose_tool)
        controls.depth_set.connect(self._set_depth)
        controls.regions_picked.connect(self._pick_regions)
        self.numbers.copy_requested.connect(self.exporter.copy_table)
        self.numbers.save_requested.connect(self.exporter.save_table)
        self.numbers.region_selected.connect(self._select_region)

    # Actions of the user.

    def open(self, columns: Sequence[str], truth: str | None, measured: str | None) -> None:
        """Compare layers, given by name, with the head in view."""
        self._choose_columns = False
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
        self._choose_columns = False
        self.controller.restore(state)
        self._push_soon()

    def _pick_columns(self, keys: list[str]) -> None:
        self._choose_columns = False
        self.numbers.show_error("")
        usable = [key for key in keys if self._usable(key)]
        # Layers that were added later have no look yet.
        self.controller.set_looks({**self.link.looks(), **self.controller.state.looks})
        self.controller.set_columns(usable)
        self.controls.show_again()

    def _fill_live_menu(self) -> None:
        live, volumes = self.live, self.link.volumes
        if live is not None:
            layers = {key: volumes.layer(key) for key in volumes if key not in live.names()}
            menu, measured = self.controls.live_menu, self.controller.state.measured
            fill_menu(menu, layers, measured, live.is_on, self.toggle_live)

    def toggle_live(self, layer: Any, parameters: UpscaleParameters) -> None:
        """Add or remove a column that computes a layer's result."""
        if self.live is not None:
            self._choose_columns = False
            self.live.toggle(layer, parameters)

    def _live_added(self, key: str) -> None:
        self._pick_columns([*self.controller.state.columns[: MAX_COLUMNS - 1], key])

    def _live_changed(self, key: str) -> None:
        self.controller.forget_slices(key)
        if self.view is not None:
            self.view.schedule()
        self._show_status(self._status)

    def _live_gone(self) -> None:
        self._show_status(self._status)
        self._measure(self.controller.state)

    def _show_status(self, text: str) -> None:
        """Show what is measured, or still computed."""
        self._status = text
        if not text and self.live is not None and self.live.names():
            share = round(100 * self.live.share())
            text = f"{share} % of {', '.join(self.live.names())} computed; its numbers follow."
        self.numbers.show_status(text)

    def _pick_role(self, role: str, key: str | None) -> None:
        if key is None or self._usable(key):
            other = "measured" if role == "truth" else "truth"
            both = key is not None and getattr(self.controller.state, other) == key
            self.controller.change(**{role: key}, **({other: None} if both else {}))
        self.controls.show_again()

    def _usable(self, key: str) -> bool:
        error = self.link.volumes.trouble(key)
        if error is not None:
            self.tell_error(error)
        return error is None

    def _choose_tool(self, tool: str) -> None:
        if self.view is not None:
            self.view.pointing.choose_tool(tool)

    def _set_depth(self, depth_mm: float) -> None:
        if self.view is not None:
            self.view.pointing.set_depth(depth_mm)
        self._regions_changed()

    def _toggle_help(self) -> None:
        if self.view is not None:
            self.view.toggle_help()

    def _pick_regions(self, name: str | None) -> None:
        found = [layer for layer in self.link.regions() if layer.name == name]
        self.regions.watch(found[0] if found else None)
        self._regions_changed()

    def _select_region(self, name: str) -> None:
        if self.view is not None and self.controller.roi(name) is not None:
            self.view.pointing.chosen = name

    def start_reading(self) -> None:
        """Ask for a list of cases and open the window for blinded reading."""
        from napari_mrisr.viewer.compare.reading import ReadingWindow, ask_reading

        try:
            reading = ask_reading(self)
        except MrisrError as error:
            self.tell_error(error)
            return
        if reading is not None:
            window = ReadingWindow(reading, self.window().styleSheet())
            window.showMaximized()

    # Changes.

    def _layers_changed(self) -> None:
        if self._choose_columns:
            usable = {
                key: self.link.volumes[key]
                for key in self.link.volumes
                if self.link.volumes.trouble(key) is None
            }
            choice = choose(usable, self.link.volumes.sources())
            state = self.controller.state
            if choice != Choice(state.columns, state.truth, state.measured):
                self._open(choice)
        self.link.settle()
        layers = [layer.name for layer in self.link.regions()]
        watched = self.regions.layer
        if watched is not None and watched not in self.link.regions():
            self._pick_regions(None)
            watched = None
        self.controls.show_regions(layers, watched.name if watched is not None else None)
        self._state_changed(self.controller.state)

    def _state_changed(self, state: CompareState) -> None:
        self.controls.show_state(state)
        self.numbers.setVisible(bool(state.columns) and self.numbers_button.isChecked())
        if self.live is not None:
            self.live.prune()
            self.live.look()
        self._push_soon()
        self._measure(state)

    def _push_soon(self) -> None:
        if self._attached and not self._push_timer.isActive():
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
        depth = self.controls.depth.value()
        try:
            found = self.regions.rois(axes, depth, through)
        except MrisrError as error:
            self.numbers.show_error(error_line(error))
            found = []
        outlines = RegionOutlines(found, self.controller.frame) if found else None
        self.controller.outlines = outlines
        if self.view is not None:
            self.view.schedule()
        return drawn + found

    def _regions_changed(self) -> None:
        if self._attached:
            rois = self._rois()
            if self.numbers_button.isChecked():
                self.meter.set_regions(rois)

    def _show_numbers(self, shown: bool) -> None:
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
        elif action == "reset_window":
            self.controller.reset_windows()
        elif action == "full_screen":
            self.toggle_full_screen()
        elif action == "escape" and self.view is not None and not self.view.step_back():
            self.screen.leave()

    def toggle_full_screen(self) -> None:
        """Enter or leave full screen."""
        self.screen.toggle()

    # Life cycle.

    def attached(self) -> None:
        """Connect to the viewer; start measuring and drawing."""
        self.meter = Meter()
        self.meter.regions_measured.connect(self.numbers.show_regions)
        self.meter.head_measured.connect(self.numbers.show_head)
        self.meter.status_changed.connect(self._show_status)
        self._measured_state = None
        # The view draws at once and needs the volumes.
        self.link.attach()
        self.view = CompareView(self.controller, self)
        self.view.acted.connect(self._acted)
        self.view.tool_changed.connect(self._tool_changed)
        self._splitter.insertWidget(0, self.view)
        self._splitter.setStretchFactor(0, 1)
        self._splitter.setStretchFactor(1, 0)
        self._splitter.setSizes([700, 150])
        self.setFocusProxy(self.view)
        self.live = LiveColumns(self._viewer, self.controller)
        self.live.added.connect(self._live_added)
        self.live.changed.connect(self._live_changed)
        self.live.gone.connect(self._live_gone)
        self.live.failed.connect(self.tell_error)
        self.controller.subscribe(self._state_changed)

    def theme_changed(self) -> None:
        """Paint the icons in the theme's colors."""
        theme = get_theme(self._viewer.theme)
        self.controls.set_colors(
            *(c.as_hex() for c in (theme.foreground, theme.current, theme.text))
        )

    def _tool_changed(self, tool: str) -> None:
        self.controls.show_tool(tool)
        assert self.view is not None
        depth = self.controls.depth
        depth.blockSignals(True)
        depth.setValue(self.view.pointing.depth_mm)
        depth.blockSignals(False)

    def detached(self, *, closing: bool) -> None:
        """End all threads and timers, disconnect from the viewer, free the OpenGL objects."""
        self._push_timer.stop()
        self.controller.unsubscribe(self._state_changed)
        live, self.live = self.live, None
        if live is not None:
            live.close(remove=not closing)
        empty(self.controls.live_menu)
        self.link.detach()
        self.regions.watch(None)
        self.exporter.close()
        self.meter.close()
        self.meter.deleteLater()
        view, self.view = self.view, None
        if view is not None:
            self.setFocusProxy(None)
            view.close_view()
            view.setParent(None)
            view.deleteLater()
