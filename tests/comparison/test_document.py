"""JSON: there and back, damaged, and without names or paths."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from helpers.scenes import KEYS, STATE

from napari_mrisr.comparison.document import Record, fingerprint, from_json, to_json
from napari_mrisr.comparison.state import CompareState, Display
from napari_mrisr.core.volume import Grid, IntensityWindow, Volume
from napari_mrisr.errors import MrisrError, ParameterError

RECORDS = {key: Record(f"{i:064x}", (10 + i, 20, 30)) for i, key in enumerate(KEYS)}


def test_the_state_under_test_has_nothing_at_its_default():
    """Else a field that is not saved would not be missed."""
    default = CompareState()
    same = [f.name for f in fields(STATE) if getattr(STATE, f.name) == getattr(default, f.name)]
    assert same == []


def renamed_to_labels(state):
    for i, key in enumerate(KEYS):
        state = state.renamed(key, f"volume {(1, 2, 3)[i]}")
    return replace(state, looks={k: v for k, v in state.looks.items() if k != "gone"})


def test_json_brings_back_every_field():
    state, volumes = from_json(to_json(STATE, RECORDS))
    assert state == renamed_to_labels(STATE)
    assert volumes == {f"volume {i + 1}": RECORDS[key] for i, key in enumerate(KEYS)}


def test_json_has_neither_names_nor_paths_unless_asked():
    text = to_json(STATE, RECORDS)
    assert "Jane" not in text
    assert "gone" not in text
    assert "pons" in text  # a region's name is the user's own
    with_paths = to_json(
        STATE, {**RECORDS, KEYS[0]: replace(RECORDS[KEYS[0]], path="/scans/jane.nii.gz")}
    )
    state, volumes = from_json(with_paths)
    assert state.columns == KEYS[:2]
    assert volumes[KEYS[0]].path == "/scans/jane.nii.gz"
    assert volumes[KEYS[1]].path is None


def test_keys_that_look_like_labels_do_not_mix():
    keys = ("volume 2", "volume 1")
    state = CompareState(keys, truth="volume 1", looks={"volume 1": Display("magma")})
    back, volumes = from_json(
        to_json(state, {"volume 2": Record("a", (2, 3, 4)), "volume 1": Record("b", (5, 6, 7))})
    )
    assert back.columns == ("volume 1", "volume 2")
    assert back.truth == "volume 2"
    assert back.looks == {"volume 2": Display("magma")}
    assert volumes["volume 2"] == Record("b", (5, 6, 7))


def test_a_volume_without_fingerprint_is_named():
    with pytest.raises(ParameterError, match="LR of Jane"):
        to_json(STATE, {key: RECORDS[key] for key in KEYS[:2]})


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", '{"a": 1}', "{", '"x"', '{"napari_mrisr_comparison": 1}', "\ufffd", "1e999"],
)
def test_other_documents_are_refused_by_name(text):
    with pytest.raises(ParameterError, match=r"^reading\.json: is no comparison"):
        from_json(text, "reading.json")


def test_a_later_version_asks_for_an_update():
    document = json.loads(to_json(STATE, RECORDS))
    document["napari_mrisr_comparison"] = 2
    with pytest.raises(ParameterError, match="version 2; update"):
        from_json(json.dumps(document))


DAMAGE = [
    ("columns", ["a", "b"]),
    ("columns", 5),
    ("columns", ["volume 1"] * 5),
    ("crosshair", [1, 2]),
    ("crosshair", ["x", 1, 2]),
    ("crosshair", [1, 2, float("nan")]),
    ("center", None),
    ("span_mm", 0),
    ("span_mm", "wide"),
    ("mode", "fade"),
    ("planes", []),
    ("planes", ["frontal"]),
    ("pair", [0]),
    ("pair", [0, 7]),
    ("pair", [-1, 0]),
    ("maximized", ["frontal", 0]),
    ("maximized", ["axial"]),
    ("looks", {"volume 1": {"colormap": "gray", "limits": [0], "gamma": 1}}),
    ("looks", [1]),
    ("differences", [{"minuend": "volume 1"}]),
    ("differences", [{"minuend": "volume 1", "subtrahend": "volume 9"}]),
    ("differences", [{"minuend": "volume 1", "subtrahend": "volume 2", "limit": "high"}]),
    ("rois", [{"name": "a", "shape": "cone", "center": [0] * 3, "size": [1] * 3, "axes": [1] * 9}]),
    ("rois", [{"name": "a"}]),
    ("inset", 3),
    ("swipe", "left"),
    ("swipe", 2),
    ("checker_mm", 0),
    ("checker_mm", None),
    ("flicker_hz", -1),
    ("truth", 4),
    ("radiological", "yes"),
    ("surprise", 1),
]


@pytest.mark.parametrize(("field", "value"), DAMAGE)
def test_damage_in_one_field_is_an_error_of_one_line(field, value):
    document = json.loads(to_json(STATE, RECORDS))
    document["state"][field] = value
    with pytest.raises(MrisrError) as caught:
        from_json(json.dumps(document), "reading.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("entry", [None, 3, {}, {"sha256": 5, "shape": [1, 2, 3]}, {"sha256": "a"}])
def test_a_damaged_record_of_a_volume_is_refused(entry):
    document = json.loads(to_json(STATE, RECORDS))
    document["volumes"]["volume 1"] = entry
    with pytest.raises(ParameterError, match="is no comparison"):
        from_json(json.dumps(document))


@pytest.mark.parametrize("field", json.loads(to_json(STATE, RECORDS))["state"])
def test_a_missing_field_is_no_crash(field):
    """It has its default, or the document is refused."""
    document = json.loads(to_json(STATE, RECORDS))
    del document["state"][field]
    try:
        state, _ = from_json(json.dumps(document), "reading.json")
    except ParameterError as error:
        assert "reading.json" in str(error)
    else:
        assert getattr(state, field) == getattr(CompareState(), field)


def test_a_fingerprint_is_of_content_not_of_the_way_it_is_kept(rng):
    data = rng.normal(100, 5, (4, 5, 6)).astype(np.float32)
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    volume = Volume(data, Grid(data.shape, affine))
    same = Volume(np.asfortranarray(data), Grid(data.shape, affine + 1e-6), history={"a": "b"})
    assert fingerprint(volume) == fingerprint(same)
    window = IntensityWindow(0.0, 2.0)
    assert fingerprint(volume) == fingerprint(Volume(data / 2, volume.grid, window))
    moved = Volume(data, Grid(data.shape, affine + 0.01))
    other = data.copy()
    other[1, 2, 3] += 1
    prints = {fingerprint(v) for v in (volume, moved, Volume(other, volume.grid))}
    assert len(prints) == 3
    assert all(len(text) == 64 for text in prints)
