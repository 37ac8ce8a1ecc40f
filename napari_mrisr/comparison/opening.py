"""A new comparison: roles of the volumes, their neutral labels, and the first view."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.comparison.scene import Cutter, difference_limit
from napari_mrisr.comparison.state import (
    MAX_COLUMNS,
    CompareState,
    Difference,
    Display,
    as_point,
)
from napari_mrisr.core.frames import Frame
from napari_mrisr.core.scale import parse_scale, scale_label
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import ScaleError
from napari_mrisr.methods import METHOD_SUMMARIES, base_name

ORIGINAL, MEASURED, RESULT, MAP = "original", "measured", "result", "map"

# Names tell the role of files without a history.
_METHOD_NAMES = re.compile(rf"(?<![a-z])({'|'.join(METHOD_SUMMARIES)})(?![a-z])", re.IGNORECASE)
_LOW_NAMES = re.compile(r"(?<![A-Za-z])(LR|lowres|low-res)(?![A-Za-z])")
_MAP_NAMES = re.compile(
    r"desc-[A-Za-z0-9+]*(experr|support|consistency)(?![a-z])"
    r"|^(expected RMSE|support|consistency)\b[^:]*:"
)
# Column order of the methods; others stand between tricubic and hashed.
_ORDER = {name: float(place) for place, name in enumerate(METHOD_SUMMARIES)}
_ORDER["quadratic"] = _ORDER["tricubic"] - 0.5  # the weaker first
_OTHER = _ORDER["hashed"] - 0.5

_STEP = 3  # every third voxel along an axis is enough to place the view
_HIGH_PERCENTILE = 99.5
_SAME_CONTRAST = 1.4  # windows that differ by a smaller factor are made equal
_ASIDE = 0.07  # of the head's width: the midline plane shows little
_MARGIN_MM = 8.0


@dataclass(frozen=True)
class Choice:
    """Columns and roles of a new comparison, as in :class:`CompareState`."""

    columns: tuple[str, ...]
    truth: str | None
    measured: str | None


def role(name: str, history: Mapping[str, str]) -> tuple[str, str]:
    """Return the role of a volume and the method that made it.

    Parameters
    ----------
    name : str
        Name of the layer, or path of the file; used if the history says nothing.
    history : mapping of str to str
        See :attr:`Volume.history`.

    Returns
    -------
    role : str
        ``original``, ``measured`` (low resolution), ``result`` or ``map`` (trust map).
    method : str
        Empty for all but results.
    """
    name = re.split(r"[/\\]", name)[-1]
    if "map" in history or _MAP_NAMES.search(name):
        return MAP, ""
    method = history.get("method", "")
    if method and method != "none":
        return RESULT, method
    if "degraded_by" in history:
        return MEASURED, ""
    found = _METHOD_NAMES.findall(name)
    if found:
        return RESULT, found[-1].lower()
    return (MEASURED, "") if _LOW_NAMES.search(name) else (ORIGINAL, "")


def choose(volumes: Mapping[str, Volume], sources: Mapping[str, str] | None = None) -> Choice:
    """Choose the columns, the reference and the measured scan by how volumes were made.

    The measured scan is the one that the results were made from, else one coarser than them.
    It is never the reference. A volume is the reference only if the measured scan was
    simulated from it. Trust maps are neither.

    Parameters
    ----------
    volumes : mapping of str to Volume
        Oldest first.
    sources : mapping of str to str, optional
        From the key of a result or of a simulated scan to the key of the volume that it was
        computed from, as far as known.

    Returns
    -------
    Choice
        At most four columns: reference, measured scan, then tricubic, other methods
        and hashed, the newest of each method.
    """
    roles = {key: role(key, volume.history) for key, volume in volumes.items()}
    originals, measured, results = (
        [key for key, (kind, _) in roles.items() if kind == wanted]
        for wanted in (ORIGINAL, MEASURED, RESULT)
    )
    if not measured and not results:
        return Choice(tuple(originals[:MAX_COLUMNS]), None, None)
    sources = sources or {}
    finest = min((_voxel_mm3(volumes[key].grid) for key in results), default=0.0)
    coarse = [key for key in originals if _voxel_mm3(volumes[key].grid) > 1.01 * finest > 0.0]
    known = [sources[key] for key in results if sources.get(key) in volumes]
    low: str | None
    if known:
        low = known[-1]
    else:
        low = measured[-1] if measured else coarse[0] if len(coarse) == 1 else None
    truth = _reference(volumes, sources, low, originals, results)
    newest = {roles[key][1]: key for key in results}
    results = sorted(newest.values(), key=lambda key: _ORDER.get(base_name(roles[key][1]), _OTHER))
    results = results[-MAX_COLUMNS + 1 :]
    first = truth or low or (originals[0] if originals else None)
    columns = [first, *(results or originals)] if first else results
    columns = list(dict.fromkeys(columns))[:MAX_COLUMNS]
    if low and low not in columns and len(columns) < MAX_COLUMNS:
        columns.insert(1, low)
    return Choice(tuple(columns), truth, low)


def possible_references(
    volumes: Mapping[str, Volume], sources: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Return the volumes that the user may choose as the reference, in order.

    Trust maps and scans that a result was computed from cannot be one.

    Parameters
    ----------
    volumes, sources
        As for :func:`choose`.
    """
    used = {
        source
        for key, source in (sources or {}).items()
        if key in volumes and role(key, volumes[key].history)[0] in (RESULT, MAP)
    }
    return tuple(
        key
        for key, volume in volumes.items()
        if key not in used and role(key, volume.history)[0] != MAP
    )


def _reference(
    volumes: Mapping[str, Volume],
    sources: Mapping[str, str],
    low: str | None,
    originals: Sequence[str],
    results: Sequence[str],
) -> str | None:
    """Return the volume that the measured scan was simulated from; None if that is not known."""
    simulated = [key for key in (low, *results) if key and "degraded_by" in volumes[key].history]
    if not simulated:
        return None
    scan = low or ""
    while scan in volumes and role(scan, volumes[scan].history)[0] == RESULT:
        scan = sources.get(scan, "")
    source = sources.get(scan, "")
    if source in volumes:
        return source
    found = [
        key
        for key in originals
        if key != low and any(_covers(volumes[key].grid, volumes[k].grid) for k in simulated)
    ]
    return found[0] if len(found) == 1 else None


def _covers(grid: Grid, simulated: Grid) -> bool:
    """Return whether a grid is at least as fine as another and begins at the same corner."""
    at_least = _voxel_mm3(simulated) > 0.99 * _voxel_mm3(grid)
    return at_least and _same_corner(grid, simulated)


def _same_corner(a: Grid, b: Grid) -> bool:
    """Return whether two fields of view begin at the same corner."""
    first, second = (grid.affine @ (-0.5, -0.5, -0.5, 1.0) for grid in (a, b))
    return bool(np.abs(first - second).max() < 0.01 * min(a.voxel_size))


def _voxel_mm3(grid: Grid) -> float:
    return prod(grid.voxel_size)


def neutral_labels(
    volumes: Mapping[str, Volume],
    keys: Sequence[str],
    truth: str | None = None,
    measured: str | None = None,
) -> dict[str, str]:
    """Label volumes by role, since names of files and layers may identify a patient.

    Parameters
    ----------
    volumes : mapping of str to Volume
        With their history.
    keys : sequence of str
        Volumes to label, in order.
    truth, measured : str or None
        Keys of the reference and of the measured low-resolution scan.

    Returns
    -------
    dict of str to str
        Unique labels such as ``reference``, ``LR 2×``, ``hashed 2×``, ``volume 3``.
    """
    labels = {}
    for place, key in enumerate(dict.fromkeys(keys), start=1):
        label = "reference" if key == truth else _label_by_history(volumes[key].history)
        labels[key] = label or ("LR" if key == measured else f"volume {place}")
    return unique_labels(labels)


def column_labels(
    volumes: Mapping[str, Volume],
    keys: Sequence[str],
    truth: str | None = None,
    measured: str | None = None,
) -> dict[str, str]:
    """Label volumes by role where their history tells it, and by name otherwise.

    Parameters
    ----------
    volumes, keys, truth, measured
        As for :func:`neutral_labels`.

    Returns
    -------
    dict of str to str
        Unique labels such as ``reference``, ``original``, ``hashed 2×``, ``T1w_2``.
    """
    labels = {}
    for key in dict.fromkeys(keys):
        made = _label_by_history(volumes[key].history)
        first = "reference" if key == truth else made
        labels[key] = first or ("original" if key == measured else key)
    return unique_labels(labels)


def unique_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Append a number to labels that occur more than once: ``LR``, ``LR (2)``."""
    used: Counter[str] = Counter()
    unique = {}
    for key, label in labels.items():
        used[label] += 1
        unique[key] = label if used[label] == 1 else f"{label} ({used[label]})"
    return unique


def _label_by_history(history: Mapping[str, str]) -> str:
    kind, method = role("", history)
    if kind == MAP:
        return history["map"].partition(",")[0].partition(":")[0]
    if kind == ORIGINAL:
        return ""
    scale = history.get("scale" if kind == RESULT else "degraded_by", "")
    return f"{method or 'LR'} {_scale_text(scale)}".strip()


def _scale_text(scale: str) -> str:
    try:
        return scale_label(parse_scale(scale))
    except ScaleError:
        return ""


def opening_state(
    volumes: Mapping[str, Volume],
    columns: Sequence[str],
    truth: str | None = None,
    measured: str | None = None,
    differences: Sequence[Difference] = (),
) -> CompareState:
    """Return the first state of a comparison: the head in view, one gray window.

    Parameters
    ----------
    volumes : mapping of str to Volume
        In the scan's intensities.
    columns : sequence of str
        Keys, left to right.
    truth, measured, differences
        As in :class:`~napari_mrisr.comparison.state.CompareState`. Differences without
        a limit get one common limit, so that their colors compare.

    Returns
    -------
    CompareState
        The crosshair is in the middle of the first column's head, beside the midline.
        Volumes of one contrast share a window.
    """
    first = volumes[columns[0]]
    frame = Frame.of(first.grid)
    views = {key: _view_of(volumes[key], frame) for key in dict.fromkeys(columns)}
    leading = views[columns[0]]
    middle = leading.middle.copy()
    middle[0] += _ASIDE * (leading.high[0] - leading.low[0])
    position = as_point(middle)
    cutter = Cutter(volumes, frame)
    limits = [difference_limit(cutter, d, position) for d in differences if not d.limit]
    limit = max(limits, default=None)
    return CompareState(
        columns=tuple(columns),
        differences=tuple(d if d.limit else replace(d, limit=limit) for d in differences),
        truth=truth,
        measured=measured,
        looks={
            key: Display("gray", _window(view.limits, leading.limits))
            for key, view in views.items()
        },
        crosshair=as_point(frame.to_world(middle)),
        center=as_point((leading.low + leading.high) / 2),
        span_mm=float((leading.high - leading.low).max()) + 2 * _MARGIN_MM,
    )


@dataclass(frozen=True)
class _HeadView:
    """Box and middle of a head, frame mm, and the intensity window of the volume."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    middle: NDArray[np.float64]
    limits: tuple[float, float]


def _view_of(volume: Volume, frame: Frame) -> _HeadView:
    data = volume.data[::_STEP, ::_STEP, ::_STEP]
    inside = data > data.mean()
    if not inside.any():
        inside = np.ones_like(data, dtype=bool)
    index = np.argwhere(inside) * _STEP
    affine = frame.affine(volume.grid)
    positions = index @ affine[:3, :3].T + affine[:3, 3]
    # The percentiles leave out single bright voxels of the background.
    low, high = np.percentile(positions, (0.5, 99.5), axis=0)
    limits = (min(0.0, float(data.min())), float(np.percentile(data[inside], _HIGH_PERCENTILE)))
    return _HeadView(low, high, positions.mean(axis=0), limits)


def _window(own: tuple[float, float], leading: tuple[float, float]) -> tuple[float, float]:
    """Return the leading volume's window for a volume of the same contrast and unit."""
    ratio = (own[1] - own[0]) / ((leading[1] - leading[0]) or 1.0)
    return leading if 1 / _SAME_CONTRAST < ratio < _SAME_CONTRAST else own
