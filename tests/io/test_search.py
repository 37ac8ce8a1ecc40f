"""Images and DICOM series in folders."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import dicoms

from napari_mrisr.errors import ParameterError, VolumeError
from napari_mrisr.io import find_volumes


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_find_volumes(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "b.nii",
        "a/sub-01_T1w.nii.gz",
        "a/sub-01_desc-sr2x_T1w.nii.gz",
        "a/scan_desc-sr1x1x4.mgz",
        "a/sub-01_desc-preproc_T1w.nii.gz",
        "a/.hidden.nii",
        ".cache/c.nii",
        "pair.hdr",
        "pair.img",
        "x.PAR",
        "x.REC",
        "d+orig.HEAD",
        "d+orig.BRIK.gz",
        "notes.txt",
        "e.MGZ",
    )
    found = [str(path.relative_to(tmp_path)).replace("\\", "/") for path in find_volumes(tmp_path)]
    assert found == [
        "a/sub-01_T1w.nii.gz",
        "a/sub-01_desc-preproc_T1w.nii.gz",
        "b.nii",
        "d+orig.HEAD",
        "e.MGZ",
        "pair.hdr",
        "x.PAR",
    ]


def test_find_volumes_takes_files_as_given_and_none_twice(tmp_path: Path) -> None:
    touch(tmp_path, "z.nii", "odd.name", "f/a.nii", "f/z_desc-sr2x.nii")
    result = tmp_path / "f" / "z_desc-sr2x.nii"
    given = [tmp_path / "z.nii", tmp_path / "odd.name", result, tmp_path / "f", tmp_path / "z.nii"]
    assert find_volumes(given) == [*given[:3], tmp_path / "f" / "a.nii"]
    assert find_volumes(str(tmp_path / "z.nii")) == [tmp_path / "z.nii"]


def test_find_volumes_refuses(tmp_path: Path) -> None:
    touch(tmp_path, "slice.dcm", ".hidden/a.nii")
    with pytest.raises(VolumeError, match=rf"{tmp_path}: has no image in it; .*DICOM"):
        find_volumes([tmp_path])
    with pytest.raises(VolumeError, match=r"none.nii: no such file or folder; check the name"):
        find_volumes([tmp_path / "none.nii"])
    with pytest.raises(ParameterError, match="no path"):
        find_volumes([])


@pytest.fixture
def denied(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Take the permission to list a folder (root ignores modes)."""
    scandir = os.scandir

    def deny(folder: Path) -> None:
        def refuse(path: Path) -> object:
            if Path(path) == folder:
                raise PermissionError(errno.EACCES, "Permission denied")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)

    return deny


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, "data/sub-01/T1w.nii", "elsewhere/T1w.nii")
    (tmp_path / "data" / "sub-02").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    # Comes before sub-01 by name, yet the real folder's name is kept.
    (tmp_path / "data" / "latest").symlink_to("sub-01", target_is_directory=True)
    (tmp_path / "data" / "sub-01" / "up").symlink_to("..", target_is_directory=True)
    data = tmp_path / "data"
    assert find_volumes(data) == [data / "sub-01" / "T1w.nii", data / "sub-02" / "T1w.nii"]


def test_a_folder_without_permission_is_named(
    tmp_path: Path, denied: Callable[[Path], None]
) -> None:
    touch(tmp_path, "sub-01/T1w.nii", "sub-02/T1w.nii")
    denied(tmp_path / "sub-02")
    unread: list[VolumeError] = []
    assert find_volumes(tmp_path, unread) == [tmp_path / "sub-01" / "T1w.nii"]
    text = f"{tmp_path / 'sub-02'}: cannot be read (Permission denied); change its permissions"
    assert [str(error) for error in unread] == [text]
    with pytest.raises(VolumeError, match="sub-02: cannot be read"):
        find_volumes(tmp_path)


def test_a_broken_link_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "sub-01/T1w.nii")
    (tmp_path / "sub-02").symlink_to("missing", target_is_directory=True)
    (tmp_path / "self").symlink_to("self")
    unread: list[VolumeError] = []
    assert find_volumes(tmp_path, unread) == [tmp_path / "sub-01" / "T1w.nii"]
    assert [str(error).split(":")[0] for error in unread] == [
        str(tmp_path / "self"),
        str(tmp_path / "sub-02"),
    ]


def test_a_folder_lists_dicom_series_beside_images(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii", "notes.txt")
    dicoms.series(tmp_path / "study", number=4)
    dicoms.series(tmp_path / "study", number=5)
    localizer = dicoms.classic(dicoms.voxels((6, 5, 3)), number=1)
    for one in localizer:
        one.ImageType = ["ORIGINAL", "PRIMARY", "M", "LOCALIZER"]
    dicoms.save(localizer, tmp_path / "study")
    found = [str(path.relative_to(tmp_path)) for path in find_volumes(tmp_path)]
    assert found == ["a.nii", "4_T1w", "5_T1w"]


def test_files_of_a_series_stand_for_it(tmp_path: Path) -> None:
    folder = dicoms.series(tmp_path / "one")
    found = find_volumes(sorted(folder.iterdir()))
    assert found == find_volumes(folder) == [folder / "2_T1w"]


def test_only_a_localizer_is_listed_where_there_is_nothing_else(tmp_path: Path) -> None:
    slices = dicoms.classic(description="Survey")
    slices[3].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    dicoms.save(slices, tmp_path)
    assert find_volumes(tmp_path) == [tmp_path / "2_Survey"]
