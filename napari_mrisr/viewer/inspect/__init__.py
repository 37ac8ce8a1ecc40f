"""The bucket inspector: the "Inspect buckets" dock widget.

controller.py what is shown; no Qt
choosing.py   the form's choices, kept in step with the viewer
requests.py   frozen requests for the thread, and what comes back
maps.py       bucket map and its parts as napari layers; no Qt
lighting.py   the map's layer; one bucket lit
follow.py     the cursor, throttled; a click holds it
pictures.py   planes of a filter and of its response, drawn
balls.py      a filter in 3D, drawn
filter_view.py
              both, and how to choose among them
buckets.py    the histogram: a row a bucket
readout.py    texts, painted in place
panel.py      fields and looks; no logic
widget.py     all of them, docked

Names are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {"InspectWidget": "widget"}

__all__ = ["InspectWidget"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
