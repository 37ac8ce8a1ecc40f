"""Actions without a window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_mrisr.comparison.opening import opening_state
from napari_mrisr.comparison.roi import BoxRoi
from napari_mrisr.comparison.slices import values_at
from napari_mrisr.comparison.state import (
    CHECKERBOARD,
    FLICKER,
    SIDE_BY_SIDE,
    SWIPE,
    CompareState,
    Difference,
    Display,
    RoiBox,
)
from napari_mrisr.core.frames import AXIAL, CORONAL, SAGITTAL
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.viewer.compare.model.controller import Controller

SHAPE = (20, 24, 30)
SIZE = np.array([1.0, 1.25, 1.5])
START = np.array([-11.0, 17.0, -5.0])


def make(seed: int, turn: np.ndarray | None = None, scale: int = 1) -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if turn is None else turn) @ np.diag(SIZE)
    affine[:3, 3] = START
    data = np.random.default_rng(seed).random(SHAPE, dtype=np.float32) * 100
    grid = Grid(SHAPE, affine)
    return Volume(data[::scale, ::scale, ::scale], grid.degraded((scale,) * 3))


@pytest.fixture
def controller() -> Controller:
    volumes = {"truth": make(1), "lr": make(2, scale=2), "tricubic": make(3), "hashed": make(4)}
    made = Controller(volumes)
    looks = {key: Display("gray", (0.0, 100.0)) for key in volumes}
    made.open(CompareState(columns=("truth", "tricubic", "hashed"), truth="truth", looks=looks))
    return made


@pytest.fixture
def told(controller):
    """Collect the states that a listener receives."""
    states: list[CompareState] = []
    controller.subscribe(states.append)
    return states


def test_opens_with_everything_in_sight(controller):
    span = controller.state.span_mm
    assert max(SIZE * SHAPE) <= span < 1.2 * max(SIZE * SHAPE)
    middle = START + SIZE * (np.array(SHAPE) - 1) / 2
    np.testing.assert_allclose(controller.state.center, middle)
    assert len(controller.scene().panels) == 3


def test_each_action_tells_once_and_only_if_something_changed(controller, told):
    controller.point_at(AXIAL, -3.0, 20.0)
    assert [s.crosshair[:2] for s in told] == [(-3.0, 20.0)]
    controller.point_at(AXIAL, -3.0, 20.0)
    controller.set_columns(controller.state.columns)
    controller.set_mode(SIDE_BY_SIDE)
    assert len(told) == 1


def test_one_that_left_is_told_no_more(controller):
    told: list[CompareState] = []
    listener = told.append
    controller.subscribe(listener)
    controller.unsubscribe(listener)
    controller.fit()
    controller.toggle("smooth")
    assert told == []


def test_crosshair_stays_inside_the_first_column(controller):
    controller.go_to((1000.0, -1000.0, 0.0))
    low, high = START - SIZE / 2, START + SIZE * (np.array(SHAPE) - 0.5)
    x, y, z = controller.state.crosshair
    assert x == pytest.approx(high[0], abs=2e-3)
    assert y == pytest.approx(low[1])
    assert z == 0.0
    assert controller.scene().panels[1][0].pictures[0].cut is not None


@pytest.mark.parametrize(("plane", "axis"), [(AXIAL, 2), (SAGITTAL, 0), (CORONAL, 1)])
def test_steps_go_from_voxel_center_to_voxel_center(controller, plane, axis):
    inside = START + SIZE * (4.3, 5.3, 6.3)
    controller.go_to(tuple(inside))
    controller.step(plane, 2)
    expected = inside.copy()
    expected[axis] = START[axis] + SIZE[axis] * ((4, 5, 6)[axis] + 2)
    np.testing.assert_allclose(controller.state.crosshair, expected)
    controller.step(plane, -100)
    assert controller.state.crosshair[axis] == pytest.approx(START[axis])


def test_arrows_follow_the_screen(controller):
    controller.go_to(tuple(START + 5 * SIZE))
    controller.nudge(AXIAL, 1, 1)
    # Radiological: the patient's left is at the right.
    np.testing.assert_allclose(controller.state.crosshair, START + SIZE * (4, 5, 5), atol=2)
    assert controller.state.crosshair[0] == pytest.approx(START[0] + 4 * SIZE[0])
    controller.toggle("radiological")
    controller.nudge(AXIAL, 1, 0)
    assert controller.state.crosshair[0] == pytest.approx(START[0] + 5 * SIZE[0])


def test_zoom_keeps_what_is_under_the_pointer(controller):
    state = controller.state
    fixed = np.array([-4.0, 25.0])
    before = (fixed - np.array(state.center)[[0, 1]]) / state.span_mm
    controller.zoom(1.7, (AXIAL, *fixed))
    after = controller.state
    assert after.span_mm == pytest.approx(state.span_mm / 1.7)
    np.testing.assert_allclose((fixed - np.array(after.center)[[0, 1]]) / after.span_mm, before)
    assert after.center[2] == state.center[2]


def test_zoom_has_ends(controller):
    controller.zoom(1e9)
    assert controller.state.span_mm > 1
    controller.zoom(1e-9)
    assert controller.state.span_mm < 1e4


def test_pan_moves_the_picture_with_the_pointer(controller):
    x, y, z = controller.state.center
    controller.pan(CORONAL, 3.0, -2.0)
    assert controller.state.center == (x - 3.0, y, z + 2.0)
    controller.fit()
    assert controller.state.center == (x, y, z)


def test_window_of_all_columns_or_one(controller):
    controller.window(1, 0.1, 2.0)
    for key in ("truth", "tricubic", "hashed"):
        assert controller.look(key).limits == pytest.approx((-40.0, 160.0))
    controller.window(1, 0.0, 0.5, alone=True)
    assert controller.look("tricubic").limits == pytest.approx((10.0, 110.0))
    assert controller.look("truth").limits == pytest.approx((-40.0, 160.0))
    controller.toggle("one_window")
    controller.window(0, 0.0, 0.5)
    assert controller.look("hashed").limits == pytest.approx((-40.0, 160.0))
    assert controller.look("truth").limits == pytest.approx((10.0, 110.0))


def test_a_look_set_elsewhere_moves_linked_columns_alike(controller):
    controller.follow_look("tricubic", Display("viridis", (20.0, 70.0), 0.5))
    assert controller.look("tricubic") == Display("viridis", (20.0, 70.0), 0.5)
    assert controller.look("truth").limits == pytest.approx((20.0, 70.0))
    assert controller.look("truth").colormap == "gray"
    # One that is not shown is not linked.
    controller.follow_look("lr", Display("gray", (0.0, 10.0)))
    assert controller.look("truth").limits == pytest.approx((20.0, 70.0))


def test_a_difference_has_limits_of_its_own(controller):
    controller.toggle_difference()
    (one,) = controller.state.differences
    assert (one.minuend, one.subtrahend) == ("tricubic", "truth")
    values = np.abs(controller.volumes["tricubic"].data - controller.volumes["truth"].data)
    assert 0.8 * values.max() < one.limit <= values.max()
    controller.window(3, 0.3, 0.5)
    assert controller.state.differences[0].limit == pytest.approx(one.limit / 2)
    assert controller.look("truth").limits == (0.0, 100.0)
    controller.toggle_difference(absolute=True)
    assert [d.absolute for d in controller.state.differences] == [False, True]
    controller.toggle_difference()
    controller.toggle_difference(absolute=True)
    assert controller.state.differences == ()


def test_truth_is_what_is_subtracted(controller):
    controller.set_pair(2, 0)
    controller.toggle_difference()
    (one,) = controller.state.differences
    assert (one.minuend, one.subtrahend) == ("hashed", "truth")


def test_pairs_in_turn(controller):
    seen = [controller.state.pair]
    for _ in range(3):
        controller.next_pair()
        seen.append(controller.state.pair)
    assert seen == [(0, 1), (0, 2), (1, 2), (0, 1)]
    controller.next_pair(-1)
    assert controller.state.pair == (1, 2)
    controller.set_pair(1, 1)
    controller.set_pair(0, 7)
    assert controller.state.pair == (1, 2)


@pytest.mark.parametrize("mode", [SWIPE, FLICKER, CHECKERBOARD])
def test_modes_need_two_columns(controller, mode):
    assert controller.set_mode(mode)
    assert controller.state.mode == mode
    controller.set_columns(["truth"])
    assert controller.state.mode == SIDE_BY_SIDE
    assert not controller.set_mode(mode)


def test_flicker_by_hand(controller):
    controller.flicker()
    assert (controller.state.mode, controller.state.flicker_second) == (FLICKER, False)
    first = controller.scene().panels[0][0].title
    controller.flicker()
    assert controller.state.flicker_second
    assert (first, controller.scene().panels[0][0].title) == ("truth", "tricubic")


def test_swipe_stays_on_the_panel(controller):
    controller.set_swipe(1.7)
    assert controller.state.swipe == 1.0
    controller.set_swipe(-1.7)
    assert controller.state.swipe == 0.0


def test_maximize_and_back(controller):
    controller.toggle_maximized(CORONAL, 2)
    assert controller.state.maximized == ("coronal", 2)
    assert [len(row) for row in controller.scene().panels] == [1]
    controller.toggle_maximized(CORONAL, 2)
    assert controller.state.maximized is None


def test_a_maximized_difference_that_goes(controller):
    controller.toggle_difference()
    controller.toggle_maximized(AXIAL, 3)
    controller.toggle_difference()
    assert controller.state.maximized is None
    assert controller.scene().panels


def test_columns_keep_a_valid_pair(controller):
    controller.set_pair(1, 2)
    controller.set_mode(SWIPE)
    controller.set_columns(["hashed", "truth"])
    assert controller.state.pair == (0, 1)
    assert controller.state.mode == SWIPE
    controller.set_columns([])
    assert controller.scene().panels == ()
    controller.step(AXIAL, 1)
    controller.fit()
    controller.set_columns(["lr", "lr", "truth"])
    assert controller.state.columns == ("lr", "truth")
    assert len(controller.scene().panels[0]) == 2


def test_five_columns_are_four(controller):
    controller.set_columns(["truth", "lr", "tricubic", "hashed", "truth"])
    assert len(controller.state.columns) == 4


def test_the_frame_is_the_first_columns_and_the_place_stays():
    turn = Rotation.from_euler("xz", (15, -25), degrees=True).as_matrix()
    controller = Controller({"up": make(1), "turned": make(2, turn)})
    controller.open(CompareState(columns=("up", "turned")))
    world = controller.frame.to_world(controller.state.center)
    crosshair = controller.state.crosshair
    controller.set_columns(["turned", "up"])
    np.testing.assert_allclose(controller.frame.rotation, turn, atol=1e-9)
    np.testing.assert_allclose(controller.frame.to_world(controller.state.center), world)
    assert controller.state.crosshair == crosshair


def test_a_volume_that_goes_takes_its_differences(controller, told):
    controller.toggle_difference()
    controller.set_mode(SWIPE)
    told.clear()
    left = {k: v for k, v in controller.volumes.items() if k not in ("tricubic", "hashed")}
    controller.set_volumes(left)
    assert controller.state.columns == ("truth",)
    assert controller.state.differences == ()
    assert controller.state.mode == SIDE_BY_SIDE
    assert len(told) == 1


def test_new_voxels_are_shown(controller):
    at = (AXIAL, 0, 0)
    before = controller.scene().panels[at[1]][at[2]].pictures[0].cut.values
    volumes = dict(controller.volumes)
    volumes["truth"] = replace(volumes["truth"], data=volumes["truth"].data + 7)
    controller.set_volumes(volumes)
    after = controller.scene().panels[0][0].pictures[0].cut.values
    np.testing.assert_allclose(after, before + 7, rtol=1e-5)


def test_a_new_name(controller):
    controller.toggle_difference()
    volumes = {("t" if k == "truth" else k): v for k, v in controller.volumes.items()}
    controller.rename("truth", "t", volumes)
    state = controller.state
    assert state.columns[0] == state.truth == state.differences[0].subtrahend == "t"
    assert state.looks["t"].limits == (0.0, 100.0)
    assert controller.scene().panels[0][0].title == "t"


def test_regions_are_added_replaced_and_dropped(controller):
    assert controller.new_roi_name() == "ROI 1"
    roi = RoiBox("ROI 1", "box", (0.0, 20.0, 0.0), (4.0, 5.0, 6.0))
    controller.put_roi(roi)
    assert controller.new_roi_name() == "ROI 2"
    controller.put_roi(replace(roi, name="ROI 2"))
    controller.set_depth("ROI 1", SAGITTAL, 9.0)
    controller.set_depth("ROI 1", SAGITTAL, -1.0)
    assert controller.roi("ROI 1").size == (9.0, 5.0, 6.0)
    controller.remove_roi("ROI 1")
    assert [r.name for r in controller.state.rois] == ["ROI 2"]
    assert controller.new_roi_name() == "ROI 1"


def test_a_saved_state_opens_as_it_was(controller):
    controller.zoom(3.0)
    controller.toggle_difference()
    controller.point_at(CORONAL, -2.0, 8.0)
    saved = controller.state
    other = Controller(controller.volumes)
    other.restore(saved)
    assert other.state == saved


def test_differences_without_a_limit_get_one(controller):
    controller.set_differences([Difference("hashed", "lr")])
    assert controller.state.differences[0].limit > 0


def test_colors_of_differences_compare(controller):
    controller.toggle_difference()
    controller.window(3, 0.0, 0.25)
    controller.set_pair(0, 2)
    controller.toggle_difference()
    first, second = controller.state.differences
    assert first.limit == second.limit
    controller.window(4, 0.0, 2.0)
    assert [d.limit for d in controller.state.differences] == [first.limit * 2] * 2
    controller.window(4, 0.0, 2.0, alone=True)
    assert [d.limit for d in controller.state.differences] == [first.limit * 2, first.limit * 4]


def test_planes_in_their_order_and_never_none(controller):
    controller.toggle_plane("sagittal")
    assert controller.state.planes == ("axial", "coronal")
    assert len(controller.scene().panels) == 2
    controller.toggle_plane("axial")
    controller.toggle_plane("coronal")
    assert controller.state.planes == ("coronal",)
    controller.toggle_plane("axial")
    assert controller.state.planes == ("axial", "coronal")


def test_regions_are_renamed_and_changes_undone(volumes):
    made = Controller(volumes)
    made.restore(opening_state(volumes, ("truth", "hashed")))
    first = RoiBox("ROI 1", "box", (0.0, 0.0, 0.0), (4.0, 5.0, 6.0))
    made.mark()
    made.put_roi(first)
    made.mark()
    made.put_roi(replace(first, name="ROI 2"))
    assert not made.rename_roi("ROI 1", "ROI 2")
    assert not made.rename_roi("ROI 1", "  ")
    assert made.rename_roi("ROI 1", "pons")
    assert [roi.name for roi in made.state.rois] == ["pons", "ROI 2"]
    made.undo()
    assert [roi.name for roi in made.state.rois] == ["ROI 1", "ROI 2"]
    made.undo()
    assert made.undo()
    assert not made.undo()
    assert made.state.rois == ()
    made.redo()
    made.redo()
    made.redo()
    assert [roi.name for roi in made.state.rois] == ["pons", "ROI 2"]
    assert not made.redo()


def test_presets_of_the_window(volumes):
    made = Controller(volumes)
    made.restore(opening_state(volumes, ("truth", "hashed")))
    data = volumes["truth"].data
    assert made.preset_limits(0, 0.0, 100.0) == (data.min(), data.max())
    low, high = made.preset_limits(0, 1.0, 99.0)
    assert (low, high) == pytest.approx(tuple(np.percentile(data, (1, 99))), abs=0.5)
    box = RoiBox("ROI 1", "box", (0.0, 0.0, 0.0), (6.0, 7.0, 8.0))
    found = BoxRoi(box).select(volumes["truth"].grid)
    inside = data[found.region.slices][found.mask]
    limits = made.preset_limits(0, 1.0, 99.0, BoxRoi(box))
    assert limits == pytest.approx(tuple(np.percentile(inside, (1, 99))), rel=1e-5)
    far = BoxRoi(replace(box, center=(900.0, 0.0, 0.0)))
    assert made.preset_limits(0, 1.0, 99.0, far) is None
    made.set_limits(1, limits)
    assert {made.look(key).limits for key in ("truth", "hashed")} == {limits}
    made.toggle("one_window")
    made.set_limits(1, (3.0, 4.0))
    assert made.look("truth").limits == limits
    made.set_limits(1, (4.0, 3.0))
    assert made.look("hashed").limits == (3.0, 4.0)


def test_cut_along_the_axes_of_another_scan(volumes):
    turn = Rotation.from_euler("x", 20, degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn * 1.2
    affine[:3, 3] = (-15.0, -20.0, -15.0)
    rng = np.random.default_rng(0)
    oblique = Volume(rng.random((24, 30, 26), dtype=np.float32), Grid((24, 30, 26), affine))
    made = Controller({**volumes, "oblique": oblique})
    made.restore(opening_state(made.volumes, ("truth", "oblique")))
    assert not made.frame.is_along(oblique.grid)
    made.set_axes("oblique")
    assert made.frame.is_along(oblique.grid)
    panel = made.scene().panels[0][0]
    # Trilinear at a pixel of the reslice.
    cut = panel.pictures[0].cut
    across, upward = cut.centers()
    i, j = len(upward) // 2, len(across) // 2
    world = made.world_at(AXIAL, across[j], upward[i])
    expected = values_at(volumes["truth"], world, order=1)
    assert cut.values[i, j] == pytest.approx(float(expected), rel=1e-4)
    z = made.state.crosshair
    made.step(AXIAL, 1)
    assert np.linalg.norm(np.subtract(made.state.crosshair, z)) == pytest.approx(0.9, abs=0.01)
    made.set_columns(["truth"])
    assert made.state.axes == "oblique"
    made.set_axes(None)
    assert made.frame.is_along(volumes["truth"].grid)


def test_an_overlay_starts_where_the_map_is_not_zero(volumes):
    support = replace(volumes["hashed"], history={"map": "support: 0 enough, 1 few samples"})
    made = Controller({**volumes, "support": support})
    made.restore(opening_state(volumes, ("truth",)))
    made.set_overlay("support", Display("gray", (0.0, 3.0)))
    over = made.state.overlay
    assert over.look.colormap != "gray"
    assert 0.0 < over.lowest < 1.0
    image = made.scene().panels[0][0].over
    assert image.classes == ((0.0, "enough"), (1.0, "few samples"))
    assert image.percent_of == 0.0
    made.set_overlay(None)
    assert made.scene().panels[0][0].over is None
