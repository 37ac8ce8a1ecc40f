"""OME-Zarr, as far as a volume of three axes needs it.

Written: NGFF 0.5 (Zarr 3): axes z, y, x in RAS+ order, so that scale and
translation are positive and say where the field of view is, in mm. What NGFF cannot
hold (an oblique affine, how the file was made, the notice) is under our own key.
Read: NGFF 0.4 (Zarr 2) and 0.5, and a plain array. Levels of half the
resolution, means of 2 x 2 x 2 voxels, let viewers open a large result at once.

Specification: https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.frames import rotation_of
from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import (
    GeometryError,
    MrisrError,
    ParameterError,
    VolumeError,
    explain,
    install,
)
from napari_mrisr.io.formats import PathLike
from napari_mrisr.io.note import NOTICE, software

if TYPE_CHECKING:
    import zarr

KEY = "napari-mrisr"

#: Millimeters in NGFF's units of space, those that a scan may have.
_MM = {
    "angstrom": 1e-7,
    "nanometer": 1e-6,
    "micrometer": 1e-3,
    "millimeter": 1.0,
    "centimeter": 10.0,
    "decimeter": 100.0,
    "meter": 1e3,
    "inch": 25.4,
}

# Toward which side of the patient an axis runs (NGFF's RFC 4).
_TOWARD = {"x": "left-to-right", "y": "posterior-to-anterior", "z": "inferior-to-superior"}

_SIDES = {"left": (0, -1), "right": (0, 1), "posterior": (1, -1), "anterior": (1, 1)}
_SIDES |= {"inferior": (2, -1), "superior": (2, 1)}


@dataclass(frozen=True, eq=False)
class NgffImage:
    """An OME-Zarr image, opened; no voxels are loaded.

    Attributes
    ----------
    path : Path
        Of the group, or of a plain array.
    levels : list of zarr.Array
        Finest first.
    space : tuple of int
        The three array axes that are space, in array order.
    index : tuple
        What to index a level with to get the chosen frame in 3D.
    affine : (4, 4) ndarray
        Index along the space axes, **last first**, to world, mm.
    limits : tuple of float or None
        Intensities to show from black to white, where the file says so.
    history : mapping of str to str
        How it was made, where this program made it.
    """

    path: Path
    levels: list[zarr.Array[Any]]
    space: tuple[int, int, int]
    index: tuple[int | slice, ...]
    affine: NDArray[np.float64]
    limits: tuple[float, float] | None
    history: Mapping[str, str]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the finest level, space axes, last first."""
        c, b, a = (int(self.levels[0].shape[axis]) for axis in self.space)
        return a, b, c


def need_zarr(path: Path) -> Any:
    """The package zarr, which is optional.

    Raises
    ------
    VolumeError
        Where it is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        found = "Zarr needs the package zarr"
        raise VolumeError(explain(path, found, install("zarr"))) from error
    return zarr


def metadata(
    grid: Grid, levels: int, name: str, history: Mapping[str, str], limits: tuple[float, float]
) -> dict[str, Any]:
    """Attributes of the group that holds a volume and its coarser levels.

    Parameters
    ----------
    grid : Grid
        Of the finest level.
    levels : int
        How many there are.
    name : str
        Of the image.
    history : mapping of str to str
        How it was made.
    limits : tuple of float
        Intensities to show from black to white.
    """
    size = np.array(grid.voxel_size)
    first = rotation_of(grid.affine).T @ grid.affine[:3, 3]
    datasets = []
    for level in range(levels):
        step = 2.0**level
        # The first mean lies in the middle of the voxels it was made of.
        place = first + size * (step - 1) / 2
        transforms = [
            {"type": "scale", "scale": [float(s) for s in (size * step)[::-1]]},
            {"type": "translation", "translation": [float(t) for t in place[::-1]]},
        ]
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    axes = [
        {
            "name": axis,
            "type": "space",
            "unit": "millimeter",
            "orientation": {"type": "anatomical", "value": _TOWARD[axis]},
        }
        for axis in "zyx"
    ]
    image = {"name": name, "type": "mean", "axes": axes, "datasets": datasets}
    ours = {
        "affine_mm": grid.affine.tolist(),
        "display_limits": list(limits),
        "history": dict(history),
        "software": software(),
        "notice": NOTICE,
    }
    return {"ome": {"version": "0.5", "multiscales": [image]}, KEY: ours}


def open_ngff(path: PathLike, frame: int | None = None) -> NgffImage:
    """Open an OME-Zarr image, or a plain Zarr array, and check its metadata.

    Parameters
    ----------
    path : path
        The folder.
    frame : int, optional
        Which of several times or channels, from 0.

    Raises
    ------
    VolumeError
        When it is no such folder, is damaged, holds no numbers, or a frame must be chosen.
    GeometryError
        When its axes or sizes cannot be used.
    ParameterError
        When ``frame`` is out of range.

    Notes
    -----
    Axes named x, y, z run to the right, to anterior and to superior unless the
    file says otherwise. A plain array is taken as (z, y, x) with voxels of 1 mm.
    """
    path = Path(path)
    zarr = need_zarr(path)
    if not path.exists():
        raise VolumeError(explain(path, "no such file", "check the name"))
    try:
        node = zarr.open(str(path), mode="r")
        if isinstance(node, zarr.Array):
            return _plain(path, node, frame)
        attributes = json.loads(json.dumps(node.attrs.asdict()))
        image = _first_image(path, attributes)
        levels = [node[str(entry["path"])] for entry in image["datasets"]]
        axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in image["axes"]]
        return _checked(path, levels, axes, image, attributes.get(KEY, {}), frame)
    except MrisrError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        found = f"is no readable OME-Zarr image ({reason})"
        raise VolumeError(explain(path, found, "export it again")) from error


def _first_image(path: Path, attributes: dict[str, Any]) -> dict[str, Any]:
    """The first multiscale image; NGFF 0.5 keeps it under ``ome``, 0.4 does not."""
    holder = attributes.get("ome", attributes)
    images = holder.get("multiscales")
    if not images or not images[0].get("datasets"):
        found = "holds no image (no NGFF multiscales)"
        raise VolumeError(explain(path, found, "give the folder of an image"))
    image: dict[str, Any] = images[0]
    if "axes" not in image:
        found = f"NGFF version {image.get('version', 'unknown')} without axes"
        raise VolumeError(explain(path, found, "convert it to NGFF 0.4 or 0.5"))
    return image


def _plain(path: Path, array: Any, frame: int | None) -> NgffImage:
    names = "tczyx"[-array.ndim :] if array.ndim <= 5 else ""
    image: dict[str, Any] = {"datasets": [{"coordinateTransformations": []}]}
    return _checked(path, [array], [{"name": name} for name in names], image, {}, frame)


def _checked(
    path: Path,
    levels: list[Any],
    axes: list[dict[str, Any]],
    image: dict[str, Any],
    ours: Any,
    frame: int | None,
) -> NgffImage:
    shape = tuple(int(n) for n in levels[0].shape)
    shown = " x ".join(map(str, shape))
    space = [i for i, axis in enumerate(axes) if str(axis.get("name", "")).lower() in set("xyz")]
    if len(space) != 3 or len(axes) != len(shape):
        names = ", ".join(str(axis.get("name")) for axis in axes)
        found = f"has the axes {names or 'unknown'} ({shown})"
        raise GeometryError(explain(path, found, "give a volume with the axes z, y, x"))
    if any(shape[axis] < 2 for axis in space):
        mend = "give at least 2 voxels along every axis"
        raise GeometryError(explain(path, f"only one voxel thin ({shown})", mend))
    if np.dtype(levels[0].dtype).kind not in "iufb":
        found = f"voxels of type {levels[0].dtype}"
        raise VolumeError(explain(path, found, "save it as numbers"))
    index = _frame_index(path, shape, space, frame)
    affine = _affine(path, [axes[i] for i in space], space, image, ours)
    limits, history = None, {}
    if isinstance(ours, dict):
        given = ours.get("display_limits")
        if isinstance(given, list) and len(given) == 2 and np.isfinite(given).all():
            limits = (float(given[0]), float(given[1]))
        if isinstance(ours.get("history"), dict):
            history = {str(key): str(value) for key, value in ours["history"].items()}
    chosen = (space[0], space[1], space[2])
    return NgffImage(path, levels, chosen, index, affine, limits, history)


def _frame_index(
    path: Path, shape: tuple[int, ...], space: list[int], frame: int | None
) -> tuple[int | slice, ...]:
    long = [axis for axis, n in enumerate(shape) if axis not in space and n > 1]
    shown = " x ".join(map(str, shape))
    if len(long) > 1:
        raise VolumeError(explain(path, f"has {shown} voxels", "save one 3D volume of it"))
    count = shape[long[0]] if long else 1
    if frame is None and count > 1:
        mend = f"choose one with --frame, 0 to {count - 1}"
        raise VolumeError(explain(path, f"has {count} frames ({shown})", mend))
    chosen = frame or 0
    if not 0 <= chosen < count:
        mend = f"give a number from 0 to {count - 1}" if count > 1 else "leave it out or give 0"
        raise ParameterError(explain("--frame", f"{path} has no frame {frame}", mend))
    index: list[int | slice] = [slice(None) if axis in space else 0 for axis in range(len(shape))]
    if long:
        index[long[0]] = chosen
    return tuple(index)


def _affine(
    path: Path, axes: list[dict[str, Any]], space: list[int], image: dict[str, Any], ours: Any
) -> NDArray[np.float64]:
    """Index along the space axes, last first, to world, mm."""
    scale, place = _scale_and_place(image, space)
    affine = _affine_of_axes(axes, scale, place)
    if isinstance(ours, dict) and "affine_mm" in ours:
        exact = np.array(ours["affine_mm"], dtype=np.float64)
        # A program that cropped or scaled the image would keep our key, and be right.
        if exact.shape == (4, 4) and _agree(exact, scale, place):
            affine = exact
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    flat = not (np.isfinite(affine).all() and edges.min() > 0)
    if flat or abs(np.linalg.det(affine[:3, :3] / edges)) < 1e-3:
        found = f"scale or affine {affine.round(4).tolist()}"
        raise GeometryError(explain(path, found, "correct its coordinateTransformations"))
    return affine


def _agree(
    affine: NDArray[np.float64], scale: NDArray[np.float64], place: NDArray[np.float64]
) -> bool:
    """Whether an affine says what scale and place of the axes z, y, x say."""
    size = np.linalg.norm(affine[:3, :3], axis=0)
    first = rotation_of(affine).T @ affine[:3, 3]
    return bool(
        np.allclose(size[::-1], scale, rtol=1e-4)
        and np.allclose(first[::-1], place, atol=1e-3 * float(size.min()))
    )


def _scale_and_place(
    image: dict[str, Any], space: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Voxel size and place of the first voxel along the space axes, in the file's units."""
    scale, place = np.ones(3), np.zeros(3)
    steps = [
        *image["datasets"][0].get("coordinateTransformations", ()),
        *image.get("coordinateTransformations", ()),  # those of all levels come after
    ]
    for step in steps:
        if step.get("type") == "scale":
            factor = np.array(step["scale"], dtype=np.float64)[space]
            scale, place = scale * factor, place * factor
        elif step.get("type") == "translation":
            place = place + np.array(step["translation"], dtype=np.float64)[space]
    return scale, place


def _affine_of_axes(
    axes: list[dict[str, Any]], scale: NDArray[np.float64], place: NDArray[np.float64]
) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3] = 0.0
    for number, axis in enumerate(axes):
        unit = _MM.get(str(axis.get("unit", "millimeter")), 1.0)
        orientation = axis.get("orientation")
        toward = orientation.get("value", "") if isinstance(orientation, dict) else ""
        side = str(toward).rpartition("-to-")[2]
        row, sign = _SIDES.get(side, ("xyz".index(str(axis["name"]).lower()), 1))
        # Axes are counted last first, as files store planes.
        affine[row, 2 - number] = sign * unit * scale[number]
        affine[row, 3] = sign * unit * place[number]
    return affine


def half(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of 2 x 2 x 2 voxels; an odd last one counts twice."""
    odd = [(0, n % 2) for n in block.shape]
    block = np.pad(block, odd, mode="edge")
    for axis in range(3):
        first = [slice(None)] * 3
        first[axis] = slice(0, None, 2)
        second = [slice(None)] * 3
        second[axis] = slice(1, None, 2)
        block = (block[tuple(first)] + block[tuple(second)]) * np.float32(0.5)
    return block
