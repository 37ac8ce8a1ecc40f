"""Names, labels and frozen requests."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from napari.layers import Image

from napari_mrisr.core.progress import CancelToken, Progress, ProgressState
from napari_mrisr.core.volume import Grid, Origin
from napari_mrisr.errors import Cancelled, ScaleError
from napari_mrisr.run.upscale import UpscaleParameters
from napari_mrisr.viewer.common import labels
from napari_mrisr.viewer.common.labels import (
    bytes_label,
    duration_label,
    error_line,
    grid_label,
    made_label,
    offered_scales,
    progress_label,
    scale_label,
)
from napari_mrisr.viewer.layers.convert import layer_data, snapshot
from napari_mrisr.viewer.super_resolve.requests import (
    LEARNED,
    SimulateRequest,
    UpscaleRequest,
    plan_label,
)


@pytest.fixture
def source(volume):
    data, kwargs, _ = layer_data(volume, "scan")
    return snapshot(Image(data, **kwargs))


def test_upscale_request(source, volume):
    request = UpscaleRequest(source, UpscaleParameters((1, 2, 3), "tricubic", threads=1))
    assert request.result_name == "scan tricubic 1x2x3x"
    ((data, kwargs, kind),) = request.run(Progress())
    assert (kind, kwargs["name"]) == ("image", request.result_name)
    assert data.shape == (45, 24, 10)
    assert kwargs["scale"] == pytest.approx((0.5, 0.625, 1.0))
    assert kwargs["contrast_limits"] == source.look["contrast_limits"]
    history = kwargs["metadata"]["history"]
    assert (history["method"], history["scale"]) == ("tricubic", "1x2x3")
    with pytest.raises(FrozenInstanceError):
        request.parameters = None


@pytest.mark.parametrize(("method", "scale"), [("anchored", (2, 2, 2)), ("unrolled", (1, 1, 2))])
def test_learned_methods_have_maps_with_the_expected_error(source, method, scale):
    assert method in LEARNED
    request = UpscaleRequest(source, UpscaleParameters(scale, method, threads=1), trust=True)
    names = [kwargs["name"] for _, kwargs, _ in request.run(Progress())]
    assert names[1:] == [
        "consistency, scan's units: scan",
        "support: scan",
        "expected RMSE, scan's units: scan",
    ]


def test_names_count_the_axes_of_the_file(volume):
    turned = replace(volume, origin=Origin("scan.nii", ("A", "S", "L")))  # axes y, z, x
    data, kwargs, _ = layer_data(turned, "scan")
    source = snapshot(Image(data, **kwargs))
    request = UpscaleRequest(source, UpscaleParameters((3, 1, 2), "tricubic", threads=1))
    assert request.result_name == "scan tricubic 1x2x3x"
    ((data, kwargs, _),) = request.run(Progress())
    assert kwargs["metadata"]["history"]["scale"] == "1x2x3"
    result = snapshot(Image(data, **kwargs))
    assert made_label(result) == "Already super-resolved (tricubic 3× R–L, 2× S–I)"
    simulated = SimulateRequest(source, (2, 1, 1), "standard")
    assert simulated.result_name == "scan LR 1x1x2x"
    ((_, kwargs, _),) = simulated.run(Progress())
    assert kwargs["metadata"]["history"]["degraded_by"] == "1x1x2"


def test_simulate_request(source):
    request = SimulateRequest(source, (2, 2, 2), "kspace")
    assert request.result_name == "scan LR 2x"
    ((data, kwargs, _),) = request.run(Progress())
    assert data.shape == (7, 6, 5)
    assert kwargs["scale"] == pytest.approx((3.0, 2.5, 2.0))
    assert kwargs["metadata"]["history"]["degradation"] == "kspace"
    # The simulated scan remembers the truth.
    assert kwargs["metadata"]["mrisr"].source_id == source.layer_id != ""


@pytest.mark.parametrize("kind", ["upscale", "simulate"])
def test_requests_can_be_cancelled(source, kind):
    token = CancelToken()
    token.cancel()
    upscale = UpscaleRequest(source, UpscaleParameters((2, 2, 2), "nearest"))
    request = upscale if kind == "upscale" else SimulateRequest(source, (2, 2, 2), "standard")
    with pytest.raises(Cancelled):
        request.run(Progress(token))


def test_offered_scales_of_a_method_that_takes_any():
    scales, others = offered_scales("tricubic")
    assert (2, 2, 2) in scales
    assert others


@pytest.mark.parametrize(
    ("scale", "label"),
    [
        ((2, 2, 2), "2×"),
        ((1, 1, 1), "1×"),
        ((1, 1, 4), "4× S–I"),
        ((2, 3, 1), "2× R–L, 3× A–P"),
    ],
)
def test_scale_label(scale, label):
    assert scale_label(scale) == label


def test_grid_and_plan_label():
    grid = Grid((160, 192, 200), np.diag([1.0, 4 / 3, 0.8, 1.0]))
    assert grid_label(grid) == "160 × 192 × 200 voxels\n1 × 1.33 × 0.8 mm"
    plan = plan_label(grid, UpscaleParameters((2, 1, 1), "nearest", threads=1))
    assert plan.startswith("320 × 192 × 200 voxels\n0.5 × 1.33 × 0.8 mm\nabout ")


@pytest.mark.parametrize(
    ("count", "label"),
    [(870_400_000, "870 MB"), (999_000_000, "1.0 GB"), (1_240_000_000, "1.2 GB")],
)
def test_bytes_label(count, label):
    assert bytes_label(count) == label


@pytest.mark.parametrize(
    ("seconds", "label"), [(0.84, "0.8 s"), (12.2, "12 s"), (125, "2 min 05 s")]
)
def test_duration_label(seconds, label):
    assert duration_label(seconds) == label


def test_progress_label():
    assert progress_label(ProgressState("hashed 2x", 0, 9, 0.1)) == "hashed 2x: 0 %"
    assert progress_label(ProgressState("hashed 2x", 3, 9, 4.0)) == "hashed 2x: 33 %, 8 s left"
    assert progress_label(ProgressState("hashed 2x", 9, 9, 4.0)) == "hashed 2x: 100 %"


def test_error_line():
    assert error_line(ScaleError("--scale: 9; no")) == "--scale: 9; no"
    assert "Not enough memory" in error_line(MemoryError())
    assert error_line(KeyError("a\nb")).count("\n") == 0
    assert "please report" in error_line(KeyError("x"))


def test_banks_of_ones_own_are_offered_at_their_scale(tmp_path, monkeypatch, make_bank):
    monkeypatch.setenv("NAPARI_MRISR_BANKS", str(tmp_path))
    make_bank((5, 5, 5)).save(tmp_path / "mine.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    assert labels.fitting_banks((5, 5, 5)) == ["mine"]
    assert (5, 5, 5) in labels.offered_scales("hashed")[0]
    # Trained anew at another scale.
    make_bank((6, 6, 6), seed=1, width=5).save(tmp_path / "mine.safetensors")
    assert labels.fitting_banks((5, 5, 5)) == []
    assert labels.fitting_banks((6, 6, 6)) == ["mine"]


def test_banks_fit_any_order_of_their_scale(tmp_path, monkeypatch, make_bank):
    monkeypatch.setenv("NAPARI_MRISR_BANKS", str(tmp_path))
    make_bank((1, 1, 3), ("cell",)).save(tmp_path / "thick.safetensors")
    assert labels.fitting_banks((3, 1, 1)) == []
    assert labels.fitting_banks((3, 1, 1), any_order=True) == ["thick-3x", "thick"]
    offered = labels.offered_scales("hashed")[0]
    assert offered[0] == (2, 2, 2)
    assert {(1, 1, 3), (1, 3, 1), (3, 1, 1)} <= set(offered)
