"""OME-Zarr images of three axes.

Written: NGFF 0.5 (Zarr 3) with the axes z, y, x in RAS+ order, so that scale and translation are
positive and place the field of view, in mm. Properties that NGFF cannot hold (an oblique affine,
the history, the notice) are under a key of this program. Read: NGFF 0.4 (Zarr 2) and 0.5, and
plain arrays. Coarser levels, means of 2 × 2 × 2 voxels, let viewers open a large image at once.

Specification: https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.frames import rotation_of
from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Grid, Origin, Region, Shape
from napari_mrisr.errors import GeometryError, MrisrError, VolumeError, explain, install
from napari_mrisr.io.formats import PathLike
from napari_mrisr.io.geometry import axis_codes, grid_in_ras, times
from napari_mrisr.io.header import check_thickness, checked_affine, choose_frame
from napari_mrisr.io.loading import printable
from napari_mrisr.io.nifti import software

if TYPE_CHECKING:
    import zarr

KEY = "napari-mrisr"

CHUNK = 64
"""Edge of a chunk, voxels."""

_CHUNKS = (CHUNK, CHUNK, CHUNK)

#: Coarser levels are made until one fits a screen.
_COARSE = 256

#: Millimeters per unit of space in NGFF, for the units that a scan may have.
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

# Direction of each axis in the patient (NGFF's RFC 4).
_TOWARD = {"x": "left-to-right", "y": "posterior-to-anterior", "z": "inferior-to-superior"}

_SIDES = {"left": (0, -1), "right": (0, 1), "posterior": (1, -1), "anterior": (1, 1)}
_SIDES |= {"inferior": (2, -1), "superior": (2, 1)}


@dataclass(frozen=True, eq=False)
class NgffImage:
    """An opened OME-Zarr image; no voxels are loaded.

    Attributes
    ----------
    path : Path
        Folder of the group, or of a plain array.
    levels : list of zarr.Array
        Finest first.
    space : tuple of int
        The three array axes that are space, in array order.
    index : tuple
        Index into a level that selects the chosen frame in 3D.
    affine : (4, 4) ndarray
        Index along the space axes, **last first**, to world, mm.
    limits : tuple of float or None
        Intensities to show from black to white, if the file names them.
    history : mapping of str to str
        Method, bank and so on, if this program wrote the file.
    """

    path: Path
    levels: list[zarr.Array[Any]]
    space: tuple[int, int, int]
    index: tuple[int | slice, ...]
    affine: NDArray[np.float64]
    limits: tuple[float, float] | None
    history: Mapping[str, str]

    @property
    def shape(self) -> Shape:
        """Voxels along the space axes of the finest level, last first."""
        c, b, a = (int(self.levels[0].shape[axis]) for axis in self.space)
        return a, b, c

    @property
    def chunks(self) -> Shape:
        """Edges of a chunk of the finest level, last axis first."""
        c, b, a = (int(self.levels[0].chunks[axis]) for axis in self.space)
        return a, b, c

    @property
    def grid(self) -> Grid:
        """Grid of the finest level, RAS+."""
        return grid_in_ras(self.shape, self.affine)

    @property
    def origin(self) -> Origin:
        """Description of the file."""
        return Origin(printable(self.path.name), axis_codes(self.affine), None, ".ome.zarr")

    def read(self, start: Shape = (0, 0, 0), stop: Shape | None = None) -> NDArray[Any]:
        """Read a box of the finest level, space axes last first.

        Raises
        ------
        VolumeError
            When the chunks are damaged.
        """
        stop = stop or self.shape
        index = list(self.index)
        for number, axis in enumerate(self.space):
            index[axis] = slice(start[2 - number], stop[2 - number])
        try:
            box = np.asarray(self.levels[0][tuple(index)])
        except MemoryError:
            raise
        except Exception as error:
            remedy = "copy or export it again"
            raise VolumeError(explain(self.path, "its voxels cannot be read", remedy)) from error
        return box.transpose(2, 1, 0)


def need_zarr(path: Path) -> Any:
    """Return the package zarr, which is optional.

    Raises
    ------
    VolumeError
        When it is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        found = "Zarr needs the package zarr"
        raise VolumeError(explain(path, found, install("zarr"))) from error
    return zarr


def open_ngff(path: PathLike, frame: int | None = None) -> NgffImage:
    """Open an OME-Zarr image, or a plain Zarr array, and check its metadata.

    Parameters
    ----------
    path : path
        The folder.
    frame : int, optional
        One of several times or channels, from 0.

    Raises
    ------
    VolumeError
        When it is no such folder, is damaged, holds no numbers, or a frame must be chosen.
    GeometryError
        When its axes or sizes cannot be processed.
    ParameterError
        When ``frame`` is out of range.

    Notes
    -----
    Axes named x, y, z run to the right, to anterior and to superior unless the file says
    otherwise. A plain array is read as (z, y, x) with voxels of 1 mm.
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
        remedy = "export it again"
        raise VolumeError(explain(path, "is no readable OME-Zarr image", remedy)) from error


def _first_image(path: Path, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the first multiscale image; NGFF 0.5 keeps it under ``ome``, 0.4 does not."""
    holder = attributes.get("ome", attributes)
    images = holder.get("multiscales")
    if not images or not images[0].get("datasets"):
        found = "holds no image (no NGFF multiscales)"
        raise VolumeError(explain(path, found, "give the folder of an image"))
    image: dict[str, Any] = images[0]
    if "axes" not in image:
        found = f"NGFF version {str(image.get('version', 'unknown'))[:80]} without axes"
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
    extras: Any,
    frame: int | None,
) -> NgffImage:
    shape = tuple(int(n) for n in levels[0].shape)
    space = [i for i, axis in enumerate(axes) if str(axis.get("name", "")).lower() in set("xyz")]
    if len(space) != 3 or len(axes) != len(shape):
        names = ", ".join(str(axis.get("name")) for axis in axes)[:80]
        found = f"has the axes {names or 'unknown'} ({times(shape)})"
        raise GeometryError(explain(path, found, "give a volume with the axes z, y, x"))
    check_thickness(path, shape, space)
    if np.dtype(levels[0].dtype).kind not in "iufb":
        found = f"voxels of type {str(levels[0].dtype)[:80]}"
        raise VolumeError(explain(path, found, "save it as numbers"))
    index, _ = choose_frame(path, shape, space, frame)
    affine = _affine(path, [axes[i] for i in space], space, image, extras)
    limits, history = None, {}
    if isinstance(extras, dict):
        given = extras.get("display_limits")
        if isinstance(given, list) and len(given) == 2 and np.isfinite(given).all():
            limits = (float(given[0]), float(given[1]))
        if isinstance(extras.get("history"), dict):
            history = {str(key): str(value) for key, value in extras["history"].items()}
    chosen = (space[0], space[1], space[2])
    return NgffImage(path, levels, chosen, index, affine, limits, history)


def _affine(
    path: Path, axes: list[dict[str, Any]], space: list[int], image: dict[str, Any], extras: Any
) -> NDArray[np.float64]:
    """Return the map from index along the space axes, last first, to world, mm."""
    scale, place = _scale_and_place(image, space)
    affine = _affine_of_axes(axes, scale, place)
    if isinstance(extras, dict) and "affine_mm" in extras:
        exact = np.array(extras["affine_mm"], dtype=np.float64)
        # A program that crops or scales the image keeps this key but changes the transforms.
        if exact.shape == (4, 4) and _agree(exact, scale, place):
            affine = exact
    return checked_affine(path, affine, "correct its coordinateTransformations")


def _agree(
    affine: NDArray[np.float64], scale: NDArray[np.float64], place: NDArray[np.float64]
) -> bool:
    """Return True if an affine has this scale and place of the axes z, y, x."""
    size = np.linalg.norm(affine[:3, :3], axis=0)
    first = rotation_of(affine).T @ affine[:3, 3]
    return bool(
        np.allclose(size[::-1], scale, rtol=1e-4)
        and np.allclose(first[::-1], place, atol=1e-3 * float(size.min()))
    )


def _scale_and_place(
    image: dict[str, Any], space: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return voxel size and place of the first voxel along the space axes, in the file's units."""
    scale, place = np.ones(3), np.zeros(3)
    steps = [
        *image["datasets"][0].get("coordinateTransformations", ()),
        *image.get("coordinateTransformations", ()),  # of all levels, applied last
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


@dataclass(frozen=True)
class NgffWriter:
    """An OME-Zarr image in the making, RAS+.

    Attributes
    ----------
    group : Path
        The folder to create.
    shape : tuple of int
        Voxels along x, y, z of the finest level.
    """

    group: Path
    shape: Shape

    def create(
        self, grid: Grid, name: str, history: Mapping[str, str], limits: tuple[float, float]
    ) -> None:
        """Create empty levels.

        Parameters
        ----------
        grid : Grid
            Grid of the finest level.
        name : str
            Name of the image.
        history : mapping of str to str
            Method, bank and so on.
        limits : tuple of float
            Intensities to show from black to white.
        """
        zarr = need_zarr(self.group)
        group = zarr.create_group(str(self.group), zarr_format=3)
        shapes = level_shapes(self.shape)
        group.attrs.update(metadata(grid, len(shapes), name, history, limits))
        for level, shape in enumerate(shapes):
            group.create_array(
                str(level),
                shape=shape[::-1],
                chunks=tuple(min(CHUNK, n) for n in shape[::-1]),
                dtype="float32",
                compressors=zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
                fill_value=0.0,
                dimension_names=("z", "y", "x"),
            )

    def write(self, region: Region, data: FloatArray, pool: ThreadPool) -> None:
        """Write a box of whole chunks into the finest level, each chunk on its own."""
        array = self._level(0)

        def put(chunk: Region) -> None:
            inner = tuple(
                slice(a - c, b - c)
                for a, b, c in zip(chunk.start, chunk.stop, region.start, strict=True)
            )
            array[chunk.slices[::-1]] = data[inner].transpose(2, 1, 0)

        pool.each(put, region.blocks(_CHUNKS))

    def finish(self, progress: Progress) -> None:
        """Make the coarser levels."""
        shapes = level_shapes(self.shape)
        boxes = [Region.whole(shape).blocks(_CHUNKS) for shape in shapes]
        progress.begin("making coarser levels", sum(map(len, boxes[1:])))
        for level in range(1, len(shapes)):
            finer, coarser = self._level(level - 1), self._level(level)
            for box in boxes[level]:
                wide = tuple(
                    slice(2 * a, min(2 * b, n))
                    for a, b, n in zip(box.start, box.stop, shapes[level - 1], strict=True)
                )
                coarser[box.slices[::-1]] = half(np.asarray(finer[wide[::-1]]))
                progress.advance()
        # A killed process leaves partly written chunks.
        for partial in self.group.rglob("*.partial"):
            with contextlib.suppress(OSError):
                partial.unlink()

    def _level(self, level: int) -> Any:
        zarr = need_zarr(self.group)
        return zarr.open_array(str(self.group / str(level)), mode="r+")


def metadata(
    grid: Grid, levels: int, name: str, history: Mapping[str, str], limits: tuple[float, float]
) -> dict[str, Any]:
    """Return the attributes of the group that holds a volume and its coarser levels."""
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
    extras = {
        "affine_mm": grid.affine.tolist(),
        "display_limits": list(limits),
        "history": dict(history),
        "software": software(),
        "notice": RESEARCH_USE,
    }
    return {"ome": {"version": "0.5", "multiscales": [image]}, KEY: extras}


def level_shapes(shape: Shape) -> list[Shape]:
    """Return the shapes of all levels, finest first."""
    found = [shape]
    while max(found[-1]) > _COARSE and min(found[-1]) > 1:
        x, y, z = (-(-n // 2) for n in found[-1])
        found.append((x, y, z))
    return found


def pyramid_voxels(shape: Shape) -> int:
    """Return the number of voxels of all levels together."""
    return sum(map(math.prod, level_shapes(shape)))


def half(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return means of 2 × 2 × 2 voxels; an odd last one counts twice."""
    odd = [(0, n % 2) for n in block.shape]
    block = np.pad(block, odd, mode="edge")
    for axis in range(3):
        first = [slice(None)] * 3
        first[axis] = slice(0, None, 2)
        second = [slice(None)] * 3
        second[axis] = slice(1, None, 2)
        block = (block[tuple(first)] + block[tuple(second)]) * np.float32(0.5)
    return block
