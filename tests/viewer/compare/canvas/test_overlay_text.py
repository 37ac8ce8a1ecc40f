"""Help and messages fit into the canvas."""

from __future__ import annotations

import pytest

from napari_mrisr.viewer.compare.canvas.canvas_text import TextStyle, width_of
from napari_mrisr.viewer.compare.canvas.overlay_text import (
    help_overlay,
    message_overlay,
    wrapped,
)


def test_lines_break_between_words(qapp) -> None:
    style = TextStyle(15)
    text = "one two three four five\nsix"
    lines = wrapped(text, style, width_of("one two three", style) + 1)
    assert lines == ["one two three", "four five", "six"]
    assert wrapped("immeasurable", style, 30)[0].endswith("…")


@pytest.mark.parametrize("size", [(1600, 1000), (1280, 720), (700, 420)])
def test_all_lines_of_the_help_are_on_the_canvas(qapp, size: tuple[int, int]) -> None:
    lines = [f"Ctrl+{i}\twhat the key number {i} does" for i in range(36)]
    overlay = help_overlay("\n".join(lines), *size, 1.0)
    keys = [text.words for text in overlay.texts if text.words.startswith("Ctrl")]
    assert keys == [f"Ctrl+{i}" for i in range(36)]
    for text in overlay.texts:
        left = text.x - text.anchor[0] * width_of(text.words, text.style)
        assert left >= 0
        assert left + width_of(text.words, text.style) <= size[0]
        assert 0 <= text.y <= size[1]


def test_a_message_is_in_the_middle(qapp) -> None:
    overlay = message_overlay("Open a scan.\nThen choose it above.", 800, 600, 1.0)
    assert [text.words for text in overlay.texts] == ["Open a scan.", "Then choose it above."]
    assert sum(text.y for text in overlay.texts) / 2 == pytest.approx(300)
    assert len(overlay.shapes.vertices()) == 6
