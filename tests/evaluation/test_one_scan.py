"""Several methods on one scan: the results of upscale, the numbers of an evaluation, one page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pypdf
import pytest
from scipy import ndimage

from napari_mrisr.core.progress import Progress, ProgressState
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import Cancelled, MemoryEstimateError, ScaleError, VolumeError
from napari_mrisr.evaluation import one_scan
from napari_mrisr.evaluation.bench import GAIN
from napari_mrisr.evaluation.experiment import EvaluateParameters, compare
from napari_mrisr.evaluation.one_scan import (
    check_memory_for_all,
    protocol_of,
    report_page,
    run_methods,
)
from napari_mrisr.figures.page import save_figure
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.run.upscale import UpscaleParameters, upscale

METHODS = ("nearest", "tricubic")


@pytest.fixture
def scan(rng) -> Volume:
    """A textured ball, another size on every axis."""
    shape = (26, 32, 28)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    texture = ndimage.gaussian_filter(rng.standard_normal(shape), 1.0)
    data = np.where(sum(a**2 for a in axes) < 0.7, 300 + 400 * texture, 0).clip(0)
    return Volume(data.astype(np.float32), Grid(shape, np.diag([1.0, 1.1, 1.2, 1.0])))


def test_results_of_a_simulated_scan_are_those_of_upscale(scan):
    report = run_methods(scan, METHODS, (1, 1, 4), simulate=True)
    assert report.truth is not None
    low = degrade(report.truth, (1, 1, 4), protocol_of((1, 1, 4)).degradation)
    np.testing.assert_array_equal(report.low.data, low.data)
    for name in METHODS:
        expected = upscale(report.low, UpscaleParameters((1, 1, 4), name))
        np.testing.assert_array_equal(report.results[name].data, expected.data)


def test_numbers_with_a_truth_are_those_of_an_evaluation(scan):
    report = run_methods(scan, METHODS, (2, 2, 2), simulate=True)
    expected = compare(scan, EvaluateParameters(methods=METHODS), (2, 2, 2))
    for name in METHODS:
        found = expected.found[name]
        assert report.values[name]["PSNR (dB)"] == found.get("head", found["full"]).psnr_db
    assert report.values["tricubic"][GAIN] == 0.0
    assert report.values["nearest"][GAIN] < 0.0


def test_without_a_truth_the_scan_itself_is_super_resolved(scan):
    report = run_methods(scan, METHODS, (1.0, 1.0, 2.5), simulate=False)
    assert report.truth is None
    for name in METHODS:
        expected = upscale(scan, UpscaleParameters((1, 1, 2.5), name))
        np.testing.assert_array_equal(report.results[name].data, expected.data)
        assert GAIN not in report.values[name]
    numbers = ["method", "edge width (mm)", "noise (% of window)", "stripes (% of window)"]
    assert report.table()[0] == [*numbers, "seconds"]
    assert [row[0] for row in report.table()[1:]] == list(METHODS)


def test_a_real_factor_cannot_be_simulated(scan):
    with pytest.raises(ScaleError):
        run_methods(scan, METHODS, (1.0, 1.0, 2.5), simulate=True)


def test_labels_are_refused(scan):
    labels = replace(scan, data=np.round(scan.data / 400).astype(np.float32))
    with pytest.raises(VolumeError, match="labels"):
        run_methods(labels, METHODS, (2, 2, 2), simulate=False)


def test_the_method_that_runs_is_numbered_and_a_cancel_stops(scan):
    class Seen(Progress):
        def show(self, state: ProgressState) -> None:
            tasks.append(state.task)
            if state.task.startswith("2 of 2, tricubic"):
                self.token.cancel()

    tasks: list[str] = []
    with pytest.raises(Cancelled):
        run_methods(scan, METHODS, (2, 2, 2), simulate=False, progress=Seen())
    assert any(task.startswith("1 of 2, nearest") for task in tasks)


def test_all_results_must_fit_into_memory(scan, monkeypatch):
    parameters = EvaluateParameters()
    one = check_memory_for_all(scan.grid, ["nearest"], parameters, (2, 2, 2))
    three = check_memory_for_all(scan.grid, ["nearest"] * 3, parameters, (2, 2, 2))
    assert three - one == 2 * 4 * 8 * scan.data.size
    monkeypatch.setattr("napari_mrisr.core.memory.free_memory", lambda: one)
    monkeypatch.setattr(one_scan, "timed_run", lambda *_: pytest.fail("it ran"))
    with pytest.raises(MemoryEstimateError, match="2 methods need"):
        run_methods(scan, METHODS, (2, 2, 2), simulate=False)


def test_without_a_truth_the_page_shows_differences_from_the_first_method(scan):
    page = report_page(run_methods(scan, METHODS, (1, 1, 2), simulate=False))
    titles = [axes.get_title().strip() for axes in page.axes]
    assert [title for title in titles if title] == list(METHODS)
    assert any("result − nearest" in axes.get_ylabel() for axes in page.axes)


def test_the_page_is_one_page_with_the_whole_table(scan, tmp_path):
    report = run_methods(scan, METHODS, (2, 2, 2), simulate=True)
    save_figure(report_page(report), tmp_path / "page.pdf")
    content = (tmp_path / "page.pdf").read_bytes()
    assert b"/FontFile2" in content and b"/Type3" not in content
    pages = pypdf.PdfReader(tmp_path / "page.pdf").pages
    assert len(pages) == 1
    text = pages[0].extract_text()
    for row in report.table():
        assert all(cell in text for cell in row)
    assert "not for diagnosis" in text
