"""Texts over all panels: the message of an empty canvas, and the help."""

from __future__ import annotations

from napari_mrisr.viewer.compare.canvas.canvas_shapes import Color
from napari_mrisr.viewer.compare.canvas.canvas_text import (
    Text,
    TextStyle,
    height_of,
    shortened,
    width_of,
)
from napari_mrisr.viewer.compare.canvas.layout import Rect
from napari_mrisr.viewer.compare.canvas.overlays import Overlay

_PLATE: Color = (0.05, 0.05, 0.07, 0.88)
_WORDS: Color = (0.94, 0.94, 0.95, 1.0)
_KEYS: Color = (1.0, 0.84, 0.4, 1.0)
_SPACING = 1.25


def message_overlay(message: str, width: int, height: int, ratio: float) -> Overlay:
    """Add some sentences on a plate in the middle of the canvas."""
    overlay = Overlay()
    style = TextStyle(round(15 * ratio))
    lines = wrapped(message, style, min(width - 60 * ratio, 620 * ratio))
    step = height_of(style) * _SPACING
    wide = max((width_of(line, style) for line in lines), default=0.0)
    top = (height - step * len(lines)) / 2.0
    plate = Rect((width - wide) / 2.0, top, (width + wide) / 2.0, top + step * len(lines))
    overlay.shapes.rect(plate.inset(-16 * ratio), _PLATE)
    overlay.texts += [
        Text(line, style, width / 2.0, top + (i + 0.5) * step, (0.5, 0.5), _WORDS)
        for i, line in enumerate(lines)
        if line
    ]
    return overlay


def help_overlay(help_text: str, width: int, height: int, ratio: float) -> Overlay:
    """Add lines of ``keys<tab>action`` over the whole canvas, in as many columns as needed."""
    overlay = Overlay()
    overlay.shapes.rect(Rect(0, 0, width, height), _PLATE)
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
