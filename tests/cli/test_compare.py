"""compare: figure and table without a window, what is handed to the window, blinded reading."""

from __future__ import annotations

import csv
import importlib.util
import sys
import types

import nibabel as nib
import numpy as np
import pytest

from napari_mrisr.cli import compare
from napari_mrisr.comparison.blinded.cases import read_plan
from napari_mrisr.comparison.blinded.session import Reading
from napari_mrisr.comparison.document import save_state
from napari_mrisr.comparison.state import CompareState, Difference, RoiBox
from napari_mrisr.io import read_volume

from .conftest import make_scan


@pytest.fixture
def scans(run, tmp_path):
    """A truth, its LR volume and a result of it, named after a person."""
    truth = make_scan(tmp_path / "jane_truth.nii.gz", shape=(24, 20, 28))
    low, result = tmp_path / "jane_low.nii.gz", tmp_path / "jane_result.nii.gz"
    assert run("degrade", truth, low, "--scale", "2", "-q").code == 0
    assert run("upscale", low, result, "--method", "tricubic", "-q").code == 0
    return truth, low, result


@pytest.fixture
def window(monkeypatch):
    """Record of what would be opened."""
    calls = types.SimpleNamespace()

    def open_comparison(volumes, state, *, truth, measured):
        calls.volumes, calls.state, calls.roles = volumes, state, (truth, measured)

    def open_reading(plan, out):
        calls.plan, calls.out = plan, out

    fake = types.ModuleType("napari_mrisr.viewer.compare")
    fake.open_comparison, fake.open_reading = open_comparison, open_reading
    monkeypatch.setitem(sys.modules, "napari_mrisr.viewer.compare", fake)
    monkeypatch.setattr(compare, "no_viewer_because", lambda: "")
    return calls


@pytest.fixture
def saved(tmp_path, scans):
    truth, _, result = scans
    volumes = {"T": read_volume(truth), "R": read_volume(result)}
    center = tuple(float(v) for v in (volumes["T"].grid.affine @ [12, 10, 14, 1])[:3])
    state = CompareState(
        ("R", "T"),
        differences=(Difference("R", "T", limit=50.0),),
        truth="T",
        crosshair=center,
        center=center,
        span_mm=40.0,
        rois=(RoiBox("putamen", "box", center, (8.0, 8.0, 8.0)),),
    )
    save_state(state, volumes, tmp_path / "saved.json")
    return tmp_path / "saved.json"


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_files_open_in_the_window_by_role(run, scans, window):
    truth, low, result = scans
    assert run("compare", result, "--truth", truth, "--measured", low).code == 0
    assert list(window.volumes) == ["reference", "tricubic 2x", "LR 2x"]
    assert window.roles == ("reference", "LR 2x")
    assert window.state is None
    expected = nib.as_closest_canonical(nib.load(truth)).get_fdata()
    np.testing.assert_allclose(window.volumes["reference"].data, expected)


def test_a_truth_among_the_files_keeps_its_place(run, scans, window):
    truth, low, result = scans
    assert run("compare", result, truth, low, "--truth", truth).code == 0
    assert list(window.volumes) == ["tricubic 2x", "reference", "LR 2x"]


def test_files_without_a_history_are_numbered_or_named(run, tmp_path, window):
    (tmp_path / "b").mkdir()
    one, two = make_scan(tmp_path / "jane.nii", 1), make_scan(tmp_path / "b" / "jane.nii", 2)
    assert run("compare", one, two).code == 0
    assert list(window.volumes) == ["volume 1", "volume 2"]
    assert window.roles == (None, None)
    assert run("compare", one, two, "--names").code == 0
    assert list(window.volumes) == ["jane", "jane (2)"]


def test_a_saved_comparison_opens_again(run, saved, scans, window):
    assert run("compare", saved).code == 0  # its volumes lie beside it
    assert window.state.columns == ("tricubic 2x", "reference")
    assert window.state.truth == "reference"
    assert window.state.differences == (Difference("tricubic 2x", "reference", limit=50.0),)
    assert set(window.volumes) == {"reference", "tricubic 2x"}


def test_a_saved_comparison_finds_files_given_under_other_names(
    run, saved, scans, window, tmp_path
):
    for path in scans:
        path.rename(path.with_name(path.name.replace("jane", "moved")))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    saved = saved.rename(elsewhere / "saved.json")
    files = sorted(tmp_path.glob("moved*"))
    assert run("compare", saved, *files, "--names").code == 0
    assert window.state.columns == ("moved_result", "moved_truth")
    found = run("compare", saved, files[0])
    assert found.code == 2
    assert "saved.json: 'volume 1' (24 × 20 × 28 voxels) was not found" in found.error


def test_figure_and_table_need_no_window_and_contain_no_file_names(
    run, scans, tmp_path, monkeypatch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    truth, low, result = scans
    figure, table = tmp_path / "f.svg", tmp_path / "t.csv"
    table.write_text("old")
    found = run(
        "compare", result, "--truth", truth, "--measured", low, "--figure", figure, "--table", table
    )
    assert found.code == 0
    assert found.out == f"Wrote {table}, {figure}\n"
    rows = rows_of(table)
    assert [(row["region"], row["volume"]) for row in rows] == [
        ("head", "reference"),
        ("head", "tricubic 2x"),
    ]
    assert 10 < float(rows[1]["psnr_db"]) < 60
    for text in (table.read_text("utf-8"), figure.read_text("utf-8")):
        assert "jane" not in text


def test_a_scan_coarser_than_the_result_gets_no_psnr(run, tmp_path):
    """The scan that the result was computed from is the measured one."""
    scan, table = make_scan(tmp_path / "thick.nii.gz", shape=(24, 20, 8)), tmp_path / "t.csv"
    result = tmp_path / "result.nii.gz"
    made = run("upscale", scan, result, "--scale", "1x1x3", "--method", "tricubic", "-q")
    assert made.code == 0, made.error
    assert run("compare", scan, result, "--table", table).code == 0
    rows = rows_of(table)
    assert "psnr_db" not in rows[0]
    assert [row["volume"] for row in rows] == ["LR", "tricubic 1x1x3"]
    assert {row["role"] for row in rows} == {"compared"}


def test_one_file_is_not_both_reference_and_measured_scan(run, scans):
    truth, _, result = scans
    found = run("compare", result, "--truth", truth, "--measured", truth)
    assert found.code == 2
    assert "is both" in found.error


def test_the_table_of_a_saved_comparison_has_its_regions_first(run, saved, tmp_path):
    found = run("compare", saved, "--table", tmp_path / "t.csv", "--figure", tmp_path / "f.png")
    assert found.code == 0
    regions = [row["region"] for row in rows_of(tmp_path / "t.csv")]
    assert regions == ["putamen", "putamen", "head", "head"]
    truth, result = (
        read_volume(tmp_path / f"jane_{name}.nii.gz").data for name in ("truth", "result")
    )
    row = next(r for r in rows_of(tmp_path / "t.csv") if r["volume"] == "tricubic 2x")
    # Voxels whose centers lie within 4 mm of voxel (12, 10, 14); sizes 1, 1.1 and 1.2 mm.
    box = (slice(8, 17), slice(7, 14), slice(11, 18))
    error = result[box].astype(float) - truth[box]
    assert float(row["n_voxels"]) in (error.size, (error.size * 8) // 9)
    assert float(row["rmse"]) == pytest.approx(np.sqrt((error**2).mean()), rel=0.1)
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


def test_a_blinded_reading_opens_and_continues(run, scans, window, tmp_path):
    cases = tmp_path / "cases.csv"
    cases.write_text(f"case,low,high\none,{scans[1].name},{scans[2].name}\n", encoding="utf-8")
    out = tmp_path / "reading.csv"
    asked = ("compare", "--cases", cases, "--out", out, "--seed", 5, "--question", "Sharper?")
    assert run(*asked).code == 0
    assert window.out == out
    assert (window.plan.seed, window.plan.question) == (5, "Sharper?")
    Reading(window.plan, out).answer(window.plan.items[0], [2], 4.0)
    assert run(*asked).code == 0
    other = run("compare", "--cases", cases, "--out", out)
    assert other.code == 2
    assert "reading" in other.error


def test_unblinding_prints_and_writes_counts(run, scans, tmp_path):
    cases = tmp_path / "cases.csv"
    cases.write_text(f"case,low,high\none,{scans[1].name},{scans[2].name}\n", encoding="utf-8")
    plan = read_plan(cases)
    Reading(plan, tmp_path / "r.csv").answer(plan.items[0], [2], 4.0)
    found = run("compare", "--unblind", tmp_path / "r.csv", "--table", tmp_path / "u.csv")
    assert found.code == 0
    assert "1 of 1 cases answered" in found.out
    assert "sign test p = 1, n = 1" in found.out
    winner = plan.order(plan.cases[0])[1]
    assert rows_of(tmp_path / "u.csv")[0][winner] == "2"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["no volume"]),
        (["none.nii"], ["none.nii", "no such file"]),
        (["T", "--truth", "none.nii"], ["none.nii", "no such file"]),
        (["none.json"], ["none.json", "cannot be read"]),
        (["T", "a.json"], ["a.json", "no such file"]),
        (["T", "L", "R", "a.nii", "b.nii"], ["5 volumes"]),
        (["T", "L", "R", "a.nii", "--truth", "b.nii"], ["5 volumes, the reference among them"]),
        (["--measured", "L"], ["only volume"]),
        (["S", "--truth", "T"], ["--reference", "leave them out"]),
        (["T", "--out", "r.csv"], ["--out", "--cases"]),
        (["--cases", "c.csv"], ["--cases", "--out"]),
        (["--cases", "c.csv", "--out", "r.csv"], ["c.csv", "cannot be read"]),
        (["T", "--cases", "c.csv", "--out", "r.csv"], ["--cases", "give it alone"]),
        (["--cases", "c.csv", "--out", "r.csv", "--figure", "f.png"], ["--cases"]),
        (["--unblind", "r.csv", "--cases", "c.csv"], ["--unblind"]),
        (["--unblind", "r.csv"], ["r.key.json"]),
        (["T", "--figure", "f.doc"], ["'.doc'"]),
        (["T", "--figure", "none/f.png"], ["none"]),
        (["T", "--table", "t.nii.gz"], ["name of an image"]),
        (["T", "--frame", "3"], ["no frame 3"]),
    ],
)
def test_bad_input_is_one_line_before_any_window(
    run, scans, saved, window, tmp_path, monkeypatch, arguments, parts
):
    monkeypatch.chdir(tmp_path)
    names = {"T": scans[0], "L": scans[1], "R": scans[2], "S": saved}
    found = run("compare", *(names.get(argument, argument) for argument in arguments))
    assert found.code == 2
    for part in parts:
        assert part in found.error
    assert vars(window) == {}


def test_without_napari_the_error_says_how_to_install_it(run, scans, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = run("compare", *scans)
    assert found.code == 2
    assert "pip install 'napari-mrisr[gui]'" in found.error


def test_without_a_display_the_error_says_so(run, scans, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    found = run("compare", *scans)
    assert found.code == 2
    assert "no display; write --figure or --table" in found.error
