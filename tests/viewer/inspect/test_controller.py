"""State of the dock: equal to the API."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import patterns

from napari_mrisr.errors import BankError
from napari_mrisr.inspection import canonical_filter, inspect_voxel, reorient
from napari_mrisr.inspection.filters import output_at
from napari_mrisr.inspection.texts import range_text
from napari_mrisr.viewer.inspect.controller import (
    DIFFERENCE,
    FIRST,
    SECOND,
    UNDER_CURSOR,
    Column,
    Inspector,
    table_csv,
)
from napari_mrisr.viewer.layers.geometry import scale_and_translate


def world_of(grid, index):
    """Return the position of a voxel in napari's world."""
    scale, translate = scale_and_translate(grid)
    shown = np.array(grid.shape[::-1]) - 1 - np.array(index[::-1])
    return tuple(shown * scale + translate)


@pytest.fixture
def at_cells(inspect):
    inspector = Inspector()
    inspector.show(inspect(patterns.noise(), 0))
    return inspector


def test_empty_state():
    inspector = Inspector()
    assert not inspector.point_at((0.0, 0.0, 0.0))
    assert inspector.scene(True, UNDER_CURSOR, FIRST) is None
    inspector.compare(None)


@pytest.mark.parametrize("number", [0, 1])
def test_voxel_facts_equal_the_api(inspect, number):
    inspector = Inspector()
    inspector.show(inspect(patterns.noise(), number))
    source = inspector.inspection.source
    place = (9, 20, 4)
    assert inspector.point_at(world_of(source.grid, place))
    seen = inspect_voxel(source, place)
    assert inspector.voxel.index == place
    assert inspector.bucket == seen.bucket
    assert inspector.voxel_heading == f"Voxel 9, 20, 4: bucket {seen.bucket}"
    facts = {f.name: f.value for f in inspector.voxel_facts}
    assert facts["coherence"] == f"{seen.values['coherence']:.3f}".replace("-", "−")
    assert facts["training samples"] == f"{source.stage.support[seen.bucket]:,}"
    assert not inspector.point_at((999.0, 0.0, 0.0))
    assert inspector.bucket == seen.bucket


def test_the_filter_of_the_sub_voxel_under_the_cursor(at_cells):
    source = at_cells.inspection.source
    fine = source.grid.upsampled((2, 2, 2))
    for sub in ((0, 0, 0), (1, 0, 1), (0, 1, 1)):
        place = tuple(2 * i + s for i, s in zip((9, 20, 4), sub, strict=True))
        at_cells.point_at(world_of(fine, place))
        assert at_cells.voxel.index == (9, 20, 4)
        output = output_at((2, 2, 2), at_cells.voxel.element, sub)
        cube = canonical_filter(source.stage, at_cells.bucket, output)
        scene = at_cells.scene(True, UNDER_CURSOR, FIRST)
        np.testing.assert_array_equal(scene.view.cube, reorient(cube, at_cells.voxel.element))
        assert f"phase {output}" in scene.title
        np.testing.assert_array_equal(at_cells.scene(False, UNDER_CURSOR, FIRST).view.cube, cube)
    assert at_cells.scene(True, 5, FIRST).view.output == 5
    assert "measured voxel" in scene.unit


def test_a_bucket_without_a_voxel(at_cells):
    at_cells.choose(40)
    scene = at_cells.scene(True, UNDER_CURSOR, FIRST)
    source = at_cells.inspection.source
    np.testing.assert_array_equal(scene.view.cube, canonical_filter(source.stage, 40, 0))
    assert scene.view.element is None
    assert at_cells.bucket_line.startswith("Bucket 40: elevation")
    facts = {f.name: f.value for f in at_cells.bucket_facts}
    assert facts["coherence"] == range_text(
        "coherence", *source.stage.spec.hash.decode(40)["coherence"]
    )
    assert facts["training samples"] == f"{source.stage.support[40]:,}"


def test_second_bank_and_difference(at_cells):
    second = patterns.planted_bank(seed=9)
    at_cells.compare(second)
    at_cells.choose(40)
    first = canonical_filter(at_cells.inspection.source.stage, 40, 2)
    other = canonical_filter(second.stages[0], 40, 2)
    np.testing.assert_array_equal(at_cells.scene(True, 2, SECOND).view.cube, other)
    difference = at_cells.scene(True, 2, DIFFERENCE)
    np.testing.assert_allclose(difference.view.cube, other - first)
    assert "planted − planted" in difference.title
    assert [c.name for c in at_cells.columns][-1] == "support_ratio"
    at_cells.point_at(world_of(at_cells.inspection.source.grid, (9, 20, 4)))
    e, b = at_cells.voxel.element, at_cells.bucket
    expected = canonical_filter(second.stages[0], b, 2) - canonical_filter(
        at_cells.inspection.source.stage, b, 2
    )
    np.testing.assert_allclose(
        at_cells.scene(True, 2, DIFFERENCE).view.cube, reorient(expected, e), atol=1e-6
    )
    with pytest.raises(BankError, match="scale"):
        at_cells.compare(patterns.planted_bank(scale=(3, 3, 3)))
    assert at_cells.comparison is None
    assert at_cells.columns[-1].name == "error"


def test_the_table_is_saved_in_full():
    columns = [
        Column("bucket", "Bucket", "", np.arange(3)),
        Column("gain", "Gain, dB", "", np.array([1.23456789, np.nan, -0.5]), 2),
    ]
    lines = table_csv(columns, "=bank stage 1").splitlines()
    assert lines == ["'=bank stage 1", 'Bucket,"Gain, dB"', "0,1.23456789", "1,", "2,-0.5"]
