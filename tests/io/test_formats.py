"""Suffixes, folder search, names of results, and notes in headers."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_mrisr.core.scale import Scale
from napari_mrisr.io import map_path, output_path, suffix_of, with_suffix
from napari_mrisr.io.nifti import full_note, short_note


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.nii", ".nii"),
        ("a.b.nii.gz", ".nii.gz"),
        ("A.NII.GZ", ".nii.gz"),
        ("a.img.gz", ".img.gz"),
        ("a.hdr", ".hdr"),
        ("a.mgz", ".mgz"),
        ("a+orig.BRIK.gz", ".brik.gz"),
        ("a.PAR", ".par"),
        ("a.tar.gz", ".gz"),
        ("a.txt", ".txt"),
        ("a", ""),
        (".nii", ""),
        ("x.y/a.nii.gz", ".nii.gz"),
    ],
)
def test_suffix_of(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix
    assert suffix_of(Path(name)) == suffix


@pytest.mark.parametrize(
    ("name", "scale", "result"),
    [
        ("sub-01_T1w.nii.gz", (2, 2, 2), "sub-01_desc-sr2x_T1w.nii.gz"),
        (
            "sub-01_ses-2_acq-mp2rage_T1w.nii",
            (3, 3, 3),
            "sub-01_ses-2_acq-mp2rage_desc-sr3x_T1w.nii",
        ),
        ("sub-01_desc-preproc_T1w.nii.gz", (2, 2, 2), "sub-01_desc-sr2x_T1w.nii.gz"),
        ("sub-01_desc-sr2x_T1w.nii.gz", (1, 1, 4), "sub-01_desc-sr1x1x4_T1w.nii.gz"),
        ("sub-01.nii.gz", (2, 2, 2), "sub-01_desc-sr2x.nii.gz"),
        ("foo.nii.gz", (2, 2, 2), "foo_desc-sr2x.nii.gz"),
        ("foo_desc-sr2x.nii.gz", (4, 4, 4), "foo_desc-sr4x.nii.gz"),
        ("my_T1w.nii.gz", (2, 2, 2), "my_T1w_desc-sr2x.nii.gz"),
        ("a.b_c.mgz", (1, 2, 3), "a.b_c_desc-sr1x2x3.mgz"),
        ("foo.hdr", (2, 2, 2), "foo_desc-sr2x.hdr"),
        ("foo.mnc", (2, 2, 2), "foo_desc-sr2x.nii.gz"),
        ("foo.PAR", (2, 2, 2), "foo_desc-sr2x.nii.gz"),
        ("foo.nii.bz2", (2, 2, 2), "foo_desc-sr2x.nii.gz"),
    ],
)
def test_output_path_in_a_folder(name: str, scale: Scale, result: str, tmp_path: Path) -> None:
    assert output_path(Path("in") / name, tmp_path, scale) == tmp_path / result
    # A folder that is missing still is one: check_writable says so.
    assert output_path(name, tmp_path / "new", scale) == tmp_path / "new" / result


def test_output_path_that_is_a_file(tmp_path: Path) -> None:
    assert output_path("a.nii", tmp_path / "x.mgz", (2, 2, 2)) == tmp_path / "x.mgz"
    (tmp_path / "odd.nii").mkdir()
    assert output_path("a.nii", tmp_path / "odd.nii", (2, 2, 2)).parent == tmp_path / "odd.nii"


def test_short_note_fits_the_header() -> None:
    from napari_mrisr import __version__

    notice = "research use, not for diagnosis"
    assert short_note({}) == f"napari-mrisr {__version__}; {notice}"
    note = short_note({"method": "hashed", "scale": "2"})
    assert note == f"napari-mrisr {__version__} hashed 2x; {notice}"
    note = short_note({"method": "größe\n" * 40, "scale": "1x1x4"})
    assert len(note) <= 79
    assert note.isascii()
    assert note.isprintable()
    assert note.endswith(f"; {notice}")


def test_full_note_cannot_lose_its_notice() -> None:
    assert '"notice": "research use, not for diagnosis"' in full_note({"notice": "none"})


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("sub-01_desc-sr2x_T1w.nii.gz", "sub-01_desc-sr2xexperr_T1w.nii.gz"),
        ("sub-01_T1w.nii", "sub-01_desc-experr_T1w.nii"),
        ("high.mgz", "high_desc-experr.mgz"),
        ("scan-2x.nii.gz", "scan-2x_desc-experr.nii.gz"),
    ],
)
def test_a_map_s_name(result: str, expected: str, tmp_path: Path) -> None:
    assert map_path(tmp_path / result, "experr") == tmp_path / expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("res", "res.nii.gz"),
        ("res.mgz", "res.mgz"),
        ("scan 2.5x", "scan 2.5x.nii.gz"),
        ("a.nrrd", "a.nrrd"),
    ],
)
def test_a_name_without_suffix_means_nii_gz(name: str, expected: str) -> None:
    assert with_suffix(Path("f") / name) == Path("f") / expected
