"""The bench of methods: numbers of an evaluation, resumed, with methods left out."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from napari_mrisr.core.progress import Progress
from napari_mrisr.errors import Cancelled, ScaleError
from napari_mrisr.evaluation import bench
from napari_mrisr.evaluation.bench import GAIN, run_bench
from napari_mrisr.evaluation.experiment import EvaluateParameters, evaluate
from napari_mrisr.evaluation.protocol import get_protocol
from napari_mrisr.evaluation.tasks.base import Task, TaskRow
from napari_mrisr.figures.bench import bench_figure, read_slices

THICK = get_protocol("thick-slices:3", axis="S-I")


@pytest.fixture
def scans(rng, tmp_path):
    """Two textured balls as files, another size on every axis."""
    paths = []
    for number, shape in enumerate([(29, 34, 27), (31, 26, 33)]):
        axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
        texture = ndimage.gaussian_filter(rng.standard_normal(shape), 1.0)
        data = np.where(sum(a**2 for a in axes) < 0.7, 300 + 400 * texture, 0).clip(0)
        paths.append(tmp_path / f"sub-{number}_T1w.nii.gz")
        nib.save(nib.Nifti1Image(data.astype(np.int16), np.diag([1.0, 1.1, 1.2, 1.0])), paths[-1])
    return paths


def parameters(*methods: str) -> EvaluateParameters:
    return EvaluateParameters(methods=methods, protocol=THICK, threads=1)


def test_numbers_are_those_of_an_evaluation(scans, tmp_path):
    report = run_bench(scans, parameters("nearest", "tricubic"), tmp_path / "out")
    rows = evaluate(scans, parameters("nearest", "tricubic")).rows
    expected = {(r.file, r.method): (r.psnr_db, r.ssim) for r in rows if r.mask == "head"}
    assert len(report.rows) == 4
    for row in report.rows:
        path = next(p for p in scans if p.name == row.file)
        found = row.values["PSNR (dB)"], row.values["SSIM"]
        np.testing.assert_allclose(found, expected[str(path), row.method], rtol=1e-6)


def test_files_hold_every_number(scans, tmp_path):
    report = run_bench(scans, parameters("nearest"), tmp_path)
    with (tmp_path / "bench.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {line["number"] for line in lines} == {"PSNR (dB)", GAIN, "SSIM", "seconds"}
    assert len(lines) == 8
    content = json.loads((tmp_path / "bench.json").read_text())
    mean = np.mean([row.values[GAIN] for row in report.rows])
    assert content["means"]["nearest"][GAIN] == pytest.approx(mean)
    assert "| nearest | " in (tmp_path / "bench.md").read_text()


def test_finished_rows_are_not_measured_again(scans, tmp_path, monkeypatch):
    run_bench(scans, parameters("nearest", "tricubic"), tmp_path)
    measured = []
    real = bench.compare

    def counted(truth, one, scale, **kwargs):
        measured.append(one.methods)
        return real(truth, one, scale, **kwargs)

    monkeypatch.setattr(bench, "compare", counted)
    report = run_bench(scans, parameters("nearest", "tricubic", "quadratic"), tmp_path)
    assert measured == [("quadratic",)] * 2
    assert len(report.rows) == 6


def test_further_metrics_are_columns_and_measured_once(scans, tmp_path):
    run_bench(scans[:1], parameters("nearest"), tmp_path)
    more = replace(parameters("nearest"), metrics=("hfen",))
    report = run_bench(scans[:1], more, tmp_path)
    assert report.means()["nearest"]["HFEN"].mean > 0
    assert "| HFEN |" in report.to_markdown()
    run_bench(scans[:1], more, tmp_path)
    assert len(bench.read_rows(tmp_path)) == 2


def test_another_volume_is_measured_again(scans, tmp_path, monkeypatch):
    run_bench(scans[:1], parameters("nearest"), tmp_path)
    image = nib.load(scans[0])
    changed = np.asarray(image.dataobj) + np.int16(5)
    nib.save(nib.Nifti1Image(changed, image.affine), scans[0])
    before = (tmp_path / "rows.jsonl").read_text().count("\n")
    run_bench(scans[:1], parameters("nearest"), tmp_path)
    assert (tmp_path / "rows.jsonl").read_text().count("\n") == before + 1


def test_a_cancel_keeps_what_is_finished(scans, tmp_path):
    progress = Progress()
    real = progress.advance

    def cancel(count: int = 1) -> None:
        real(count)
        progress.token.cancel()

    progress.advance = cancel
    with pytest.raises(Cancelled):
        run_bench(scans, parameters("nearest", "tricubic"), tmp_path, progress=progress)
    assert len(bench.read_rows(tmp_path)) == 1
    rows = (tmp_path / "rows.jsonl").read_text()
    (tmp_path / "rows.jsonl").write_text(rows + '\n{"file": "cut')  # as by a kill
    assert len(run_bench(scans, parameters("nearest", "tricubic"), tmp_path).rows) == 4
    assert len(bench.read_rows(tmp_path)) == 4


def test_methods_that_do_not_fit_are_left_out_of_all_only(scans, tmp_path):
    odd = EvaluateParameters(scales=((1, 2, 3),), methods=("all",), threads=1)
    report = run_bench(scans[:1], odd, tmp_path)
    assert {"nearest", "tricubic"} <= set(report.methods())
    assert {"hashed", "network"} <= set(report.left_out)
    assert "Left out: hashed" in (tmp_path / "bench.md").read_text()
    with pytest.raises(ScaleError):
        run_bench(scans[:1], EvaluateParameters(((1, 2, 3),), ("hashed",)), tmp_path)


def test_a_task_adds_its_numbers_and_its_settings_count(scans, tmp_path):
    class Size(Task[TaskRow]):
        name, settings = "size", "a"

        def describe(self):
            return self.settings

        def measure(self, truth, parameters, scale, progress):
            measured.append(scale)
            return [TaskRow(parameters.methods[0]) for _ in range(truth.data.size)]

        def values(self, rows):
            return {"voxels": float(len(rows))}

        table = figure = None

    measured, task = [], Size()
    for settings, count in (("a", 1), ("a", 1), ("b", 2)):
        task.settings = settings
        report = run_bench(scans[:1], parameters("nearest"), tmp_path, tasks=[task])
        assert measured == [(1, 1, 3)] * count
    assert report.means()["nearest"]["size: voxels"].mean == 29 * 34 * 27


def test_the_figure_shows_each_method_s_slice_and_difference(scans, tmp_path):
    run_bench(scans[:1], parameters("nearest", "tricubic"), tmp_path)
    reference, results = read_slices(tmp_path / "pictures", ["nearest", "tricubic"])
    assert results["nearest"].shape == reference.shape
    figure = bench_figure(reference, results, {"nearest": "−1.0 dB"}, "title")
    axes = figure.axes
    titles = [a.get_title().splitlines()[0] for a in axes if a.get_title()]
    assert titles == ["reference", "nearest", "tricubic"]
    drawn = axes[5].images[0].get_array()
    np.testing.assert_allclose(drawn, results["nearest"] - reference)


def test_the_figure_goes_on_below_after_six_images(rng):
    reference = rng.random((20, 24), np.float32)
    results = {f"m{n}": reference + np.float32(0.01 * n) for n in range(7)}
    figure = bench_figure(reference, results, {}, "title", table=[["method"], ["m0"]])
    figure.draw_without_rendering()
    titled = [a for a in figure.axes if a.get_title()]
    assert [a.get_title().strip() for a in titled] == ["reference", *results]
    places = [a.get_position() for a in titled]
    assert len({round(p.y0, 3) for p in places}) == 2
    assert places[6].x0 == pytest.approx(places[0].x0)
