"""Pictures: no text cut off, values under the mouse, drawing from several threads."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
from matplotlib.text import Text

from napari_mrisr.explain.draw import draw_step, new_figure, picture_of
from napari_mrisr.explain.sheet import ON_DARK, ON_LIGHT
from napari_mrisr.explain.steps import KEYS, step_of

SIZES = [(3.6, 2.6), (4.5, 5.5), (7.4, 3.6)]


@pytest.mark.parametrize(
    ("which", "size", "keys"),
    [
        ("cascade", SIZES[0], KEYS),
        ("cascade", SIZES[1], KEYS[3:6]),
        ("cascade", SIZES[2], KEYS[6:]),
        ("paper", SIZES[0], KEYS[5:]),
        ("flat", SIZES[0], ("ellipsoid", "bucket", "filter")),
    ],
)
def test_no_text_is_cut_off(which, size, keys, request):
    found = request.getfixturevalue(which)
    for key in keys:
        step = step_of(found, key, 0)
        figure = new_figure(*size, 100)
        draw_step(figure, found, step, ON_DARK, (0, 0, *size))
        renderer = figure.canvas.get_renderer()
        for text in figure.findobj(Text):
            if not text.get_text() or not text.get_visible():
                continue
            box = text.get_window_extent(renderer)
            inside = box.x0 > -3 and box.y0 > -3
            inside &= box.x1 < 100 * size[0] + 3 and box.y1 < 100 * size[1] + 3
            assert inside, (step.key, text.get_text(), box)


def middle_values(cells):
    """Return the value at the center of each grid of squares."""
    found = []
    for entry in cells:
        left, bottom, width, height = entry.rect
        found.append(entry.at(left + width / 2, bottom + height / 2))
    return found


def test_values_under_the_mouse(cascade):
    size = (400, 330)
    stage = cascade.stages[0]
    scan = picture_of(cascade, step_of(cascade, "scan", 0), ON_DARK, size, 100)
    assert scan.pixels.shape == (330, 400, 4)
    assert middle_values(scan.cells) == [pytest.approx(float(cascade.lr_patch[2, 2, 2]))] * 3
    tensor = picture_of(cascade, step_of(cascade, "tensor", 0), ON_DARK, size, 100)
    weights, matrix = tensor.cells
    np.testing.assert_allclose(matrix.values, stage.tensor)
    assert middle_values([weights])[0] == pytest.approx(stage.gradients.weights.max())
    filters = picture_of(cascade, step_of(cascade, "filter", 0), ON_LIGHT, size, 100)
    products = [entry.values.sum() for entry in filters.cells if entry.name == "product"]
    assert sum(products) == pytest.approx(stage.sum)
    assert {entry.name for entry in filters.cells} == {"difference", "filter", "product"}
    output = picture_of(cascade, step_of(cascade, "output", 0), ON_LIGHT, size, 100)
    assert middle_values(output.cells) == pytest.approx(
        [cascade.tricubic, cascade.output, cascade.truth]
    )
    assert output.cells[0].at(0.999, 0.001) is None


def test_background_is_transparent(cascade):
    picture = picture_of(cascade, step_of(cascade, "bucket", 0), ON_LIGHT, (360, 260), 100)
    opacity = picture.pixels[..., 3]
    assert opacity[0, 0] == 0
    assert opacity.max() == 255


def test_without_an_equation_the_picture_is_larger(cascade):
    step = step_of(cascade, "filter", 0)
    with_, without = (
        picture_of(cascade, s, ON_DARK, (360, 260), 100)
        for s in (step, dataclasses.replace(step, equation=""))
    )
    assert without.cells[0].rect[3] > with_.cells[0].rect[3]


def test_several_threads_draw_the_same(cascade):
    step = step_of(cascade, "features", 0)
    alone = picture_of(cascade, step, ON_DARK, (360, 260), 100).pixels
    made: list[np.ndarray] = []

    def draw() -> None:
        made.append(picture_of(cascade, step, ON_DARK, (360, 260), 100).pixels)

    threads = [threading.Thread(target=draw) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2
    for pixels in made:
        np.testing.assert_array_equal(pixels, alone)
