"""Conversion between volumes and napari layers. Pure functions, no Qt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.core.volume import FloatArray, Grid, Origin, Region, Volume
from napari_mrisr.errors import GeometryError, VolumeError, explain
from napari_mrisr.io.nifti import repetition_seconds
from napari_mrisr.viewer.layers import geometry

if TYPE_CHECKING:
    from napari.layers import Image

METADATA_KEY = "mrisr"

LayerData = tuple[Any, dict[str, Any], str]
"""Array, keyword arguments and type of a new layer, as napari's readers return them."""

# Percentiles of this many voxels look the same as those of all.
_SAMPLES = 200_000


@dataclass(frozen=True, eq=False)
class ScanRecord:
    """Facts about a layer's volume that napari cannot express.

    Attributes
    ----------
    grid : Grid
        With the true affine, oblique or not.
    origin : Origin or None
        Storage in the file. Not shown: its header may name the patient.
    history : mapping of str to str
        See :attr:`napari_mrisr.core.volume.Volume.history`.
    source_id : str
        ``unique_id`` of the layer that the volume was computed from; empty if none.
    part : str
        ``magnitude`` or ``phase`` of a complex scan; empty if unknown.
    pair : str
        Key that magnitude and phase of one complex scan share; empty for other scans.
    """

    grid: Grid
    origin: Origin | None = field(default=None, repr=False)
    history: Mapping[str, str] = field(default_factory=dict)
    source_id: str = ""
    part: str = ""
    pair: str = ""


@dataclass(frozen=True, eq=False)
class LayerSnapshot:
    """Contents of a layer at the start of a run, frozen for its thread.

    Attributes
    ----------
    name : str
        Name of the layer, with the frame of a 4D one.
    data : array
        3D, in napari's axis order.
    grid : Grid
        RAS+, the grid of :meth:`to_volume`.
    orientation : (3, 2) ndarray or None
        Brings ``data`` to RAS+; None for layers that this plugin made.
    record : ScanRecord or None
        None for a layer of another program. The grid includes a move of the layer.
    look : mapping
        Colormap, contrast limits and gamma, for results to look the same.
    frame : int or None
        Frame of a 4D layer.
    layer_id : str
        The layer's ``unique_id``.
    turned : bool
        The layer was turned by hand, so that napari does not draw it along its own axes.
    """

    name: str
    data: Any
    grid: Grid
    orientation: NDArray[np.float64] | None
    record: ScanRecord | None
    look: Mapping[str, Any]
    frame: int | None = None
    layer_id: str = ""
    turned: bool = False

    def to_volume(self) -> Volume:
        """Return the volume, checked.

        Raises
        ------
        VolumeError
            If voxels are not finite, or all the same.
        """
        volume = self.as_shown()
        low, high = (float(v) for v in volume.extrema)
        if low == high:
            found = f"all voxels are {low:g}"
            raise VolumeError(explain(self.name, found, "choose a scan with contrast"))
        return volume

    def as_shown(self) -> Volume:
        """Return the volume, which may lack contrast, as a map of zeros does."""
        data = self.reader()(Region.whole(self.grid.shape))
        origin = self.record.origin if self.record else None
        return Volume(data, self.grid, origin=origin, history=self.history)

    @property
    def history(self) -> Mapping[str, str]:
        """Return how the volume was made; empty if unknown."""
        return self.record.history if self.record else {}

    def reader(self) -> Callable[[Region], FloatArray]:
        """Return a function from a region to its voxels, RAS+; a dask array stays on disk.

        The function raises VolumeError if voxels of the region are not finite.
        """
        array = self.data if hasattr(self.data, "__dask_graph__") else np.asarray(self.data)
        if self.orientation is None:
            array = geometry.to_display(array)
        else:
            array = geometry.reorient(array, self.orientation)

        def take(region: Region) -> FloatArray:
            box = np.asarray(array[region.slices]).astype(np.float32, copy=False)
            # The difference is not finite if any voxel is not.
            if not np.isfinite(float(box.max()) - float(box.min())):
                remedy = "open the file itself, which shows them as 0, or repair the layer"
                raise VolumeError(explain(self.name, "some voxels are NaN or infinite", remedy))
            return box

        return take


def layer_data(
    volume: Volume, name: str, look: Mapping[str, Any] | None = None, source_id: str = ""
) -> LayerData:
    """Return a volume as napari's readers do.

    Parameters
    ----------
    volume : Volume
        In engine units or the scan's.
    name : str
        Name of the new layer.
    look : mapping, optional
        Colormap, contrast limits and gamma of another layer; by default gray
        over the volume's own range.
    source_id : str
        ``unique_id`` of the layer that it was computed from.

    Returns
    -------
    tuple
        A view of the volume's array (not a copy), keyword arguments, "image".
    """
    volume = volume.restored()
    record = ScanRecord(volume.grid, volume.origin, dict(volume.history), source_id)
    look = look or {"colormap": "gray", "contrast_limits": contrast_limits(volume.data)}
    return geometry.to_display(volume.data), {**_kwargs(record, name), **look}, "image"


def result_layer_data(volume: Volume, name: str, source: LayerSnapshot) -> LayerData:
    """Return a volume computed from a layer, which looks like it and remembers it."""
    return layer_data(volume, name, source.look, source.layer_id)


def history_of(layer: Any) -> Mapping[str, str]:
    """Return how a layer was made; empty if unknown."""
    record = getattr(layer, "metadata", {}).get(METADATA_KEY)
    return record.history if isinstance(record, ScanRecord) else {}


def is_map(layer: Any) -> bool:
    """Return whether a layer is a trust map."""
    return "map" in history_of(layer)


def is_result(layer: Any) -> bool:
    """Return whether a layer was computed by a method: no default input of the next run."""
    return is_map(layer) or history_of(layer).get("method", "none") != "none"


def is_made(layer: Any) -> bool:
    """Return whether a layer is a result, a map or a simulated scan: worth saving."""
    return is_result(layer) or "degraded_by" in history_of(layer)


def source_of(layer: Any, layers: Iterable[Any]) -> Any:
    """Return the layer that a layer was computed from, or None if it is not among them."""
    record = layer.metadata.get(METADATA_KEY)
    wanted = record.source_id if isinstance(record, ScanRecord) else ""
    return next((other for other in layers if wanted and str(other.unique_id) == wanted), None)


def lazy_layer_data(
    levels: Sequence[Any], record: ScanRecord, name: str, limits: tuple[float, float]
) -> LayerData:
    """Return a volume on disk as napari's readers do.

    Parameters
    ----------
    levels : sequence of arrays
        In napari's axis order, such as dask arrays; finest first.
    record : ScanRecord
        Record of the finest level.
    name : str
        Name of the new layer.
    limits : tuple of float
        Intensities shown as black and white.
    """
    kwargs = {**_kwargs(record, name), "colormap": "gray", "contrast_limits": limits}
    several = len(levels) > 1
    return list(levels) if several else levels[0], {**kwargs, "multiscale": several}, "image"


def _kwargs(record: ScanRecord, name: str) -> dict[str, Any]:
    """Return the keyword arguments of a 3D layer."""
    return {"name": name, **geometry.placement(record.grid), "metadata": _metadata(record)}


def series_layer_data(frames: NDArray, first: Volume, name: str) -> LayerData:
    """Return a time series as napari's readers do.

    Parameters
    ----------
    frames : (t, x, y, z) ndarray
        RAS+, in the scan's intensities.
    first : Volume
        The first frame.
    name : str
        Name of the new layer.
    """
    scale, translate = geometry.scale_and_translate(first.grid)
    record = ScanRecord(first.grid, first.origin, dict(first.history))
    kwargs = {
        "name": name,
        "scale": (1.0, *scale),
        "translate": (0.0, *translate),
        # Frames are numbered: few headers hold a trustworthy time step.
        "units": ("pixel", "mm", "mm", "mm"),
        "axis_labels": ("frame", *geometry.AXIS_LABELS),
        "metadata": _metadata(record),
        "colormap": "gray",
        "contrast_limits": contrast_limits(frames),
    }
    return frames.transpose(0, 3, 2, 1)[:, ::-1, ::-1, ::-1], kwargs, "image"


def _metadata(record: ScanRecord) -> dict[str, Any]:
    shown: dict[str, Any] = {METADATA_KEY: record, "use": RESEARCH_USE}
    if record.history:
        shown["history"] = dict(record.history)
    return shown


def contrast_limits(data: NDArray) -> tuple[float, float]:
    """Return limits of contrast that a few bright voxels do not stretch.

    Parameters
    ----------
    data : ndarray
        Any shape; a sample of it is used.
    """
    step = max(1, round((data.size / _SAMPLES) ** (1.0 / data.ndim)))
    sample = np.asarray(data[(slice(None, None, step),) * data.ndim], dtype=np.float32)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 1.0
    low, high = (float(p) for p in np.percentile(sample, (0.1, 99.8)))
    low = min(0.0, low) if low < 0.1 * high else low
    if not high > low:
        low, high = float(np.min(data)), float(np.max(data))
    return (low, high) if high > low else (low, low + 1.0)


def frame_count(layer: Image) -> int | None:
    """Return the number of frames of a 4D layer; None for 3D."""
    return int(_finest(layer).shape[0]) if layer.ndim == 4 and not layer.rgb else None


def seconds_per_frame(layer: Image) -> float | None:
    """Return the repetition time of a time series from NIfTI; None if it is unknown."""
    record = layer.metadata.get(METADATA_KEY)
    origin = record.origin if isinstance(record, ScanRecord) else None
    return repetition_seconds(origin.header) if layer.ndim == 4 and origin is not None else None


def frame_on_screen(layer: Image, point: Sequence[float]) -> int:
    """Return the frame of a 4D layer nearest to the viewer's sliders; 0 for 3D.

    Parameters
    ----------
    layer : Image
    point : sequence of float
        The viewer's ``dims.point``, in napari's world.
    """
    count = frame_count(layer)
    if count is None:
        return 0
    index = layer.world_to_data(point[-layer.ndim :])[0]
    return int(np.clip(round(float(index)), 0, count - 1))


def snapshot(layer: Image, frame: int = 0) -> LayerSnapshot:
    """Return the contents of a layer for a run.

    A layer that this plugin made has its true affine, composed with a later move of the
    layer. Any other is read as
    (slice, row, column) with ``scale``, ``translate`` and the rest of
    its transform in its units (pixels count as mm), in the world described in
    :mod:`napari_mrisr.viewer.layers.geometry`.

    Parameters
    ----------
    layer : Image
        3D, or 4D with the frames along the first axis.
    frame : int
        Frame of a 4D layer.

    Raises
    ------
    VolumeError
        If the layer is in color, or has fewer than 3 or more than 4 axes.
    GeometryError
        If its transform flattens the volume.
    """
    if layer.rgb:
        remedy = "choose a layer with one value per voxel (right-click > Split RGB)"
        raise VolumeError(explain(layer.name, "is a color image", remedy))
    if layer.ndim not in (3, 4):
        found = f"has {layer.ndim} axes, not 3"
        raise VolumeError(explain(layer.name, found, "choose a 3D volume"))
    data = _finest(layer)
    if data.dtype.kind not in "buif":
        found = f"holds {data.dtype} values"
        raise VolumeError(explain(layer.name, found, "convert it to real numbers"))
    name = layer.name
    chosen = frame if layer.ndim == 4 else None
    if chosen is not None:
        data, name = data[chosen], f"{name} frame {chosen}"
    look = {
        "colormap": layer.colormap.name,
        "contrast_limits": tuple(map(float, layer.contrast_limits)),
        "gamma": float(layer.gamma),
    }
    layer_id = str(layer.unique_id)
    matrix = index_to_mm(layer)
    shape = (int(data.shape[0]), int(data.shape[1]), int(data.shape[2]))
    record = layer.metadata.get(METADATA_KEY)
    if isinstance(record, ScanRecord) and shape == record.grid.shape[::-1]:
        move = _move(record.grid, matrix)
        record = replace(_of_frame(record, chosen), grid=_moved(record.grid, move))
        if _is_ras(record.grid):
            turned = bool(np.abs(move[:3, :3] - np.diag(np.diag(move[:3, :3]))).max() > 1e-6)
            return LayerSnapshot(
                name, data, record.grid, None, record, look, chosen, layer_id, turned
            )
    if not abs(np.linalg.det(matrix[:3, :3])) > 1e-12:
        remedy = "give it a scale above zero along every axis"
        raise GeometryError(explain(layer.name, "its transform flattens the volume", remedy))
    grid, orientation = geometry.grid_from_display(shape, matrix)
    return LayerSnapshot(name, data, grid, orientation, None, look, chosen, layer_id)


def _of_frame(record: ScanRecord, frame: int | None) -> ScanRecord:
    """Return the record of one frame, where each frame has its own header, as in DICOM."""
    origin = record.origin
    if frame is None or origin is None or not isinstance(origin.header, tuple):
        return record
    return replace(record, origin=replace(origin, header=origin.header[frame]))


def _finest(layer: Image) -> Any:
    return layer.data[0] if layer.multiscale else layer.data


def index_to_mm(layer: Image) -> NDArray[np.float64]:
    """Return the matrix from index along the last three axes to napari's world, mm."""
    zero = np.zeros(layer.ndim)
    origin = np.array(layer.data_to_world(zero), dtype=float)
    matrix = np.eye(4)
    for column, axis in enumerate(range(layer.ndim - 3, layer.ndim)):
        step = zero.copy()
        step[axis] = 1.0
        moved = np.array(layer.data_to_world(step), dtype=float) - origin
        matrix[:3, column] = moved[-3:]
    matrix[:3, 3] = origin[-3:]
    in_mm = [_millimeters(unit) for unit in layer.units[-3:]]
    return np.diag([*in_mm, 1.0]) @ matrix


def _millimeters(unit: Any) -> float:
    """Return one of napari's units in millimeters; 1 for pixels."""
    return float((1 * unit).to("mm").magnitude) if unit.is_compatible_with("mm") else 1.0


def moved_by_mm(layer: Image) -> float:
    """Return how far a layer of ours was moved since it was made; 0 for any other layer.

    That is the largest distance of a corner of the volume from its true place, as after a drag
    with napari's *transform* tool.
    """
    record = layer.metadata.get(METADATA_KEY)
    if not isinstance(record, ScanRecord) or _finest(layer).shape[-3:] != record.grid.shape[::-1]:
        return 0.0
    moved = _moved(record.grid, _move(record.grid, index_to_mm(layer)))
    return float(np.linalg.norm(moved.corners() - record.grid.corners(), axis=-1).max())


def put_back(layer: Image) -> None:
    """Move a layer of ours to its true place."""
    scale, translate = geometry.scale_and_translate(layer.metadata[METADATA_KEY].grid)
    frame = (1.0,) * (layer.ndim - 3)
    layer.affine = np.eye(layer.ndim + 1)
    layer.rotate = np.eye(layer.ndim)
    layer.shear = np.zeros(layer.ndim * (layer.ndim - 1) // 2)
    layer.scale = (*frame, *scale)
    layer.translate = (*(0.0 for _ in frame), *translate)


def _move(grid: Grid, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the move of a layer of ours in napari's world; exactly the identity if none."""
    scale, translate = geometry.scale_and_translate(grid)
    ours = np.diag([*scale, 1.0])
    ours[:3, 3] = translate
    if np.allclose(matrix, ours, rtol=1e-5, atol=1e-4):
        return np.eye(4)
    return matrix @ np.linalg.inv(ours)


def _moved(grid: Grid, move: NDArray[np.float64]) -> Grid:
    """Return a grid after a move in napari's world."""
    if np.array_equal(move, np.eye(4)):
        return grid
    to_scanner = geometry.to_scanner(grid)
    return Grid(grid.shape, to_scanner @ move @ np.linalg.inv(to_scanner) @ grid.affine)


def _is_ras(grid: Grid) -> bool:
    """Return whether a grid can be that of a volume: not flat, and its axes still RAS+."""
    if not abs(np.linalg.det(grid.affine[:3, :3])) > 1e-12:
        return False
    return bool(nib.aff2axcodes(grid.affine) == ("R", "A", "S"))
