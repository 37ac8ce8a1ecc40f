"""A volume as a napari layer, and a layer as a volume. Pure functions, no Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.core.volume import FloatArray, Grid, Origin, Region, Volume
from napari_mrisr.errors import GeometryError, VolumeError, explain
from napari_mrisr.viewer.layers import geometry

if TYPE_CHECKING:
    from napari.layers import Image

METADATA_KEY = "mrisr"

LayerData = tuple[Any, dict[str, Any], str]
"""Array, keyword arguments and type of a layer to be, as napari's readers return it."""

# Enough for percentiles that no eye can tell from those of all voxels.
_SAMPLES = 200_000


@dataclass(frozen=True, eq=False)
class ScanRecord:
    """What a layer keeps of its volume, beyond what napari can express.

    Attributes
    ----------
    grid : Grid
        With the true affine, oblique or not.
    origin : Origin or None
        How the file stored it. Not shown: its header may name the patient.
    history : mapping of str to str
        How it was made.
    """

    grid: Grid
    origin: Origin | None = field(default=None, repr=False)
    history: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class LayerSnapshot:
    """All that a run needs of a layer, taken before the run starts.

    Attributes
    ----------
    name : str
        Of the layer.
    data : array
        3D, in napari's axis order.
    grid : Grid
        RAS+, of :meth:`to_volume`.
    orientation : (3, 2) ndarray or None
        Brings ``data`` to RAS+; None for the layers that we made.
    record : ScanRecord or None
        None for a layer of another program, or one moved since.
    look : mapping
        Colormap, contrast limits and gamma, so that results look alike.
    frame : int or None
        Which frame of a 4D layer.
    """

    name: str
    data: Any
    grid: Grid
    orientation: NDArray[np.float64] | None
    record: ScanRecord | None
    look: Mapping[str, Any]
    frame: int | None = None

    def to_volume(self) -> Volume:
        """The volume, checked.

        Raises
        ------
        VolumeError
            When voxels are not finite, or all the same.
        """
        data = self.reader()(Region.whole(self.grid.shape))
        origin = self.record.origin if self.record else None
        low, high = float(data.min()), float(data.max())
        if low == high:
            found = f"all voxels are {low:g}"
            raise VolumeError(explain(self.name, found, "choose a scan with contrast"))
        return Volume(data, self.grid, origin=origin, history=self.history)

    @property
    def history(self) -> Mapping[str, str]:
        """How the volume was made, where that is known."""
        return self.record.history if self.record else {}

    def reader(self) -> Callable[[Region], FloatArray]:
        """Gives boxes of the volume, RAS+; a dask array stays where it is.

        The callable raises VolumeError when voxels of a box are not finite.
        """
        array = self.data if hasattr(self.data, "__dask_graph__") else np.asarray(self.data)
        if self.orientation is None:
            array = geometry.to_display(array)
        else:
            array = geometry.reorient(array, self.orientation)

        def take(region: Region) -> FloatArray:
            box = np.asarray(array[region.slices]).astype(np.float32, copy=False)
            # NaN and infinity both come through to the difference.
            if not np.isfinite(float(box.max()) - float(box.min())):
                mend = "replace them, for example by numpy.nan_to_num"
                raise VolumeError(explain(self.name, "some voxels are NaN or infinite", mend))
            return box

        return take


def layer_data(volume: Volume, name: str, look: Mapping[str, Any] | None = None) -> LayerData:
    """A volume as napari's readers return it.

    Parameters
    ----------
    volume : Volume
        In engine units or the scan's.
    name : str
        Name of the layer to be.
    look : mapping, optional
        Colormap, contrast limits and gamma of another layer; by default gray
        over the volume's own range.

    Returns
    -------
    tuple
        A view of the volume's array (not a copy), keyword arguments, "image".
    """
    volume = volume.restored()
    record = ScanRecord(volume.grid, volume.origin, dict(volume.history))
    look = look or {"colormap": "gray", "contrast_limits": contrast_limits(volume.data)}
    return geometry.to_display(volume.data), {**_kwargs(record, name), **look}, "image"


def lazy_layer_data(
    levels: Sequence[Any], record: ScanRecord, name: str, limits: tuple[float, float]
) -> LayerData:
    """A volume on disk as napari's readers return it.

    Parameters
    ----------
    levels : sequence of arrays
        As displayed, such as dask arrays; finest first.
    record : ScanRecord
        Of the finest.
    name : str
        Name of the layer to be.
    limits : tuple of float
        Intensities from black to white.
    """
    kwargs = {**_kwargs(record, name), "colormap": "gray", "contrast_limits": limits}
    several = len(levels) > 1
    return list(levels) if several else levels[0], {**kwargs, "multiscale": several}, "image"


def _kwargs(record: ScanRecord, name: str) -> dict[str, Any]:
    """What a layer of three axes is told."""
    scale, translate = geometry.scale_and_translate(record.grid)
    return {
        "name": name,
        "scale": scale,
        "translate": translate,
        "units": ("mm", "mm", "mm"),
        "axis_labels": geometry.AXIS_LABELS,
        "metadata": _metadata(record),
    }


def series_layer_data(frames: NDArray, first: Volume, name: str) -> LayerData:
    """A time series as napari's readers return it.

    Parameters
    ----------
    frames : (t, x, y, z) ndarray
        RAS+, in the scan's intensities.
    first : Volume
        The first of them.
    name : str
        Name of the layer to be.
    """
    scale, translate = geometry.scale_and_translate(first.grid)
    record = ScanRecord(first.grid, first.origin, dict(first.history))
    kwargs = {
        "name": name,
        "scale": (1.0, *scale),
        "translate": (0.0, *translate),
        # Frames are counted, since few headers hold a trustworthy time step.
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
    """Limits that spend no gray level on a few bright voxels.

    Parameters
    ----------
    data : ndarray
        Any shape. Sampled, so that large volumes open at once.
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
    """How many frames a 4D layer has; None for 3D."""
    return int(_finest(layer).shape[0]) if layer.ndim == 4 and not layer.rgb else None


def frame_on_screen(layer: Image, point: Sequence[float]) -> int:
    """The frame of a 4D layer nearest to where a viewer stands; 0 for 3D.

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
    """Take from a layer what a run needs.

    A layer that this plugin made is taken with its true affine. Any other is
    taken as (slice, row, column) with ``scale``, ``translate`` and the rest of
    its transform in its units (pixels count as mm), in the world described in
    :mod:`napari_mrisr.viewer.layers.geometry`.

    Parameters
    ----------
    layer : Image
        3D, or 4D with the frames along the first axis.
    frame : int
        Which frame of a 4D layer.

    Raises
    ------
    VolumeError
        For color, 2D and higher-dimensional layers.
    GeometryError
        For a transform that flattens the volume.
    """
    if layer.rgb:
        mend = "choose a layer with one value a voxel (right-click > Split RGB)"
        raise VolumeError(explain(layer.name, "is a color image", mend))
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
    matrix = index_to_mm(layer)
    shape = (int(data.shape[0]), int(data.shape[1]), int(data.shape[2]))
    record = layer.metadata.get(METADATA_KEY)
    if isinstance(record, ScanRecord) and _still_there(record.grid, shape, matrix):
        return LayerSnapshot(name, data, record.grid, None, record, look, chosen)
    if not abs(np.linalg.det(matrix[:3, :3])) > 1e-12:
        mend = "give it a scale above zero along every axis"
        raise GeometryError(explain(layer.name, "its transform flattens the volume", mend))
    grid, orientation = geometry.grid_from_display(shape, matrix)
    return LayerSnapshot(name, data, grid, orientation, None, look, chosen)


def _finest(layer: Image) -> Any:
    return layer.data[0] if layer.multiscale else layer.data


def index_to_mm(layer: Image) -> NDArray[np.float64]:
    """Index along the last three axes to napari's world, mm."""
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
    """Millimeters in one of napari's units; 1 for pixels."""
    return float((1 * unit).to("mm").magnitude) if unit.is_compatible_with("mm") else 1.0


def _still_there(grid: Grid, shape: tuple[int, ...], matrix: NDArray[np.float64]) -> bool:
    """Whether a layer still is where we put it, with as many voxels."""
    if shape != grid.shape[::-1]:
        return False
    scale, translate = geometry.scale_and_translate(grid)
    ours = np.diag([*scale, 1.0])
    ours[:3, 3] = translate
    return bool(np.allclose(matrix, ours, rtol=1e-5, atol=1e-4))
