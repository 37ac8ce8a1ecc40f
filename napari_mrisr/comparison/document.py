"""Saved comparisons: the state as a JSON document, and its volumes found by content.

The document identifies a volume by a hash of its voxels, not by path or name, since
those may identify a patient.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_mrisr.comparison.state import (
    MAX_COLUMNS,
    PAIR_MODES,
    ROI_SHAPES,
    CompareState,
    Difference,
    Display,
    LineMeasurement,
    OverlayVolume,
    RoiBox,
)
from napari_mrisr.core.frames import PLANES
from napari_mrisr.core.volume import Shape, Volume
from napari_mrisr.errors import MrisrError, OutputError, ParameterError, explain
from napari_mrisr.io import read_grid, read_volume, write_text
from napari_mrisr.io.formats import PathLike, is_listed

FORMAT_VERSION = 1
_CHOOSE = "choose a comparison that this program saved"
_DAMAGED = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)

# Numbers beyond these belong to no scan, and overflow when they are squared.
_MAX_MM = 1e5
_MAX_INTENSITY = 1e30


def fingerprint(volume: Volume) -> str:
    """Return the SHA-256 of a volume's voxels (float32, scan's intensities), shape and affine.

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
    """Entry of a volume in a document.

    Attributes
    ----------
    sha256 : str
        Its :func:`fingerprint`.
    shape : tuple of int
        Voxels along x, y, z. Files of another shape need not be read.
    path : str or None
        Its file, if the user asked for paths.
    """

    sha256: str
    shape: Shape
    path: str | None = None

    @classmethod
    def of(cls, volume: Volume, path: str | None = None) -> Record:
        """Return the record of a volume."""
        return cls(fingerprint(volume), volume.grid.shape, path)


def to_json(state: CompareState, records: Mapping[str, Record]) -> str:
    """Return a state as a JSON document.

    Parameters
    ----------
    state : CompareState
        State to save.
    records : mapping of str to Record
        Record of each volume in the state. Unless one of them has a path, keys
        become ``volume 1``, ``volume 2`` …; names of regions stay.

    Raises
    ------
    ParameterError
        If a volume has no record.
    """
    keys = state.keys()
    missing = [key for key in keys if key not in records]
    if missing:
        raise ParameterError(
            explain("comparison", f"no record of {missing[0]}", "give one per volume")
        )
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
        JSON document.
    name : str
        Name of the file, for messages.

    Returns
    -------
    state : CompareState
        Its keys are the document's labels.
    records : dict
        Records by label.

    Raises
    ------
    ParameterError
        If the text is no such document, holds an impossible number, or has a later
        version.
    """
    try:
        document = json.loads(text)
        version = _integer(document["napari_mrisr_comparison"], 1)
        if version > FORMAT_VERSION:
            found = f"format version {version}"
            raise ParameterError(explain(name, found, "update napari-mrisr to open it"))
        records = {str(label): _record(entry) for label, entry in document["volumes"].items()}
        state = _state_of(document["state"])
    except _DAMAGED as error:
        if isinstance(error, ParameterError):
            raise
        found = f"is no comparison ({str(error)[:80]})"
        raise ParameterError(explain(name, found, _CHOOSE)) from error
    unknown = set(state.keys()) - set(records)
    if unknown:
        found = f"names {sorted(unknown)[0]!r}, which it does not list"
        raise ParameterError(explain(name, found, "save the comparison again"))
    return state, records


def _state_of(data: Mapping[str, Any]) -> CompareState:
    """Return the state of a document's fields, types and ranges checked."""
    plain = dict(data)
    for name, read in _READ.items():
        if name in plain:
            try:
                plain[name] = read(plain[name])
            except _DAMAGED as error:
                raise ValueError(f"{name}: {error}") from error
    state = CompareState(**plain)
    if state.mode in PAIR_MODES and max(state.pair) >= len(state.columns):
        raise ValueError(f"pair: {state.pair} for {len(state.columns)} columns")
    return state


def _record(entry: Mapping[str, Any]) -> Record:
    x, y, z = (_integer(n, 1) for n in entry["shape"])
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


def _number(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"a number of {low:g} to {high:g} expected, found {str(value)[:30]!r}")
    return float(value)


def _integer(value: Any, low: int = 0, high: int = 10**6) -> int:
    if int(_number(value, low, high)) != value:
        raise ValueError(f"a whole number expected, found {value}")
    return int(value)


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise ValueError(f"a list expected, found {values!r}")
    return tuple(map(_text, values))


def _floats(values: Any, count: int, low: float, high: float) -> Any:
    numbers = tuple(_number(value, low, high) for value in values)
    if len(numbers) != count:
        raise ValueError(f"{count} numbers expected, found {len(numbers)}")
    return numbers


_point = partial(_floats, count=3, low=-_MAX_MM, high=_MAX_MM)


def _pair(values: Any) -> tuple[int, int]:
    first, second = (_integer(value, 0, MAX_COLUMNS - 1) for value in values)
    return first, second


def _panel(value: Any) -> tuple[str, int]:
    plane, column = value
    if plane not in [known.name for known in PLANES]:
        raise ValueError(f"unknown plane {plane!r}")
    return str(plane), _integer(column)


def _look(entry: Mapping[str, Any]) -> Display:
    return Display(
        _text(entry["colormap"]),
        _floats(entry["limits"], 2, -_MAX_INTENSITY, _MAX_INTENSITY),
        _number(entry["gamma"], 1e-3, 1e3),
    )


def _difference(entry: Mapping[str, Any]) -> Difference:
    limit = entry.get("limit")
    return Difference(
        _text(entry["minuend"]),
        _text(entry["subtrahend"]),
        _switch(entry.get("absolute", False)),
        None if limit is None else _number(limit, 0, _MAX_INTENSITY),
    )


def _roi(entry: Mapping[str, Any]) -> RoiBox:
    shape = entry["shape"]
    if shape not in ROI_SHAPES:
        raise ValueError(f"unknown region shape {shape!r}")
    axes = _floats(entry["axes"], 9, -1.001, 1.001)
    rotation = np.reshape(axes, (3, 3))
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3:
        raise ValueError("axes of a region that are no rotation")
    return RoiBox(
        _text(entry["name"]),
        shape,
        _point(entry["center"]),
        _floats(entry["size"], 3, 0.0, _MAX_MM),
        axes,
    )


def _measurement(entry: Mapping[str, Any]) -> LineMeasurement:
    points = tuple(map(_point, entry["points"]))
    if len(points) not in (2, 3):
        raise ValueError(f"a measurement of {len(points)} points")
    return LineMeasurement(points)


def _overlay(entry: Mapping[str, Any]) -> OverlayVolume:
    lowest = entry.get("lowest")
    return OverlayVolume(
        _text(entry["key"]),
        _look(entry["look"]),
        _number(entry["opacity"], 0.0, 1.0),
        None if lowest is None else _number(lowest, -_MAX_INTENSITY, _MAX_INTENSITY),
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
    "crosshair": _point,
    "center": _point,
    "span_mm": lambda span: _number(span, 1e-3, _MAX_MM),
    "pair": _pair,
    "swipe": lambda place: _number(place, 0.0, 1.0),
    "flicker_hz": lambda rate: _number(rate, 0.0, 1e3),
    "flicker_second": _switch,
    "checker_mm": lambda edge: _number(edge, 1e-3, _MAX_MM),
    "radiological": _switch,
    "smooth": _switch,
    "crosshair_shown": _switch,
    "planes": _texts,
    "maximized": _or_none(_panel),
    "rois": lambda entries: tuple(map(_roi, entries)),
    "inset": _or_none(_roi),
    "measurements": lambda entries: tuple(map(_measurement, entries)),
    "overlay": _or_none(_overlay),
    "slab_mm": lambda depth: _number(depth, 0.0, _MAX_MM),
    "slab": _text,
    "mosaic_step": _integer,
    "axes": _or_none(_text),
}


@dataclass(frozen=True, eq=False)
class OpenedState:
    """Saved comparison with its volumes.

    Attributes
    ----------
    state : CompareState
        Its keys are those of ``volumes``.
    volumes : mapping of str to Volume
        In the scan's intensities.
    paths : mapping of str to Path
        File of each volume that was read.
    names : mapping of str to str
        Key among the open volumes of each volume that was among them.
    """

    state: CompareState
    volumes: Mapping[str, Volume]
    paths: Mapping[str, Path]
    names: Mapping[str, str] = field(default_factory=dict)


def save_state(
    state: CompareState,
    volumes: Mapping[str, Volume],
    path: PathLike,
    *,
    paths: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a comparison as a JSON file, atomically.

    Parameters
    ----------
    state : CompareState
        State to save.
    volumes : mapping of str to Volume
        All volumes in the state.
    path : str or path
        A file that ends in ``.json``.
    paths : mapping of str to str, optional
        Files of the volumes, only if the user asked for them; the document then keeps
        the keys too.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".json":
        found = f"{path.suffix or 'no suffix'!r} is no comparison"
        raise OutputError(explain(path, found, "give a name that ends in .json"))
    if path.exists() and not overwrite:
        raise OutputError(explain(path, "exists", "choose another name or overwrite it"))
    paths, keys = paths or {}, state.keys()
    records = {key: Record.of(volumes[key], paths.get(key)) for key in keys}
    write_text(path, to_json(state, records))


def open_state(
    path: PathLike,
    candidates: Sequence[PathLike] = (),
    *,
    frame: int | None = None,
    fill_nonfinite: float | None = None,
    open_volumes: Mapping[str, Volume] | None = None,
) -> OpenedState:
    """Read a comparison and find its volumes by content, whatever their names.

    The search covers the volumes that are open already, the given files, then the paths in the
    document, then the document's folder. Only files of a matching shape are read.

    Parameters
    ----------
    path : str or path
        JSON document.
    candidates : sequence of path
        Files that may be its volumes.
    frame, fill_nonfinite
        As for :func:`~napari_mrisr.io.read_volume`.
    open_volumes : mapping of str to Volume, optional
        In the scan's intensities.

    Raises
    ------
    ParameterError
        If the document is damaged or one of its volumes is not found.
    VolumeError
        If one of the candidates cannot be read.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no text"
        raise ParameterError(explain(path, f"cannot be read ({reason})", _CHOOSE)) from error
    state, records = from_json(text, str(path))
    search = _Search(records, frame, fill_nonfinite)
    search.take(open_volumes or {})
    search.read(map(Path, candidates))
    search.read(_saved_paths(path, records), strict=False)
    search.read(_neighbors(path), strict=False)
    lost = [key for key in records if key not in search.volumes]
    if lost:
        shape = " × ".join(map(str, records[lost[0]].shape))
        found = f"{lost[0]!r} ({_role(state, lost[0])}{shape} voxels) was not found"
        mend = "give its file after the comparison"
        raise ParameterError(explain(path, found, mend))
    volumes = {key: search.volumes[key] for key in records}
    return OpenedState(state, volumes, search.paths, search.names)


class _Search:
    """Search for the volumes of a document, with those found so far."""

    def __init__(
        self, records: Mapping[str, Record], frame: int | None, fill_nonfinite: float | None
    ) -> None:
        self.volumes: dict[str, Volume] = {}
        self.paths: dict[str, Path] = {}
        self.names: dict[str, str] = {}
        self._records = records
        self._frame = frame
        self._fill = fill_nonfinite
        self._seen: set[Path] = set()

    def take(self, volumes: Mapping[str, Volume]) -> None:
        """Compare open volumes with the records."""
        for name, volume in volumes.items():
            for key in self._match(volume):
                self.volumes[key], self.names[key] = volume, name

    def _match(self, volume: Volume) -> list[str]:
        """Return the records of a volume that are not found yet."""
        shape = volume.grid.shape
        wanted = {
            key: record.sha256
            for key, record in self._records.items()
            if record.shape == shape and key not in self.volumes
        }
        found = fingerprint(volume) if wanted else ""
        return [key for key, sha256 in wanted.items() if sha256 == found]

    def read(self, files: Iterable[Path], strict: bool = True) -> None:
        """Compare files with the records; unreadable ones raise if ``strict``."""
        for file in files:
            if len(self.volumes) == len(self._records):
                return
            if file.resolve() in self._seen:
                continue
            self._seen.add(file.resolve())
            try:
                self._compare(file)
            except MrisrError:
                if strict:
                    raise

    def _compare(self, file: Path) -> None:
        shape = read_grid(file, frame=self._frame).shape
        lost = [key for key in self._records if key not in self.volumes]
        if all(self._records[key].shape != shape for key in lost):
            return
        volume = read_volume(file, frame=self._frame, fill_nonfinite=self._fill)
        for key in self._match(volume):
            self.volumes[key], self.paths[key] = volume, file


def _saved_paths(path: Path, records: Mapping[str, Record]) -> Iterator[Path]:
    for record in records.values():
        if record.path is not None:
            # Relative paths start at the document.
            yield path.parent / record.path


def _neighbors(path: Path) -> Iterator[Path]:
    for file in sorted(path.parent.iterdir()):
        if file.is_file() and not file.name.startswith(".") and is_listed(file):
            yield file


def _role(state: CompareState, key: str) -> str:
    if key == state.truth:
        return "the reference, "
    return "the measured scan, " if key == state.measured else ""
