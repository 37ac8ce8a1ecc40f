"""One plan per file."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from napari_mrisr import io
from napari_mrisr.cli import jobs
from napari_mrisr.io import read


def test_a_file_is_planned_with_one_look_at_header_and_method(run, scan, tmp_path, monkeypatch):
    counts = {"header": 0, "method": 0}
    upscaling = import_module("napari_mrisr.run.upscale")
    open_scan, check = read.open_scan, upscaling.check_parameters

    def open_counted(*args, **options):
        counts["header"] += 1
        return open_scan(*args, **options)

    def check_counted(*args):
        counts["method"] += 1
        return check(*args)

    monkeypatch.setattr(read, "open_scan", open_counted)
    monkeypatch.setattr(upscaling, "check_parameters", check_counted)
    monkeypatch.setattr(io, "read_volume", lambda *a, **k: pytest.fail("planned and checked"))
    with pytest.raises(pytest.fail.Exception):
        run("upscale", scan, tmp_path / "o.nii", "--method", "nearest")
    assert counts == {"header": 1, "method": 1}


def test_a_grid_is_described_along_the_file_s_axes():
    from napari_mrisr.core.volume import Grid, Origin

    scan = jobs.InputScan(
        Path("a.nii"), Grid((2, 3, 4), np.eye(4)), Origin("a.nii", ("S", "L", "P"))
    )
    text, facts = jobs.describe_grid(scan, (1, 1, 4), Grid((2, 3, 4), np.diag([1, 2, 3.5, 1])))
    assert text == "4 × 2 × 3 voxels of 3.5 × 1 × 2 mm"
    assert facts["scale"] == "4x1x1"
