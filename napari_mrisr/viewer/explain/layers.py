"""Scan, reference and marker of the explainer, and the requests for its thread. No Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.folder import NETWORK_SUFFIX
from napari_mrisr.bank.model import FilterBank, bank_for, load_bank
from napari_mrisr.comparison.opening import MEASURED, ORIGINAL, role
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import RealScale, Scale, isotropic_scale, thick_axis
from napari_mrisr.core.volume import Grid, Shape, Volume
from napari_mrisr.errors import GeometryError
from napari_mrisr.explain import (
    VoxelExplanation,
    explain_network,
    explain_voxel,
    truth_scale,
)
from napari_mrisr.explain.sheet import ON_DARK
from napari_mrisr.explain.trace import find_edge
from napari_mrisr.methods import default_method
from napari_mrisr.methods.network import list_networks, network_method, open_network
from napari_mrisr.networks.file import THICK, NetworkFile
from napari_mrisr.viewer.layers.convert import LayerSnapshot

if TYPE_CHECKING:
    from napari.viewer import Viewer

DEFAULT_SCALE: Scale = (2, 2, 2)

THICK_SLICES = 1.5
"""Slices are made isotropic from this ratio of slice distance to pixel size."""

MARKER_NAME = "explained voxel"

# Diameters in voxels: the voxel itself, and a ring that is easy to find.
_SIZES = (1.0, 9.0)
# Border widths as fractions of the size.
_BORDERS = (0.12, 0.03)

# From (inferior, posterior, left), the axes of our layers, to RAS+.
_OWN_ORIENTATION = np.array([[2.0, -1.0], [1.0, -1.0], [0.0, -1.0]])


@dataclass(frozen=True, eq=False)
class Prepared:
    """Checked and normalized volumes, kept for the next voxel."""

    lr: Volume
    reference: Volume | None


@dataclass(frozen=True, eq=False)
class Explained:
    """Result of a request."""

    prepared: Prepared
    explanation: VoxelExplanation


@dataclass(frozen=True, eq=False)
class ExplainRequest:
    """Explain a voxel of a layer.

    Attributes
    ----------
    source : LayerSnapshot
        Low-resolution scan.
    reference : LayerSnapshot or None
    bank : FilterBank or NetworkFile
    scale : tuple of float
    voxel : tuple of int or None
        Index in the output grid; None for a voxel on a clear edge.
    prepared : Prepared or None
        Result of an earlier request for the same layers.
    """

    source: LayerSnapshot
    reference: LayerSnapshot | None
    bank: FilterBank | NetworkFile
    scale: RealScale
    voxel: Shape | None
    prepared: Prepared | None = None

    def __call__(self, progress: Progress) -> Explained:
        """Compute the explanation on a background thread."""
        prepared = self.prepared or self._prepare(progress)
        lr, reference, bank = prepared.lr, prepared.reference, self.bank
        if isinstance(bank, FilterBank):
            voxel = self.voxel or find_edge(lr, bank.scale, progress=progress)
            progress.token.check()
            return Explained(prepared, explain_voxel(lr, bank, voxel, reference))
        voxel = self.voxel or self._edge(lr, progress)
        progress.token.check()
        return Explained(prepared, explain_network(lr, bank, self.scale, voxel, reference))

    def _edge(self, lr: Volume, progress: Progress) -> Shape:
        """Return a voxel on a clear edge of the scan, also at factors that are not whole."""
        found = find_edge(lr, (1, 1, 1), progress=progress)
        x, y, z = (int((n + 0.5) * s) for n, s in zip(found, self.scale, strict=True))
        return x, y, z

    def _prepare(self, progress: Progress) -> Prepared:
        volume = self.source.to_volume()
        progress.token.check()
        lr = volume.normalized(check=progress.token.check)
        progress.token.check()
        reference = self.reference.to_volume() if self.reference is not None else None
        progress.token.check()
        return Prepared(lr, reference)


def likely_roles(
    layers: Sequence[tuple[str, Grid, Mapping[str, str]]],
) -> tuple[int | None, int | None]:
    """Guess the low-resolution scan and its reference from names, grids and histories.

    Parameters
    ----------
    layers : sequence of (name, grid, history)
        Layers, the newest last.

    Returns
    -------
    lr, reference : int or None
        Positions in the list.
    """
    kinds = [role(name, history)[0] for name, _, history in layers]
    numbers = range(len(layers) - 1, -1, -1)
    lr = next((i for i in numbers if kinds[i] == MEASURED), None)
    if lr is None:
        # Otherwise the newest layer that is no result.
        lr = next((i for i in numbers if kinds[i] == ORIGINAL), None)
    if lr is None:
        return (len(layers) - 1 if layers else None), None
    grid = layers[lr][1]
    originals = [i for i in numbers if i != lr and kinds[i] == ORIGINAL]
    return lr, next((i for i in originals if scale_between(layers[i][1], grid)), None)


def scale_between(reference: Grid, lr: Grid) -> Scale | None:
    """Return the scale at which a reference fits a scan; None if it does not fit."""
    try:
        return truth_scale(reference, lr)
    except GeometryError:
        return None


def choose_model(
    name: str | None, lr: Grid, reference: Grid | None
) -> tuple[FilterBank | NetworkFile, RealScale]:
    """Return the bank or network to explain, and the scale.

    Parameters
    ----------
    name : str or None
        Name or path; None for what *Super-resolve* uses.
    lr, reference : Grid
        The reference, if there is one, decides the scale. Without it, thick slices are made
        isotropic, and any other scan gets twice the voxels.

    Raises
    ------
    MrisrError
        If there is no such bank or network, or it does not fit the scale.
    """
    networks = list_networks()
    is_network = name is not None and (name in networks or name.endswith(NETWORK_SUFFIX))
    if name is not None and not is_network:
        bank = load_bank(name)
        return bank, bank.scale
    scale: RealScale | None = None if reference is None else scale_between(reference, lr)
    if scale is None:
        isotropic = isotropic_scale(lr.voxel_size)
        thick = max(isotropic) >= THICK_SLICES and thick_axis(isotropic) is not None
        scale = isotropic if thick else DEFAULT_SCALE
    if not is_network and default_method(scale) == "hashed":
        return bank_for(scale), scale
    network = open_network(name or THICK)
    network_method(network, scale)  # raises if it does not fit
    return network, scale


@dataclass(frozen=True, eq=False)
class OutputGrid:
    """Output voxels of a low-resolution layer in napari's world.

    Attributes
    ----------
    shape : tuple of int
        Shape of the output, x, y, z.
    orientation : (3, 2) ndarray
        Orientation in nibabel's format, from the layer's axes to x, y, z.
    affine : (4, 4) ndarray
        From an output index along the layer's axes to napari's world.
    """

    shape: Shape
    orientation: NDArray[np.float64]
    affine: NDArray[np.float64]

    @classmethod
    def of(cls, layer: Any, source: LayerSnapshot, scale: RealScale) -> OutputGrid:
        """Return the grid of a layer, given its snapshot, super-resolved by ``scale``."""
        orientation = _OWN_ORIENTATION if source.orientation is None else source.orientation
        shape = source.grid.upsampled(scale).shape
        ratio = np.array(shape) / np.array(source.grid.shape)
        factors = np.array([ratio[int(axis)] for axis in orientation[:, 0]])
        inner = np.diag([*(1.0 / factors), 1.0])
        # Output index i lies at index (i + 0.5) / s - 0.5 of the layer.
        inner[:3, 3] = 0.5 / factors - 0.5
        return cls(shape, orientation, _layer_affine(layer) @ inner)

    def voxel_at(self, position: Sequence[float]) -> Shape | None:
        """Return the voxel at a position (its last three axes count); None outside."""
        world = np.array([*position[-3:], 1.0])
        index = np.floor((np.linalg.inv(self.affine) @ world)[:3] + 0.5 + 1e-6).astype(int)
        voxel = [0, 0, 0]
        for n, (axis, flip) in zip(index, self.orientation, strict=True):
            size = self.shape[int(axis)]
            voxel[int(axis)] = int(n if flip > 0 else size - 1 - n)
        x, y, z = voxel
        inside = all(0 <= n < m for n, m in zip(voxel, self.shape, strict=True))
        return (x, y, z) if inside else None

    def index_of(self, voxel: Shape) -> NDArray[np.int64]:
        """Return the index of a voxel along the layer's axes."""
        own = np.array([self.shape[int(axis)] for axis in self.orientation[:, 0]])
        index = np.array([voxel[int(axis)] for axis in self.orientation[:, 0]])
        return np.where(self.orientation[:, 1] < 0, own - 1 - index, index)

    def world_of(self, voxel: Shape) -> tuple[float, float, float]:
        """Return the center of a voxel in napari's world."""
        a, b, c = (self.affine @ [*self.index_of(voxel), 1.0])[:3]
        return float(a), float(b), float(c)


def _layer_affine(layer: Any) -> NDArray[np.float64]:
    """Return the affine from an index along the layer's last three axes to napari's world."""
    zero = np.zeros(layer.ndim)
    origin = np.array(layer.data_to_world(zero), dtype=float)[-3:]
    matrix = np.eye(4)
    for column, axis in enumerate(range(layer.ndim - 3, layer.ndim)):
        step = zero.copy()
        step[axis] = 1.0
        matrix[:3, column] = np.array(layer.data_to_world(step), dtype=float)[-3:] - origin
    matrix[:3, 3] = origin
    return matrix


class Marker:
    """Points layer with a square around the voxel and a large ring.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._layer: Any = None

    @property
    def shown(self) -> bool:
        """True if the layer exists; the user may have deleted it."""
        return self._layer is not None and self._layer in self._viewer.layers

    def show(self, grid: OutputGrid, voxel: Shape, units: Any) -> None:
        """Mark a voxel and show its slices."""
        index = np.repeat(grid.index_of(voxel)[None], 2, axis=0)
        if self.shown:
            # Each assignment slices and repaints the layer.
            if not np.array_equal(self._layer.affine.affine_matrix, grid.affine):
                self._layer.affine = grid.affine
            if not np.array_equal(self._layer.data, index):
                self._layer.data = index
        else:
            active = self._viewer.layers.selection.active
            self._layer = self._viewer.add_points(
                index, name=MARKER_NAME, affine=grid.affine, units=units, size=_SIZES,
                symbol=["square", "disc"], face_color="transparent", border_color=ON_DARK.voxel,
                border_width=_BORDERS, blending="translucent_no_depth",
            )  # fmt: skip
            if active is not None:
                self._viewer.layers.selection.active = active
        dims = self._viewer.dims
        # One assignment: set_point would slice every layer three times.
        dims.point = (*dims.point[:-3], *grid.world_of(voxel))

    def remove(self) -> None:
        """Remove the layer."""
        if self.shown:
            self._viewer.layers.remove(self._layer)
        self._layer = None
