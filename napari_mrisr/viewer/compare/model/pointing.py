"""Mouse actions in the panels. No Qt, no napari."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from napari_mrisr.comparison.state import SWIPE, LineMeasurement, Point
from napari_mrisr.core.frames import Plane
from napari_mrisr.viewer.compare.model.controller import Controller
from napari_mrisr.viewer.compare.model.regions import Grip, dragged, drawn, grabbed

LEFT, MIDDLE, RIGHT = "left", "middle", "right"
SHIFT, CONTROL = "shift", "control"
MEASURES = ("ruler", "angle")

# Pixels: reach of a region's outline; drag that changes a window by its own width.
_REACH_PX = 7.0
_WINDOW_PX = 300.0
# A shorter drag is a click and draws nothing.
_CLICK_PX = 4.0
_ZOOM_STEP = 1.15


@dataclass(frozen=True)
class PointerEvent:
    """Mouse event in a panel.

    Attributes
    ----------
    row, column : int
        Row and column of the panel in the scene.
    plane : Plane
        Plane of the panel.
    state_column : int
        Index among all columns of the state, as in ``PanelView.column``.
    across_mm, upward_mm : float
        Frame mm. During a drag they may lie outside the panel.
    position_mm : float
        Position of the plane along its normal, frame mm.
    fraction_x : float
        0 at the panel's left edge, 1 at its right; during a drag also beyond.
    mm_per_px : float
        Millimeters per pixel of ``dx_px``.
    x_px, y_px : float
        Position in the canvas's widget.
    button : str
        ``left``, ``middle``, ``right`` or ``""``.
    modifiers : frozenset of str
        Any of ``shift``, ``control``, ``alt``.
    dx_px, dy_px : float
        Movement since the last message of this drag, to the right and downward.
    notches : float
        Turn of the wheel, away from the user; touchpads give fractions.
    """

    row: int
    column: int
    plane: Plane
    state_column: int
    across_mm: float
    upward_mm: float
    position_mm: float
    fraction_x: float
    mm_per_px: float
    x_px: float
    y_px: float
    button: str = ""
    modifiers: frozenset[str] = frozenset()
    dx_px: float = 0.0
    dy_px: float = 0.0
    notches: float = 0.0


@dataclass
class Drag:
    """Drag in progress."""

    kind: str
    plane: Plane
    column: int
    start: tuple[float, float]
    grip: Grip | None = None
    name: str = ""
    position: float = 0.0
    point: Point | None = None
    place: int | None = None


class Pointing:
    """Mouse handler: turns presses and drags into actions.

    Attributes
    ----------
    tool : str
        ``""`` for the crosshair, the shape that a drag draws, ``ruler``, or ``angle``: a drag
        to its corner, then a click.
    depth_mm : float
        Depth of a new region.
    chosen : str or None
        Name of the selected region: the one drawn or held last.
    plane : Plane or None
        Plane under the pointer, or the last one.
    """

    def __init__(self, controller: Controller, tell: Callable[[], None] = lambda: None) -> None:
        self._controller = controller
        self._tell = tell
        self._drag: Drag | None = None
        # Place of an angle whose first side is drawn.
        self._side: int | None = None
        self.tool = ""
        self.depth_mm = 20.0
        self.chosen: str | None = None
        self.chosen_plane: Plane | None = None
        self.plane: Plane | None = None
        self.column = 0
        self.at = (0.0, 0.0)
        self.position: float | None = None

    @property
    def drags_region(self) -> bool:
        """True while a region is drawn or moved."""
        return self._drag is not None and self._drag.kind in ("draw", "region")

    @property
    def windows(self) -> bool:
        """True while a drag changes window and level."""
        return self._drag is not None and self._drag.kind == "window"

    def hover(self, pointer: PointerEvent) -> None:
        """Handle a move of the mouse."""
        self.plane, self.column = pointer.plane, pointer.state_column
        self.at = (pointer.across_mm, pointer.upward_mm)
        self.position = pointer.position_mm

    def press(self, pointer: PointerEvent) -> None:
        """Handle a press."""
        self.hover(pointer)
        kind, grip = self._kind(pointer)
        self._drag = Drag(kind, pointer.plane, pointer.state_column, self.at, grip)
        self._drag.position = pointer.position_mm
        if kind == "crosshair":
            self._controller.point_at(pointer.plane, *self.at, pointer.position_mm)
        elif kind == "measure":
            self._press_measure(pointer)
        elif grip is not None:
            self._controller.mark()
            self._choose(grip.roi.name, pointer.plane)
        elif kind == "draw":
            self._controller.mark()
            self._drag.name = self._controller.new_roi_name()

    def _press_measure(self, pointer: PointerEvent) -> None:
        """Start a line, or end an angle whose first side is drawn."""
        controller, point = self._controller, self._world(pointer)
        if self._side is not None:
            place, self._side = self._side, None
            if place < len(controller.state.measurements):
                first = controller.state.measurements[place].points
                controller.put_measurement(LineMeasurement((*first[:2], point)), place)
                self._drag = None
                self.choose_tool("")
                return
        controller.mark()
        assert self._drag is not None
        self._drag.point = point

    def _world(self, pointer: PointerEvent) -> Point:
        return self._controller.world_at(
            pointer.plane, pointer.across_mm, pointer.upward_mm, pointer.position_mm
        )

    def _measure(self, drag: Drag, pointer: PointerEvent) -> None:
        """Draw a line from the press to the pointer."""
        controller = self._controller
        far = max(abs(a - b) for a, b in zip(drag.start, self.at, strict=True))
        if drag.point is None or (drag.place is None and far < _CLICK_PX * pointer.mm_per_px):
            return
        drawn = LineMeasurement(
            (drag.point, self._world(replace(pointer, position_mm=drag.position)))
        )
        controller.put_measurement(drawn, drag.place)
        drag.place = len(controller.state.measurements) - 1

    def _kind(self, pointer: PointerEvent) -> tuple[str, Grip | None]:
        if pointer.button == RIGHT:
            return "window", None
        if pointer.button == MIDDLE or SHIFT in pointer.modifiers:
            return "pan", None
        if pointer.button != LEFT:
            return "", None
        if self.tool in MEASURES:
            return "measure", None
        grip = self._grip(pointer)
        if grip is not None:
            return "region", grip
        if self.tool:
            return "draw", None
        if self._on_swipe_line(pointer):
            return "swipe", None
        return "crosshair", None

    def _grip(self, pointer: PointerEvent) -> Grip | None:
        controller, plane = self._controller, pointer.plane
        position = pointer.position_mm
        reach = _REACH_PX * pointer.mm_per_px
        rois = controller.state.rois
        inside = bool(self.tool)
        return grabbed(rois, controller.frame, plane, position, self.at, reach, inside)

    def _on_swipe_line(self, pointer: PointerEvent) -> bool:
        state = self._controller.state
        if state.mode != SWIPE or not pointer.mm_per_px > 0:
            return False
        return abs(pointer.fraction_x - state.swipe) < 0.03

    def drag(self, pointer: PointerEvent) -> None:
        """Handle a drag; it belongs to the panel where it began."""
        drag = self._drag
        if drag is None:
            return
        self.at = at = (pointer.across_mm, pointer.upward_mm)
        controller = self._controller
        if drag.kind == "crosshair":
            controller.point_at(drag.plane, *at, drag.position)
        elif drag.kind == "measure":
            self._measure(drag, pointer)
        elif drag.kind == "swipe":
            controller.set_swipe(pointer.fraction_x)
        elif drag.kind == "pan":
            grows = drag.plane.grows_rightward(controller.state.radiological)
            across = pointer.dx_px * pointer.mm_per_px * (1 if grows else -1)
            controller.pan(drag.plane, across, -pointer.dy_px * pointer.mm_per_px)
        elif drag.kind == "window":
            # A drag upward is brighter: it lowers the level.
            level = pointer.dy_px / _WINDOW_PX
            width = math.exp(pointer.dx_px / _WINDOW_PX)
            alone = CONTROL in pointer.modifiers
            controller.window(drag.column, level, width, alone)
        elif drag.grip is not None:
            controller.put_roi(dragged(drag.grip, controller.frame, at))
        elif drag.kind == "draw":
            self._draw(drag, pointer)

    def _draw(self, drag: Drag, pointer: PointerEvent) -> None:
        controller = self._controller
        span = max(abs(a - b) for a, b in zip(drag.start, self.at, strict=True))
        if span < _CLICK_PX * pointer.mm_per_px and controller.roi(drag.name) is None:
            return
        position = drag.position
        corners, through = (drag.start, self.at), (position, self.depth_mm)
        roi = drawn(drag.name, self.tool, controller.frame, drag.plane, corners, through)
        if controller.roi(drag.name) is None:
            controller.put_roi(roi)
            self._choose(drag.name, drag.plane)
        else:
            controller.put_roi(roi)

    def release(self) -> None:
        """Handle a release."""
        drag, self._drag = self._drag, None
        if drag is not None and drag.kind == "draw" and self._controller.roi(drag.name):
            self.tool = ""
        if drag is not None and drag.place is not None:
            # The next click ends an angle.
            self._side = drag.place if self.tool == "angle" else None
            if self._side is None:
                self.tool = ""
        self._tell()

    def wheel(self, pointer: PointerEvent, notches: float) -> None:
        """Step through slices; with Ctrl, zoom about the pointer."""
        self.hover(pointer)
        if CONTROL in pointer.modifiers:
            factor = _ZOOM_STEP**notches
            self._controller.zoom(factor, (pointer.plane, *self.at))
        else:
            count = int(math.copysign(max(1, round(abs(notches))), notches)) if notches else 0
            self._controller.step(pointer.plane, count)

    def double_click(self, pointer: PointerEvent) -> None:
        """Show one panel, or all."""
        self._drag = None
        if pointer.button == LEFT:
            self._controller.toggle_maximized(pointer.plane, pointer.state_column)

    def set_depth(self, depth_mm: float) -> None:
        """Set the depth of new regions, and of the selected one through its plane."""
        self.depth_mm = depth_mm
        if self.chosen is not None and self.chosen_plane is not None:
            self._controller.set_depth(self.chosen, self.chosen_plane, depth_mm)

    def delete(self) -> None:
        """Delete the selected region; without one, the newest length or angle."""
        if self.chosen is not None and self._controller.roi(self.chosen) is not None:
            self._controller.remove_roi(self.chosen)
            self._choose(None, None)
        else:
            self._controller.remove_measurement()

    def choose_tool(self, tool: str) -> None:
        """Choose what a drag draws; empty for the crosshair."""
        self.tool = tool
        self._side = None
        self._tell()

    def _choose(self, name: str | None, plane: Plane | None) -> None:
        self.chosen, self.chosen_plane = name, plane
        roi = self._controller.roi(name) if name else None
        if roi is not None and plane is not None:
            self.depth_mm = roi.size[plane.normal]
        self._tell()
