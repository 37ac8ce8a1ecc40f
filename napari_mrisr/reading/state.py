"""What the reading room shows: one frozen description, changed by replacing it.

The controller keeps the state, the canvas draws it, the figure prints it, a
JSON file keeps it. Volumes appear by key (in napari: the layer's name); what a
key stands for is the caller's.

In JSON a volume is known by its content (:func:`fingerprint`), not by its path
or name, which may name a patient.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.planes import PLANES
from napari_mrisr.volume import Volume

Point = tuple[float, float, float]

FORMAT_VERSION = 1
MAX_COLUMNS = 4
SIDE_BY_SIDE, SWIPE, FLICKER, CHECKERBOARD = MODES = (
    "side-by-side",
    "swipe",
    "flicker",
    "checkerboard",
)
DIFFERENCE_COLORMAP = "RdBu_r"
ROI_SHAPES = ("box", "ellipsoid")


@dataclass(frozen=True)
class Look:
    """How values become gray levels or colors.

    Attributes
    ----------
    colormap : str
        A name that both vispy (napari) and matplotlib know, or napari's own.
    limits : (low, high)
        Window's ends, in the volume's intensities: level ± width / 2.
    gamma : float
        1 is linear.
    """

    colormap: str = "gray"
    limits: tuple[float, float] = (0.0, 1.0)
    gamma: float = 1.0

    def moved(self, level: float, width: float) -> Look:
        """Level shifted by ``level`` and width scaled by ``width`` window widths."""
        low, high = self.limits
        span = high - low
        center = (low + high) / 2.0 + level * span
        half = span * width / 2.0
        return replace(self, limits=(center - half, center + half))


@dataclass(frozen=True)
class Difference:
    """A column that shows ``minuend`` minus ``subtrahend`` (keys of volumes).

    The subtrahend is interpolated linearly at the minuend's voxels where their
    grids differ. Signed differences have a diverging colormap, zero in its
    middle, with symmetric limits; ``limit`` is None until one is measured.
    """

    minuend: str
    subtrahend: str
    absolute: bool = False
    limit: float | None = None


@dataclass(frozen=True)
class RoiBox:
    """A region of interest drawn in a panel: a 3D box or ellipsoid.

    Attributes
    ----------
    name : str
        Shown in the table.
    shape : str
        ``box`` or ``ellipsoid`` (inscribed in the box).
    center : (x, y, z)
        World, mm.
    size : (x, y, z)
        Full edge lengths along the frame's axes, mm.
    axes : nine floats
        The frame's rotation (frame to world), row by row.
    """

    name: str
    shape: str
    center: Point
    size: Point
    axes: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class CompareState:
    """All that is shown.

    Attributes
    ----------
    columns : tuple of str
        Keys of 1 to 4 volumes, left to right.
    differences : tuple of Difference
        Further columns, to the right.
    truth : str or None
        The volume that numbers compare with.
    measured : str or None
        The low-resolution volume that was measured, for consistency.
    looks : mapping of str to Look
        By key.
    one_window : bool
        Window/level moves all columns together.
    crosshair : (x, y, z)
        World, mm.
    center : (x, y, z)
        Middle of the panels, frame mm.
    span_mm : float
        Millimeters that the shorter side of a panel shows.
    mode : str
        One of :data:`MODES`; the last three show ``pair`` in one column.
    pair : (int, int)
        Columns that those modes compare.
    swipe : float
        The curtain's place, 0 (left) to 1 (right) of a panel; the first of the
        pair is to its left.
    flicker_hz : float
        Changes a second; 0 for by hand.
    flicker_second : bool
        Whether the second of the pair is up.
    checker_mm : float
        Edge of a checkerboard's field.
    radiological : bool
        Patient's right at the screen's left.
    smooth : bool
        Interpolate between pixels on screen.
    crosshair_shown : bool
        Draw its lines.
    planes : tuple of str
        Rows, in order.
    maximized : (plane, column) or None
        The only panel shown: plane's name, and index among all columns.
    rois : tuple of RoiBox
        Drawn regions of interest.
    inset : RoiBox or None
        What the figure magnifies.
    """

    columns: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    truth: str | None = None
    measured: str | None = None
    looks: Mapping[str, Look] = field(default_factory=dict)
    one_window: bool = True
    crosshair: Point = (0.0, 0.0, 0.0)
    center: Point = (0.0, 0.0, 0.0)
    span_mm: float = 200.0
    mode: str = SIDE_BY_SIDE
    pair: tuple[int, int] = (0, 1)
    swipe: float = 0.5
    flicker_hz: float = 0.0
    flicker_second: bool = False
    checker_mm: float = 20.0
    radiological: bool = True
    smooth: bool = False
    crosshair_shown: bool = True
    planes: tuple[str, ...] = tuple(plane.name for plane in PLANES)
    maximized: tuple[str, int] | None = None
    rois: tuple[RoiBox, ...] = ()
    inset: RoiBox | None = None

    def __post_init__(self) -> None:
        if len(self.columns) > MAX_COLUMNS:
            found = f"{len(self.columns)} columns"
            raise ParameterError(explain("comparison", found, f"choose up to {MAX_COLUMNS}"))
        if self.mode not in MODES:
            mend = f"choose from {', '.join(MODES)}"
            raise ParameterError(explain("comparison", f"unknown mode {self.mode!r}", mend))
        names = {plane.name for plane in PLANES}
        if not self.planes or not set(self.planes) <= names:
            found = f"planes {', '.join(self.planes) or 'none'}"
            raise ParameterError(explain("comparison", found, f"choose from {', '.join(names)}"))
        if not (math.isfinite(self.span_mm) and self.span_mm > 0):
            found = f"a span of {self.span_mm} mm"
            raise ParameterError(explain("comparison", found, "give a positive number"))

    def keys(self) -> tuple[str, ...]:
        """Keys of all volumes that the state names, each once, columns first."""
        others = [self.truth, self.measured]
        others += [key for d in self.differences for key in (d.minuend, d.subtrahend)]
        return tuple(dict.fromkeys([*self.columns, *(key for key in others if key)]))

    def renamed(self, old: str, new: str) -> CompareState:
        """The state after a volume's key changed."""

        def name(key: str | None) -> Any:
            return new if key == old else key

        return replace(
            self,
            columns=tuple(name(key) for key in self.columns),
            differences=tuple(
                replace(d, minuend=name(d.minuend), subtrahend=name(d.subtrahend))
                for d in self.differences
            ),
            truth=name(self.truth),
            measured=name(self.measured),
            looks={name(key): look for key, look in self.looks.items()},
        )

    def without(self, key: str) -> CompareState:
        """The state after a volume went: its columns, differences and roles go too."""
        columns = tuple(k for k in self.columns if k != key)
        differences = tuple(d for d in self.differences if key not in (d.minuend, d.subtrahend))
        first, second = self.pair
        last = max(0, len(columns) - 1)
        return replace(
            self,
            columns=columns,
            differences=differences,
            truth=None if self.truth == key else self.truth,
            measured=None if self.measured == key else self.measured,
            looks={k: look for k, look in self.looks.items() if k != key},
            pair=(min(first, last), min(second, last)),
            mode=self.mode if len(columns) > 1 else SIDE_BY_SIDE,
            maximized=None,
        )


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


def to_json(state: CompareState, fingerprints: Mapping[str, str], paths: Mapping[str, str]) -> str:
    """The state as a JSON document.

    Parameters
    ----------
    state : CompareState
        What to save.
    fingerprints : mapping of str to str
        :func:`fingerprint` of each volume that the state names.
    paths : mapping of str to str
        Files of the volumes; empty unless the user asked for paths. Without it
        keys are replaced by ``volume 1``, ``volume 2`` ..., names of regions stay.

    Raises
    ------
    ParameterError
        When a volume has no fingerprint.
    """
    keys = state.keys()
    missing = [key for key in keys if key not in fingerprints]
    if missing:
        raise ParameterError(explain("comparison", f"no fingerprint of {missing[0]}", "give all"))
    labels = {key: key if paths else f"volume {i + 1}" for i, key in enumerate(keys)}
    for key, label in labels.items():
        state = state.renamed(key, "\0" + label)
    for label in labels.values():
        state = state.renamed("\0" + label, label)
    volumes = {
        label: {"sha256": fingerprints[key], **({"path": paths[key]} if key in paths else {})}
        for key, label in labels.items()
    }
    looks = {key: look for key, look in state.looks.items() if key in volumes}
    document = {
        "napari_mrisr_comparison": FORMAT_VERSION,
        "volumes": volumes,
        "state": asdict(replace(state, looks=looks)),
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def from_json(
    text: str, name: str = "comparison"
) -> tuple[CompareState, dict[str, dict[str, str]]]:
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
    volumes : dict
        For each label ``sha256`` and, where it was saved, ``path``.

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
        volumes = {
            str(label): {str(k): str(v) for k, v in entry.items() if k in ("sha256", "path")}
            for label, entry in document["volumes"].items()
        }
        state = _state_of(document["state"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ParameterError):
            raise
        mend = "choose a comparison that this program saved"
        raise ParameterError(explain(name, f"is no comparison ({error})", mend)) from error
    unknown = set(state.keys()) - set(volumes)
    if unknown:
        found = f"names {sorted(unknown)[0]!r}, which it does not list"
        raise ParameterError(explain(name, found, "save the comparison again"))
    return state, volumes


def _state_of(data: Mapping[str, Any]) -> CompareState:
    plain = dict(data)
    plain["columns"] = tuple(map(str, data["columns"]))
    plain["differences"] = tuple(Difference(**entry) for entry in data["differences"])
    plain["looks"] = {
        str(key): Look(str(e["colormap"]), _floats(e["limits"], 2), float(e["gamma"]))
        for key, e in data["looks"].items()
    }
    plain["rois"] = tuple(_roi(entry) for entry in data["rois"])
    plain["inset"] = _roi(data["inset"]) if data["inset"] else None
    plain["planes"] = tuple(map(str, data["planes"]))
    plain["crosshair"] = _floats(data["crosshair"], 3)
    plain["center"] = _floats(data["center"], 3)
    first, second = (int(i) for i in data["pair"])
    plain["pair"] = (first, second)
    if data["maximized"]:
        plane, column = data["maximized"]
        plain["maximized"] = (str(plane), int(column))
    return CompareState(**plain)


def _roi(entry: Mapping[str, Any]) -> RoiBox:
    shape = str(entry["shape"])
    if shape not in ROI_SHAPES:
        raise ValueError(f"unknown region shape {shape!r}")
    return RoiBox(
        str(entry["name"]),
        shape,
        _floats(entry["center"], 3),
        _floats(entry["size"], 3),
        _floats(entry["axes"], 9),
    )


def _floats(values: Any, count: int) -> Any:
    numbers = tuple(float(v) for v in values)
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{count} numbers expected, found {values}")
    return numbers
