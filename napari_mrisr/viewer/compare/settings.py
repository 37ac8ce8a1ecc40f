"""Settings that stay between sessions: convention, and the place of the window."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import QByteArray
from qtpy.QtWidgets import QWidget

from napari_mrisr.comparison.state import CompareState
from napari_mrisr.viewer.common.dialogs import settings

_CONVENTION = "compare/radiological"
_GEOMETRY = "compare/geometry"
_SHOWN = "compare/shown"


def remember_convention(radiological: bool) -> None:
    """Remember the convention that the user has chosen."""
    settings().setValue(_CONVENTION, radiological)


def as_remembered(state: CompareState) -> CompareState:
    """Return a state in the convention chosen last; radiological by default."""
    return replace(state, radiological=settings().value(_CONVENTION, True, type=bool))


def remember_place(window: QWidget) -> None:
    """Remember size and place of a window."""
    settings().setValue(_GEOMETRY, window.saveGeometry())


def restore_place(window: QWidget) -> bool:
    """Give a window its last size and place, on a screen that still exists; False if none."""
    saved = settings().value(_GEOMETRY)
    return isinstance(saved, QByteArray) and bool(window.restoreGeometry(saved))


def remember_shown(part: str, shown: bool) -> None:
    """Remember whether a part of the window, such as the numbers, is shown."""
    settings().setValue(f"{_SHOWN}/{part}", shown)


def was_shown(part: str, default: bool) -> bool:
    """Return whether a part of the window was shown last."""
    return bool(settings().value(f"{_SHOWN}/{part}", default, type=bool))
