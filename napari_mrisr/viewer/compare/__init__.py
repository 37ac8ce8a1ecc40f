"""The reading room's window: the "Compare" dock widget and what the command line opens.

controller.py     what every action does; no Qt
pointing.py, regions.py, keys.py, notes.py, windowing.py, defaults.py
                  the mouse, regions, keys, texts, gray levels, first choice; no Qt
memory.py         what is remembered from one session to the next
canvas.py         one OpenGL canvas with all panels
view.py           canvas, mouse and keys
controls.py, numbers.py, exporting.py
                  the strip above, the table below, the menu
measuring.py      when numbers are computed
link.py, sources.py, layer_regions.py
                  napari's viewer and layers
widget.py, docking.py
                  all of them, docked
reading_window.py, reading_dialog.py
                  blinded reading
opening.py        for the command line

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
