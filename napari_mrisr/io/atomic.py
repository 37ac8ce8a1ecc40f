"""Files and folders that appear complete or not at all.

Everything is written under a hidden temporary name, ``.NAME-<hex>``, in the output's folder
and renamed at the end. A killed process leaves its temporary files; the next write of the
same output removes them. A lock tells them from those of a running process.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_mrisr.errors import OutputError, explain
from napari_mrisr.io.formats import PathLike, stem_of

_TOKEN_BYTES = 6
_LOCK = "lock"
_DAY_S = 86400.0


@contextlib.contextmanager
def atomic_write(path: PathLike) -> Iterator[Path]:
    """Yield a temporary path and rename it to ``path`` when the block succeeds.

    Parameters
    ----------
    path : str or path
        The output. An existing file is replaced; call
        :func:`~napari_mrisr.io.write.check_writable` first.

    Yields
    ------
    Path
        An existing empty file in the same folder and with the same suffix, readable by its
        owner only. Write to it by name.

    Raises
    ------
    OSError
        From the file system. On this and any other exception, such as
        ``KeyboardInterrupt``, the temporary file is removed.
    """
    with atomic_write_all([path]) as (temporary,):
        yield temporary


@contextlib.contextmanager
def atomic_write_all(paths: Sequence[PathLike]) -> Iterator[list[Path]]:
    """Write several files that belong together, as :func:`atomic_write` writes one.

    The temporary names differ in their suffixes only if those of ``paths`` do, so that
    ``scan.hdr`` and ``scan.img`` still find each other. The files are renamed in the order
    given; if a rename fails, the files that did not exist before are removed again.
    """
    targets = [Path(path) for path in paths]
    for target in targets:
        remove_leftovers(target)
    token = secrets.token_hex(_TOKEN_BYTES)
    temporaries = [_temporary_name(target, token) for target in targets]
    created: list[Path] = []
    try:
        with contextlib.ExitStack() as locks:
            for temporary in temporaries:
                os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                created.append(temporary)
                if os.name == "posix":  # Windows refuses to replace an open file
                    locks.enter_context(_locked(temporary))
            yield temporaries
        for temporary in temporaries:
            flush(temporary)
            with contextlib.suppress(PermissionError):  # a file system without modes
                temporary.chmod(0o666 & ~_umask(temporary))
        _replace_all(temporaries, targets)
    except BaseException:
        for temporary in created:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise


def write_text(path: PathLike, text: str) -> None:
    """Write a text file atomically, in UTF-8; replace an existing one.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    try:
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: PathLike, error: OSError) -> OutputError:
    """Return the one-line error for a failure of the file system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(explain(path, "the disk is full", "free space or choose another folder"))
    reason = error.strerror or str(error)
    return OutputError(explain(path, f"cannot be written ({reason})", "choose another folder"))


@contextlib.contextmanager
def private_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder next to ``out`` that only its owner can read; remove it at the end.

    Raises
    ------
    OSError
        From the file system.
    """
    remove_leftovers(out)
    folder = _temporary_name(out, secrets.token_hex(_TOKEN_BYTES))
    make_private(folder)
    try:
        (folder / _LOCK).touch()
        with _locked(folder / _LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_private(folder: Path) -> None:
    """Create a folder that only its owner can read."""
    folder.mkdir(mode=0o700)
    folder.chmod(0o700)  # independent of the umask


def move_into_place(made: Path, out: Path) -> None:
    """Rename a finished file or folder to ``out``, replacing an older one."""
    _set_modes(made)
    if not made.is_dir() and not out.is_dir():
        made.replace(out)
        return
    # No system call replaces a folder by another, so the old one is renamed first.
    aside = made.with_name("replaced")
    if out.exists():
        out.rename(aside)
    try:
        made.rename(out)
    except OSError:
        with contextlib.suppress(OSError):
            aside.rename(out)
        raise


@contextlib.contextmanager
def exclusive(out: Path) -> Iterator[None]:
    """Hold the lock of an output that is written in several steps.

    Raises
    ------
    OutputError
        When another process holds it.
    """
    lock = out.with_name(f".{out.name}.lock")
    try:
        lock.touch()
    except OSError:  # the checks of the output say why
        yield
        return
    with _locked(lock) as held:
        if not held:
            found = "another run is writing it"
            raise OutputError(explain(out, found, "wait for it or choose another name"))
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                lock.unlink()


def remove_leftovers(path: PathLike) -> None:
    """Remove the temporary files that killed processes left of writes to ``path``."""
    for leftover in leftovers(path):
        lock = leftover / _LOCK if leftover.is_dir() else leftover
        with contextlib.suppress(OSError), _locked(lock) as held:
            if os.name != "posix" and time.time() - lock.stat().st_mtime < _DAY_S:
                continue  # not locked even if in use
            if held and leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            elif held:
                leftover.unlink()


def leftovers(path: PathLike) -> list[Path]:
    """Return the temporary files and folders of writes to ``path``, finished or not."""
    target = Path(path)
    stem = glob.escape(stem_of(target)[:40])
    suffix = glob.escape(target.name[len(stem_of(target)) :])
    token = "[0-9a-f]" * (2 * _TOKEN_BYTES)
    return sorted(target.parent.glob(f".{stem}-{token}{suffix}"))


def _temporary_name(target: Path, token: str) -> Path:
    stem = stem_of(target)
    # File systems allow 255 bytes per name.
    return target.with_name(f".{stem[:40]}-{token}{target.name[len(stem) :]}")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Yield whether a lock on a file was obtained; release it at the end.

    The operating system releases it when the process dies. On a file system without locks
    it is always obtained.
    """
    with path.open("rb+") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                yield False
                return
        # The process that held it before may have removed the file.
        yield path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())


def flush(path: Path) -> None:
    """Wait until the file's content is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _umask(neighbor: Path) -> int:
    """Return the permission bits that new files in this folder lack.

    ``os.umask`` can only be read by setting it for all threads, so a new file is examined.
    """
    probe = neighbor.with_name(f".{secrets.token_hex(8)}")
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        return 0o666 & ~probe.stat().st_mode
    finally:
        probe.unlink(missing_ok=True)


def _set_modes(made: Path) -> None:
    """Give a private file or folder the modes of new ones."""
    files = 0o666 & ~_umask(made)
    with contextlib.suppress(PermissionError):
        made.chmod(files | (files & 0o444) >> 2 if made.is_dir() else files)


def _replace_all(temporaries: Sequence[Path], targets: Sequence[Path]) -> None:
    new: list[Path] = []
    try:
        for temporary, target in zip(temporaries, targets, strict=True):
            existed = target.exists()
            temporary.replace(target)
            if not existed:
                new.append(target)
    except BaseException:
        for target in new:
            with contextlib.suppress(OSError):
                target.unlink()
        raise
