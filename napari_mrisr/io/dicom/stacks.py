"""Volumes of a series: tell its images apart, order them by position, refuse what cannot be right.

Positions are those of DICOM's patient coordinates (LPS); affines are RAS+.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.volume import IntensityWindow
from napari_mrisr.errors import GeometryError, VolumeError, explain
from napari_mrisr.io.dicom.headers import COMPONENTS, SliceImage, Trait

Affine = NDArray[np.float64]
Same = Callable[[SliceImage, SliceImage], bool]

_UNEVEN = 0.01
_SHEAR = 2e-3
_EXPORT = "export the whole series again"

#: Traits by which images at one position are told apart, the first that suffices, with names.
_TRAITS = {
    "component": "",
    "echo": "echo",
    "inversion": "inversion",
    "flip": "flip angle",
    "b": "b",
    "direction": "direction",
    "time": "time",
    "trigger": "phase of the cycle",
    "acquisition": "acquisition",
    "type": "image type",
}


#: Traits whose names come last, as in ``echo 2, phase``.
_LAST = ("component", "type")


@dataclass(frozen=True, eq=False)
class Stack:
    """The images of one volume, ordered along their normal.

    Attributes
    ----------
    name : str
        Difference from the other volumes of the series, such as ``echo 2, phase``; empty for
        the only one.
    images : tuple of SliceImage
    affine : (4, 4) ndarray
        Index (column, row, slice) to mm, RAS+.
    """

    name: str
    images: tuple[SliceImage, ...]
    affine: Affine

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows and slices."""
        rows, columns = self.images[0].shape
        return columns, rows, len(self.images)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distances of columns, rows and slices, mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def thickness(self) -> float | None:
        """Slice thickness, mm."""
        return self.images[0].thickness

    @property
    def window(self) -> IntensityWindow | None:
        """Contrast that the header of the middle slice suggests."""
        found = self.images[len(self.images) // 2].window
        if found is None:
            return None
        center, width = found
        return IntensityWindow(center - width / 2, center + width / 2)


def make_stacks(path: Path, images: Sequence[SliceImage], same: Same) -> tuple[Stack, ...]:
    """Divide the images of a series into volumes.

    Parameters
    ----------
    path : Path
        For messages.
    images : sequence of SliceImage
    same : callable
        Compares the voxels of two images.

    Raises
    ------
    GeometryError
        When the images make no volumes.
    """
    if len(images) < 2:
        raise GeometryError(explain(path, "holds a single image", "give a volume"))
    _check_alike(path, images)
    row, column = _directions(path, images)
    normal = np.cross(row, column)
    places = np.array([image.position for image in images])
    heights = places @ normal
    level = _levels(heights, 0.01 * min(images[0].spacing))
    groups = _tell_apart(path, images, level, heights, same)
    stacks = []
    for name, members in groups:
        ordered = sorted(members, key=lambda i: heights[i])
        affine = _affine(path, name, [images[i] for i in ordered], row, column)
        stacks.append(Stack(name, tuple(images[i] for i in ordered), affine))
    return tuple(stacks)


def _check_alike(path: Path, images: Sequence[SliceImage]) -> None:
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1:
        shown = ", ".join(f"{columns} × {rows}" for rows, columns in shapes[:4])
        found = f"images of different sizes ({shown})"
        raise GeometryError(explain(path, found, "export the series without the others"))
    spacings = np.array([image.spacing for image in images])
    if not np.all(spacings > 0):
        raise GeometryError(explain(path, "a pixel spacing that is not positive", _EXPORT))
    if np.ptp(spacings, axis=0).max() > 1e-3 * spacings.min():
        low, high = spacings.min(), spacings.max()
        found = f"images of different pixel spacing ({low:.4g} to {high:.4g} mm)"
        raise GeometryError(explain(path, found, "export the series without the others"))


def _directions(
    path: Path, images: Sequence[SliceImage]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the common directions of rows and columns, unit vectors."""
    each = np.array([image.orientation for image in images]).reshape(-1, 2, 3)
    lengths = np.linalg.norm(each, axis=2)
    if np.abs(lengths - 1).max() > 1e-2 or np.abs((each[:, 0] * each[:, 1]).sum(1)).max() > 1e-2:
        found = "row and column directions that are no unit vectors at a right angle"
        raise GeometryError(explain(path, found, _EXPORT))
    apart = np.abs(each - each[0]).max(axis=(1, 2))
    if apart.max() > 1e-3:
        kinds = len({tuple(np.round(one.ravel(), 2) + 0.0) for one in each})
        found = f"images of {max(kinds, 2)} orientations, as a localizer has"
        raise GeometryError(explain(path, found, "choose a series of parallel slices"))
    row = each[0, 0] / lengths[0, 0]
    column = each[0, 1] - row * (each[0, 1] @ row)
    return row, column / np.linalg.norm(column)


def _levels(heights: NDArray[np.float64], tolerance: float) -> NDArray[np.int64]:
    """Return the number of each image's position along the normal; equal within the tolerance."""
    order = np.argsort(heights, kind="stable")
    steps = np.diff(heights[order], prepend=heights[order[0]]) > tolerance
    level = np.empty(len(heights), np.int64)
    level[order] = np.cumsum(steps)
    return level


def _tell_apart(
    path: Path,
    images: Sequence[SliceImage],
    level: NDArray[np.int64],
    heights: NDArray[np.float64],
    same: Same,
) -> list[tuple[str, list[int]]]:
    """Return the name and the images of each volume."""
    most = int(np.bincount(level).max())
    keys: list[tuple[Hashable, ...]] = [()] * len(images)
    used: list[str] = []
    for trait in _TRAITS:
        if most == 1 or _count_at_most(keys, level) == 1:
            break
        values = [_rounded(image.traits.get(trait)) for image in images]
        if len(set(values)) > most:  # differs from slice to slice
            continue
        finer = [(*key, value) for key, value in zip(keys, values, strict=True)]
        if _count_at_most(finer, level) < _count_at_most(keys, level) or _splits(
            keys, finer, level
        ):
            keys, used = finer, [*used, trait]
    groups: dict[tuple[Hashable, ...], list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        groups[key].append(i)
    names = _names(used, list(groups))
    found: list[tuple[str, list[int]]] = []
    for key in sorted(groups, key=_order):
        repeats = _repeats(
            path, names[key], [images[i] for i in groups[key]], groups[key], level, heights, same
        )
        for number, members in enumerate(repeats, start=1):
            parts = [names[key]] + ([f"volume {number}"] if len(repeats) > 1 else [])
            found.append((", ".join(filter(None, parts)), members))
    return found


def _count_at_most(keys: Sequence[Hashable], level: NDArray[np.int64]) -> int:
    """Return the largest number of images with one key at one position."""
    counts: dict[tuple[Hashable, int], int] = defaultdict(int)
    for key, at in zip(keys, level, strict=True):
        counts[key, int(at)] += 1
    return max(counts.values())


def _splits(keys: Sequence[Hashable], finer: Sequence[Hashable], level: NDArray[np.int64]) -> bool:
    """Return True if finer keys tell apart images at one position that had the same key."""
    before = len({(key, int(at)) for key, at in zip(keys, level, strict=True)})
    after = len({(key, int(at)) for key, at in zip(finer, level, strict=True)})
    return after > before


def _rounded(value: Trait | None) -> Hashable:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, tuple):
        return tuple(round(part, 4) + 0.0 for part in value)
    return value


def _order(key: tuple[Hashable, ...]) -> tuple[tuple[int, float, str], ...]:
    """Return a key to sort by: components in their usual order, numbers ascending."""
    order = []
    for value in key:
        if isinstance(value, int | float):
            order.append((0, float(value), ""))
        elif value in COMPONENTS:
            order.append((1, float(COMPONENTS.index(str(value))), ""))
        else:
            order.append((2, 0.0, str(value)))
    return tuple(order)


def _names(used: Sequence[str], keys: Sequence[tuple[Hashable, ...]]) -> dict[Hashable, str]:
    """Return the name of each key, such as ``echo 2, phase``."""
    names: dict[Hashable, str] = {}
    values = [{key[i] for key in keys} - {None} for i in range(len(used))]
    ranks = [sorted(found, key=lambda value: _order((value,))) for found in values]
    places = sorted(range(len(used)), key=lambda i: used[i] in _LAST)
    for key in keys:
        parts: list[str] = []
        for i in places:
            value, trait = key[i], used[i]
            if value is None:
                continue
            if trait in _LAST:
                parts.append(str(value).replace("\\", " ").lower())
            elif trait == "b":
                parts.append(f"b {value:g}")
            else:
                parts.append(f"{_TRAITS[trait]} {ranks[i].index(value) + 1}")
        names[key] = ", ".join(parts) or ("others" if used else "")
    return names


def _repeats(
    path: Path,
    name: str,
    images: Sequence[SliceImage],
    members: Sequence[int],
    level: NDArray[np.int64],
    heights: NDArray[np.float64],
    same: Same,
) -> list[list[int]]:
    """Divide images that no trait tells apart: the first at each position, the second and so on.

    Copies of an image are left out.
    """
    at: dict[int, list[tuple[int, SliceImage]]] = defaultdict(list)
    for i, image in zip(members, images, strict=True):
        at[int(level[i])].append((i, image))
    kept: dict[int, list[int]] = {}
    for number, here in at.items():
        here.sort(key=lambda item: (item[1].number, item[1].index, str(item[1].file)))
        unique: list[tuple[int, SliceImage]] = []
        for i, image in here:
            twin = next((other for _, other in unique if other.number == image.number), None)
            if twin is None or twin.file == image.file:
                unique.append((i, image))
            elif not same(twin, image):
                found = (
                    f"two different images at {_mm(heights[i])} with the same number "
                    f"({twin.file.name} and {image.file.name})"
                )
                raise VolumeError(explain(path, found, "remove one of them"))
        kept[number] = [i for i, _ in unique]
    counts = {number: len(here) for number, here in kept.items()}
    most = max(counts.values())
    lacking = [number for number, count in counts.items() if count < most]
    if lacking:
        position = _mm(heights[kept[min(lacking)][0]])
        of = f"{name}: " if name else ""
        found = (
            f"{of}only {counts[min(lacking)]} of {most} images at {position}, and gaps at "
            f"{len(lacking)} of {len(counts)} positions"
        )
        raise GeometryError(explain(path, found, _EXPORT))
    numbers = sorted(kept)
    return [[kept[number][k] for number in numbers] for k in range(most)]


def _mm(height: float) -> str:
    return f"{height + 0.0:.2f} mm"


def _affine(
    path: Path,
    name: str,
    images: Sequence[SliceImage],
    row: NDArray[np.float64],
    column: NDArray[np.float64],
) -> Affine:
    """Return the affine of ordered images; refuse gaps, uneven distances and tilt."""
    of = f"{name}: " if name else ""
    if len(images) < 2:
        raise GeometryError(explain(path, f"{of}a single slice", "give a volume"))
    places = np.array([image.position for image in images])
    normal = np.cross(row, column)
    heights = places @ normal
    steps = np.diff(heights)
    step = float(np.median(steps))
    _check_steps(path, of, heights, steps, step)
    across = (places[-1] - places[0]) / (len(images) - 1)
    line = places[0] + np.arange(len(images))[:, None] * across
    off = np.abs(places - line).max()
    if off > max(_UNEVEN * step, 1e-3):
        at = heights[int(np.abs(places - line).max(axis=1).argmax())]
        found = f"{of}positions up to {off:.3g} mm off a straight line, at {_mm(at)}"
        raise GeometryError(explain(path, found, _EXPORT))
    length = float(np.linalg.norm(across))
    sine = float(np.linalg.norm(across - normal * (across @ normal))) / length
    if sine > _SHEAR:
        angle = np.degrees(np.arcsin(min(1.0, sine)))
        found = f"{of}slices shifted against each other (gantry tilt {angle:.1f}°)"
        raise GeometryError(explain(path, found, "resample it without tilt first"))
    affine = np.eye(4)
    affine[:3, 0] = row * images[0].spacing[1]
    affine[:3, 1] = column * images[0].spacing[0]
    affine[:3, 2] = normal * (heights[-1] - heights[0]) / (len(images) - 1)
    affine[:3, 3] = places[0]
    affine[:2] *= -1  # LPS to RAS
    return affine


def _check_steps(
    path: Path,
    of: str,
    heights: NDArray[np.float64],
    steps: NDArray[np.float64],
    step: float,
) -> None:
    """Refuse a missing slice and uneven distances."""
    wrong = np.flatnonzero(np.abs(steps / step - 1) > _UNEVEN)
    if not wrong.size:
        return
    first = int(wrong[0])
    count = round(steps[first] / step)
    if count >= 2 and abs(steps[first] / step - count) < 0.05:
        where = ", ".join(_mm(heights[first] + step * (k + 1)) for k in range(min(count - 1, 5)))
        noun = "a slice is" if count == 2 else f"{count - 1} slices are"
        more = f" ({wrong.size} gaps in all)" if wrong.size > 1 else ""
        raise GeometryError(explain(path, f"{of}{noun} missing at {where}{more}", _EXPORT))
    between = f"{_mm(heights[first])} and {_mm(heights[first + 1])}"
    found = f"{of}slices {steps[first]:.4g} mm apart between {between} but {step:.4g} mm elsewhere"
    raise GeometryError(explain(path, found, "give a series of even slice distance"))
