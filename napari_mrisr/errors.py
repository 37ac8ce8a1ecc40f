"""Every error that a user can meet.

::

    MrisrError                    shown by the command line as one line, exit code 2
    ├── VolumeError               an image file, or voxels, that cannot be used
    │   └── GeometryError         an affine, voxel size or shape that cannot be used
    ├── ScaleError                a malformed scale, or one without a filter bank
    ├── BankError                 a filter bank that is damaged, unknown or does not fit
    ├── OutputError               a result that cannot be written
    ├── MemoryEstimateError       a run that would not fit into memory
    ├── DeviceError               a GPU that is missing, fails or cannot do the work
    ├── ClusterError              a Dask cluster that cannot be used, or lost its workers
    └── ParameterError            any other parameter with an impossible value

    Cancelled                     the user stopped the run: exit code 130

A message is one line with three parts: the file or option, the value found, and the
remedy. :func:`explain` builds it.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path


class MrisrError(Exception):
    """Base class of every error that a user can cause and correct.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> try:
    ...     sr.read_volume("missing.nii.gz")
    ... except sr.MrisrError as error:
    ...     print(error)
    missing.nii.gz: no such file; check the name
    """


class VolumeError(MrisrError, ValueError):
    """An image that cannot be read, or voxels that cannot be processed."""


class GeometryError(VolumeError):
    """An affine, voxel size or shape that cannot be processed."""


class ScaleError(MrisrError, ValueError):
    """A scale that is malformed, out of range or has no filter bank."""


class BankError(MrisrError, ValueError):
    """A filter bank that is damaged, too new, or does not fit."""


class OutputError(MrisrError, OSError):
    """A result that cannot be written to its place."""


class MemoryEstimateError(MrisrError, MemoryError):
    """A run that does not fit into memory, by an estimate before its start."""


class DeviceError(MrisrError, RuntimeError):
    """A GPU that is not usable; most runs report it and continue on the CPU."""


class ClusterError(MrisrError, RuntimeError):
    """A missing Dask cluster, or one whose workers died of a task."""


class ParameterError(MrisrError, ValueError):
    """A parameter with an impossible value."""


class Cancelled(Exception):
    """The user stopped the run. It is no error, so no :class:`MrisrError`."""


def explain(subject: object, found: str, remedy: str) -> str:
    """Build a message of one line: ``subject: found; remedy``.

    Parameters
    ----------
    subject : object
        The file, option or layer at fault. A path is shown as given.
    found : str
        The problem, with the offending value.
    remedy : str
        An instruction for the user.

    Returns
    -------
    str
        The message, with line breaks folded to spaces and long values cut.
    """
    return cut_long(" ".join(f"{subject}: {found}; {remedy}".split()))


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
        remedy = "check its name and permissions"
        return explain(error.filename or path, f"cannot be used ({error.strerror})", remedy), True
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    if frames:
        reason += f", at {Path(frames[-1].filename).name}:{frames[-1].lineno}"
    return explain(path, f"unexpected error ({reason})", "report it"), True


def install(extra: str) -> str:
    """Return the command that installs an extra of the package, as a remedy."""
    return f"pip install 'napari-mrisr[{extra}]', or '.[{extra}]' in a clone"
