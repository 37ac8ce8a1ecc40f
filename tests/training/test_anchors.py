"""Learned anchors: planted clusters, planted linear maps, a training from start to end."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from napari_mrisr.bank.anchors import Anchors
from napari_mrisr.bank.calibration import detail_of
from napari_mrisr.bank.descriptors import Descriptor
from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.bank.model import StageSpec, load_bank
from napari_mrisr.bank.predictors import predict_from
from napari_mrisr.core.volume import Region
from napari_mrisr.errors import ParameterError
from napari_mrisr.io import read_volume
from napari_mrisr.methods import get_method
from napari_mrisr.operators.gradients import Window
from napari_mrisr.training import train
from napari_mrisr.training.anchors import derivatives, learn_anchors
from napari_mrisr.training.finish import solved_stage
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.presets import AnchorPlan, StagePlan, TrainParameters
from napari_mrisr.training.sampling import make_pair

pytest.importorskip("sklearn")

GRADIENTS = Descriptor("gradients", (3, 3, 3))


def planted_patches(rng, count=4, each=300):
    """Return patches along a few random directions, of any contrast and sign, and their groups."""
    directions = rng.normal(size=(count, 27))
    directions[:, 13] = 0.0  # the center, of which they are differences
    group = np.repeat(np.arange(count), each)
    contrast = rng.uniform(0.2, 1.0, group.size) * rng.choice([-1, 1], group.size)
    rows = contrast[:, None] * directions[group] + 0.02 * rng.normal(size=(group.size, 27))
    return rows.astype(np.float32), group


def same_groups(found, planted):
    """Return True if each found group is one planted group and the other way round."""
    pairs = set(zip(found.tolist(), planted.tolist(), strict=True))
    return len(pairs) == len(set(found)) == len(set(planted))


def test_planted_directions_become_anchors_whatever_their_contrast(rng):
    rows, group = planted_patches(rng)
    anchors = learn_anchors(AnchorPlan(GRADIENTS, 4, 8), rows)
    assert anchors.projection.shape == (27, 8)
    np.testing.assert_allclose(np.linalg.norm(anchors.points, axis=1), 1.0, rtol=1e-5)
    assert same_groups(anchors.nearest(rows), group)


def test_planted_tensors_become_anchors(rng):
    centers = 3.0 * rng.normal(size=(3, 6))
    group = np.repeat(np.arange(3), 200)
    rows = (centers[group] + 0.1 * rng.normal(size=(600, 6))).astype(np.float32)
    anchors = learn_anchors(AnchorPlan(Descriptor("tensor", (1, 1, 1)), 3), rows)
    assert same_groups(anchors.nearest(rows), group)


def test_too_few_voxels_are_refused(rng):
    with pytest.raises(ParameterError, match="3 voxels for 8 anchors; train on more"):
        learn_anchors(AnchorPlan(GRADIENTS, 8), np.zeros((3, 27), np.float32))


def test_a_missing_scikit_learn_is_named(monkeypatch, tmp_path, scans):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    parameters = TrainParameters(preset="a-plus")
    with pytest.raises(
        ParameterError, match=r"scikit-learn.*pip install 'napari-mrisr\[anchors\]'"
    ):
        train(scans[:1], tmp_path / "bank.safetensors", parameters, device="cpu")


def test_derivatives_of_a_quadratic_are_exact():
    """x² + 3y − z² has the slopes 2x, 3, −2z and the second differences 2, 0, −2."""
    x, y, z = (axis - 2.0 for axis in np.indices((5, 5, 5)))
    found = np.split((x**2 + 3 * y - z**2).ravel() @ derivatives((5, 5, 5)), 6)
    inner = slice(1, 4)
    np.testing.assert_allclose(found[0], (2 * x)[inner].ravel(), atol=1e-12)
    np.testing.assert_allclose(found[1], 2.0)
    np.testing.assert_allclose(found[2], 3.0)
    np.testing.assert_allclose(found[3], 0.0, atol=1e-12)
    np.testing.assert_allclose(found[4], (-2 * z)[..., inner].ravel(), atol=1e-12)
    np.testing.assert_allclose(found[5], -2.0)


def plan_with(points, regressor):
    anchors = Anchors(GRADIENTS, np.eye(27, points.shape[1], dtype=np.float32), points)
    spec = StageSpec("cell", HashSpec(Window(1.0, 2), {}, "cube", anchors=anchors), 3)
    return StagePlan(spec, ridge=1e-3, regressor=regressor)


def equations_of(patches, targets):
    sums = NormalEquations.empty(len(patches), 27, 8)
    for bucket, (a, b) in enumerate(zip(patches, targets, strict=True)):
        sums.add(bucket, a.astype(np.float32), b.astype(np.float32))
    return sums


def test_linear_filters_recover_planted_maps(rng):
    maps, patches = rng.normal(size=(3, 27, 8)), rng.normal(size=(3, 400, 27))
    plan = plan_with(np.eye(3, dtype=np.float32), "linear")
    stage = solved_stage(plan, equations_of(patches, patches @ maps))
    np.testing.assert_allclose(stage.weights, maps, atol=3e-3)


def test_a_neighborhood_shares_the_samples_of_its_anchors(rng, monkeypatch):
    """Anchors 0 and 1 are neighbors, 2 and 3 too: each pair has the map of all its samples."""
    monkeypatch.setattr("napari_mrisr.training.finish.NEIGHBORS", 2)
    points = np.array([[1, 0.1], [1, -0.1], [0.1, 1], [-0.1, 1]], np.float32)
    patches, maps = rng.normal(size=(4, 100, 27)), rng.normal(size=(4, 27, 8))
    targets = patches @ maps
    stage = solved_stage(plan_with(points, "neighborhood"), equations_of(patches, targets))
    np.testing.assert_array_equal(stage.weights[0], stage.weights[1])
    for pair in ([0, 1], [2, 3]):
        a, b = np.concatenate(patches[pair]), np.concatenate(targets[pair])
        expected = np.linalg.lstsq(a, b, rcond=None)[0]
        np.testing.assert_allclose(stage.weights[pair[0]], expected, atol=0.02)
    assert stage.support.tolist() == [100] * 4


def test_a_looked_up_detail_follows_the_contrast_of_a_typical_patch(rng):
    typical, detail = rng.normal(size=27), rng.normal(size=8)
    contrast = rng.normal(size=200)
    patches, targets = np.outer(contrast, typical), np.outer(contrast, detail)
    plan = plan_with(np.ones((1, 1), np.float32), "constant")
    stage = solved_stage(plan, equations_of([patches], [targets]))
    np.testing.assert_allclose(2.0 * typical @ stage.weights[0], 2.0 * detail, atol=0.01)
    assert np.linalg.matrix_rank(stage.weights[0], tol=0.02) == 1


def error_of(method, pair):
    found = method.compute(pair.lr, Region.whole(pair.truth.shape))
    return float(((found - pair.truth)[pair.mask] ** 2).mean())


@pytest.fixture(scope="module")
def trained(tmp_path_factory, scans):
    from helpers.training import train_quickly

    with pytest.MonkeyPatch.context() as patch:
        train_quickly(patch)
        out = tmp_path_factory.mktemp("anchored") / "bank.safetensors"
        train(scans[:2], out, TrainParameters(preset="a-plus"), device="cpu")
        train(scans[:3], out, TrainParameters(preset="a-plus"), resume=True, device="cpu")
    return out


def test_a_trained_bank_gains_over_tricubic_on_another_volume(trained, scans):
    pair = make_pair(read_volume(scans[3]), TrainParameters())
    method = get_method("anchored", (2, 2, 2), str(trained))
    assert (method.name, method.provenance()["method"]) == ("anchored", "anchored")
    tricubic = error_of(get_method("tricubic", (2, 2, 2)), pair)
    assert 10 * np.log10(tricubic / error_of(method, pair)) > 0.3


def test_a_trained_bank_expects_the_error_on_another_volume(trained, scans):
    bank, pair = load_bank(trained), make_pair(read_volume(scans[3]), TrainParameters())
    assert bank.calibration.volumes == 3
    lr, whole = pair.lr, Region.whole(pair.truth.shape)
    cells = Region.whole(lr.grid.shape).stop
    at = predict_from(bank, lr.data, (0, 0, 0), cells, detail_of(lr.data), whole)
    expected = bank.calibration.expected_error(at.bucket, at.strength, at.detail, np.nan)
    method = get_method("anchored", (2, 2, 2), str(trained))
    ratio = float((expected[pair.mask] ** 2).mean()) / error_of(method, pair)
    assert 0.5 < ratio < 2.0


def test_a_resumed_training_keeps_the_anchors_of_its_first_call(trained, scans, tmp_path):
    bank = load_bank(trained)
    assert len(bank.provenance["volumes"]) == 3
    first = tmp_path / "first.safetensors"
    train(scans[:2], first, TrainParameters(preset="a-plus"), device="cpu")
    one, other = (b.stages[0].spec.hash.anchors for b in (bank, load_bank(first)))
    assert one == other
    assert bank.stages[0].support.sum() > load_bank(first).stages[0].support.sum()
    assert (bank.stages[0].support[:-1] > 0).all()


def test_a_bank_without_anchors_is_refused_by_the_method(make_bank, tmp_path):
    path = tmp_path / "plain.safetensors"
    make_bank().save(path)
    with pytest.raises(Exception, match="a filter bank without anchors; use method hashed"):
        get_method("anchored", (2, 2, 2), str(path))
