"""The state as a JSON document.

A volume is known in it by its content (:func:`fingerprint`), not by its path or
name, which may name a patient.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from napari_mrisr.comparison.state import (
    MAX_COLUMNS,
    ROI_SHAPES,
    SIDE_BY_SIDE,
    CompareState,
    Difference,
    Display,
    RoiBox,
)
from napari_mrisr.core.frames import PLANES
from napari_mrisr.core.volume import Shape, Volume
from napari_mrisr.errors import ParameterError, explain

FORMAT_VERSION = 1


def fingerprint(volume: Volume) -> str:
    """SHA-256 of a volume's voxels (float32, scan's intensities), shape and affine.

    It does not depend on file name, format or header texts.
    """
    volume = volume.restored()
    digest = hashlib.sha256(str(volume.grid.shape).encode())
    # Files store affines in single precision.
    digest.update(np.round(volume.grid.affine, 3).astype("<f4").tobytes())
    digest.update(volume.data.astype("<f4", copy=False).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Record:
    """What a document keeps of a volume.

    Attributes
    ----------
    sha256 : str
        Its :func:`fingerprint`.
    shape : tuple of int
        Voxels along x, y, z, so that most other files need not be read whole.
    path : str or None
        Its file, where the user asked for that.
    """

    sha256: str
    shape: Shape
    path: str | None = None

    @classmethod
    def of(cls, volume: Volume, path: str | None = None) -> Record:
        """Of a volume."""
        return cls(fingerprint(volume), volume.grid.shape, path)


def to_json(state: CompareState, records: Mapping[str, Record]) -> str:
    """The state as a JSON document.

    Parameters
    ----------
    state : CompareState
        What to save.
    records : mapping of str to Record
        Of each volume that the state names. Unless one of them has a path, keys
        become ``volume 1``, ``volume 2`` ...; names of regions stay.

    Raises
    ------
    ParameterError
        When a volume has no record.
    """
    keys = state.keys()
    missing = [key for key in keys if key not in records]
    if missing:
        raise ParameterError(explain("comparison", f"no record of {missing[0]}", "give all"))
    named = any(records[key].path for key in keys)
    labels = {key: key if named else f"volume {i + 1}" for i, key in enumerate(keys)}
    state = state.relabeled(labels)
    volumes = {
        label: {name: value for name, value in asdict(records[key]).items() if value is not None}
        for key, label in labels.items()
    }
    looks = {key: look for key, look in state.looks.items() if key in volumes}
    document = {
        "napari_mrisr_comparison": FORMAT_VERSION,
        "volumes": volumes,
        "state": asdict(replace(state, looks=looks)),
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str, name: str = "comparison") -> tuple[CompareState, dict[str, Record]]:
    """Read what :func:`to_json` wrote.

    Parameters
    ----------
    text : str
        The document.
    name : str
        Of the file, for errors.

    Returns
    -------
    state : CompareState
        Volumes appear by the document's labels.
    records : dict
        By label.

    Raises
    ------
    ParameterError
        When it is no such document, or of a later version.
    """
    try:
        document = json.loads(text)
        version = document["napari_mrisr_comparison"]
        if isinstance(version, int) and version > FORMAT_VERSION:
            found = f"format version {version}"
            raise ParameterError(explain(name, found, "update napari-mrisr to open it"))
        records = {str(label): _record(entry) for label, entry in document["volumes"].items()}
        state = _state_of(document["state"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ParameterError):
            raise
        mend = "choose a comparison that this program saved"
        raise ParameterError(explain(name, f"is no comparison ({error})", mend)) from error
    unknown = set(state.keys()) - set(records)
    if unknown:
        found = f"names {sorted(unknown)[0]!r}, which it does not list"
        raise ParameterError(explain(name, found, "save the comparison again"))
    return state, records


def _state_of(data: Mapping[str, Any]) -> CompareState:
    """Every field that is there, its type and range checked; the others have defaults."""
    plain = dict(data)
    for name, read in _READ.items():
        if name in plain:
            try:
                plain[name] = read(plain[name])
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{name}: {error}") from error
    state = CompareState(**plain)
    if state.mode != SIDE_BY_SIDE and max(state.pair) >= len(state.columns):
        raise ValueError(f"pair: {state.pair} of {len(state.columns)} columns")
    return state


def _record(entry: Mapping[str, Any]) -> Record:
    x, y, z = map(int, entry["shape"])
    path = entry.get("path")
    return Record(_text(entry["sha256"]), (x, y, z), None if path is None else _text(path))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a text expected, found {value!r}")
    return value


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"true or false expected, found {value!r}")
    return value


def _number(value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    number = float(value)
    if not (math.isfinite(number) and low <= number <= high):
        raise ValueError(f"{value} is out of range")
    return number


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise ValueError(f"a list expected, found {values!r}")
    return tuple(map(_text, values))


def _floats(values: Any, count: int) -> Any:
    numbers = tuple(map(_number, values))
    if len(numbers) != count:
        raise ValueError(f"{count} numbers expected, found {values}")
    return numbers


def _pair(values: Any) -> tuple[int, int]:
    first, second = map(int, values)
    if not (0 <= first < MAX_COLUMNS and 0 <= second < MAX_COLUMNS):
        raise ValueError(f"columns {first} and {second}")
    return first, second


def _panel(value: Any) -> tuple[str, int] | None:
    if value is None:
        return None
    plane, column = value
    if plane not in [known.name for known in PLANES] or int(column) < 0:
        raise ValueError(f"no panel {value}")
    return str(plane), int(column)


def _look(entry: Mapping[str, Any]) -> Display:
    return Display(
        _text(entry["colormap"]), _floats(entry["limits"], 2), _number(entry["gamma"], 0)
    )


def _difference(entry: Mapping[str, Any]) -> Difference:
    limit = entry.get("limit")
    return Difference(
        _text(entry["minuend"]),
        _text(entry["subtrahend"]),
        _switch(entry.get("absolute", False)),
        None if limit is None else _number(limit, 0),
    )


def _roi(entry: Mapping[str, Any]) -> RoiBox:
    shape = entry["shape"]
    if shape not in ROI_SHAPES:
        raise ValueError(f"unknown region shape {shape!r}")
    return RoiBox(
        _text(entry["name"]),
        shape,
        _floats(entry["center"], 3),
        _floats(entry["size"], 3),
        _floats(entry["axes"], 9),
    )


def _or_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


_READ: dict[str, Callable[[Any], Any]] = {
    "columns": _texts,
    "differences": lambda entries: tuple(map(_difference, entries)),
    "truth": _or_none(_text),
    "measured": _or_none(_text),
    "looks": lambda looks: {key: _look(entry) for key, entry in looks.items()},
    "one_window": _switch,
    "crosshair": lambda point: _floats(point, 3),
    "center": lambda point: _floats(point, 3),
    "span_mm": _number,
    "pair": _pair,
    "swipe": lambda place: _number(place, 0.0, 1.0),
    "flicker_hz": lambda rate: _number(rate, 0.0),
    "flicker_second": _switch,
    "checker_mm": lambda edge: _number(edge, 1e-3),
    "radiological": _switch,
    "smooth": _switch,
    "crosshair_shown": _switch,
    "planes": _texts,
    "maximized": _panel,
    "rois": lambda entries: tuple(map(_roi, entries)),
    "inset": _or_none(_roi),
}
