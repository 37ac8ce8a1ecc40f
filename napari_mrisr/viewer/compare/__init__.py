"""Compare: its window and dock, and what the command line opens.

model/            state and actions without Qt: store and controller, mouse handler,
                  regions, keys, texts
canvas/           the panels, drawn with QPainter
linking/          napari's viewer, layers, shapes and labels
view.py           canvas, mouse and keys
toolbar.py, side_panel.py, fields.py
                  controls around the panels
numbers.py        table of numbers, and the schedule of their computation
exporting.py      export of figure, table and comparison
live.py           columns that are computed while the user looks at them
form.py, window.py the window: its parts, and their logic; settings.py: what it remembers
widget.py         the dock that opens it
methods/          several methods on one layer: dock
blinded/          blinded reading: dialog, window, results
opening.py        the command line

Names are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {"CompareWidget": "widget", "open_comparison": "opening", "open_reading": "opening"}

__all__ = ["CompareWidget", "open_comparison", "open_reading"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
