"""Contents of every panel: modes, differences, outlines; against numpy by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from napari_mrisr.comparison.scene import (
    Cutter,
    build_scene,
    difference_limit,
    outline,
    plane_text,
    same_grid,
    tilt_degrees,
)
from napari_mrisr.comparison.state import (
    CompareState,
    Difference,
    Display,
    LineMeasurement,
    OverlayVolume,
    RoiBox,
)
from napari_mrisr.core.frames import AXIAL, CORONAL, PLANES, SAGITTAL, Frame
from napari_mrisr.core.volume import Grid, Volume

WORLD = Frame(np.eye(3))
TURN = Rotation.from_euler("xyz", [12, -8, 20], degrees=True).as_matrix()
SHAPE = (12, 16, 10)
SIZES = (1.0, 1.5, 2.0)
CROSS = (5.2, 10.4, 8.9)  # in voxel 5, 7, 4
TITLES = {"a": "truth", "b": "hashed", "c": "LR"}


def affine_of(rotation=None, sizes=SIZES):
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if rotation is None else rotation) @ np.diag(sizes)
    return affine


@pytest.fixture
def volumes(rng):
    def made(grid):
        return Volume(rng.normal(100, 20, grid.shape).astype(np.float32), grid)

    fine = Grid(SHAPE, affine_of())
    return {"a": made(fine), "b": made(fine), "c": made(fine.degraded((2, 2, 2)))}


@pytest.fixture
def cutter(volumes):
    return Cutter(volumes, WORLD)


def state(**changes):
    looks = {"a": Display("gray", (0.0, 200.0)), "b": Display("gray", (10.0, 210.0))}
    made = CompareState(("a", "b", "c"), looks=looks, crosshair=CROSS, center=(4.0, 9.0, 7.0))
    return replace(made, **changes)


def slices_of(data, index=(5, 7, 4)):
    """Axial, sagittal and coronal as (upward, across)."""
    x, y, z = index
    return [data[:, :, z].T, data[x].T, data[:, y].T]


def test_side_by_side_has_a_row_a_plane_and_a_column_a_volume(volumes, cutter):
    scene = build_scene(state(), cutter, TITLES)
    assert [[panel.plane for panel in row] for row in scene.panels] == [[p] * 3 for p in PLANES]
    for row, a, b in zip(
        scene.panels, slices_of(volumes["a"].data), slices_of(volumes["b"].data), strict=True
    ):
        assert [panel.title for panel in row] == ["truth", "hashed", "LR"]
        assert [panel.column for panel in row] == [0, 1, 2]
        np.testing.assert_array_equal(row[0].pictures[0].cut.values, a)
        np.testing.assert_array_equal(row[1].pictures[0].cut.values, b)
        assert row[1].pictures[0].look.limits == (10.0, 210.0)
        assert row[2].pictures[0].look == Display()  # none was chosen
        assert {panel.blend for panel in row} == {""}
    axial, sagittal, coronal = (row[0] for row in scene.panels)
    assert axial.crosshair == (5.2, 10.4)
    assert sagittal.crosshair == (10.4, 8.9)
    assert coronal.crosshair == (5.2, 8.9)
    assert (axial.center, sagittal.center, coronal.center) == ((4, 9), (9, 7), (4, 7))


def test_chosen_planes_keep_their_order(cutter):
    scene = build_scene(state(planes=("coronal", "axial")), cutter, {})
    assert [row[0].plane for row in scene.panels] == [CORONAL, AXIAL]
    assert scene.panels[0][0].title == "a"  # the key, without a title
    assert [row[0].position for row in scene.panels] == [CROSS[1], CROSS[2]]


def test_what_panels_share_is_passed_on(cutter):
    chosen = state(
        span_mm=77.0,
        radiological=False,
        smooth=True,
        swipe=0.2,
        checker_mm=9,
        crosshair_shown=False,
    )
    scene = build_scene(chosen, cutter, TITLES)
    assert (scene.span_mm, scene.radiological, scene.smooth) == (77.0, False, True)
    assert (scene.swipe, scene.checker_mm, scene.crosshair_shown) == (0.2, 9, False)
    assert scene.tilt_degrees == 0


def test_an_oblique_frame_is_told(volumes):
    assert build_scene(state(), Cutter(volumes, Frame(TURN)), TITLES).tilt_degrees > 10


def test_the_inset_is_outlined_as_a_box_where_the_plane_cuts_it(cutter):
    inset = RoiBox("inset", "ellipsoid", (CROSS[0], CROSS[1], CROSS[2] + 5), (4.0, 6.0, 2.0))
    axial, sagittal, _ = (row[0] for row in build_scene(state(inset=inset), cutter, {}).panels)
    assert axial.inset is None
    assert len(sagittal.inset.points) == 5
    assert np.ptp(sagittal.inset.points, axis=0).tolist() == pytest.approx([6.0, 2.0])


@pytest.mark.parametrize(("mode", "sign"), [("swipe", "|"), ("checkerboard", "▚")])
def test_modes_that_blend_a_pair(volumes, cutter, mode, sign):
    scene = build_scene(state(mode=mode, pair=(2, 0)), cutter, TITLES)
    ((axial, sagittal, coronal),) = scene.panels
    assert (axial.plane, sagittal.plane, coronal.plane) == PLANES
    assert axial.title == f"LR {sign} truth"
    assert axial.blend == mode
    assert axial.column == 2
    first, second = coronal.pictures
    assert (first.title, second.title) == ("LR", "truth")
    np.testing.assert_array_equal(first.cut.values, slices_of(volumes["c"].data, (2, 3, 2))[2])
    np.testing.assert_array_equal(second.cut.values, slices_of(volumes["a"].data)[2])


def test_flicker_shows_one_of_the_pair(volumes, cutter):
    for second, key in ((False, "b"), (True, "a")):
        chosen = state(mode="flicker", pair=(1, 0), flicker_second=second)
        (row,) = build_scene(chosen, cutter, TITLES).panels
        assert {panel.title for panel in row} == {TITLES[key]}
        assert {panel.column for panel in row} == {"abc".index(key)}
        for panel, expected in zip(row, slices_of(volumes[key].data), strict=True):
            (picture,) = panel.pictures
            assert panel.blend == ""
            np.testing.assert_array_equal(picture.cut.values, expected)


def test_one_panel_maximized(cutter):
    pair = Difference("b", "a", limit=5.0)
    ((only,),) = build_scene(
        state(differences=(pair,), maximized=("sagittal", 3)), cutter, TITLES
    ).panels
    assert (only.plane, only.column, only.title) == (SAGITTAL, 3, "hashed − truth")
    ((only,),) = build_scene(state(mode="swipe", maximized=("axial", 0)), cutter, TITLES).panels
    assert (only.plane, len(only.pictures)) == (AXIAL, 2)
    assert build_scene(state(maximized=("axial", 9)), cutter, TITLES).panels == ()


def test_differences_on_one_grid_are_voxel_by_voxel(volumes, cutter):
    pairs = (Difference("b", "a", limit=50.0), Difference("b", "a", absolute=True, limit=40.0))
    scene = build_scene(state(differences=pairs), cutter, TITLES)
    for row, expected in zip(
        scene.panels, slices_of(volumes["b"].data - volumes["a"].data), strict=True
    ):
        signed, absolute = row[3], row[4]
        np.testing.assert_array_equal(signed.pictures[0].cut.values, expected)
        np.testing.assert_array_equal(absolute.pictures[0].cut.values, np.abs(expected))
    assert (signed.title, absolute.title) == ("hashed − truth", "|hashed − truth|")
    assert (signed.column, absolute.column) == (3, 4)
    assert signed.pictures[0].look == Display("RdBu_r", (-50.0, 50.0))
    assert absolute.pictures[0].look.limits == (0.0, 40.0)
    assert (signed.pictures[0].kind, absolute.pictures[0].kind) == ("signed", "absolute")


@pytest.mark.parametrize(("minuend", "subtrahend"), [("a", "c"), ("c", "a")])
def test_differences_across_grids_interpolate_at_the_minuend_s_voxels(
    volumes, cutter, minuend, subtrahend
):
    first, second = volumes[minuend], volumes[subtrahend]
    voxel = np.floor(np.linalg.inv(first.grid.affine) @ [*CROSS, 1.0] + 0.5)[:3].astype(int)
    index = np.moveaxis(np.indices(first.grid.shape), 0, -1)
    world = apply_affine(first.grid.affine, index)
    there = apply_affine(np.linalg.inv(second.grid.affine), world)
    found = map_coordinates(
        second.data.astype(float), np.moveaxis(there, -1, 0), order=1, mode="nearest"
    )
    expected = slices_of(first.data - found, voxel)
    for plane, values in zip(PLANES, expected, strict=True):
        made = cutter.difference(Difference(minuend, subtrahend), plane, CROSS[plane.normal])
        np.testing.assert_allclose(made.values, values, atol=1e-4)


def test_a_difference_is_unknown_where_either_is(volumes):
    """The second covers half of the first."""
    half = volumes["b"].cropped((0, 0, 0), (6, 16, 10))
    made = Cutter({"a": volumes["a"], "h": half}, WORLD).difference(
        Difference("a", "h"), AXIAL, CROSS[2]
    )
    np.testing.assert_array_equal(np.isnan(made.values), np.tile(np.arange(12) >= 6, (16, 1)))
    away = Cutter({"a": volumes["a"]}, WORLD).difference(Difference("a", "a"), AXIAL, 99.0)
    assert away is None


@pytest.mark.parametrize("frame", [WORLD, Frame(TURN)], ids=["world", "turned"])
def test_on_one_grid_the_difference_is_that_of_the_voxels_shown(rng, frame):
    grid = Grid(SHAPE, affine_of(TURN))
    volumes = {key: Volume(rng.normal(9, 2, SHAPE).astype(np.float32), grid) for key in "ab"}
    cutter = Cutter(volumes, frame)
    place = frame.from_world(apply_affine(grid.affine, [6, 8, 5]))
    for plane in PLANES:
        position = place[plane.normal]
        a, b = (cutter.volume(key, plane, position).values for key in "ab")
        made = cutter.difference(Difference("a", "b"), plane, position)
        np.testing.assert_array_equal(made.values, a - b)
        assert np.isfinite(made.values).any()


def test_an_oblique_ramp_less_its_coarse_self_is_zero_inside(rng):
    """A linear ramp is known exactly by interpolation, on whatever grid."""

    def ramp(grid):
        world = apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
        return Volume((world @ [1.0, -2.0, 0.5]).astype(np.float32), grid)

    oblique = Grid(SHAPE, affine_of(TURN))
    coarse = Grid((8, 8, 8), affine_of(sizes=(2.0, 3.0, 3.0)))
    cutter = Cutter({"a": ramp(oblique), "b": ramp(coarse)}, WORLD)
    target = apply_affine(oblique.affine, [6, 8, 5])
    made = cutter.difference(Difference("a", "b"), AXIAL, target[2])
    row = np.abs(made.centers()[1] - target[1]).argmin()
    column = np.abs(made.centers()[0] - target[0]).argmin()
    assert abs(made.values[row, column]) < 1e-4


def test_cuts_are_kept_until_the_voxel_changes(cutter):
    first = cutter.volume("a", AXIAL, 8.9)
    assert cutter.volume("a", AXIAL, 7.1) is first
    assert cutter.volume("a", AXIAL, 6.9) is not first
    pair = Difference("b", "a")
    assert cutter.difference(pair, AXIAL, 8.9) is cutter.difference(pair, AXIAL, 7.1)


def test_old_cuts_are_dropped_and_used_ones_cuts(volumes, monkeypatch):
    monkeypatch.setattr("napari_mrisr.comparison.scene._MAX_CUTS", 4)
    cutter = Cutter(volumes, WORLD)
    used = cutter.volume("a", AXIAL, 8.9)
    dropped = cutter.volume("a", SAGITTAL, 0.0)
    for x in range(1, 7):
        cutter.volume("a", SAGITTAL, float(x))
        assert cutter.volume("a", AXIAL, 8.9) is used
    assert cutter.volume("a", SAGITTAL, 0.0) is not dropped


def test_same_grid_means_the_same_places(volumes):
    grid = volumes["a"].grid
    assert same_grid(volumes["a"], volumes["b"])
    assert not same_grid(volumes["a"], volumes["c"])
    moved = affine_of()
    moved[0, 3] = 0.1
    assert not same_grid(volumes["a"], Volume(volumes["a"].data, Grid(grid.shape, moved)))


def test_a_limit_covers_nearly_all_differences_of_the_three_cuts(volumes, cutter):
    pair = Difference("b", "a")
    limit = difference_limit(cutter, pair, CROSS)
    every = np.concatenate(
        [np.abs(c).ravel() for c in slices_of(volumes["b"].data - volumes["a"].data)]
    )
    assert limit == pytest.approx(np.percentile(every, 99.5), rel=1e-5)
    assert difference_limit(cutter, Difference("a", "a"), CROSS) == 1.0
    assert difference_limit(cutter, pair, (99.0, 99.0, 99.0)) == 1.0


def test_the_outline_of_a_box():
    roi = RoiBox("r", "box", (5.0, 6.0, 7.0), (4.0, 2.0, 6.0))
    axial = outline(roi, WORLD, AXIAL, 8.0).points
    assert (axial[0] == axial[-1]).all()
    assert {tuple(p) for p in axial} == {(3.0, 5.0), (7.0, 5.0), (7.0, 7.0), (3.0, 7.0)}
    sagittal = outline(roi, WORLD, SAGITTAL, 5.0).points
    assert sagittal.min(axis=0).tolist() == [5.0, 4.0]
    assert sagittal.max(axis=0).tolist() == [7.0, 10.0]
    assert outline(roi, WORLD, AXIAL, 10.1) is None
    assert outline(roi, WORLD, SAGITTAL, 2.9) is None


def test_the_outline_of_an_ellipsoid_is_its_section():
    """Every point of the border fulfills the ellipsoid's equation."""
    roi = RoiBox("r", "ellipsoid", (5.0, 6.0, 7.0), (4.0, 2.0, 6.0))
    for plane, position in ((AXIAL, 8.5), (SAGITTAL, 4.0), (CORONAL, 6.9)):
        points = outline(roi, WORLD, plane, position).points
        whole = np.empty((len(points), 3))
        whole[:, [plane.across, plane.upward]] = points
        whole[:, plane.normal] = position
        sums = (((whole - roi.center) / (np.array(roi.size) / 2)) ** 2).sum(axis=1)
        np.testing.assert_allclose(sums, 1.0)
        assert np.ptp(np.arctan2(*(points - points.mean(axis=0)).T)) > 5  # all around
    assert outline(roi, WORLD, CORONAL, 7.1) is None


def test_outlines_of_an_oblique_scan_are_about_the_center_in_its_frame(volumes):
    frame = Frame(TURN)
    center = tuple(TURN @ [5.0, 6.0, 7.0])
    roi = RoiBox("r", "box", center, (4.0, 2.0, 6.0), tuple(TURN.ravel()))
    points = outline(roi, frame, AXIAL, 7.0).points
    np.testing.assert_allclose(points.min(axis=0), (3.0, 5.0), atol=1e-9)
    assert outline(roi, frame, AXIAL, 10.1) is None


def test_panels_have_the_outlines_that_their_plane_cuts(cutter):
    here = RoiBox("here", "box", CROSS, (4.0, 4.0, 4.0))
    away = RoiBox("away", "ellipsoid", (CROSS[0], CROSS[1], CROSS[2] + 5), (4.0, 4.0, 4.0))
    scene = build_scene(state(rois=(here, away)), cutter, TITLES)
    names = [[line.name for line in row[1].outlines] for row in scene.panels]
    assert names == [["here"], ["here", "away"], ["here", "away"]]


def test_positions_are_those_of_the_scanner_at_the_crosshair(volumes, cutter):
    texts = [row[0].place for row in build_scene(state(), cutter, TITLES).panels]
    assert texts == ["S 8.9 mm", "R 5.2 mm", "A 10.4 mm"]
    assert [plane_text(p, -4.0) for p in PLANES] == ["I 4.0 mm", "L 4.0 mm", "P 4.0 mm"]
    turned = Frame(TURN)
    oblique = Volume(volumes["a"].data, Grid(SHAPE, affine_of(TURN)))
    cross = tuple(TURN @ CROSS)
    made = build_scene(
        state(columns=("a",), crosshair=cross), Cutter({"a": oblique}, turned), TITLES
    )
    assert made.panels[0][0].place != texts[0]
    assert [row[0].place for row in made.panels] == [
        plane_text(plane, cross[plane.normal]) for plane in PLANES
    ]
    angle = np.degrees(Rotation.from_matrix(TURN).magnitude())
    assert made.tilt_degrees == pytest.approx(angle)
    assert tilt_degrees(WORLD) == 0.0


def test_a_mosaic_has_every_nth_slice_in_order(volumes, cutter):
    made = build_scene(state(mode="mosaic", mosaic_step=3, planes=("coronal",)), cutter, TITLES)
    panels = [panel for row in made.panels for panel in row]
    indices = [0, 3, 6, 9, 12, 15]
    assert [panel.position for panel in panels] == pytest.approx([1.5 * i for i in indices])
    for panel, i in zip(panels, indices, strict=True):
        np.testing.assert_array_equal(panel.pictures[0].cut.values, volumes["a"].data[:, i].T)
    # The slice nearest to the crosshair, y = 10.4 mm, has its lines.
    assert [panel.crosshair is not None for panel in panels] == [i == 6 for i in indices]
    second = build_scene(state(mode="mosaic", pair=(1, 0)), cutter, TITLES)
    assert second.panels[0][0].title == "hashed"
    assert sum(map(len, second.panels)) == 10


def test_a_slab_is_projected_and_named(volumes, cutter):
    made = build_scene(state(slab_mm=8.0, slab="minimum"), cutter, TITLES)
    axial = made.panels[0][0]
    expected = volumes["a"].data[:, :, 2:7].min(axis=2).T
    np.testing.assert_array_equal(axial.pictures[0].cut.values, expected)
    assert axial.place == "S 8.9 mm, minimum of 8 mm"


@pytest.mark.parametrize(("projection", "merge"), [("maximum", np.max), ("mean", np.mean)])
def test_a_slab_of_a_difference_is_projected_from_its_slices(volumes, cutter, projection, merge):
    pair = Difference("b", "a", absolute=True, limit=9.0)
    what = state(columns=("a",), differences=(pair,), slab_mm=8.0, slab=projection)
    axial = build_scene(what, cutter, TITLES).panels[0][1]
    expected = merge(np.abs(volumes["b"].data - volumes["a"].data)[:, :, 2:7], axis=2).T
    np.testing.assert_allclose(axial.pictures[0].cut.values, expected, rtol=1e-5)
    assert axial.place == f"S 8.9 mm, {projection} of 8 mm"


def test_an_overlay_lies_on_volumes_not_on_differences(volumes, cutter):
    over = OverlayVolume("b", Display("magma", (0.0, 50.0)), 0.3, 10.0)
    what = state(columns=("a",), differences=(Difference("b", "a", limit=9.0),), overlay=over)
    made = build_scene(what, cutter, TITLES)
    for row, values in zip(made.panels, slices_of(volumes["b"].data), strict=True):
        np.testing.assert_array_equal(row[0].over.cut.values, values)
        assert (row[0].over.opacity, row[0].over.lowest) == (0.3, 10.0)
        assert row[1].over is None


def test_measurements_appear_in_their_plane_only(cutter):
    z = CROSS[2]
    ruler = LineMeasurement(((1.0, 2.0, z), (4.0, 6.0, z)))
    corner = LineMeasurement(((1.0, 2.0, z), (1.0, 6.0, z), (5.0, 6.0, z)))
    assert (ruler.value, ruler.text) == (5.0, "5.0 mm")
    assert corner.text == "90.0°"
    made = build_scene(state(measurements=(ruler, corner)), cutter, TITLES)
    assert [[line.text for line in row[1].lines] for row in made.panels] == [
        ["5.0 mm", "90.0°"], [], [],
    ]  # fmt: skip
    np.testing.assert_allclose(made.panels[0][0].lines[0].points, [(1, 2), (4, 6)])
    off = build_scene(state(measurements=(ruler,), crosshair=(5.2, 10.4, z + 3)), cutter, TITLES)
    assert off.panels[0][0].lines == ()
