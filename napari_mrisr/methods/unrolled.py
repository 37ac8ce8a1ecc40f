"""The method ``unrolled``: blocks of a network that alternate with data consistency.

Works on the measured slices y. The result is C (y + e) + B c: cubic interpolation C and a
correction of Legendre coefficients c per slice. Every block sees y, e and c and adds to c;
then e follows from c so that the result, degraded again, equals the slices
(:class:`~napari_mrisr.operators.slices.SliceProjection`). All blocks share their weights, and
are trained together with the steps between them (Aggarwal et al. 2019, "MoDL"; Schlemper et al.
2018, "A deep cascade of convolutional neural networks"). The result of a voxel depends on all
slices, and is computed as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import numpy as np

from napari_mrisr.core.axes import Axes, inverse, permute_data, permute_volume
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import RealScale, format_scale, thick_axis
from napari_mrisr.core.slices import relative_width
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Region, Volume, scale_text
from napari_mrisr.errors import ScaleError, explain
from napari_mrisr.methods.network import open_kind
from napari_mrisr.methods.registry import Method
from napari_mrisr.methods.whole import WholeResults
from napari_mrisr.networks.file import UNROLLED, NetworkFile
from napari_mrisr.networks.tiles import over_tiles, slice_conditions, tile_boxes
from napari_mrisr.operators.interpolate import prefilter_operator, resample_operator
from napari_mrisr.operators.slices import correction_operator, slice_projection


@dataclass(frozen=True, eq=False)
class Unrolled:
    """An unrolled network along the one axis that becomes finer.

    Attributes
    ----------
    network : NetworkFile
        Of kind ``unrolled``.
    scale : tuple of float
        One factor above 1.
    """

    network: NetworkFile
    scale: RealScale
    name: str = "unrolled"
    halo: None = None
    _results: WholeResults = field(default_factory=WholeResults, init=False, repr=False)

    @property
    def axes(self) -> Axes:
        """Order of axes with the thick one last."""
        thick = int(np.argmax(self.scale))
        first, second = (axis for axis in range(3) if axis != thick)
        return first, second, thick

    def compute(self, lr: Volume, region: Region) -> FloatArray:
        """Compute a region; see :class:`~napari_mrisr.methods.Method`."""
        return self._results.region(self.compute_whole, lr, region)

    def compute_whole(self, lr: Volume, progress: Progress, threads: int = 1) -> FloatArray:
        """Compute the whole; see :class:`~napari_mrisr.methods.WholeVolume`."""
        volume, network = permute_volume(lr, self.axes), self.network
        measured, (x, y, n) = np.ascontiguousarray(volume.data), volume.grid.shape
        n_out = lr.grid.upsampled(self.scale).shape[self.axes[2]]
        width = relative_width(volume, 2) or 1.0
        projection = slice_projection(n, n_out, network.order, width)
        told, pool = slice_conditions(network, volume), ThreadPool(threads, progress.token)
        label = f"{self.name} {scale_text(self.scale, lr.origin)}"
        progress.begin(label, network.blocks * len(tile_boxes((x, y, n))))
        sharpening = projection.sharpen.apply(measured, 2) - measured
        seen = np.zeros((2 + network.order, x, y, n), np.float32)
        seen[0], seen[1] = measured, sharpening
        flat = np.zeros((x, y, n * network.order), np.float32)
        for _ in range(network.blocks):
            found = over_tiles(network, seen, told, pool, progress.advance)
            flat += found.reshape(flat.shape)
            pool.check()
            seen[1] = sharpening - projection.hide.apply(flat, 2)
            seen[2:] = flat.reshape(found.shape).transpose(3, 0, 1, 2)
        spline = prefilter_operator(n).apply(measured + seen[1], 2)
        pool.check()
        image = resample_operator(n, n_out).apply(spline, 2)
        image += correction_operator(n, n_out, network.order).apply(flat, 2)
        # Voxels may be darker than any slice, but not below the window's zero.
        np.maximum(image, min(np.float32(0.0), lr.extrema[0]), out=image)
        return cast(FloatArray, permute_data(image, inverse(self.axes)))

    def provenance(self) -> dict[str, str]:
        """Return what a saved file states; see :class:`~napari_mrisr.methods.Method`."""
        consistency = "with the measured slices"
        blocks = str(self.network.blocks)
        return {
            "method": self.name,
            "network": self.network.name,
            "blocks": blocks,
            "data_consistency": consistency,
        }


def make_unrolled(scale: RealScale, bank: str | None = None) -> Method:
    """Network in blocks with data consistency, along one axis."""
    if thick_axis(scale) is None:
        found = f"{format_scale(scale)} for method unrolled, which makes one axis finer"
        raise ScaleError(explain("scale", found, "use method network, or a scale such as 1x1x4"))
    return Unrolled(open_kind(bank or UNROLLED, UNROLLED), scale)
