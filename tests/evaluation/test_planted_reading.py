"""Planted lesions to find: one per case, computed when shown, with a known place and size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_mrisr.comparison.blinded.plan import LESION, TOLERANCE_MM
from napari_mrisr.comparison.blinded.session import Reading, key_path, load_key
from napari_mrisr.comparison.blinded.unblind import unblind
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import Cancelled, ParameterError, ScaleError, VolumeError
from napari_mrisr.evaluation.planted_reading import PlantedParameters, plan_of_planted
from napari_mrisr.evaluation.simulate import clipped
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.run.upscale import UpscaleParameters, upscale

METHODS = ("nearest", "tricubic")
PARAMETERS = PlantedParameters(METHODS, (2, 2, 2), cases=2, radius=2, contrast=0.2, seed=5)


@pytest.fixture(scope="module")
def head() -> Volume:
    """A smooth ball of another size on every axis, off the origin."""
    shape = (48, 54, 51)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    texture = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(shape), 3.0)
    data = np.where(sum(a**2 for a in axes) < 0.8, 500 + 800 * texture, 0).clip(0)
    affine = np.diag([1.0, 1.1, 1.2, 1.0])
    affine[:3, 3] = (-20.0, 7.0, 11.0)
    return Volume(data.astype(np.float32), Grid(shape, affine))


@pytest.fixture(scope="module")
def plan(head):
    return plan_of_planted(head, PARAMETERS)


def test_each_case_has_one_lesion_at_its_reference_point(head, plan):
    assert plan.kind == LESION and len(plan.cases) == 2 and plan.methods == METHODS
    truth, _ = clipped(head, (2, 2, 2))
    plain = upscale(degrade(truth, (2, 2, 2)), UpscaleParameters((2, 2, 2), "nearest"))
    for case in plan.cases:
        image = case.images["nearest"](Progress())
        change = np.abs(image.data - plain.data)
        assert change.max() > 0.05 * truth.data.max()
        found = np.array(ndimage.center_of_mass(change))
        at = image.grid.affine @ (*found, 1.0)
        (target,) = case.targets
        assert np.linalg.norm(at[:3] - target) < 1.5
        # Nothing changes elsewhere.
        assert change[np.abs(change) > 1].size < 0.02 * change.size
        assert case.hit_mm is not None and case.hit_mm > 2 + TOLERANCE_MM


def test_a_seed_gives_the_same_lesions_and_another_gives_others(head, plan):
    again = plan_of_planted(head, replace(PARAMETERS, cases=1))
    assert again.cases[0].targets == plan.cases[0].targets
    other = plan_of_planted(head, replace(PARAMETERS, cases=1, seed=6))
    assert other.cases[0].targets != plan.cases[0].targets


def test_a_reading_gives_the_hit_rate_per_method(plan, tmp_path):
    reading = Reading(plan, tmp_path / "r.csv")
    for item in plan.items:
        shown = dict(zip(plan.letters, plan.order(item.case), strict=True))[item.letters[0]]
        x, y, z = item.case.targets[0]
        # The reader finds all lesions in tricubic; in nearest one is marked far off.
        off = 50.0 if shown == "nearest" and item.name == "lesion 1" else 1.0
        reading.answer(item, (x + off, y, z), 3.0)
    key = load_key(key_path(tmp_path / "r.csv"))
    assert key["seed"] == 5 and key["hit_mm"] == {c.name: c.hit_mm for c in plan.cases}
    found = unblind(tmp_path / "r.csv")
    assert found.method_table()[0] == ("Method", "n", "Marked", "Hits", "Median distance, mm")
    rows = {row[0]: row for row in found.method_table()[1:]}
    assert rows["tricubic"][3].startswith("2 of 2: 100 % (95 % CI 16 to 100 %)")
    assert rows["nearest"][3].startswith("1 of 2: 50 %")
    assert rows["tricubic"][4] == "1.0"
    assert "of the lesion's center: its largest semi-axis and 2 mm." in found.summary()


def test_a_lesion_that_was_not_marked_is_no_hit(plan, tmp_path):
    reading = Reading(plan, tmp_path / "r.csv")
    for item in plan.items:
        reading.answer(item, (), 3.0)
    table = unblind(tmp_path / "r.csv").method_table()
    assert [row[2:4] for row in table[1:]] == [("0", "0 of 2: 0 % (95 % CI 0 to 84 %)")] * 2


def test_a_shown_image_has_no_history_and_a_cancel_stops_it(plan, tmp_path):
    reading = Reading(plan, tmp_path / "r.csv")
    (volume,) = reading.volumes(plan.items[0]).values()
    assert volume.history == {} and volume.origin is None
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        reading.volumes(plan.items[0], Progress(token))


def test_what_does_not_fit_is_told(head):
    with pytest.raises(ParameterError, match="choose 2 to 4"):
        PlantedParameters(("tricubic",))
    with pytest.raises(ParameterError, match="choose a radius"):
        PlantedParameters(METHODS, radius=9)
    with pytest.raises(ScaleError):
        plan_of_planted(head, replace(PARAMETERS, methods=("nearest", "hashed"), scale=(5, 5, 5)))
    with pytest.raises(VolumeError, match=r"places for \d+ of 40"):
        plan_of_planted(head, replace(PARAMETERS, cases=40, radius=4))
