"""Comparisons on disk: volumes found by content under any name."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

import napari_mrisr.comparison.files as files
from napari_mrisr.comparison.files import open_state, save_state
from napari_mrisr.comparison.state import CompareState, Display
from napari_mrisr.errors import MrisrError, OutputError, ParameterError
from napari_mrisr.io import read_volume

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


def test_the_document_names_nobody(saved):
    assert "jane" not in saved.read_text("utf-8")


def test_only_files_of_a_fitting_shape_are_read(saved, scans, monkeypatch):
    other = scans / "other.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((9, 9, 9), np.int16), np.eye(4)), other)
    read = []

    def reading(path, **options):
        read.append(path.name)
        return read_volume(path, **options)

    monkeypatch.setattr(files, "read_volume", reading)
    open_state(saved, [other, *sorted(scans.glob("jane-*"))])
    assert read == ["jane-a.nii.gz", "jane-b.nii.gz", "jane-c.nii.gz"]


def test_a_missing_volume_is_named_with_its_role(saved, scans):
    with pytest.raises(
        ParameterError, match=r"c\.json: 'volume 1' \(the truth, 6 x 7 x 8 voxels\)"
    ):
        open_state(saved, [scans / "jane-b.nii.gz", scans / "jane-c.nii.gz"])
    with pytest.raises(ParameterError, match=r"'volume 3' \(the measured volume, 3 x 4 x 5"):
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
