"""Tissue volumes and surfaces: planted changes come back."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from napari_mrisr.evaluation.experiment import EvaluateParameters
from napari_mrisr.evaluation.protocol import get_protocol
from napari_mrisr.evaluation.tasks import get_task
from napari_mrisr.evaluation.tasks.base import evaluate_task
from napari_mrisr.evaluation.tasks.tissue import TissueTask, losses, surface_distance, tissue_rows

SHAPE, SIZE = (70, 78, 90), (0.9, 0.8, 0.7)


def distance(shape=SHAPE, size=SIZE):
    """Return the distance to the middle in mm."""
    axes = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, size, strict=True)], indexing="ij"
    )
    return np.sqrt(sum(a**2 for a in axes))


def brain(white_mm, shape=SHAPE, size=SIZE):
    """Return labels: white matter in gray matter in fluid, concentric."""
    r = distance(shape, size)
    return np.select([r < white_mm, r < 24, r < 28], [3, 2, 1], 0).astype(np.uint8)


def test_an_unchanged_result_is_perfect():
    for row in tissue_rows("m", brain(18), brain(18), SIZE):
        assert row.dice == 1.0
        assert row.volume_error_percent == 0.0
        assert row.surface_mm == 0.0 or row.tissue != "white"


def test_a_white_matter_that_grew_by_one_mm():
    found = {row.tissue: row for row in tissue_rows("m", brain(18), brain(19), SIZE)}
    assert found["white"].surface_mm == pytest.approx(1.0, abs=0.1)
    assert found["white"].volume_error_percent == pytest.approx(100 * (19**3 / 18**3 - 1), rel=0.02)
    assert found["white"].dice == pytest.approx(2 * 18**3 / (18**3 + 19**3), rel=0.005)
    lost = 100 * (18**3 - 19**3) / (24**3 - 18**3)
    assert found["gray"].volume_error_percent == pytest.approx(lost, rel=0.02)
    assert found["CSF"].dice == 1.0
    assert found["white"].truth_ml == pytest.approx(4 / 3 * np.pi * 18**3 / 1000, rel=0.01)
    assert np.isnan(found["gray"].surface_mm)


def test_the_distance_does_not_depend_on_the_order_and_is_in_mm():
    a, b = brain(18) == 3, brain(20.5) == 3
    assert surface_distance(a, b, SIZE) == surface_distance(b, a, SIZE)
    doubled = surface_distance(a, b, tuple(2 * s for s in SIZE))
    assert doubled == pytest.approx(2 * surface_distance(a, b, SIZE))
    assert np.isnan(surface_distance(a, np.zeros_like(a), SIZE))


def test_more_error_than_tricubic_is_a_loss():
    rows = tissue_rows("tricubic", brain(18), brain(18.5), SIZE)
    rows += tissue_rows("better", brain(18), brain(18.2), SIZE)
    rows += tissue_rows("worse", brain(18), brain(17), SIZE)
    assert losses(rows, "better") == []
    assert [line.split(":")[0] for line in losses(rows, "worse")] == ["gray", "white"]
    text = TissueTask().table(rows)
    assert "better: no volume is off by more than tricubic's" in text
    assert "worse: volumes are off by more than tricubic's for gray" in text


def scan(path, rng, levels=(0, 150, 400, 700)):
    shape = (40, 44, 46)
    data = np.array(levels)[brain(10, shape, (1.4, 1.3, 1.3))] * 1.0
    data = ndimage.gaussian_filter(data, 0.6) + 20 * rng.normal(size=shape) * (data > 0)
    data[distance(shape, (1.4, 1.3, 1.3)) >= 28] = 0
    nib.save(nib.Nifti1Image(data.clip(0).astype(np.int16), np.diag([1.4, 1.3, 1.3, 1.0])), path)
    return path


def test_files_table_figure_and_bench_values(tmp_path, rng):
    path = scan(tmp_path / "brain.nii", rng)
    task = get_task("tissue")
    protocol = get_protocol("thick-slices:2", axis="S-I")
    chosen = EvaluateParameters(methods=("tricubic", "nearest"), protocol=protocol, threads=1)
    report = evaluate_task(task, [path], chosen)
    assert [row.tissue for row in report.rows] == ["CSF", "gray", "white"] * 2
    # 4/3 π 10³ mm³ of white matter.
    assert report.rows[2].truth_ml == pytest.approx(4.19, rel=0.1)
    assert 0.8 < report.rows[2].dice < 1.0
    assert report.rows[5].dice < report.rows[2].dice
    text = report.summary_table()
    assert "k-means" in text
    assert "nearest: " in text
    values = task.values(report.rows[:3])
    assert values["Dice, white"] == report.rows[2].dice
    assert values["white surface (mm)"] == report.rows[2].surface_mm
    axes = task.figure(report.rows, ["note"]).axes
    assert [label.get_text() for label in axes[0].get_xticklabels()] == ["CSF", "gray", "white"]
    again = evaluate_task(task, [path], chosen)
    assert [row.dice for row in again.rows] == [row.dice for row in report.rows]


def test_an_image_without_a_brain_is_refused(tmp_path):
    path = tmp_path / "two.nii"
    data = np.zeros((20, 22, 24), np.int16)
    data[4:16, 4:18, 4:20] = 5
    nib.save(nib.Nifti1Image(data, np.eye(4)), path)
    report = evaluate_task(TissueTask(), [path], EvaluateParameters(methods=("tricubic",)))
    assert "different intensities" in report.failures[0].error
    assert not report.failures[0].unexpected
