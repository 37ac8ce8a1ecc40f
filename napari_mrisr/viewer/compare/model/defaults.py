"""What to compare at first, by how the volumes were made. No Qt, no napari."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from napari_mrisr.comparison.state import MAX_COLUMNS

ORIGINAL, MEASURED, RESULT = "original", "measured", "result"

# Named so, a file that has lost its history is still known.
_METHOD_WORDS = re.compile(r"(?<![a-z])(nearest|quadratic|tricubic|hashed)(?![a-z])", re.IGNORECASE)
_LR_WORD = re.compile(r"(?<![A-Za-z])(LR|lowres|low-res)(?![A-Za-z])")

# From left to right; other methods stand between tricubic and hashed.
_ORDER = {"nearest": 0, "quadratic": 1, "tricubic": 2, "hashed": 4}
_OTHER = 3


@dataclass(frozen=True)
class Choice:
    """What to show at first; as in :class:`CompareState`."""

    columns: tuple[str, ...]
    truth: str | None
    measured: str | None


def role(name: str, history: Mapping[str, str]) -> tuple[str, str]:
    """Whether a volume is an original, a measured LR or a result, and of which method."""
    method = history.get("method", "")
    if method and method != "none":
        return RESULT, method
    if "degraded_by" in history:
        return MEASURED, ""
    found = _METHOD_WORDS.findall(name)
    if found:
        return RESULT, found[-1].lower()
    if _LR_WORD.search(name):
        return MEASURED, ""
    return ORIGINAL, ""


def choose(histories: Mapping[str, Mapping[str, str]]) -> Choice:
    """Truth first, then the LR volume, tricubic, others, hashed; four at most.

    Parameters
    ----------
    histories : mapping of str to mapping
        :attr:`Volume.history` by key, the oldest layer first.
    """
    roles = {key: role(key, history) for key, history in histories.items()}
    originals = [key for key, (kind, _) in roles.items() if kind == ORIGINAL]
    measured = [key for key, (kind, _) in roles.items() if kind == MEASURED]
    results = [key for key, (kind, _) in roles.items() if kind == RESULT]
    # The latest of each method stands for it.
    latest = {roles[key][1]: key for key in results}
    results = sorted(latest.values(), key=lambda key: _ORDER.get(roles[key][1], _OTHER))
    derived = bool(measured or results)
    truth = originals[0] if len(originals) == 1 and derived else None
    lr = measured[-1] if measured else None
    if truth is None and len(originals) == 1 and results:
        lr = lr or originals[0]
    if not derived:
        return Choice(tuple(originals[:MAX_COLUMNS]), None, None)
    results = results[-MAX_COLUMNS + 1 :]
    first = [truth] if truth else [lr] if lr else originals[:1]
    columns = [key for key in first if key] + results
    if lr and lr not in columns and len(columns) < MAX_COLUMNS:
        columns.insert(1, lr)
    return Choice(tuple(columns), truth, lr)
