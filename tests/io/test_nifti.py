"""Notes in headers are read back; text files are complete."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Extension

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import OutputError
from napari_mrisr.io import read_volume, write_text, write_volume
from napari_mrisr.io.nifti import read_note


def header_of(path):
    return read_volume(path).origin.header


def test_the_history_of_a_saved_result_is_read_back(tmp_path, rng):
    history = {"method": "hashed", "scale": "2", "bank": "default-2x"}
    data = rng.normal(9, 2, (4, 5, 6)).astype(np.float32)
    volume = Volume(data, Grid(data.shape, np.eye(4)), history=history)
    write_volume(volume, tmp_path / "a.nii.gz")
    assert read_note(header_of(tmp_path / "a.nii.gz")) == history
    assert read_volume(tmp_path / "a.nii.gz").history == history


@pytest.mark.parametrize(
    "text", ["", "Jane Doe", "[1]", '{"software": "other 1", "notice": ""}', "7"]
)
def test_comments_of_other_programs_are_passed_over(tmp_path, text):
    image = nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4))
    image.header.extensions.append(Nifti1Extension("comment", text.encode()))
    nib.save(image, tmp_path / "a.nii")
    assert read_note(header_of(tmp_path / "a.nii")) == {}


def test_a_header_without_comments_has_no_history():
    assert read_note(None) == {}
    assert read_note(nib.MGHImage(np.ones((3, 4, 5), np.float32), np.eye(4)).header) == {}


def test_a_text_replaces_a_file_or_names_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    write_text(path, "σ\n")
    assert path.read_bytes() == "σ\n".encode()
    with pytest.raises(OutputError, match=r"none.a\.txt: cannot be written"):
        write_text(tmp_path / "none" / "a.txt", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
