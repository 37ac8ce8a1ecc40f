"""Lines clipped to a rectangle, compared with points sampled along them."""

from __future__ import annotations

import numpy as np

from napari_mrisr.viewer.compare.canvas.canvas_shapes import Shapes
from napari_mrisr.viewer.compare.canvas.layout import Rect

WITHIN = Rect(10, 20, 60, 90)
WHITE = (1.0, 1.0, 1.0, 1.0)


def corners(points: np.ndarray) -> np.ndarray:
    shapes = Shapes()
    shapes.line(points, 2.0, WHITE, WITHIN)
    return shapes.vertices()["a_position"]


def test_lines_stay_within(rng: np.random.Generator) -> None:
    drawn = 0
    for _ in range(50):
        points = rng.uniform(-20, 120, (2, 2))
        found = corners(points)
        drawn += len(found) > 0
        assert (found >= (10 - 0.6, 20 - 0.6)).all()
        assert (found <= (60 + 0.6, 90 + 0.6)).all()
        along = points[0] + np.linspace(0, 1, 500)[:, None] * (points[1] - points[0])
        seen = ((along > (12, 22)) & (along < (58, 88))).all(axis=1)
        assert bool(len(found)) or not seen.any()
        if seen.any():
            # Its ends are where the samples end.
            assert found.min(axis=0).max() <= along[seen].min(axis=0).max() + 3
    assert 10 < drawn < 50


def test_lines_along_an_axis() -> None:
    assert len(corners(np.array([(0.0, 50.0), (100.0, 50.0)]))) == 6
    assert len(corners(np.array([(0.0, 5.0), (100.0, 5.0)]))) == 0
    # A region of no size.
    assert len(corners(np.array([(30.0, 50.0), (30.0, 50.0)]))) == 0


def test_later_shapes_lie_on_top() -> None:
    shapes = Shapes()
    shapes.rect(Rect(0, 0, 5, 5), (1.0, 0.0, 0.0, 1.0))
    shapes.line(np.array([(20.0, 30.0), (40.0, 30.0)]), 2.0, WHITE, WITHIN)
    shapes.rect(Rect(0, 0, 5, 5), (0.0, 0.0, 1.0, 1.0))
    shapes.rect(Rect(5, 0, 5, 5), WHITE)  # nothing
    colors = shapes.vertices()["a_color"][::6, :3].tolist()
    assert colors == [[1, 0, 0], [1, 1, 1], [0, 0, 1]]
