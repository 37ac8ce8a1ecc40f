"""The user's folder of filter banks, which can be named without a path."""

from __future__ import annotations

import os
import sys
from pathlib import Path

BANKS_VARIABLE = "NAPARI_MRISR_BANKS"
"""Environment variable with another folder for the user's banks."""

SUFFIX = ".safetensors"
NETWORK_SUFFIX = ".onnx"
SUMS_SUFFIX = ".equations.safetensors"
"""Suffix of a training's saved sums, which are no bank."""


def bank_folder() -> Path:
    """Return the folder for the user's banks; it may not exist.

    ``NAPARI_MRISR_BANKS``, or ``napari-mrisr/banks`` in the system's folder for user data:
    ``%LOCALAPPDATA%`` on Windows, ``~/Library/Application Support`` on macOS, ``$XDG_DATA_HOME`` or
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
    """List the banks in that folder by name, sorted; none if it cannot be read."""
    try:
        paths = [path for path in bank_folder().iterdir() if path.name.endswith(SUFFIX)]
    except OSError:
        return {}
    return {
        path.name.removesuffix(SUFFIX): path
        for path in sorted(paths)
        # Files that are being written begin with a dot.
        if not path.name.endswith(SUMS_SUFFIX) and not path.name.startswith(".")
    }


def user_networks() -> dict[str, Path]:
    """List the networks in that folder by name, sorted; none if it cannot be read."""
    try:
        paths = sorted(bank_folder().glob(f"[!.]*{NETWORK_SUFFIX}"))
    except OSError:
        return {}
    return {path.name.removesuffix(NETWORK_SUFFIX): path for path in paths}
