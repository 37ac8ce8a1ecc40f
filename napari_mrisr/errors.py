"""Every error a user can meet.

::

    MrisrError                    caught by the command line: one line, exit 2
    ├── VolumeError               the image file or its voxels cannot be used
    │   └── GeometryError         its affine, voxel size or shape cannot be used
    ├── ScaleError                a scale that is malformed or has no filter bank
    ├── BankError                 a filter bank that is damaged, unknown or does not fit
    ├── OutputError               the result cannot be written there
    ├── MemoryEstimateError       the run would not fit into memory
    ├── DeviceError               a GPU that is not there, does not work or cannot do that
    ├── ClusterError              a Dask cluster that cannot be used, or lost its workers
    └── ParameterError            any other option with an impossible value

    Cancelled                     the user asked to stop: exit 130

Messages are one line and name three things: the file (or option), the value
found, and the mend. Build them with :func:`explain` so that they read alike.
"""

from __future__ import annotations

import re
from pathlib import Path


class MrisrError(Exception):
    """Base of every error that a user can cause and mend."""


class VolumeError(MrisrError, ValueError):
    """An image that cannot be read, or whose voxels cannot be processed."""


class GeometryError(VolumeError):
    """An affine, voxel size or shape that cannot be processed."""


class ScaleError(MrisrError, ValueError):
    """A scale that is malformed, out of range or has no filter bank."""


class BankError(MrisrError, ValueError):
    """A filter bank that is damaged, from the future, or does not fit."""


class OutputError(MrisrError, OSError):
    """A result that cannot be written where it was asked for."""


class MemoryEstimateError(MrisrError, MemoryError):
    """A run that, by the estimate made before its start, would not fit."""


class DeviceError(MrisrError, RuntimeError):
    """A device (GPU) that is not usable; most runs say so and go on without it."""


class ClusterError(MrisrError, RuntimeError):
    """A Dask cluster that is not there, or whose workers died of a piece of work."""


class ParameterError(MrisrError, ValueError):
    """An option with an impossible value."""


class Cancelled(Exception):
    """The user asked to stop. Not an error, so not a :class:`MrisrError`."""


def explain(subject: object, found: str, mend: str) -> str:
    """One line: ``subject: found; mend``.

    Parameters
    ----------
    subject : object
        The file, option or layer at fault. A path is shown as given.
    found : str
        What was found, with the offending value.
    mend : str
        What the user can do about it, as an instruction.

    Returns
    -------
    str
        The message, with line breaks folded to spaces and long values cut.
    """
    return cut_long(" ".join(f"{subject}: {found}; {mend}".split()))


def cut_long(text: str) -> str:
    """Cut quoted values to 80 characters, and other words to 255, the longest file name."""
    text = re.sub(r"(?<!\w)(['\"])[^'\"]{81,}\1(?!\w)", lambda m: f"{m[0][:80]}…{m[1]}", text)
    return re.sub(r"[^\s/\\]{256,}", lambda m: f"{m[0][:120]}…{m[0][-120:]}", text)


def describe_failure(path: object, error: Exception) -> tuple[str, bool]:
    """Return one line about the failed work on a file, and True if the error was unexpected."""
    if isinstance(error, MrisrError):
        text = str(error)
        return (text if Path(str(path)).name in text else f"{path}: {text}"), False
    if isinstance(error, MemoryError):
        return explain(path, "not enough memory", "use a smaller scale or crop the input"), False
    if isinstance(error, OSError) and error.strerror:
        fix = "check its name and permissions"
        return explain(error.filename or path, f"cannot be used ({error.strerror})", fix), True
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return explain(path, f"unexpected error ({reason})", "run it alone to see where"), True


def install(extra: str) -> str:
    """How to add one of the package's extras, from an index or from a clone; for ``mend``."""
    return f"pip install 'napari-mrisr[{extra}]', or '.[{extra}]' in a clone"
