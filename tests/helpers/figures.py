"""Checks of drawn figures."""

from __future__ import annotations

from itertools import combinations


def assert_texts_apart(figure):
    """Assert that no two texts overlap and none leaves the page; scale bars may."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    found = list(figure.texts)
    for axes in figure.axes:
        found += [axes.title, axes.yaxis.label, axes.xaxis.label]
        low, high = sorted(axes.get_xlim())  # matplotlib keeps labels beyond, without drawing
        found += [t for t in axes.get_xticklabels() if low <= t.get_position()[0] <= high]
        found += [text for text in axes.texts if not text.get_text().endswith("mm")]
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in found if t.get_text()]
    page = figure.bbox
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= page.width, text
        assert box.y1 <= page.height, text
    for (one, a), (other, b) in combinations(boxes, 2):
        assert not (a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1), (one, other)
