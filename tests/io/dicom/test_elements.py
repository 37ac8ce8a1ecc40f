"""Wanted elements of a file: what pydicom reads of them is what it reads of the whole file."""

from __future__ import annotations

import io

import pydicom
import pytest
from helpers import dicoms
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

import napari_mrisr as sr
from napari_mrisr.io.dicom import headers
from napari_mrisr.io.dicom.elements import cut_out

SYNTAXES = {
    "explicit": pydicom.uid.ExplicitVRLittleEndian,
    "implicit": pydicom.uid.ImplicitVRLittleEndian,
    "big endian": pydicom.uid.ExplicitVRBigEndian,
}
POSITION, SHARED, PIXELS = 0x00200032, 0x52009229, 0x7FE00010


def crowded(undefined=True):
    """Return a file as scanners write it: long private elements, nested sequences."""
    one = dicoms.classic()[4]
    block = one.private_block(0x0011, "CROWD", create=True)
    block.add_new(1, "OB", b"\0" * 70_000)
    inner, outer = Dataset(), Dataset()
    inner.ImagePositionPatient = [7, 8, 9]  # another one, which is not the file's
    outer.SharedFunctionalGroupsSequence = Sequence([inner, Dataset(), inner])
    block.add_new(2, "SQ", Sequence([outer, Dataset(), outer]))
    one.ReferencedImageSequence = Sequence([outer])
    for place in (one[block.get_tag(2)], one["ReferencedImageSequence"]):
        place.is_undefined_length = undefined
        place.value.is_undefined_length = undefined
        for item in place.value:
            item.is_undefined_length_sequence_item = undefined
    return one


def written(one, syntax):
    one.file_meta.TransferSyntaxUID = SYNTAXES[syntax]
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, one, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
def test_only_wanted_elements_are_kept(syntax, undefined):
    content = written(crowded(undefined), syntax)
    part = cut_out(io.BytesIO(content), {POSITION, 0x00081140})
    kept = part.getvalue()
    assert len(kept) < 1500
    found = pydicom.dcmread(part, stop_before_pixels=True)
    whole = pydicom.dcmread(io.BytesIO(content))
    assert {element.tag for element in found} == {POSITION, 0x00081140}
    assert found.ImagePositionPatient == whole.ImagePositionPatient
    assert found.ReferencedImageSequence == whole.ReferencedImageSequence
    assert len(part.read(8)) == 8  # the start of the pixel data


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("kind", ["crowded", "enhanced", "mosaic"])
def test_a_header_is_the_same_as_without(tmp_path, monkeypatch, kind, syntax):
    one = crowded() if kind == "crowded" else getattr(dicoms, kind)()
    path = tmp_path / "IM"
    path.write_bytes(written(one, syntax))
    found = headers.read_file_header(path)
    monkeypatch.setattr(headers, "cut_out", lambda *_: None)
    assert found == headers.read_file_header(path)


def test_a_file_without_pixels_is_known(tmp_path):
    one = crowded()
    del one.PixelData
    (tmp_path / "IM").write_bytes(written(one, "explicit"))
    (series,) = sr.list_series(tmp_path)
    assert "has no pixel data" in series.problem


def test_files_that_are_not_plain_are_left_to_pydicom():
    content = written(crowded(), "explicit")
    wanted = {POSITION, SHARED}
    assert cut_out(io.BytesIO(content), wanted) is not None
    assert cut_out(io.BytesIO(written(crowded(), "big endian")), wanted) is None
    assert cut_out(io.BytesIO(content[: content.index(b"\0" * 60_000) + 10]), wanted) is None
    assert cut_out(io.BytesIO(content[132:]), wanted) is None
    at = content.rindex(b"\x20\0\x32\0DS")
    assert cut_out(io.BytesIO(content[: at + 4] + b"??" + content[at + 6 :]), wanted) is None
    unknown = content.replace(b"\x11\0\x02\x10SQ", b"\x11\0\x02\x10UN")
    assert unknown != content
    assert cut_out(io.BytesIO(unknown), wanted) is None
