"""Filter banks of one's own: a folder of the user's, whose files can be named without a path."""

from __future__ import annotations

import os
import sys
from pathlib import Path

BANKS_VARIABLE = "NAPARI_MRISR_BANKS"
"""Environment variable that names another folder for banks of one's own."""

SUFFIX = ".safetensors"
SUMS_SUFFIX = ".equations.safetensors"
"""What the sums beside a bank end with: they are no bank."""


def bank_folder() -> Path:
    """The folder for banks of one's own, whether or not it exists.

    The one that ``NAPARI_MRISR_BANKS`` names, or ``napari-mrisr/banks`` where
    the system keeps a user's data: ``%LOCALAPPDATA%`` on Windows,
    ``~/Library/Application Support`` on macOS, ``$XDG_DATA_HOME`` or
    ``~/.local/share`` elsewhere.
    """
    if named := os.environ.get(BANKS_VARIABLE):
        return Path(named).expanduser()
    if sys.platform == "win32":
        data = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        data = Path.home() / "Library" / "Application Support"
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "napari-mrisr" / "banks"


def user_banks() -> dict[str, Path]:
    """Files in that folder by name, in alphabetical order; none where it cannot be read."""
    try:
        paths = [path for path in bank_folder().iterdir() if path.name.endswith(SUFFIX)]
    except OSError:
        return {}
    return {
        path.name.removesuffix(SUFFIX): path
        for path in sorted(paths)
        # Names with a dot in front are those of files being written.
        if not path.name.endswith(SUMS_SUFFIX) and not path.name.startswith(".")
    }
