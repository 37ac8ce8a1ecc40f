"""Files and folders that appear complete or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from napari_mrisr.errors import Cancelled, OutputError
from napari_mrisr.io import atomic, atomic_write

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")


@pytest.mark.parametrize("name", ["a.json", "scan.nii.gz", "noext", ("n" * 240) + ".csv"])
def test_file_appears_when_complete(name: str, tmp_path: Path) -> None:
    target = tmp_path / name
    with atomic_write(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert temporary.name.endswith("".join(target.suffixes))
        assert temporary.exists()
        temporary.write_text("done")
        assert not target.exists()
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert target.read_text() == "done"


@posix
def test_file_is_private_until_complete(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a.json") as temporary:
            assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o640
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, Cancelled, SystemExit])
@pytest.mark.parametrize("old", [None, "old"])
def test_failure_keeps_the_old_file(
    error: type[BaseException], old: str | None, tmp_path: Path
) -> None:
    target = tmp_path / "a.json"
    if old is not None:
        target.write_text(old)
    with pytest.raises(error), atomic_write(target) as temporary:
        temporary.write_text("half")
        raise error("stop")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == (
        {"a.json": "old"} if old else {}
    )


def test_block_may_replace_the_temporary_file(tmp_path: Path) -> None:
    # Some libraries write by renaming themselves.
    with atomic_write(tmp_path / "a.json") as temporary:
        temporary.unlink()
        temporary.write_text("new")
    assert (tmp_path / "a.json").read_text() == "new"


def test_removed_temporary_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError), atomic_write(tmp_path / "a.json") as temporary:
        temporary.unlink()
    assert not list(tmp_path.iterdir())


def test_content_is_flushed_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(descriptor: int) -> None:
        events.append("fsync")
        fsync(descriptor)

    def note_replace(self: Path, target: Path) -> Path:
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    with atomic_write(tmp_path / "a.json"):
        pass
    assert events == ["fsync", "rename"]


def test_two_writers_use_different_temporary_files(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.json") as one, atomic_write(tmp_path / "a.json") as two:
        assert one != two


def test_files_of_a_pair_are_written_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = [tmp_path / "a.img", tmp_path / "a.hdr"]
    with atomic.atomic_write_all(targets) as (image, header):
        assert image.with_suffix(".hdr") == header
        image.write_text("image")
        header.write_text("header")
    assert [target.read_text() for target in targets] == ["image", "header"]

    targets = [tmp_path / "b.img", tmp_path / "b.hdr"]
    replace = Path.replace

    def fail_on_header(self: Path, target: Path) -> Path:
        if target.suffix == ".hdr":
            raise OSError("no")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail_on_header)
    with pytest.raises(OSError, match="no"), atomic.atomic_write_all(targets):
        pass
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.hdr", "a.img"]


@pytest.mark.parametrize("name", ["scan.nii.gz", "noext", ("[n" * 100) + ".nii"])
def test_leftovers_are_found(name: str, tmp_path: Path) -> None:
    target = tmp_path / name
    with atomic_write(tmp_path / f"other-{name}"), atomic_write(target) as temporary:
        assert atomic.leftovers(target) == [temporary]
    assert atomic.leftovers(target) == []


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_file_moved_from_a_private_folder_gets_ordinary_modes(tmp_path: Path) -> None:
    folder = tmp_path / "part"
    atomic.make_private(folder)
    assert mode(folder) == 0o700
    (folder / "result.nii").write_bytes(b"new")
    (tmp_path / "other").touch()
    (tmp_path / "out.nii").write_bytes(b"old")
    atomic.move_into_place(folder / "result.nii", tmp_path / "out.nii")
    assert (tmp_path / "out.nii").read_bytes() == b"new"
    assert mode(tmp_path / "out.nii") == mode(tmp_path / "other")


def test_folder_replaces_an_older_folder(tmp_path: Path) -> None:
    folder = tmp_path / "part"
    atomic.make_private(folder)
    for parent, name in ((folder / "result.ome.zarr", "new"), (tmp_path / "out.ome.zarr", "old")):
        parent.mkdir()
        (parent / name).touch()
    (tmp_path / "other").mkdir()
    atomic.move_into_place(folder / "result.ome.zarr", tmp_path / "out.ome.zarr")
    assert [p.name for p in (tmp_path / "out.ome.zarr").iterdir()] == ["new"]
    assert mode(tmp_path / "out.ome.zarr") == mode(tmp_path / "other")


KILLED = """
import os, sys
from napari_mrisr.io.atomic import atomic_write, private_folder
with atomic_write(sys.argv[1]), private_folder(Path(sys.argv[2])) as folder:
    (folder / "chunk").touch()
    os._exit(9)
""".replace("import os, sys", "import os, sys; from pathlib import Path")


def test_next_write_removes_leftovers_of_a_killed_process(tmp_path: Path) -> None:
    file, folder = tmp_path / "a.nii.gz", tmp_path / "b.ome.zarr"
    killed = subprocess.run([sys.executable, "-c", KILLED, file, folder], check=False)
    assert killed.returncode == 9
    assert len(atomic.leftovers(file)) == len(atomic.leftovers(folder)) == 1
    with atomic_write(tmp_path / "other.nii.gz"):
        pass
    assert len(atomic.leftovers(file)) == 1
    with atomic_write(file), atomic.private_folder(folder):
        # The running writer's own.
        assert len(atomic.leftovers(file)) == len(atomic.leftovers(folder)) == 1
        atomic.remove_leftovers(file)
        atomic.remove_leftovers(folder)
        assert len(atomic.leftovers(file)) == len(atomic.leftovers(folder)) == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.nii.gz", "other.nii.gz"]


def test_second_lock_of_an_output_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "a.nii.gz"
    with (
        atomic.exclusive(out),
        pytest.raises(OutputError, match=r"a\.nii\.gz: another run is writing it; wait for it"),
        atomic.exclusive(out),
    ):
        pass
    with atomic.exclusive(out), atomic.exclusive(tmp_path / "b.nii.gz"):
        pass
    # A missing folder is reported by the checks of the output.
    with atomic.exclusive(tmp_path / "none" / "a.nii"):
        pass
    assert not list(tmp_path.iterdir())
