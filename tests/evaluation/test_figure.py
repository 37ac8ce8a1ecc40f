"""Figure of an evaluation: columns, captions, shared windows."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.figures import assert_texts_apart

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import ParameterError
from napari_mrisr.evaluation.figure import comparison_figure

SHAPE = (40, 52, 30)
VOXEL = (1.0, 1.25, 2.0)


@pytest.fixture
def volumes(rng):
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    inside = sum(a**2 for a in axes) < 0.7
    data = np.where(inside, 100 + 20 * rng.random(SHAPE), 0.0).astype(np.float32)
    affine = np.diag([*VOXEL, 1.0])
    affine[:3, 3] = -20, -30, -25
    grid = Grid(SHAPE, affine)
    brighter, darker = Volume(data + np.float32(3), grid), Volume(data - np.float32(1), grid)
    return {"reference": Volume(data, grid), "tricubic": brighter, "hashed": darker}


def panels(figure):
    """Rows of image panels, top to bottom, each from left to right."""
    axes = [a for a in figure.axes if a.images]
    rows = sorted({round(a.get_position().y1, 4) for a in axes}, reverse=True)
    return [
        sorted(
            (a for a in axes if round(a.get_position().y1, 4) == row),
            key=lambda a: a.get_position().x0,
        )
        for row in rows
    ]


def test_rows_are_planes_and_columns_reference_results_and_differences(volumes):
    grid = panels(comparison_figure(volumes))
    assert [len(row) for row in grid] == [5, 5, 5]
    titles = [a.get_title().replace("\n", " ") for a in grid[0]]
    assert titles == [*volumes, "tricubic − reference", "hashed − reference"]
    names = [row[0].get_ylabel().split(",")[0] for row in grid]
    assert names == ["axial", "sagittal", "coronal"]
    for row in grid:
        np.testing.assert_allclose(row[3].images[0].get_array(), 3.0, rtol=1e-4)
        np.testing.assert_allclose(row[4].images[0].get_array(), -1.0, rtol=1e-4)


def test_images_share_a_window_and_differences_a_symmetric_range(volumes):
    bright = Volume(volumes["hashed"].data * 3, volumes["hashed"].grid)
    grid = panels(comparison_figure({**volumes, "hashed": bright}))
    assert len({axes.images[0].get_clim() for row in grid for axes in row[:3]}) == 1
    ranges = {axes.images[0].get_clim() for row in grid for axes in row[3:]}
    assert len(ranges) == 1
    low, high = ranges.pop()
    assert low == -high


def test_equal_volumes_are_drawn(volumes):
    reference = volumes["reference"]
    figure = comparison_figure({"reference": reference, "same": reference})
    assert panels(figure)[0][2].images[0].get_clim() == (-1.0, 1.0)


def test_captions_title_and_notes_are_printed(volumes):
    figure = comparison_figure(
        volumes, captions={"hashed": "30.12 dB"}, title="sub-01, 2×", notes=["Protocol standard."]
    )
    words = "\n".join(text.get_text() for text in figure.texts)
    for part in ("sub-01, 2×", "Protocol standard.", "Radiological", "not for diagnosis"):
        assert part in words
    assert "30.12 dB" in [text.get_text() for text in panels(figure)[0][2].texts]
    bars = [a.get_xlabel() for a in figure.axes if not a.images and a.get_xlabel()]
    assert bars == ["intensity (scan's units)", "difference (scan's units)"]


def test_volumes_must_be_on_one_grid(volumes):
    reference = volumes["reference"]
    other = Volume(np.zeros((3, 4, 5), np.float32), Grid((3, 4, 5), np.eye(4)))
    with pytest.raises(ParameterError, match=r"other \(3, 4, 5\) is not on the grid of reference"):
        comparison_figure({"reference": reference, "other": other})
    with pytest.raises(ParameterError, match="only 1 volume"):
        comparison_figure({"reference": reference})


@pytest.mark.parametrize("shape", [(40, 52, 30), (60, 50, 4), (4, 50, 60), (50, 4, 60)])
def test_no_two_texts_overlap_and_none_leaves_the_page(shape, rng):
    reference = Volume(100 * rng.random(shape, dtype=np.float32), Grid(shape, np.eye(4)))
    volumes = dict.fromkeys(("reference", "tricubic", "hashed"), reference)
    captions = dict.fromkeys(volumes, "30.12 dB / 0.9876")
    figure = comparison_figure(volumes, captions=captions, title="t", notes=["word " * 60])
    assert_texts_apart(figure)
