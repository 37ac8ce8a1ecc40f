"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_mrisr.io.formats import PathLike, stem_of

_TOKEN_BYTES = 6


@contextlib.contextmanager
def atomic_write(path: PathLike) -> Iterator[Path]:
    """Give a temporary path; rename it to ``path`` when the block succeeds.

    Parameters
    ----------
    path : str or path
        Where the file shall be. An existing file is replaced; ask
        :func:`~napari_mrisr.io.write.check_writable` first.

    Yields
    ------
    Path
        An existing empty file in the same folder and with the same suffix,
        readable by its owner only. Write to it by name.

    Raises
    ------
    OSError
        As the file system gives it. On this and any other exception, such as
        ``KeyboardInterrupt``, the temporary file is removed.
    """
    with atomic_write_all([path]) as (temporary,):
        yield temporary


@contextlib.contextmanager
def atomic_write_all(paths: Sequence[PathLike]) -> Iterator[list[Path]]:
    """As :func:`atomic_write`, for files that belong together.

    The temporary names differ in their suffixes alone where those of ``paths``
    do, so that ``scan.hdr`` and ``scan.img`` still find each other. The files
    are renamed in the order given; when one of the renames fails, those files
    that did not exist before are taken away again.
    """
    targets = [Path(path) for path in paths]
    token = secrets.token_hex(_TOKEN_BYTES)
    temporaries = [_temporary_name(target, token) for target in targets]
    created: list[Path] = []
    try:
        for temporary in temporaries:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            created.append(temporary)
        yield temporaries
        for temporary in temporaries:
            _flush(temporary)
            with contextlib.suppress(PermissionError):  # a file system without modes
                temporary.chmod(0o666 & ~_umask(temporary))
        _replace_all(temporaries, targets)
    except BaseException:
        for temporary in created:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise


def _temporary_name(target: Path, token: str) -> Path:
    stem = stem_of(target)
    # File systems allow 255 bytes a name; the stem is only there for people.
    return target.with_name(f".{stem[:40]}-{token}{target.name[len(stem) :]}")


def leftovers(path: PathLike) -> list[Path]:
    """Temporary files of writes to ``path`` whose process was killed.

    Ask only when nobody writes there.
    """
    target = Path(path)
    stem = glob.escape(stem_of(target)[:40])
    return sorted(target.parent.glob(f".{stem}-{'[0-9a-f]' * (2 * _TOKEN_BYTES)}*"))


def _flush(path: Path) -> None:
    """Wait until the file's content is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _umask(neighbor: Path) -> int:
    """The bits that new files in this folder go without.

    Asked of a new file and not of ``os.umask``, which can only be read by
    setting it, for all threads.
    """
    probe = neighbor.with_name(f".{secrets.token_hex(8)}")
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        return 0o666 & ~probe.stat().st_mode
    finally:
        probe.unlink(missing_ok=True)


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
