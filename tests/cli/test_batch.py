"""Many files: failures on their own, skipped files, JSON lines."""

from __future__ import annotations

import errno
import json
import os
from importlib import import_module
from pathlib import Path

import pytest

from napari_mrisr import io

from .conftest import make_scan

NEAREST = ("--method", "nearest")


@pytest.fixture
def two(tmp_path):
    """A folder with two scans."""
    folder = tmp_path / "in"
    folder.mkdir()
    return folder, [make_scan(folder / f"sub-0{n}_T1w.nii", n) for n in (1, 2)]


@pytest.fixture
def fail_on(monkeypatch):
    """Let reading the voxels of some files raise an exception."""
    read = io.read_volume

    def fail_on(name, error):
        def read_or_fail(path, **options):
            if Path(path).name == name:
                raise error
            return read(path, **options)

        monkeypatch.setattr(io, "read_volume", read_or_fail)

    return fail_on


def lines_of(found):
    return [line for line in found.err.splitlines() if line.startswith("napari-mrisr: error: ")]


def test_a_folder_that_cannot_be_read_is_named_and_the_rest_is_done(
    run, two, tmp_path, files, monkeypatch
):
    folder, _ = two
    locked = folder / "sub-03"
    locked.mkdir()
    scandir = os.scandir

    def refuse(path):  # root may list any folder
        if Path(path) == locked:
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = run("upscale", folder, tmp_path / "out", *NEAREST)
    assert found.code == 2
    assert lines_of(found) == [
        f"napari-mrisr: error: {locked}: cannot be read (Permission denied); "
        "change its permissions",
        "napari-mrisr: error: 1 failed, 2 done",
    ]


def test_linked_subject_folders_are_read(run, two, tmp_path, files):
    folder, _ = two
    study = tmp_path / "study"
    study.mkdir()
    (study / "sub-01").symlink_to(folder, target_is_directory=True)
    assert run("upscale", study, tmp_path / "out", *NEAREST).code == 0
    assert "out/sub-02_desc-sr2x_T1w.nii" in files()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZeroDivisionError("a fault of ours"), "unexpected error (ZeroDivisionError: a fault of"),
        (PermissionError(errno.EACCES, "Permission denied"), "cannot be used (Permission denied)"),
    ],
)
def test_an_unexpected_error_does_not_stop_the_other_files(
    run, two, tmp_path, files, fail_on, error, words
):
    folder, (first, _) = two
    fail_on(first.name, error)
    found = run("upscale", folder, tmp_path / "out", *NEAREST)
    assert found.code == 1
    failed, summary = lines_of(found)
    assert f"{first}: {words}" in failed
    assert summary == "napari-mrisr: error: 1 failed, 1 done"
    assert "out/sub-02_desc-sr2x_T1w.nii" in files()


def test_an_unexpected_error_in_evaluate_does_not_stop_the_other_files(
    run, two, tmp_path, monkeypatch
):
    experiment = import_module("napari_mrisr.evaluation.experiment")
    read = experiment.read_volume

    def fail(path, **options):
        if Path(path).name == "sub-01_T1w.nii":
            raise ZeroDivisionError("a fault of ours")
        return read(path, **options)

    monkeypatch.setattr(experiment, "read_volume", fail)
    found = run("evaluate", two[0], "--methods", "nearest", "--json", tmp_path / "r.json")
    assert found.code == 1
    assert (
        "sub-01_T1w.nii: unexpected error (ZeroDivisionError: a fault of ours, at test_batch.py:"
        in found.error
    )
    rows = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert {Path(row["file"]).name for row in rows} == {"sub-02_T1w.nii"}


def test_verbose_shows_where_an_unexpected_error_arose(two, tmp_path, fail_on, capsys):
    from napari_mrisr.cli import main

    fail_on("sub-01_T1w.nii", ZeroDivisionError("a fault of ours"))
    command = ["upscale", str(two[0]), str(tmp_path / "out"), *NEAREST, "--verbose"]
    assert main(command) == 1
    assert "read_or_fail" in capsys.readouterr().err


@pytest.mark.parametrize("alone", [True, False])
def test_too_little_memory_is_one_line_that_names_the_file(run, two, tmp_path, fail_on, alone):
    folder, (first, _) = two
    fail_on(first.name, MemoryError())
    inputs, out = (first, "o.nii") if alone else (folder, "out")
    found = run("upscale", inputs, tmp_path / out, *NEAREST)
    assert found.code == 2
    assert "not enough memory" in lines_of(found)[0]
    if not alone:
        assert str(first) in lines_of(found)[0]


def test_an_error_in_a_batch_names_its_file(run, two, tmp_path):
    found = run("upscale", two[0], tmp_path / "out", "--scale", "1x3x7")
    first, second, _ = lines_of(found)
    assert "sub-01_T1w.nii: --scale: no filter bank for 1x3x7" in first
    assert "sub-02_T1w.nii: --scale: no filter bank for 1x3x7" in second


def test_skip_existing_leaves_finished_files_alone(run, two, tmp_path):
    folder, _ = two
    command = ("upscale", folder, tmp_path / "out", *NEAREST, "--skip-existing")
    assert run(*command).code == 0
    done = tmp_path / "out" / "sub-01_desc-sr2x_T1w.nii"
    done.write_bytes(b"finished")
    (tmp_path / "out" / "sub-02_desc-sr2x_T1w.nii").unlink()
    found = run(*command)
    assert found.code == 0
    first, second = found.out.splitlines()
    assert first == f"{done}: exists, skipped"
    assert second.startswith(f"{tmp_path / 'out' / 'sub-02_desc-sr2x_T1w.nii'}: 36 × 44 × 30")
    assert done.read_bytes() == b"finished"
    assert run(*command[:-1], "--skip-existing", "--overwrite").code == 2


def test_json_has_an_object_per_file_and_nothing_else(run, two, tmp_path, fail_on):
    folder, (first, second) = two
    out = tmp_path / "out"
    done = out / "sub-01_desc-sr2x_T1w.nii"
    command = ("upscale", folder, out, *NEAREST, "--json", "--skip-existing")
    rows = [json.loads(line) for line in run(*command).out.splitlines()]
    assert [row.pop("seconds") >= 0 for row in rows] == [True, True]
    assert rows[0] == {
        "input": str(first),
        "output": str(done),
        "status": "done",
        "scale": "2",
        "shape": [36, 44, 30],
        "voxel_size_mm": pytest.approx([0.5, 0.55, 0.6]),
        "method": "nearest",
        "slice_thickness_mm": pytest.approx(1.2),
        "slice_distance_mm": pytest.approx(1.2),
        "slice_thickness_from": "assumed",
        "dtype": "float32",
        "cautions": [],
    }
    (out / "sub-02_desc-sr2x_T1w.nii").unlink()
    fail_on(second.name, ZeroDivisionError("a fault of ours"))
    found = run(*command, "-q")
    skipped, failed = (json.loads(line) for line in found.out.splitlines())
    assert skipped == {"input": str(first), "output": str(done), "status": "skipped"}
    assert (failed["input"], failed["status"]) == (str(second), "failed")
    assert "a fault of ours" in failed["error"]
    assert found.code == 1
