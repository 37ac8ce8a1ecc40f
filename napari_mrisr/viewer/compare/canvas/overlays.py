"""Overlays of the images: lines, letters, scales; made for every frame."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from napari_mrisr.comparison.scene import MeasuredLine, Outline, PanelImage, PanelView, Scene
from napari_mrisr.comparison.state import SWIPE
from napari_mrisr.viewer.compare.canvas.drawing import (
    Color,
    Overlay,
    Text,
    TextStyle,
    height_of,
    shade_of,
    shortened,
    width_of,
)
from napari_mrisr.viewer.compare.canvas.images import curtain_px
from napari_mrisr.viewer.compare.canvas.layout import Layout, Place, Rect

_HEADER: Color = (0.07, 0.07, 0.09, 1.0)
GAP: Color = (0.34, 0.35, 0.38, 1.0)
_WHITE: Color = (1.0, 1.0, 1.0, 1.0)
_LETTER: Color = (1.0, 0.84, 0.4, 1.0)
_BLACK: Color = (0.0, 0.0, 0.0, 1.0)
_DARK: Color = (0.0, 0.0, 0.0, 0.6)
_CROSS: Color = (0.3, 0.9, 0.35, 0.9)
# Visible on the white center of a diverging colormap.
_CROSS_ON_WHITE: Color = (0.0, 0.4, 0.1, 0.9)
_ACTIVE: Color = (0.35, 0.65, 1.0, 1.0)
_CURTAIN: Color = (1.0, 0.84, 0.4, 1.0)
_OUTLINE: Color = (0.25, 0.9, 1.0, 1.0)
_CURTAIN_HALF = 1
# Separates the two volumes in a title of the scene.
_JOINTS = (" − ", " | ", " ▚ ")

# Shorter side of a panel, pixels, that leaves room for
_LETTERS_FROM, _NOTES_FROM, _SCALES_FROM, _LARGE_FROM = 60, 110, 150, 290

_PLATE: Color = (0.05, 0.05, 0.07, 0.88)
_WORDS: Color = (0.94, 0.94, 0.95, 1.0)
_KEYS: Color = (1.0, 0.84, 0.4, 1.0)
_SPACING = 1.25


@dataclass(frozen=True)
class Labels:
    """Texts from outside of the canvas.

    Attributes
    ----------
    notes : mapping of (row, column) to str
        Text such as the value under the cursor.
    active : (row, column) or None
        The panel with a border and with handles on its regions.
    """

    notes: Mapping[tuple[int, int], str] = field(default_factory=dict)
    active: tuple[int, int] | None = None


def panels_overlay(scene: Scene, layout: Layout, labels: Labels, ratio: float) -> Overlay:
    """Return all overlays; ``ratio`` is the number of device pixels per pixel."""
    overlay = Overlay()
    _gaps(overlay, layout)
    pen = _Pen(overlay, ratio)
    mosaic = is_mosaic(scene)
    for row, column, view, place in layout.panels(scene):
        above = layout.title_rect(row, column)
        if above is not None and (column == 0 or not mosaic):
            whole = Rect(0, above.top, layout.width, above.bottom)
            title = f"{view.title}, {view.plane.name}" if mosaic else view.title
            pen.title(title, whole if mosaic else above)
        active = labels.active == (row, column)
        if scene.crosshair_shown and view.crosshair is not None:
            pen.crosshair(view, view.crosshair, place)
        for outline in view.outlines:
            pen.outline(outline, place, active)
        for line in view.lines:
            pen.measured(line, place)
        if view.blend == SWIPE:
            pen.curtain(scene.swipe, place)
        pen.letters(view, place, scene.radiological)
        # The plane is named once per row; the title of a mosaic names it.
        before = scene.panels[row][column - 1]
        first = column == 0 or layout.turned or before.plane != view.plane
        words = [view.plane.name] if first and not mosaic else []
        if view.place and (first or mosaic):
            words += view.place.split(", ")
        pen.corners(words, labels.notes.get((row, column), ""), place)
        pen.color_bar(view, place)
        if column == 0 or not mosaic:
            pen.scale_bar(place)
        if active:
            overlay.frame(place.rect, 2 * pen.px, _ACTIVE)
    return overlay


def is_mosaic(scene: Scene) -> bool:
    """Return whether the panels of a row show several slices of one volume."""
    first = scene.panels[0] if scene.panels else ()
    return len({panel.position for panel in first if panel.plane == first[0].plane}) > 1


def short_title(title: str, style: TextStyle, width: float) -> str:
    """Return a title elided to a width; each of two volumes gets half of it."""
    if width_of(title, style) <= width:
        return title
    joint = next((sign for sign in _JOINTS if sign in title), None)
    if joint is None:
        return shortened(title, style, width, middle=True)
    first, second = title.split(joint, 1)
    room = width - width_of(joint, style)
    half = room / 2.0
    # A short name leaves its space to the other.
    widths = width_of(first, style), width_of(second, style)
    first = shortened(first, style, max(half, room - widths[1]), middle=True)
    return first + joint + shortened(second, style, max(half, room - widths[0]), middle=True)


def nice_length(most: float) -> float:
    """Return the largest 1, 2 or 5 times a power of ten up to a length."""
    power = 10.0 ** math.floor(math.log10(most))
    # 1e-9: a length of 0.5 mm gives 0.5 mm.
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= most * (1 + 1e-9))


def number_text(value: float) -> str:
    """Return three digits with a minus sign; powers of ten only if needed."""
    size = abs(value)
    if 1e3 <= size < 1e5:
        text = f"{value:.0f}"
    elif value and not 1e-3 <= size < 1e5:
        text = f"{value:.2e}"
    else:
        text = f"{value:.3g}"
    return text.replace("-", "−")


class _Pen:
    """Overlays of one panel."""

    def __init__(self, overlay: Overlay, ratio: float) -> None:
        self._shapes, self._texts = overlay, overlay.texts
        self._ratio = ratio
        self.px = max(1, round(ratio))

    def title(self, title: str, rect: Rect) -> None:
        style = TextStyle(round(13 * self._ratio), bold=True)
        words = short_title(title, style, rect.width - 8 * self.px)
        self._texts.append(Text(words, style, *rect.center, (0.5, 0.5), _WHITE))

    def crosshair(self, view: PanelView, at: tuple[float, float], place: Place) -> None:
        rect = place.rect
        x, y = (math.floor(v) for v in place.to_pixels(*at))
        steps = [p.cut.step for p in view.pictures if p.cut is not None]
        voxel = max((max(step) for step in steps), default=0.0) / place.mm_per_px
        # Keep the voxel itself visible.
        gap = max(7.0 * self._ratio, voxel)
        signed = view.pictures[0].kind == "signed"
        color = _CROSS_ON_WHITE if signed else _CROSS
        if rect.left <= x < rect.right:
            for top, bottom in ((rect.top, y - gap), (y + gap, rect.bottom)):
                line = Rect(x, top, x + self.px, bottom)
                self._shapes.rect(line.clipped(rect), color)
        if rect.top <= y < rect.bottom:
            for left, right in ((rect.left, x - gap), (x + gap, rect.right)):
                line = Rect(left, y, right, y + self.px)
                self._shapes.rect(line.clipped(rect), color)

    def outline(self, outline: Outline, place: Place, active: bool) -> None:
        points = np.array([place.to_pixels(*point) for point in outline.points])
        if len(points) <= 5:
            # Straight edges on whole pixels are sharp.
            points = np.floor(points) + 0.5
        self._shapes.line(points, 3.0 * self._ratio, _BLACK, place.rect)
        self._shapes.line(points, 1.5 * self._ratio, _OUTLINE, place.rect)
        left, top = points.min(axis=0)
        right, bottom = points.max(axis=0)
        if active:
            half = 3 * self.px
            for x in (left, (left + right) / 2.0, right):
                for y in (top, (top + bottom) / 2.0, bottom):
                    if (x, y) == ((left + right) / 2.0, (top + bottom) / 2.0):
                        continue
                    handle = Rect(x - half, y - half, x + half, y + half)
                    self._shapes.rect(handle.inset(-self.px).clipped(place.rect), _DARK)
                    self._shapes.rect(handle.clipped(place.rect), _OUTLINE)
        style = self._style(place.rect)
        words = shortened(outline.name, style, place.rect.width / 2.0)
        tall = height_of(style)
        inside = place.rect.inset(2 * self.px)
        x = min(max(left, inside.left), inside.right - width_of(words, style))
        y = min(max(top - 4 * self.px, inside.top + tall), inside.bottom)
        if _short(place.rect) >= _NOTES_FROM * self._ratio and right > inside.left:
            self._texts.append(Text(words, style, x, y, (0.0, 1.0), _OUTLINE))

    def measured(self, line: MeasuredLine, place: Place) -> None:
        points = np.array([place.to_pixels(*point) for point in line.points])
        self._shapes.line(points, 3.0 * self._ratio, _BLACK, place.rect)
        self._shapes.line(points, 1.5 * self._ratio, _LETTER, place.rect)
        half = 3 * self.px
        for x, y in points:
            end = Rect(x - half, y - half, x + half, y + half)
            self._shapes.rect(end.inset(-self.px).clipped(place.rect), _DARK)
            self._shapes.rect(end.clipped(place.rect), _LETTER)
        style = self._style(place.rect)
        inside = place.rect.inset(2 * self.px)
        x, y = points[len(points) // 2] + (6 * self.px, -6 * self.px)
        if inside.contains(x, y):
            self._texts.append(Text(line.text, style, x, y, (0.0, 1.0), _LETTER))

    def curtain(self, fraction: float, place: Place) -> None:
        rect = place.rect
        x = curtain_px(fraction, rect)
        half = _CURTAIN_HALF * self.px
        _, middle = rect.center
        wide, high = 5 * self.px, min(18 * self.px, rect.height / 4.0)
        grip = Rect(x - wide, middle - high, x + wide, middle + high)
        # Skip the letters.
        spared = 20 * self._ratio if abs(x - rect.center[0]) < 12 * self._ratio else 0.0
        line = Rect(x - half, rect.top + spared, x + half, rect.bottom - spared)
        self._shapes.rect(line.clipped(rect), _CURTAIN)
        self._shapes.rect(grip.inset(-self.px).clipped(rect), _DARK)
        self._shapes.rect(grip.clipped(rect), _CURTAIN)
        for off in (-2 * self.px, self.px):
            notch = Rect(x + off, middle - high / 2.0, x + off + self.px, middle + high / 2.0)
            self._shapes.rect(notch.clipped(rect), (0.2, 0.15, 0.0, 1.0))

    def letters(self, view: PanelView, place: Place, radiological: bool) -> None:
        rect = place.rect
        if _short(rect) < _LETTERS_FROM * self._ratio:
            return
        style = TextStyle(self._style(rect).size + self.px, bold=True)
        x, y = rect.center
        by = 4 * self.px
        left, right, top, bottom = view.plane.letters(radiological)
        spots = (
            (left, rect.left + by, y, (0.0, 0.5)),
            (right, rect.right - by, y, (1.0, 0.5)),
            (top, x, rect.top + by / 2, (0.5, 0.0)),
            (bottom, x, rect.bottom - by / 2, (0.5, 1.0)),
        )
        self._texts += [Text(c, style, a, b, anchor, _LETTER) for c, a, b, anchor in spots]

    def corners(self, words: Sequence[str], note: str, place: Place) -> None:
        """Add words at the top, in as few lines as they fit, and a note at the bottom."""
        rect = place.rect
        if _short(rect) < _NOTES_FROM * self._ratio:
            return
        style = self._style(rect)
        # Letters are centered.
        free = rect.width / 2.0 - 20 * self._ratio
        x = rect.left + 5 * self.px
        by = 3 * self.px
        # Further lines are below the letter.
        wide = rect.width - 10 * self.px
        lines: list[str] = []
        for word in words:
            joined = f"{lines[-1]}  {word}" if lines else word
            if lines and width_of(joined, style) > (free if len(lines) == 1 else wide):
                lines.append(word)
            else:
                lines[-1:] = [joined]
        for i, line in enumerate(lines):
            y = rect.top + by + i * height_of(style)
            shown = shortened(line, style, wide if i else free)
            self._texts.append(Text(shown, style, x, y, (0, 0), _WHITE))
        if note:
            words = shortened(note, style, free)
            self._texts.append(Text(words, style, x, rect.bottom - by, (0.0, 1.0), _WHITE))

    def scale_bar(self, place: Place) -> None:
        rect = place.rect
        if _short(rect) < _SCALES_FROM * self._ratio:
            return
        length = nice_length(rect.width / 4.0 * place.mm_per_px)
        wide = round(length / place.mm_per_px)
        right, bottom = rect.right - 8 * self.px, rect.bottom - 7 * self.px
        parts = [Rect(right - wide, bottom - 3 * self.px, right, bottom)]
        for x in (right - wide, right - self.px):
            parts.append(Rect(x, bottom - 6 * self.px, x + self.px, bottom))
        for part in parts:
            self._shapes.rect(part.inset(-self.px), _BLACK)
        for part in parts:
            self._shapes.rect(part, _WHITE)
        style = self._style(rect)
        words = f"{length:g} mm"
        # Centered above the bar, but inside the panel where the bar is short.
        middle = min(right - wide / 2, rect.right - 2 * self.px - width_of(words, style) / 2)
        self._texts.append(Text(words, style, middle, bottom - 6 * self.px, (0.5, 1.0), _WHITE))

    def color_bar(self, view: PanelView, place: Place) -> None:
        rect = place.rect
        picture = view.pictures[0] if view.over is None else view.over
        plain = picture.kind == "volume" and view.over is None
        if plain or _short(rect) < _NOTES_FROM * self._ratio:
            return
        style = self._style(rect)
        tall = height_of(style)
        right, top = rect.right - 8 * self.px, rect.top + 8 * self.px
        if picture.classes:
            self._classes(picture, style, right, top)
            return
        # It ends above the letter at the right edge.
        bottom = top + math.floor(rect.height / 2.0 - 24 * self._ratio)
        bar = Rect(right - 11 * self.px, top, right, bottom)
        self._shapes.frame(bar.inset(-self.px), self.px, _WHITE)
        self._shapes.bar(picture.look, bar)
        low, high = picture.look.limits
        ticks = [(high, bar.top + self.px, 0.2), (low, bar.bottom - self.px, 0.8)]
        if bar.height > 4 * tall:
            ticks.append(((low + high) / 2.0, bar.center[1], 0.5))
        sign = "+" if picture.kind == "signed" else ""
        for value, y, anchor in ticks:
            words = (sign if value > 0 else "") + number_text(value)
            if picture.percent_of > 0:
                words = f"{number_text(100.0 * value / picture.percent_of)} %"
            x = bar.left - 4 * self.px
            self._texts.append(Text(words, style, x, y, (1.0, anchor), _WHITE))

    def _classes(self, picture: PanelImage, style: TextStyle, right: float, top: float) -> None:
        """Add a legend of the values that have names."""
        low, high = picture.look.limits
        step = height_of(style)
        for line, (value, name) in enumerate(c for c in picture.classes if c[0] >= picture.lowest):
            y = top + line * step
            box = Rect(right - 11 * self.px, y + 2 * self.px, right, y + step - 3 * self.px)
            shade = min(max((value - low) / max(high - low, 1e-30), 0.0), 1.0)
            color = shade_of(picture.look, shade)
            self._shapes.rect(box.inset(-self.px), _WHITE)
            self._shapes.rect(box, color)
            self._texts.append(Text(name, style, box.left - 4 * self.px, y, (1, 0), _WHITE))

    def _style(self, rect: Rect) -> TextStyle:
        large = _short(rect) >= _LARGE_FROM * self._ratio
        return TextStyle(round((13 if large else 12) * self._ratio))


def _short(rect: Rect) -> float:
    return min(rect.width, rect.height)


def _gaps(overlay: Overlay, layout: Layout) -> None:
    """Add the strips of the titles, and lines between panels."""
    for row in range(layout.rows):
        for column in range(layout.columns):
            title, rect = layout.title_rect(row, column), layout.rect(row, column)
            if title is not None:
                left = title.left if layout.turned else 0
                overlay.rect(Rect(left, title.top, layout.width, title.bottom), _HEADER)
            if rect.left > 0:
                overlay.rect(Rect(rect.left - layout.gap, rect.top, rect.left, rect.bottom), GAP)
            if rect.top > layout.header and not layout.turned:
                overlay.rect(Rect(0, rect.top - layout.gap, layout.width, rect.top), GAP)


def message_overlay(message: str, width: int, height: int, ratio: float) -> Overlay:
    """Add some sentences on a plate in the middle of the canvas."""
    overlay = Overlay()
    style = TextStyle(round(15 * ratio))
    lines = wrapped(message, style, min(width - 60 * ratio, 620 * ratio))
    step = height_of(style) * _SPACING
    wide = max((width_of(line, style) for line in lines), default=0.0)
    top = (height - step * len(lines)) / 2.0
    plate = Rect((width - wide) / 2.0, top, (width + wide) / 2.0, top + step * len(lines))
    overlay.rect(plate.inset(-16 * ratio), _PLATE)
    overlay.texts += [
        Text(line, style, width / 2.0, top + (i + 0.5) * step, (0.5, 0.5), _WORDS)
        for i, line in enumerate(lines)
        if line
    ]
    return overlay


def help_overlay(help_text: str, width: int, height: int, ratio: float) -> Overlay:
    """Add lines of ``keys<tab>action`` over the whole canvas, in as many columns as needed."""
    overlay = Overlay()
    overlay.rect(Rect(0, 0, width, height), _PLATE)
    lines = [line.partition("\t")[::2] for line in help_text.splitlines()]
    margin = 20 * ratio
    for size in (15, 14, 13, 12, 11, 10):
        style = TextStyle(round(size * ratio))
        step = height_of(style) * _SPACING
        rows = max(1, int((height - 2 * margin) / step))
        blocks = [lines[i : i + rows] for i in range(0, len(lines), rows)]
        keys = max((width_of(key, style) for key, _ in lines), default=0.0) + 14 * ratio
        wide = keys + max((width_of(text, style) for _, text in lines), default=0.0)
        whole = wide * len(blocks) + 2 * margin * (len(blocks) - 1)
        if whole <= width - 2 * margin:
            break
    left = max(margin, (width - whole) / 2.0)
    top = max(margin, (height - step * min(rows, len(lines))) / 2.0)
    for i, block in enumerate(blocks):
        x = left + i * (wide + 2 * margin)
        for j, (key, text) in enumerate(block):
            y = top + (j + 0.5) * step
            room = min(wide - keys, width - x - keys)
            if key and text:
                overlay.texts.append(Text(key, style, x + keys - 14 * ratio, y, (1, 0.5), _KEYS))
                words = shortened(text, style, room + 1)
                overlay.texts.append(Text(words, style, x + keys, y, (0, 0.5), _WORDS))
            elif key:
                overlay.texts.append(Text(key, style, x, y, (0, 0.5), _WORDS))
    return overlay


def wrapped(text: str, style: TextStyle, width: float) -> list[str]:
    """Return lines up to ``width`` pixels, broken between words; long words are cut."""
    lines = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and width_of(longer, style) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return [shortened(line, style, width) for line in lines]
