"""Panels with their mouse and keys; independent of napari's viewer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Signal
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolTip, QVBoxLayout, QWidget

from napari_mrisr.comparison.scene import PanelView, Scene
from napari_mrisr.comparison.state import (
    CHECKERBOARD,
    FLICKER,
    MOSAIC,
    SIDE_BY_SIDE,
    SWIPE,
    CompareState,
    Point,
    point_text,
)
from napari_mrisr.core.frames import Plane
from napari_mrisr.viewer.compare.canvas.canvas import CompareCanvas
from napari_mrisr.viewer.compare.fields import ChoiceBox
from napari_mrisr.viewer.compare.model import texts
from napari_mrisr.viewer.compare.model.controller import Controller, default_plane
from napari_mrisr.viewer.compare.model.pointing import Pointing
from napari_mrisr.viewer.compare.model.texts import KEYS, Key, help_text
from napari_mrisr.viewer.compare.settings import remember_convention

_CONVENTIONS = (
    (True, False),
    ("Radiological (R at left)", "Neurological (L at left)"),
)

EMPTY = (
    "Nothing to compare yet.\n\n"
    "Open two or more MRI volumes in napari (File > Open, or File > Open Sample >\n"
    "MRI super-resolution), or compute one with Super-resolve."
)


class CompareView(QWidget):
    """Canvas, status line, mouse and keys.

    Parameters
    ----------
    controller : Controller
        Shown and changed.
    keys : sequence of Key
        Keys and their actions.
    """

    acted = Signal(str)
    tool_changed = Signal(str)
    region_held = Signal(bool)

    def __init__(
        self,
        controller: Controller,
        parent: QWidget | None = None,
        keys: Sequence[Key] = KEYS,
    ) -> None:
        super().__init__(parent)
        self.controller = controller
        self.message = EMPTY
        self.pointing = Pointing(controller, self._tell_tool)
        self.canvas = CompareCanvas(self)
        self.line = QLabel(self)
        self.line.setTextFormat(Qt.TextFormat.PlainText)
        self.line.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.canvas, 1)
        self.convention = ChoiceBox("Which of the patient's sides is at the left (R)", None, self)
        self.convention.setFixedWidth(220)
        self.convention.picked.connect(self.choose_convention)
        self.below = QHBoxLayout()
        self.below.addWidget(self.line, 1)
        self.below.addWidget(self.convention)
        layout.addLayout(self.below)
        self._open = True
        self._hovers = False
        self.active: tuple[int, int] | None = None
        self._help = False
        self._actions = self._make_actions()
        self._keys = {_sequence(key): entry.action for entry in keys for key in entry.keys}
        self._help_text = help_text(keys)

        # The state is drawn once per turn of the event loop.
        self._draw_timer = QTimer(self)
        self._draw_timer.setSingleShot(True)
        self._draw_timer.timeout.connect(self.draw)
        self._flicker_timer = QTimer(self)
        self._flicker_timer.timeout.connect(controller.flicker)

        canvas, mouse = self.canvas, self.canvas.mouse
        mouse.pressed.connect(self._press)
        mouse.moved.connect(self._move)
        mouse.dragged.connect(self._drag)
        mouse.released.connect(self._release)
        mouse.wheeled.connect(self._wheel)
        mouse.double_clicked.connect(self.pointing.double_click)
        mouse.left.connect(self._leave)
        canvas.installEventFilter(self)
        self.setFocusProxy(canvas)
        controller.subscribe(self._state_changed)
        self.schedule()

    # Display.

    @property
    def plane(self) -> Plane:
        """Return the plane that keys act on: the one under the pointer."""
        return self.pointing.plane or default_plane(self.controller.state)

    @property
    def help_shown(self) -> bool:
        """True while the list of keys covers the panels."""
        return self._help

    def schedule(self) -> None:
        """Draw when Qt has handled its events."""
        if self._open and not self._draw_timer.isActive():
            self._draw_timer.start(0)

    def draw(self) -> None:
        """Draw now."""
        self._draw_timer.stop()
        if not self._open:
            return
        controller = self.controller
        scene = controller.scene()
        shown = bool(controller.state.columns)
        self.canvas.draw(
            scene,
            notes=self._notes(scene) if shown else None,
            active=self.active,
            message="" if shown else self.message,
            help_text=self._help_text if self._help else "",
        )
        self._show_line()

    def _world(self) -> Point:
        """Return the point under the pointer, else the crosshair."""
        state, plane = self.controller.state, self.pointing.plane
        if not self._hovers or plane is None or not state.columns:
            return state.crosshair
        position = self.pointing.position if state.mode == MOSAIC else None
        return self.controller.world_at(plane, *self.pointing.at, position)

    def _notes(self, scene: Scene) -> dict[tuple[int, int], str]:
        """Return the values under the cursor; two for a panel that shows two columns."""
        controller = self.controller
        state = controller.state
        if self.pointing.windows:
            found = [texts.window_text(controller.look(key).limits) for key in state.columns]
            found += [f"±{texts.value_text(d.limit or 0.0)}" for d in state.differences]
        else:
            found = texts.panel_notes(state, controller.volumes, self._world())
        both = " | ".join(found[i] for i in state.pair if i < len(found))
        return {
            (r, c): both if view.blend else found[view.column]
            for r, row in enumerate(scene.panels)
            for c, view in enumerate(row)
            # In a mosaic only one slice holds the point.
            if state.mode != MOSAIC or (r, c) == self.active
        }

    def _show_line(self) -> None:
        controller = self.controller
        volume = controller.first_volume
        text = ""
        if volume is not None:
            text = texts.position_text(controller.state.crosshair, volume.grid)
            if self._hovers:
                text += f"   ·   pointer {point_text(self._world())}"
            hint = texts.hint(controller.state, controller.volumes, controller.frame)
            text += f"   ·   {hint}" if hint else ""
        self.line.setText(" " + text)
        self.line.setToolTip(text)

    def _state_changed(self, state: CompareState) -> None:
        self.schedule()
        if self.convention.currentData() != state.radiological:
            self.convention.show_choices(*_CONVENTIONS, state.radiological)
        period = round(1000.0 / state.flicker_hz) if state.flicker_hz > 0 else 0
        wanted = period if state.mode == FLICKER else 0
        if not wanted:
            self._flicker_timer.stop()
        elif not self._flicker_timer.isActive() or self._flicker_timer.interval() != wanted:
            self._flicker_timer.start(wanted)

    # The mouse.

    def _press(self, pointer: Any) -> None:
        self.canvas.setFocus(Qt.FocusReason.MouseFocusReason)
        self.active = (pointer.row, pointer.column)
        self.pointing.press(pointer)
        self._follow()
        if self.pointing.drags_region:
            self.region_held.emit(True)

    def _drag(self, pointer: Any) -> None:
        self.pointing.drag(pointer)
        self._follow()

    def _move(self, pointer: Any) -> None:
        self.active = (pointer.row, pointer.column)
        self.pointing.hover(pointer)
        self._follow()

    def _release(self, pointer: Any) -> None:
        held = self.pointing.drags_region
        self.pointing.release()
        self.schedule()
        if held:
            self.region_held.emit(False)

    def _wheel(self, pointer: Any) -> None:
        self.active = (pointer.row, pointer.column)
        self.pointing.wheel(pointer, pointer.notches)
        self._follow()

    def _leave(self) -> None:
        self._hovers, self.active = False, None
        self.schedule()

    def _follow(self) -> None:
        """Show the values under the pointer."""
        self._hovers = True
        self.schedule()

    def _tell_tool(self) -> None:
        tool = self.pointing.tool
        cross = Qt.CursorShape.CrossCursor
        self.canvas.setCursor(cross if tool else Qt.CursorShape.ArrowCursor)
        self.tool_changed.emit(tool)

    # Keys.

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Act on our keys; leave others to the window."""
        if not self.handle_key(event):
            super().keyPressEvent(event)

    def handle_key(self, event: QKeyEvent) -> bool:
        """Perform the action of a key, wherever the focus is; return False for other keys."""
        action = self._action_of(event)
        if action is not None:
            self.act(action)
        return action is not None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Show the full title of a column as its tooltip."""
        if event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.title_at(event.pos().x(), event.pos().y()))
            return True
        return False

    def title_at(self, x: float, y: float) -> str:
        """Return the full title of the column at a position; empty elsewhere."""
        for row in self.canvas.scene.panels[:1]:
            for column, panel in enumerate(row):
                rect = self.canvas.title_rect(0, column)
                if rect is not None and rect.contains(x, y):
                    return self._full_title(panel)
        return ""

    def _full_title(self, panel: PanelView) -> str:
        """Return the title of a column, and the full names of its volumes where they differ."""
        state = self.controller.state
        if panel.blend:
            keys = [state.columns[i] for i in state.pair]
        elif panel.column < len(state.columns):
            keys = [state.columns[panel.column]]
        else:
            pair = state.differences[panel.column - len(state.columns)]
            keys = [pair.minuend, pair.subtrahend]
        return "\n".join(dict.fromkeys([panel.title, *keys]))

    def _action_of(self, event: QKeyEvent) -> str | None:
        code = event.keyCombination().toCombined()
        found = self._keys.get(QKeySequence(code).toString())
        if found is None and event.text():
            # "?" and "+" need Shift on some keyboards and not on others.
            found = self._keys.get(event.text())
        return found

    def act(self, action: str) -> None:
        """Perform the action of a key, then emit ``acted``."""
        done = self._actions.get(action)
        if done is not None:
            done()
        self.acted.emit(action)

    def _make_actions(self) -> dict[str, Callable[[], Any]]:
        controller, pointing = self.controller, self.pointing
        return {
            "step_up": lambda: controller.step(self.plane, 1),
            "step_down": lambda: controller.step(self.plane, -1),
            "left": lambda: controller.nudge(self.plane, -1, 0),
            "right": lambda: controller.nudge(self.plane, 1, 0),
            "up": lambda: controller.nudge(self.plane, 0, 1),
            "down": lambda: controller.nudge(self.plane, 0, -1),
            "side_by_side": lambda: controller.set_mode(SIDE_BY_SIDE),
            "swipe": lambda: controller.set_mode(SWIPE),
            "flicker_mode": lambda: controller.set_mode(FLICKER),
            "checkerboard": lambda: controller.set_mode(CHECKERBOARD),
            "mosaic": lambda: controller.set_mode(MOSAIC),
            "flicker": controller.flicker,
            "next_pair": controller.next_pair,
            "previous_pair": lambda: controller.next_pair(-1),
            "difference": controller.toggle_difference,
            "absolute": lambda: controller.toggle_difference(absolute=True),
            "link_windows": lambda: controller.toggle("one_window"),
            "fit": controller.fit,
            "center": controller.center_on_crosshair,
            "zoom_in": lambda: self._zoom(1.2),
            "zoom_out": lambda: self._zoom(1 / 1.2),
            "maximize": lambda: controller.toggle_maximized(self.plane, pointing.column),
            "crosshair": lambda: controller.toggle("crosshair_shown"),
            "convention": lambda: self.choose_convention(not controller.state.radiological),
            "smooth": lambda: controller.toggle("smooth"),
            "draw_box": lambda: self._choose_tool("box"),
            "draw_ellipse": lambda: self._choose_tool("ellipsoid"),
            "ruler": lambda: self._choose_tool("ruler"),
            "angle": lambda: self._choose_tool("angle"),
            "delete_roi": pointing.delete,
            "undo": controller.undo,
            "redo": controller.redo,
            "help": self.toggle_help,
        }

    def _zoom(self, factor: float) -> None:
        plane = self.plane
        at = self.controller.position()
        self.controller.zoom(factor, (plane, float(at[plane.across]), float(at[plane.upward])))

    def choose_convention(self, radiological: bool) -> None:
        """Show the radiological or the neurological convention, also next time."""
        self.controller.change(radiological=radiological)
        remember_convention(radiological)

    def _choose_tool(self, tool: str) -> None:
        self.pointing.choose_tool("" if self.pointing.tool == tool else tool)

    def toggle_help(self) -> None:
        """Show or hide the list of keys."""
        self._help = not self._help
        self.schedule()

    def step_back(self) -> bool:
        """Leave help, tool or maximized panel, the innermost first; return False if none."""
        if self._help:
            self.toggle_help()
        elif self.pointing.tool:
            self.pointing.choose_tool("")
        elif self.controller.state.maximized:
            self.controller.change(maximized=None)
        else:
            return False
        return True

    # Closing.

    def pause(self) -> None:
        """Stop drawing and all timers, until :meth:`resume`."""
        self._open = False
        self._draw_timer.stop()
        self._flicker_timer.stop()

    def resume(self) -> None:
        """Draw again."""
        self._open = True
        self._state_changed(self.controller.state)

    def close_view(self) -> None:
        """Stop the timers and disconnect from the controller for good."""
        if not self._actions:
            return
        self.pause()
        self.controller.unsubscribe(self._state_changed)
        self._actions.clear()


def _sequence(key: str) -> str:
    """Return Qt's spelling of a key."""
    return QKeySequence(key).toString()
