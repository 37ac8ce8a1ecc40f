"""History of a result in Derivation Description: written, and read back."""

from __future__ import annotations

import re
from collections.abc import Mapping

from napari_mrisr._version import __version__
from napari_mrisr.core.notice import RESEARCH_USE

NOT_FOR_DIAGNOSIS = "NOT FOR DIAGNOSIS"
PROGRAM = "napari-mrisr"

_NAMES = ("method", "scale", "bank", "slices", "balanced")
_SHORT_TEXT = 1024  # characters of the attribute
_NOTE = re.compile(rf"{PROGRAM} \S+: super-resolution; (.*?)\. Detail is estimated")


def derivation_text(history: Mapping[str, str]) -> str:
    """Return how a volume was made, in ASCII."""
    parts = [f"{name} {history[name]}" for name in _NAMES if history.get(name)]
    start = f"{PROGRAM} {__version__}: super-resolution; {'; '.join(map(plain, parts))}"
    end = f". Detail is estimated, not measured. {NOT_FOR_DIAGNOSIS}."
    return start[: _SHORT_TEXT - len(end)] + end


def read_derivation(text: str) -> dict[str, str]:
    """Return the history that :func:`derivation_text` wrote; empty for another text."""
    found = _NOTE.match(text)
    parts = [part.partition(" ") for part in found[1].split("; ")] if found else []
    history = {name: value for name, _, value in parts if name in _NAMES and value}
    return {**history, "note": RESEARCH_USE} if history else {}


def plain(text: str) -> str:
    """Return a text in ASCII, on one line."""
    text = text.replace("×", "x").replace("–", "-")
    return " ".join(text.encode("ascii", "replace").decode("ascii").split())
