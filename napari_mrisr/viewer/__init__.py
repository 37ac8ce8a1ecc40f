"""The napari plugin: the only folder that imports napari, magicgui or qtpy.

Names are loaded on first use, so that the readers and samples need no Qt.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "CompareWidget": "compare.widget",
    "DicomWidget": "dicom.widget",
    "ExplainWidget": "explain.widget",
    "InspectWidget": "inspect.widget",
    "MethodsWidget": "compare.methods.widget",
    "SuperResolveWidget": "super_resolve.widget",
    "TourWidget": "explain.tour",
    "TrainWidget": "train.widget",
}

__all__ = [
    "CompareWidget",
    "DicomWidget",
    "ExplainWidget",
    "InspectWidget",
    "MethodsWidget",
    "SuperResolveWidget",
    "TourWidget",
    "TrainWidget",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
