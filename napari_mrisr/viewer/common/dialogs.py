"""Dialogs for the file or folder of a volume, windows of their own, and the user's settings."""

from __future__ import annotations

import functools
from pathlib import Path

from qtpy.QtCore import QSettings
from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_mrisr.io import WRITABLE
from napari_mrisr.io.formats import is_zarr, suffix_of, with_suffix
from napari_mrisr.viewer.layers.saving import FILE_TYPES

_FOLDER = "save/folder"


_open: set[QWidget] = set()


def keep_open(window: QWidget) -> None:
    """Keep a window without a parent until it closes and is deleted.

    If only its own signals refer to it, Python's garbage collection deletes it.
    """
    _open.add(window)
    window.destroyed.connect(functools.partial(_open.discard, window))


def settings() -> QSettings:
    """Return the settings, a file of the user's."""
    return QSettings(
        QSettings.Format.IniFormat, QSettings.Scope.UserScope, "napari-mrisr", "napari-mrisr"
    )


def last_folder() -> Path:
    """Return the folder of the last saved file; the user's home at first."""
    folder = Path(settings().value(_FOLDER, "", type=str) or Path.home())
    return folder if folder.is_dir() else Path.home()


def remember_folder(folder: Path) -> None:
    """Suggest a folder for the next file without a scan."""
    settings().setValue(_FOLDER, str(folder))


def ask_volume_path(parent: QWidget, suggested: Path) -> Path | None:
    """Ask where to save a volume.

    Parameters
    ----------
    parent : QWidget
    suggested : Path
        Name and folder on show.

    Returns
    -------
    Path or None
        With a file type, ``.nii.gz`` unless the user chose another. The user has agreed to
        replace an existing file. None if the user cancels.
    """
    path, kind = QFileDialog.getSaveFileName(parent, "Save", str(suggested), FILE_TYPES)
    if not path:
        return None
    typed, chosen = Path(path), Path(path)
    if suffix_of(typed) not in WRITABLE and not is_zarr(typed) and with_suffix(typed) != typed:
        suffix = kind.partition("*")[2].rstrip(")") or ".nii.gz"
        chosen = typed.with_name(f"{typed.name}{suffix}")
    # The dialog has asked about the name that was typed.
    if chosen != typed and chosen.exists():
        text = f"{chosen.name} exists already.\nReplace it?"
        if QMessageBox.question(parent, "Save", text) != QMessageBox.StandardButton.Yes:
            return None
    return chosen


def ask_series_folder(parent: QWidget, suggested: Path) -> Path | None:
    """Ask for the folder in which to make a folder for a DICOM series.

    Parameters
    ----------
    parent : QWidget
    suggested : Path
        The new folder; its parent is on show.

    Returns
    -------
    Path or None
        The new folder. The user has agreed to replace an existing one. None if the user cancels.
    """
    title = f"Choose where to save the DICOM series “{suggested.name}”"
    folder = QFileDialog.getExistingDirectory(parent, title, str(suggested.parent))
    if not folder:
        return None
    chosen = Path(folder) / suggested.name
    if chosen.exists():
        text = f"{chosen.name} exists already.\nReplace it?"
        if QMessageBox.question(parent, "Save", text) != QMessageBox.StandardButton.Yes:
            return None
    return chosen
