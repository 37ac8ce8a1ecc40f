"""A network for the same factor along all axes: tricubic interpolation and a correction.

The network gives products of Legendre polynomials per low-resolution voxel. Their values at a
factor's output voxels are folded into the last convolution, so that it gives the factor³
voxels themselves. Data consistency follows (:mod:`napari_mrisr.methods.consistent`), which also
keeps voxels from falling below the darkest measured one.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np

from napari_mrisr.core.scale import RealScale
from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume
from napari_mrisr.errors import BankError, explain
from napari_mrisr.networks.file import NetworkFile
from napari_mrisr.networks.tiles import ACROSS, ALONG, Tiles
from napari_mrisr.operators.interpolate import TRICUBIC_HALO, tricubic
from napari_mrisr.operators.slices import block_basis

_LAST = "tail.weight"


@dataclass(frozen=True, eq=False)
class IsotropicNetwork:
    """Method ``network`` for one whole factor along all axes, before data consistency.

    Attributes
    ----------
    network : NetworkFile
    factor : int
    on_gpu : bool
        Run the network on a GPU.
    """

    network: NetworkFile
    factor: int
    name: str = "network"
    on_gpu: bool = False

    @property
    def scale(self) -> RealScale:
        """Factor of each axis."""
        return self.factor, self.factor, self.factor

    @functools.cached_property
    def tiles(self) -> Tiles:
        """Voxels of the correction, tile by tile; kept per scan."""
        return Tiles(folded(self.network, self.factor), self.factor, self.on_gpu)

    @property
    def halo(self) -> Shape:
        """Low-resolution voxels needed around a region: its tiles."""
        around = max(self.network.halo, TRICUBIC_HALO)
        return ACROSS + around, ACROSS + around, ALONG + around

    def compute(self, lr: Volume, region: Region) -> FloatArray:
        """Compute a region; see :class:`~napari_mrisr.methods.Method`."""
        r = self.factor
        image = tricubic(lr.data, self.scale, region)
        (x, y, z), (d, e, f) = (n // r for n in region.start), (-(-n // r) for n in region.stop)
        for box, values in self.tiles.covering(lr, Region((x, y, z), (d, e, f))):
            (a, b, c), (i, j, k) = box.start, box.stop
            scaled = Region((a * r, b * r, c * r), (i * r, j * r, k * r))
            common = scaled.intersection(region)
            blocks = values.reshape(*box.shape, r, r, r).transpose(0, 3, 1, 4, 2, 5)
            part = blocks.reshape(scaled.shape)[common.within(scaled).slices]
            image[common.within(region).slices] += part
        return image

    def provenance(self) -> dict[str, str]:
        """Return what a saved file states; see :class:`~napari_mrisr.methods.Method`."""
        device = {"device": "GPU"} if self.on_gpu else {}
        return {"method": self.name, "network": self.network.name, **device}


@functools.lru_cache(maxsize=8)
def folded(network: NetworkFile, factor: int) -> NetworkFile:
    """Return a network that gives ``factor``³ voxels instead of coefficients.

    Raises
    ------
    BankError
        If its last layer is not that of a network that napari-mrisr trains.
    """
    import onnx

    model = onnx.load_model_from_string(network.content)
    last = next((t for t in model.graph.initializer if t.name == _LAST), None)
    order = round(network.order ** (1 / 3))
    if last is None or last.dims[0] != network.order or order**3 != network.order:
        found = "its last layer holds no products of Legendre polynomials"
        raise BankError(explain(network.name, found, "use a network that napari-mrisr trained"))
    weights = onnx.numpy_helper.to_array(last)
    values = np.tensordot(block_basis(factor, order), weights, 1).astype(np.float32)
    # The network's axes are slices, rows and columns: z, x and y.
    by_axis = values.reshape(factor, factor, factor, -1).transpose(1, 2, 0, 3)
    turned = np.ascontiguousarray(by_axis.reshape(values.shape))
    last.CopyFrom(onnx.numpy_helper.from_array(turned, _LAST))
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return replace(network, content=model.SerializeToString(), order=factor**3)
