"""Declared needs of a foreign network, and normalizations."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.core.volume import Grid, IntensityWindow, Volume
from napari_mrisr.errors import BankError
from napari_mrisr.networks.needs import NetworkNeeds, Normalization


def test_every_need_is_read():
    given = {
        "input": "Interpolated",
        "output": "correction",
        "scale": [4, 1, 1],
        "plane": "coronal",
        "normalization": "percentiles 1, 99.8",
        "halo": "4x8x8",
        "multiple": 8,
        "tile": "96",
        "degradation": "slice-profile:gaussian:1.2",
        "consistency": False,
    }
    needs = NetworkNeeds().declared(given, "sidecar", "mine.json")
    assert needs.input == "interpolated"
    assert needs.axes == "zx"
    assert (needs.scale, needs.halo) == ((4, 1, 1), (4, 8, 8))
    assert needs.normalization == Normalization("percentiles", 1, 99.8)
    assert (needs.multiple, needs.tile, needs.consistency) == (8, 96, False)
    assert "normalization percentiles 1 99.8 (sidecar)" in needs.lines()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("speed", 3),
        ("input", "both"),
        ("scale", 0),
        ("scale", 1.5),
        ("scale", [1, 1, 1, 1]),
        ("axes", "zz"),
        ("axes", "xyzt"),
        ("plane", "oblique"),
        ("halo", -1),
        ("halo", 1e9),
        ("halo", "nan"),
        ("multiple", [2, 2]),
        ("tile", True and "x"),
        ("normalization", "zscore"),
        ("normalization", "percentiles 99 1"),
        ("normalization", "linear 0 1"),
        ("normalization", "linear inf 1"),
        ("degradation", "sharpened"),
        ("consistency", "perhaps"),
        ("halo", None),
    ],
)
def test_a_wrong_declaration_names_file_and_entry(name, value):
    with pytest.raises(BankError, match=rf"mine\.json: sidecar has .*{name}"):
        NetworkNeeds().declared({name: value}, "sidecar", "mine.json")


def test_probing_completes_and_never_replaces():
    needs = NetworkNeeds().declared({"halo": 3}, "option", "mine.onnx")
    needs = needs.completed("found by probing", halo=(9, 9), multiple=4)
    assert (needs.halo, needs.multiple) == ((3,), 4)
    assert needs.sources == {"halo": "option", "multiple": "found by probing"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("window", lambda scan: scan / 80.0),
        ("symmetric", lambda scan: scan / 40.0 - 1.0),
        ("bytes", lambda scan: scan * 255.0 / 80.0),
        ("scan", lambda scan: scan),
        ("minmax", lambda scan: (scan - scan.min()) / np.ptp(scan)),
        ("z-score", lambda scan: (scan - scan.mean()) / scan.std()),
        ("z-score-nonzero", lambda scan: (scan - scan[scan > 0].mean()) / scan[scan > 0].std()),
        (
            "percentiles 10 90",
            lambda scan: (scan - np.percentile(scan, 10)) / np.ptp(np.percentile(scan, [10, 90])),
        ),
        ("linear 0.5 -3", lambda scan: 0.5 * scan - 3.0),
    ],
)
def test_normalizations_follow_their_formulas(rng, text, expected):
    scan = rng.uniform(20, 100, (6, 5, 4)).astype(np.float32)
    scan[0] = 0.0
    volume = Volume(scan, Grid(scan.shape, np.eye(4)))
    lr = volume.normalized(IntensityWindow(0.0, 80.0))
    gain, offset = Normalization.parse(text).line(lr)
    np.testing.assert_allclose(gain * lr.data + offset, expected(scan), rtol=1e-4, atol=1e-4)


def test_a_constant_volume_has_a_normalization():
    lr = Volume(np.ones((4, 5, 6), np.float32), Grid((4, 5, 6), np.eye(4))).normalized()
    for text in ("minmax", "z-score", "percentiles 1 99"):
        assert np.isfinite(Normalization.parse(text).line(lr)).all()
