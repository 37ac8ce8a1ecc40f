"""Orientation on the screen: bright blocks in a dark head, found in screenshots."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.viewer.layers.convert import layer_data

SHAPE = (40, 48, 56)

# Fractions of the field of view along x, y, z (RAS): a block toward one side each.
SIDES = {
    "right": (0.85, 0.5, 0.5),
    "left": (0.15, 0.5, 0.5),
    "anterior": (0.5, 0.85, 0.5),
    "posterior": (0.5, 0.15, 0.5),
    "superior": (0.5, 0.5, 0.85),
    "inferior": (0.5, 0.5, 0.15),
}

# napari's order of axes for each plane; what is seen left and on top there.
PLANES = {
    "axial": ((0, 1, 2), "right", "anterior"),
    "coronal": ((1, 0, 2), "right", "superior"),
    "sagittal": ((2, 0, 1), "anterior", "superior"),
}


def head_with(side: str) -> Volume:
    data = np.full(SHAPE, 10, np.float32)
    center = [int(f * n) for f, n in zip(SIDES[side], SHAPE, strict=True)]
    data[tuple(slice(c - 3, c + 4) for c in center)] = 100
    return Volume(data, Grid(SHAPE, np.diag([1.0, 1.1, 0.9, 1.0])))


def brightest(picture: np.ndarray) -> tuple[float, float]:
    """Return the center of the bright pixels: fraction from the left, and from the top."""
    rows, columns = np.nonzero(picture[..., :3].mean(axis=-1) > 150)
    assert rows.size, "nothing bright is on the screen"
    return columns.mean() / picture.shape[1], rows.mean() / picture.shape[0]


@pytest.fixture
def shoot(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(600, 480)

    def take(volume: Volume, order: tuple[int, ...], ndisplay: int = 2) -> np.ndarray:
        viewer.layers.clear()
        data, kwargs, _ = layer_data(volume, "head")
        viewer.add_image(data, **kwargs)
        viewer.dims.ndisplay = ndisplay
        viewer.dims.order = order
        viewer.reset_view()
        qtbot.wait(50)
        return viewer.screenshot(canvas_only=True, flash=False)

    return take


@pytest.mark.parametrize("plane", PLANES)
def test_planes_look_as_a_radiologist_expects(shoot, plane):
    order, at_left, on_top = PLANES[plane]
    x, _ = brightest(shoot(head_with(at_left), order))
    assert x < 0.45
    _, y = brightest(shoot(head_with(on_top), order))
    assert y < 0.4


def test_axial_is_what_is_seen_first(shoot):
    x, y = brightest(shoot(head_with("left"), (0, 1, 2)))
    assert x > 0.55
    assert y == pytest.approx(0.5, abs=0.05)
    x, y = brightest(shoot(head_with("posterior"), (0, 1, 2)))
    assert x == pytest.approx(0.5, abs=0.05)
    assert y > 0.6


def test_the_slider_goes_toward_the_feet(make_napari_viewer):
    viewer = make_napari_viewer()
    data, kwargs, _ = layer_data(head_with("superior"), "head")
    layer = viewer.add_image(data, **kwargs)
    assert viewer.dims.axis_labels == ("inferior", "posterior", "left")
    world = layer.data_to_world(np.unravel_index(layer.data.argmax(), layer.data.shape))
    assert world[0] < viewer.dims.point[0]


def test_3d_is_not_mirrored(shoot):
    """Seen from the feet with the face up, the patient's right is at the left."""
    x, _ = brightest(shoot(head_with("right"), (0, 1, 2), ndisplay=3))
    assert x < 0.45
    _, y = brightest(shoot(head_with("anterior"), (0, 1, 2), ndisplay=3))
    assert y < 0.4
    near = (shoot(head_with("inferior"), (0, 1, 2), ndisplay=3)[..., 0] > 150).sum()
    far = (shoot(head_with("superior"), (0, 1, 2), ndisplay=3)[..., 0] > 150).sum()
    assert near >= far
