"""Presets fit their scale and degradation."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from napari_mrisr.bank.model import STARTS, FilterBank, Stage
from napari_mrisr.errors import ParameterError
from napari_mrisr.operators.degrade import DEGRADATIONS
from napari_mrisr.training.presets import PRESETS, TrainParameters, get_preset

SCALES = [(2, 2, 2), (3, 3, 3), (4, 4, 4), (8, 8, 8), (1, 1, 4), (1, 2, 3), (1, 1, 1)]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("degradation", DEGRADATIONS)
def test_every_preset_makes_a_bank_for_every_scale(name, scale, degradation):
    preset = get_preset(name, scale, degradation)
    assert preset.name == name
    assert preset.start in STARTS
    assert preset.stages
    stages = []
    for plan in preset.stages:
        spec = plan.spec
        for feature in plan.terciles:
            assert feature not in spec.hash.cuts
        if len(set(scale)) > 1 and spec.grid == "cell":
            assert spec.hash.symmetry != "cube"
        assert spec.hash.phases in (scale, (1, 1, 1))
        # Accumulators that a usual machine holds (float32 or float64).
        size = plan.bucket_count * spec.taps * (spec.taps + spec.outputs(scale))
        assert size * (4 if plan.single else 8) < 8 * 2**30
        nothing = np.zeros((0, 0, 0), np.float32)
        stages.append(Stage(spec, nothing, nothing, nothing, nothing))
    FilterBank(scale, degradation, preset.start, tuple(stages))


def test_paper_preset_has_the_stage_of_the_paper():
    (plan,) = get_preset("paper", (2, 2, 2)).stages
    spec = plan.spec.hash.with_cuts(**dict.fromkeys(plan.terciles, (0.1, 0.2)))
    assert spec.bucket_count == 8 * 8 * 3 * 3
    assert plan.terciles == ("strength", "coherence")
    assert (plan.spec.grid, plan.spec.width, plan.spec.residual) == ("voxel", 11, False)
    assert (spec.window.sigma, spec.window.radius, spec.symmetry) == (2.0, 4, "none")
    assert plan.ridge is None
    angles = np.diff([0.0, *spec.cuts["elevation"], 180.0])
    np.testing.assert_allclose(angles, 22.5)
    assert spec.cuts["azimuth"] == spec.cuts["elevation"]


def test_paper_2021_starts_from_the_quadratic_spline_without_phases():
    """Its voxels drift against the low-resolution ones."""
    for name in PRESETS:
        preset = get_preset(name, (2, 2, 2), "paper-2021")
        assert preset.start == "quadratic"
        assert all(plan.spec.grid == "voxel" for plan in preset.stages)
        assert all(plan.spec.hash.phases == (1, 1, 1) for plan in preset.stages)
        assert get_preset(name, (2, 2, 2)).start == "tricubic"


def test_default_uses_all_symmetries_of_the_scale():
    for scale, symmetry in [((3, 3, 3), "cube"), ((1, 1, 4), "plane"), ((1, 2, 4), "flips")]:
        symmetries = {plan.spec.hash.symmetry for plan in get_preset("default", scale).stages}
        assert symmetries == {symmetry}


@pytest.mark.parametrize("factor", [2, 3, 4, 5, 6])
def test_thick_slices_have_patches_that_follow_the_voxels(factor):
    cells, *voxels = get_preset("default", (1, 1, factor)).stages
    assert cells.spec.grid == "cell"
    assert cells.spec.shape == (7, 7, 3)
    assert all(plan.spec.hash.phases == (1, 1, factor) for plan in voxels)


def test_an_isotropic_volume_is_used_along_all_axes():
    parameters = TrainParameters(scale=(1, 1, 4), thick_axes=(("b*", "xy"), ("c*", "z")))
    assert parameters.orders("a.nii", (1.0, 1.0, 1.1)) == [(1, 2, 0), (0, 2, 1), (0, 1, 2)]
    assert parameters.orders("a.nii", (1.0, 1.0, 1.3)) == [(0, 1, 2)]
    assert parameters.orders("b.nii", (1.0, 1.0, 1.0)) == [(1, 2, 0), (0, 2, 1)]
    assert parameters.orders("c.nii", (1.0, 1.0, 1.0)) == [(0, 1, 2)]
    thinned = replace(parameters, thin=(("a*", (1, 1, 2)),))
    assert thinned.orders("a.nii", (1.0, 1.0, 1.0)) == [(0, 1, 2)]
    sagittal = TrainParameters(scale=(4, 1, 1))
    assert sagittal.orders("a.nii", (1.0, 1.0, 1.0)) == [(0, 1, 2), (1, 0, 2), (2, 0, 1)]
    assert TrainParameters(scale=(2, 2, 2)).orders("a.nii", (1, 1, 1)) == [(0, 1, 2)]


@pytest.mark.parametrize(
    ("sharpen", "found"),
    [
        ((0.0, 1.0), "sharpen: amount 0;"),
        ((-1.0, 1.0), "sharpen: amount -1;"),
        ((5.5, 1.0), "sharpen: amount 5.5;"),
        ((np.nan, 1.0), "sharpen: amount nan;"),
        ((0.5, 0.0), "sharpen: sigma 0;"),
        ((0.5, np.inf), "sharpen: sigma inf;"),
    ],
)
def test_impossible_sharpening_is_refused_by_name(sharpen, found):
    with pytest.raises(ParameterError, match=found):
        TrainParameters(sharpen=sharpen)


def test_unknown_preset_is_refused_with_the_names():
    with pytest.raises(ParameterError) as caught:
        get_preset("best", (2, 2, 2))
    assert str(caught.value) == f"preset: 'best'; choose from {', '.join(PRESETS)}"


def test_presets_differ():
    for a, b in itertools.combinations(PRESETS, 2):
        assert get_preset(a, (2, 2, 2)).stages != get_preset(b, (2, 2, 2)).stages
