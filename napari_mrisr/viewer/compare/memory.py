"""What the reading room remembers from one session to the next."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import QSettings

from napari_mrisr.comparison.state import CompareState

_CONVENTION = "compare/radiological"


def settings() -> QSettings:
    """Where it is kept: a file of the user's."""
    return QSettings(
        QSettings.Format.IniFormat, QSettings.Scope.UserScope, "napari-mrisr", "napari-mrisr"
    )


def remember_convention(radiological: bool) -> None:
    """The convention that the person has chosen."""
    settings().setValue(_CONVENTION, radiological)


def as_remembered(state: CompareState) -> CompareState:
    """A fresh state in the convention that was chosen last; radiological at first."""
    return replace(state, radiological=settings().value(_CONVENTION, True, type=bool))
