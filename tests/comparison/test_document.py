"""Saved comparisons: there and back, damaged, found by content, without names or paths."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import nibabel as nib
import numpy as np
import pytest
from helpers.scenes import KEYS, STATE

from napari_mrisr.comparison import document
from napari_mrisr.comparison.document import (
    Record,
    fingerprint,
    from_json,
    open_state,
    save_state,
    to_json,
)
from napari_mrisr.comparison.state import CompareState, Display
from napari_mrisr.core.volume import Grid, IntensityWindow, Volume
from napari_mrisr.errors import MrisrError, OutputError, ParameterError
from napari_mrisr.io import read_volume

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
    content = json.loads(to_json(STATE, RECORDS))
    content["napari_mrisr_comparison"] = 2
    with pytest.raises(ParameterError, match="version 2; update"):
        from_json(json.dumps(content))


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
    content = json.loads(to_json(STATE, RECORDS))
    content["state"][field] = value
    with pytest.raises(MrisrError) as caught:
        from_json(json.dumps(content), "reading.json")
    assert "\n" not in str(caught.value)


def numbers_in(content, path=()):
    """Paths of all numbers in a document."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from numbers_in(value, (*path, key))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield (*path, key)


def test_an_impossible_number_anywhere_is_an_error_of_one_line():
    text = to_json(STATE, RECORDS)
    places = list(numbers_in(json.loads(text)))
    assert len(places) > 30
    for place in places:
        for number in ("1e308", "-1e308", "1e999", "NaN", "1" + "0" * 400):
            content = json.loads(text)
            parent = content
            for key in place[:-1]:
                parent = parent[key]
            parent[place[-1]] = "NUMBER"
            damaged = json.dumps(content).replace('"NUMBER"', number)
            with pytest.raises(ParameterError) as caught:
                from_json(damaged, "reading.json")
            assert str(caught.value).startswith("reading.json: "), (place, number)
            assert "\n" not in str(caught.value)
            assert len(str(caught.value)) < 250


def test_axes_of_a_region_must_be_a_rotation():
    content = json.loads(to_json(STATE, RECORDS))
    content["state"]["rois"][0]["axes"] = [1, 0, 0, 0, 0, 0, 0, 0, 1]
    with pytest.raises(ParameterError, match="no rotation"):
        from_json(json.dumps(content))


@pytest.mark.parametrize("entry", [None, 3, {}, {"sha256": 5, "shape": [1, 2, 3]}, {"sha256": "a"}])
def test_a_damaged_record_of_a_volume_is_refused(entry):
    content = json.loads(to_json(STATE, RECORDS))
    content["volumes"]["volume 1"] = entry
    with pytest.raises(ParameterError, match="is no comparison"):
        from_json(json.dumps(content))


@pytest.mark.parametrize("field", json.loads(to_json(STATE, RECORDS))["state"])
def test_a_missing_field_is_no_crash(field):
    """It has its default, or the document is refused."""
    content = json.loads(to_json(STATE, RECORDS))
    del content["state"][field]
    try:
        state, _ = from_json(json.dumps(content), "reading.json")
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


SHAPES = {"a": (6, 7, 8), "b": (6, 7, 8), "c": (3, 4, 5)}


@pytest.fixture
def scans(tmp_path, rng):
    """Three files in a folder of their own; two of one shape."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for key, shape in SHAPES.items():
        data = rng.integers(0, 900, shape).astype(np.int16)
        nib.save(
            nib.Nifti1Image(data, np.diag([1.0, 1.5, 2.0, 1.0])), folder / f"jane-{key}.nii.gz"
        )
    return folder


@pytest.fixture
def state():
    return CompareState(
        ("jane-a", "jane-b"), truth="jane-a", measured="jane-c", looks={"jane-a": Display()}
    )


def volumes_of(scans):
    return {f"jane-{key}": read_volume(scans / f"jane-{key}.nii.gz") for key in SHAPES}


@pytest.fixture
def saved(tmp_path, scans, state):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    save_state(state, volumes_of(scans), folder / "c.json")
    return folder / "c.json"


def test_volumes_are_found_among_files_given_in_any_order_and_name(saved, scans):
    (scans / "jane-b.nii.gz").rename(scans / "renamed.nii.gz")
    opened = open_state(
        saved, [scans / n for n in ("jane-c.nii.gz", "renamed.nii.gz", "jane-a.nii.gz")]
    )
    assert opened.state.columns == ("volume 1", "volume 2")
    assert (opened.state.truth, opened.state.measured) == ("volume 1", "volume 3")
    assert opened.paths["volume 2"] == scans / "renamed.nii.gz"
    for key, name in (("volume 1", "jane-a"), ("volume 2", "renamed"), ("volume 3", "jane-c")):
        expected = nib.load(scans / f"{name}.nii.gz").get_fdata()
        np.testing.assert_array_equal(opened.volumes[key].data, expected)


def test_volumes_beside_the_document_need_not_be_given(scans, state):
    save_state(state, volumes_of(scans), scans / "c.json")
    (scans / "broken.nii.gz").write_bytes(b"no image")
    assert len(open_state(scans / "c.json").volumes) == 3


def test_volumes_are_found_by_saved_paths(tmp_path, scans, state):
    paths = {key: str(scans / f"{key}.nii.gz") for key in ("jane-a", "jane-b")}
    paths["jane-c"] = "../scans/jane-c.nii.gz"  # relative to the document
    (tmp_path / "far").mkdir()
    save_state(state, volumes_of(scans), tmp_path / "far" / "c.json", paths=paths)
    opened = open_state(tmp_path / "far" / "c.json")
    assert opened.state == state
    assert set(opened.volumes) == set(paths)


def test_open_volumes_are_used_and_only_others_are_read(saved, scans):
    volumes = volumes_of(scans)
    known = {"first": volumes["jane-a"], "third": volumes["jane-c"]}
    opened = open_state(saved, [scans / "jane-b.nii.gz"], open_volumes=known)
    assert opened.names == {"volume 1": "first", "volume 3": "third"}
    assert opened.volumes["volume 1"] is volumes["jane-a"]
    assert list(opened.paths) == ["volume 2"]


def test_the_document_names_nobody(saved):
    assert "jane" not in saved.read_text("utf-8")


def test_only_files_of_a_fitting_shape_are_read(saved, scans, monkeypatch):
    other = scans / "other.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((9, 9, 9), np.int16), np.eye(4)), other)
    read = []

    def reading(path, **options):
        read.append(path.name)
        return read_volume(path, **options)

    monkeypatch.setattr(document, "read_volume", reading)
    open_state(saved, [other, *sorted(scans.glob("jane-*"))])
    assert read == ["jane-a.nii.gz", "jane-b.nii.gz", "jane-c.nii.gz"]


def test_a_missing_volume_is_named_with_its_role(saved, scans):
    with pytest.raises(
        ParameterError, match=r"c\.json: 'volume 1' \(the reference, 6 × 7 × 8 voxels\)"
    ):
        open_state(saved, [scans / "jane-b.nii.gz", scans / "jane-c.nii.gz"])
    with pytest.raises(ParameterError, match=r"'volume 3' \(the measured scan, 3 × 4 × 5"):
        open_state(saved, [scans / "jane-b.nii.gz", scans / "jane-a.nii.gz"])


def test_a_changed_voxel_is_another_volume(saved, scans):
    image = nib.load(scans / "jane-a.nii.gz")
    data = np.asarray(image.dataobj).copy()
    data[1, 2, 3] += 1
    nib.save(nib.Nifti1Image(data, image.affine), scans / "jane-a.nii.gz")
    with pytest.raises(ParameterError, match="'volume 1'"):
        open_state(saved, sorted(scans.glob("*.nii.gz")))


def test_two_volumes_of_one_content_are_served_by_one_file(tmp_path, scans):
    volume = read_volume(scans / "jane-a.nii.gz")
    save_state(CompareState(("x", "y")), {"x": volume, "y": volume}, tmp_path / "c.json")
    opened = open_state(tmp_path / "c.json", [scans / "jane-a.nii.gz"])
    assert set(opened.volumes) == {"volume 1", "volume 2"}


def test_a_file_given_that_is_no_image_is_named(saved, scans):
    with pytest.raises(MrisrError, match=r"none\.nii: no such file"):
        open_state(saved, [scans / "none.nii"])


def test_documents_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ParameterError, match=r"none\.json: cannot be read \(No such file"):
        open_state(tmp_path / "none.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ParameterError, match=r"bytes\.json: cannot be read \(is no text"):
        open_state(tmp_path / "bytes.json")
    (tmp_path / "other.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(ParameterError, match=r"other\.json: is no comparison"):
        open_state(tmp_path / "other.json")


def test_saving_asks_before_replacing(saved, scans, state):
    before = saved.read_bytes()
    with pytest.raises(OutputError, match=r"c\.json: exists"):
        save_state(state, volumes_of(scans), saved)
    assert saved.read_bytes() == before
    changed = CompareState(("jane-b",))
    save_state(changed, volumes_of(scans), saved, overwrite=True)
    assert len(json.loads(saved.read_text("utf-8"))["volumes"]) == 1
    with pytest.raises(OutputError, match=r"'.txt'"):
        save_state(state, volumes_of(scans), saved.with_suffix(".txt"))
    with pytest.raises(OutputError, match="cannot be written"):
        save_state(state, volumes_of(scans), saved.parent / "none" / "c.json")
