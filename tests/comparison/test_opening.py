"""First look of a comparison."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_mrisr.comparison.opening import (
    Choice,
    choose,
    column_labels,
    neutral_labels,
    opening_state,
    possible_references,
)
from napari_mrisr.comparison.state import Difference
from napari_mrisr.core.frames import Frame
from napari_mrisr.core.volume import Grid, Volume

SHAPE = (60, 72, 54)
HEAD = np.array([34.0, 30.0, 28.0])  # voxel in the middle of the head
RADII = np.array([18.0, 24.0, 15.0])


def head(gain=1.0, rotation=None, seed=0):
    index = np.moveaxis(np.indices(SHAPE), 0, -1)
    inside = (((index - HEAD) / RADII) ** 2).sum(axis=-1) < 1
    noise = np.random.default_rng(seed).uniform(0.9, 1.1, SHAPE)
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if rotation is None else rotation) @ np.diag([1.0, 1.2, 1.5])
    affine[:3, 3] = -30, -40, -20
    return Volume((100 * gain * inside * noise).astype(np.float32), Grid(SHAPE, affine))


@pytest.mark.parametrize("angle", [0, 20])
def test_the_crosshair_is_in_the_head_and_the_head_in_sight(angle):
    volume = head(rotation=Rotation.from_euler("x", angle, degrees=True).as_matrix())
    state = opening_state({"a": volume}, ["a"])
    middle = (volume.grid.affine @ [*HEAD, 1.0])[:3]
    frame = Frame.of(volume.grid)
    off = frame.from_world(np.array(state.crosshair) - middle)
    assert off[0] == pytest.approx(0.07 * 36, abs=1.0)  # aside from the midline
    assert off[1:] == pytest.approx([0, 0], abs=1.0)
    assert state.center == pytest.approx(tuple(frame.from_world(middle)), abs=2.0)
    assert 48 * 1.2 < state.span_mm < 48 * 1.2 + 17


def test_volumes_of_one_contrast_share_a_window_and_others_have_their_own():
    volumes = {"a": head(), "b": head(1.1, seed=1), "c": head(10.0)}
    looks = opening_state(volumes, ["a", "b", "c"]).looks
    assert looks["a"].limits == looks["b"].limits
    assert looks["a"].limits == pytest.approx((0, 109.9), abs=0.5)
    assert looks["c"].limits == pytest.approx((0, 1099), abs=5)


def test_roles_and_differences_are_passed_on_and_limits_measured():
    volumes = {"a": head(), "b": head(1.05)}
    pairs = (Difference("b", "a"), Difference("b", "a", limit=7.0))
    state = opening_state(volumes, ["a"], "a", "b", pairs)
    assert (state.columns, state.truth, state.measured) == (("a",), "a", "b")
    assert state.differences[0].limit == pytest.approx(5.5, abs=0.3)
    assert state.differences[1].limit == 7.0


def test_an_empty_volume_is_shown():
    blank = Volume(np.zeros(SHAPE, np.float32), head().grid)
    state = opening_state({"a": blank}, ["a"])
    assert state.span_mm > 0
    assert np.isfinite(state.crosshair).all()


def made(size=1.0, **history):
    """A small volume of 24 mm along each axis."""
    n = round(24 / size)
    affine = np.diag([size, size, size, 1.0])
    affine[:3, 3] = size / 2
    return Volume(np.zeros((n, n, n), np.float32), Grid((n, n, n), affine), history=history)


SIMULATED = {
    "scan": made(),
    "hashed one": made(method="hashed", degraded_by="2"),
    "scan LR": made(2, degraded_by="2"),
    "cubic": made(method="tricubic", degraded_by="2"),
}


def test_the_volume_that_a_scan_was_simulated_from_is_the_reference():
    everything = ("scan", "scan LR", "cubic", "hashed one")
    assert choose(SIMULATED) == Choice(everything, "scan", "scan LR")
    without_low = {key: SIMULATED[key] for key in ("scan", "cubic")}
    assert choose(without_low) == Choice(("scan", "cubic"), "scan", None)


def test_a_scan_coarser_than_its_results_is_the_measured_one_not_the_reference():
    volumes = {"scan": made(2), "a": made(method="tricubic"), "b": made(method="hashed")}
    assert choose(volumes) == Choice(("scan", "a", "b"), None, "scan")
    named = {"t1": made(2), "t1_hashed": made()}
    assert choose(named) == Choice(("t1", "t1_hashed"), None, "t1")


def test_an_original_that_nothing_was_simulated_from_is_no_reference():
    volumes = {"t1_hashed": made(), "t1": made(), "t1_tricubic": made()}
    assert choose(volumes) == Choice(("t1", "t1_tricubic", "t1_hashed"), None, None)


@pytest.mark.parametrize(
    "name",
    [
        "t1_desc-sr2xexperr_T1w.nii.gz",
        "high_desc-support.nii",
        "consistency, scan's units: t1",
        "expected RMSE, scan's units: t1",
        "support: t1",
    ],
)
def test_trust_maps_have_no_role_and_no_column(name):
    assert choose({**SIMULATED, name: made()}) == choose(SIMULATED)
    assert choose({**SIMULATED, "any": made(map="support")}) == choose(SIMULATED)


@pytest.mark.parametrize(
    ("sizes", "choice"),
    [
        ({}, Choice((), None, None)),
        (dict.fromkeys("abcde", 1), Choice(("a", "b", "c", "d"), None, None)),
        ({"t1": 1, "t1 LR 2x": 2}, Choice(("t1 LR 2x", "t1"), None, "t1 LR 2x")),
        ({"LR": 2, "LR network 2x": 1}, Choice(("LR", "LR network 2x"), None, "LR")),
        ({"LR": 2, "LR tricubic 2x": 1}, Choice(("LR", "LR tricubic 2x"), None, "LR")),
        ({"a": 1, "b": 1, "x hashed": 1}, Choice(("a", "x hashed"), None, None)),
        ({"hashed/t1.nii": 2, "t1_hashed.nii": 1},
         Choice(("hashed/t1.nii", "t1_hashed.nii"), None, "hashed/t1.nii")),
    ],
)  # fmt: skip
def test_names_tell_the_roles_of_volumes_without_a_history(sizes, choice):
    assert choose({name: made(size) for name, size in sizes.items()}) == choice


def test_the_scan_that_the_newest_result_was_computed_from_is_the_measured_one():
    volumes = {"a": made(2), "b": made(2), "x": made(method="hashed"), "y": made(method="nearest")}
    assert choose(volumes).measured is None
    assert choose(volumes, {"x": "a", "y": "b"}).measured == "b"
    assert choose(volumes, {"x": "a"}).measured == "a"
    assert choose(volumes, {"x": "gone"}).measured is None


def test_the_source_of_a_simulated_scan_is_the_reference_even_of_results_of_results():
    volumes = {
        "other": made(),
        "scan": made(),
        "low": made(2, degraded_by="2"),
        "x": made(method="hashed", degraded_by="2"),
        "y": made(0.5, method="tricubic", degraded_by="2"),
    }
    assert choose(volumes).truth is None  # two candidates
    sources = {"low": "scan", "x": "low"}
    assert choose(volumes, sources) == Choice(("scan", "low", "y", "x"), "scan", "low")
    sources |= {"y": "x"}
    found = choose(volumes, sources)
    assert (found.truth, found.measured) == ("scan", "x")
    assert choose(volumes, {"x": "low", "low": "gone"}).truth is None


def test_a_scan_that_was_not_simulated_has_no_reference_whatever_its_name():
    """LR also means left-right phase encoding."""
    volumes = {"T1": made(), "bold LR": made(2), "bold LR hashed": made(method="hashed")}
    assert choose(volumes) == Choice(("bold LR", "bold LR hashed"), None, "bold LR")


def test_what_results_were_made_from_and_maps_cannot_be_chosen_as_reference():
    volumes = {
        "truth": made(),
        "scan": made(2),
        "x": made(method="hashed"),
        "support: scan": made(map="support"),
    }
    assert possible_references(volumes) == ("truth", "scan", "x")
    assert possible_references(volumes, {"x": "scan"}) == ("truth", "x")
    assert possible_references(volumes, {"support: scan": "scan"}) == ("truth", "x")
    # A simulated scan is made from the truth, which may be the reference.
    assert "truth" in possible_references(volumes, {"scan": "truth"})


def test_labels_are_roles_and_methods_never_names():
    volumes = {
        "DOE^JANE": made(),
        "DOE^JANE LR": made(degraded_by="2"),
        "DOE hashed": made(method="hashed", scale="1x1x2", degraded_by="1x1x2"),
        "DOE hashed 2": made(method="hashed", scale="1x1x2"),
        "DOE other": made(),
        "DOE measured": made(),
        "DOE map": made(map="support: 0 enough, 1 few samples"),
    }
    labels = neutral_labels(volumes, [*volumes, "DOE other"], "DOE^JANE", "DOE measured")
    assert list(labels.values()) == [
        "reference",
        "LR 2x",
        "hashed 1x1x2",
        "hashed 1x1x2 (2)",
        "volume 5",
        "LR",
        "support",
    ]


def test_columns_are_labeled_by_role_else_by_name():
    volumes = {
        "scan": made(),
        "a hashed one": made(method="hashed", scale="1x1x2", degraded_by="1x1x2"),
        "T1w of another": made(),
    }
    labels = column_labels(volumes, tuple(volumes), None, "scan")
    assert list(labels.values()) == ["original", "hashed 1x1x2", "T1w of another"]
    assert column_labels(volumes, ("scan",), "scan") == {"scan": "reference"}
