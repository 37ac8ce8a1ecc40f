"""Metrics chosen by name, inside the head, in rows, tables and the bench."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.scans import head

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import ParameterError
from napari_mrisr.evaluation.experiment import EvaluateParameters, evaluate
from napari_mrisr.evaluation.further import FURTHER, ImagePair, chosen_metrics, measure_further
from napari_mrisr.evaluation.protocol import get_protocol
from napari_mrisr.io import write_volume

SHAPE = (40, 36, 48)
THICK = get_protocol("thick-slices:4", axis="S-I")


@pytest.fixture(scope="module")
def truth():
    return Volume(head(3, SHAPE) / np.float32(900), Grid(SHAPE, np.diag([1.0, 1.1, 0.9, 1.0])))


@pytest.fixture(scope="module")
def inside(truth):
    return truth.data > 0


def test_names_are_checked_and_put_in_order():
    assert chosen_metrics(["stripes", "psnr", "vif"]) == ("vif", "stripes")
    assert chosen_metrics(["all"]) == FURTHER
    with pytest.raises(ParameterError, match=r"'vfi'.*choose from all, psnr"):
        chosen_metrics(["vfi"])


def test_a_result_equal_to_the_truth_has_the_best_values(truth, inside):
    found = measure_further(FURTHER, ImagePair(truth, truth, inside, 2, 12))
    best = {"vif": 1.0, "hfen": 0.0, "gmsd": 0.0, "ms_ssim": 1.0}
    assert {name: found[name] for name in best} == pytest.approx(best, abs=1e-6)
    for name in ("edge_width_mm", "noise_percent", "stripes_percent"):
        kind, unit = name.rsplit("_", 1)
        assert found[name] == found[f"{kind}_truth_{unit}"]


def test_noise_and_stripes_are_those_that_were_planted(truth, inside, rng):
    flat = replace(truth, data=np.full(SHAPE, 0.5, np.float32))
    wave = 0.03 * np.sin(2 * np.pi * 12 * np.arange(48) / 48)
    noisy = flat.data + rng.normal(0, 0.02, SHAPE) + wave
    pair = ImagePair(flat, replace(flat, data=noisy.astype(np.float32)), inside, 2, 12)
    found = measure_further(["stripes"], pair)
    high = np.percentile(noisy, 99.9)  # the window starts at 0
    assert found["stripes_percent"] == pytest.approx(100 * 0.03 / high, rel=0.1)
    pair = replace(pair, image=replace(flat, data=(noisy - wave).astype(np.float32)))
    found = measure_further(["noise"], pair)
    assert found == pytest.approx({"noise_percent": 2.0, "noise_truth_percent": 0.0}, rel=0.05)


def test_what_lies_outside_the_head_does_not_count(truth, inside):
    image = truth.data * np.float32(0.9)
    far = image.copy()
    far[:2] += 5.0
    names = ("hfen", "gmsd", "edge-width", "noise")
    core = inside.copy()
    core[:14] = core[26:] = False
    found = [
        measure_further(names, ImagePair(truth, replace(truth, data=a), core)) for a in (image, far)
    ]
    assert found[0] == found[1]
    assert found[0]["hfen"] == pytest.approx(0.1, rel=1e-3)


def test_without_a_head_or_a_thick_axis_values_are_undefined(truth):
    found = measure_further(FURTHER, ImagePair(truth, truth, np.zeros(SHAPE, bool)))
    assert np.isnan(list(found.values())).all()


def test_rows_files_and_table_have_the_metrics(truth, tmp_path):
    path = tmp_path / "scan.nii.gz"
    write_volume(truth, path)
    chosen = EvaluateParameters(
        methods=("nearest", "tricubic"), protocol=THICK, metrics=("hfen", "vif"), threads=1
    )
    report = evaluate([path], chosen)
    rows = {row.method: row.further for row in report.rows if row.mask == "head"}
    assert rows["nearest"]["hfen"] > rows["tricubic"]["hfen"] > 0
    lines = {(r["method"], r["mask"]): r for r in csv.DictReader(io.StringIO(report.to_csv()))}
    assert float(lines["nearest", "head"]["vif"]) == rows["nearest"]["vif"]
    assert lines["nearest", "full"]["vif"] == "nan"
    content = json.loads(report.to_json())
    assert content["rows"][1]["hfen"] == rows["nearest"]["hfen"]
    assert content["summary"][1]["further"]["hfen"]["mean"] == rows["nearest"]["hfen"]
    table = report.summary_table()
    assert table.split("further metrics")[1].split()[:4] == ["scale", "method", "vif", "hfen"]
    assert f"{rows['tricubic']['hfen']:.3f}" in table
    assert "further" not in evaluate([path], replace(chosen, metrics=())).summary_table()


def test_left_out_slices_have_no_further_metrics():
    with pytest.raises(ParameterError, match="--metrics"):
        EvaluateParameters(protocol=get_protocol("leave-out:2"), metrics=("vif",))
