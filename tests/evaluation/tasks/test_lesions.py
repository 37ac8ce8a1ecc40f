"""The task of planted lesions: scores, table, figure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import MemoryEstimateError, ParameterError, VolumeError
from napari_mrisr.evaluation.experiment import EvaluateParameters
from napari_mrisr.evaluation.protocol import get_protocol
from napari_mrisr.evaluation.tasks import get_task, lesions
from napari_mrisr.evaluation.tasks.lesions import LesionTask, lesion_row, losses
from napari_mrisr.evaluation.tasks.planting import Kind, Lesion, planted

SHAPE = (58, 52, 64)
PARAMETERS = EvaluateParameters(methods=("same", "half", "tricubic"), threads=1)


@pytest.fixture(scope="module")
def head():
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    ball = sum(a**2 for a in axes) < 0.95
    texture = ndimage.gaussian_filter(np.random.default_rng(2).standard_normal(SHAPE), 1.5)
    data = np.where(ball, 500 + 800 * texture, 0).clip(0).astype(np.float32)
    data[29, 26, 30:32] = 1000
    return Volume(data, Grid(SHAPE, np.diag([1.0, 1.1, 1.2, 1.0])))


@pytest.fixture(scope="module")
def rows(head):
    """Rows of two methods that know the truth, and of tricubic."""
    real = lesions.timed_run, lesions.simulate
    scans = {}

    def simulate(truth, *rest):
        low = real[1](truth, *rest)
        scans[id(low)] = truth, low
        return low

    def timed_run(chosen, scan, progress):
        if chosen.method == "tricubic":
            return real[0](chosen, scan, progress)
        truth, first = scans[id(scan)][0], next(iter(scans.values()))[0]
        change = truth.data - first.data
        kept = first.data + (0.5 if chosen.method == "half" else 1.0) * change
        return replace(truth, data=kept), 0.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lesions, "timed_run", timed_run)
        patch.setattr(lesions, "simulate", simulate)
        patch.setattr(LesionTask, "_check_memory", lambda *_: None)
        return LesionTask().measure(head, PARAMETERS, (2, 2, 2), Progress())


def of(rows, method):
    return [row for row in rows if row.method == method]


def test_a_method_that_returns_the_truth_keeps_all_contrast(rows):
    assert len(of(rows, "same")) > 8
    np.testing.assert_allclose([row.kept for row in of(rows, "same")], 1.0, atol=1e-4)
    np.testing.assert_allclose([row.error for row in of(rows, "same")], 0.0, atol=1e-4)


def test_a_method_that_halves_the_change_keeps_half(rows):
    np.testing.assert_allclose([row.kept for row in of(rows, "half")], 0.5, atol=1e-4)
    np.testing.assert_allclose([row.error for row in of(rows, "half")], 0.25, atol=1e-4)


def test_all_methods_see_the_same_lesions(rows):
    same, half = of(rows, "same"), of(rows, "half")
    kinds = [[(r.lesion, r.shape, r.radius, r.contrast) for r in part] for part in (same, half)]
    assert kinds[0] == kinds[1]
    assert [row.absent for row in same] == [row.absent for row in half]


def test_interpolation_loses_small_lesions_first(rows):
    cubic = of(rows, "tricubic")
    kept = {r: np.median([row.kept for row in cubic if row.radius == r]) for r in (1, 2, 3)}
    assert 0 < kept[1] < min(kept[2], kept[3])
    assert max(kept[2], kept[3]) < 1
    assert all(row.gain_db == 0 for row in cubic)


def test_the_gain_is_that_of_the_error_in_the_box(rng):
    lesion = Lesion.at(Kind("sphere", 2, -0.1), np.array([20.2, 21.1, 19.7]), np.eye(3))
    truth = planted(rng.random((40, 42, 41)).astype(np.float32), [lesion])
    one, two = truth.copy(), truth.copy()
    one[lesion.box] += np.float32(0.01)
    two[lesion.box] += np.float32(0.04)
    row = lesion_row("one", 0, lesion, truth, (truth, one), two)
    assert row.gain_db == pytest.approx(20 * np.log10(4), abs=0.01)
    assert row.kept == pytest.approx(
        -0.01 / 0.1 * lesion.part.sum() / (lesion.part**2).sum(), rel=1e-3
    )


def test_a_loss_of_contrast_is_named(rows):
    assert losses(rows, "same") == []
    found = losses(rows, "half")
    assert found
    assert all(line.startswith(("radius 2", "radius 3", "radius 4")) for line in found)
    text = LesionTask().table(rows)
    assert "same keeps at least the contrast of tricubic" in text
    assert "half keeps less contrast than tricubic at\n  radius 2" in text
    header = next(line for line in text.splitlines() if line.startswith("method"))
    assert header.split()[-4:] == ["1", "2", "3", "4"]


def test_numbers_for_a_bench_are_those_of_the_table(rows):
    values = LesionTask().values(of(rows, "half"))
    assert values["kept, radius 3"] == pytest.approx(0.5, abs=1e-4)
    assert values["10th percentile, radius ≥ 2"] == pytest.approx(0.5, abs=1e-4)


def test_the_figure_has_a_curve_per_method(rows):
    figure = LesionTask().figure(rows, ["a note"])
    kept, area = figure.axes
    curves = {line.get_label(): line.get_ydata() for line in kept.lines}
    assert {"same", "half", "tricubic"} <= set(curves)
    np.testing.assert_allclose(curves["half"], 0.5, atol=1e-4)
    assert "a note" in figure.get_supxlabel()
    assert len(area.lines) == len(kept.lines)
    assert "in 1 image" in figure.get_suptitle()


def test_a_volume_without_room_is_refused(head):
    empty = replace(head, data=np.zeros(SHAPE, np.float32))
    with pytest.raises(VolumeError, match="no place for a lesion"):
        LesionTask().measure(empty, PARAMETERS, (2, 2, 2), Progress())


def test_too_little_memory_is_said_before_the_runs(head, monkeypatch):
    monkeypatch.setattr("napari_mrisr.core.memory.free_memory", lambda: 1)
    thick = EvaluateParameters(methods=("nearest",), protocol=get_protocol("thick-slices:4"))
    with pytest.raises(MemoryEstimateError, match="planted lesions need"):
        LesionTask().measure(head, thick, (1, 1, 4), Progress())


def test_an_unknown_task_is_refused():
    with pytest.raises(ParameterError, match="choose from lesions"):
        get_task("tumors")
