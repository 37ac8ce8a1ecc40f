"""The method ``network``: a bias-free network that corrects cubic interpolation across slices."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import resources

import numpy as np

from napari_mrisr.bank.folder import user_networks
from napari_mrisr.bank.model import FilterBank
from napari_mrisr.core.scale import RealScale, format_scale
from napari_mrisr.core.slices import relative_width
from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume
from napari_mrisr.errors import BankError, DeviceError, ScaleError, explain
from napari_mrisr.methods.consistent import Consistent
from napari_mrisr.methods.foreign import ForeignMethod, make_foreign, needs_phase
from napari_mrisr.methods.isotropic import IsotropicNetwork
from napari_mrisr.methods.permuted import Permuted, innermost
from napari_mrisr.methods.registry import Method
from napari_mrisr.methods.resampled import Resampled, bank_of
from napari_mrisr.networks.file import (
    DENOISER,
    ISOTROPIC,
    THICK,
    UNROLLED,
    NetworkFile,
    load_network,
)
from napari_mrisr.networks.foreign import ForeignNetwork, is_foreign
from napari_mrisr.networks.sessions import use_gpu
from napari_mrisr.networks.tiles import ACROSS, Tiles
from napari_mrisr.operators.interpolate import prefilter_operator, resample_operator
from napari_mrisr.operators.slices import (
    consistency_operators,
    correction_operator,
)

_ISOTROPIC_FACTORS = (2, 3, 4)
_WHOLE_AXIS = 1 << 20

METHODS = {THICK: "network", ISOTROPIC: "network", UNROLLED: "unrolled", DENOISER: "plug-and-play"}
"""Method that runs each kind of network."""


@dataclass(frozen=True, eq=False)
class ThickSlices:
    """A network along z: cubic interpolation, a correction, and consistency with the slices.

    Attributes
    ----------
    network : NetworkFile
    scale : tuple
        ``(1, 1, factor)``.
    consistent : bool
        Change the result so that, degraded again, it equals the measured slices.
    on_gpu : bool
        Run the network on a GPU.
    """

    network: NetworkFile
    scale: RealScale
    consistent: bool = True
    name: str = "network"
    on_gpu: bool = False

    @functools.cached_property
    def tiles(self) -> Tiles:
        """Coefficients of the network, tile by tile; kept per scan."""
        return Tiles(self.network, on_gpu=self.on_gpu)

    @property
    def halo(self) -> Shape:
        """Low-resolution voxels needed around a region: its tiles, and all slices."""
        around = ACROSS + self.network.halo
        return around, around, _WHOLE_AXIS

    def compute(self, lr: Volume, region: Region) -> FloatArray:
        """Compute a region; see :class:`~napari_mrisr.methods.Method`."""
        n, n_out = lr.grid.shape[2], lr.grid.upsampled(self.scale).shape[2]
        (x, y, _), (x_end, y_end, _) = region.start, region.stop
        slices = lr.data[slice(x, x_end), slice(y, y_end), slice(0, n)]
        cubic = prefilter_operator(n).apply(np.ascontiguousarray(slices), 2)
        image = resample_operator(n, n_out).apply(cubic, 2)
        correction = correction_operator(n, n_out, self.network.order)
        for box, coefficients in self.tiles.covering(lr, Region((x, y, 0), (x_end, y_end, n))):
            a, d = max(x, box.start[0]), min(x_end, box.stop[0])
            b, e = max(y, box.start[1]), min(y_end, box.stop[1])
            rows = np.flatnonzero(
                (correction.first >= box.start[2] * self.network.order)
                & (correction.first < box.stop[2] * self.network.order)
            )
            part = coefficients[
                a - box.start[0] : d - box.start[0], b - box.start[1] : e - box.start[1]
            ]
            flat = np.ascontiguousarray(part).reshape(*part.shape[:2], -1)
            first, last = int(rows[0]), int(rows[-1]) + 1
            image[a - x : d - x, b - y : e - y, first:last] += correction.rows(first, last).apply(
                flat, 2, box.start[2] * self.network.order
            )
        if self.consistent:
            width = relative_width(lr, 2) or 1.0
            degrade, spread = consistency_operators(n, n_out, "boxcar", width)
            image += spread.apply(slices - degrade.apply(image, 2), 2)
        # Voxels may be darker than any slice, but not below the window's zero.
        np.maximum(image, min(np.float32(0.0), lr.extrema[0]), out=image)
        return np.ascontiguousarray(image[:, :, region.start[2] : region.stop[2]])

    def provenance(self) -> dict[str, str]:
        """Return what a saved file states; see :class:`~napari_mrisr.methods.Method`."""
        more = {"data_consistency": "with the measured slices"} if self.consistent else {}
        more |= {"device": "GPU"} if self.on_gpu else {}
        return {"method": self.name, "network": self.network.name, **more}


def make_network(scale: RealScale, bank: str | None = None) -> Method:
    """Network along one axis, for 2 ×, 3 × or 4 × along all axes, or the user's own file."""
    if bank is not None and is_foreign(bank):
        return make_foreign(scale, bank)
    thick = [axis for axis, factor in enumerate(scale) if factor > 1]
    isotropic = scale in [(n, n, n) for n in _ISOTROPIC_FACTORS]
    if len(thick) != 1 and not isotropic:
        found = f"{format_scale(scale)} for method network, which makes one axis finer"
        remedy = "use method hashed, or a scale such as 1x1x4, 2x2x2, 3x3x3 or 4x4x4"
        raise ScaleError(explain("scale", found, remedy))
    kind = ISOTROPIC if isotropic else THICK
    return network_method(open_network(bank or kind), scale)


def network_method(network: NetworkFile, scale: RealScale) -> Method:
    """Return a network as a method for a scale with one factor above 1, or with equal ones."""
    thick = [axis for axis, factor in enumerate(scale) if factor > 1]
    kind = THICK if len(thick) == 1 else ISOTROPIC
    if network.kind != kind:
        found = f"a network for {network.kind} at scale {format_scale(scale)}"
        raise BankError(explain(network.name, found, f"choose a network for {kind}"))
    if kind == ISOTROPIC:
        return Consistent(IsotropicNetwork(network, round(scale[0])), "standard")
    method = ThickSlices(network, (1, 1, scale[thick[0]]))
    others = [axis for axis in range(3) if axis != thick[0]]
    axes = (others[0], others[1], thick[0])
    return method if axes == (0, 1, 2) else Permuted(method, axes)


def list_networks() -> list[str]:
    """List the bundled networks of method ``network``, then the user's own."""
    bundled = [name for name in bundled_networks() if METHODS[name] == "network"]
    return bundled + [name for name in user_networks() if name not in bundled]


def model_of(method: Method | None) -> FilterBank | NetworkFile | None:
    """Return the filter bank or network of a method; None if it has neither."""
    network = None if method is None else getattr(innermost(method), "network", None)
    return network if isinstance(network, NetworkFile) else bank_of(method)


def takes_both_parts(method: Method) -> bool:
    """Return True for a network of the real and the imaginary part of a complex scan."""
    return _of_both_parts(method) is not None


def check_magnitude(method: Method) -> None:
    """Raise :class:`BankError` for a method that cannot compute a scan without phase."""
    network = _of_both_parts(method)
    if network is not None:
        raise needs_phase(network)


def _of_both_parts(method: Method) -> ForeignNetwork | None:
    inner = innermost(method)
    if isinstance(inner, Resampled):
        inner = inner.method
    if isinstance(inner, ForeignMethod) and inner.network.is_complex:
        return inner.network
    return None


def on_device(method: Method, wanted: str, say: Callable[[str], None]) -> Method | None:
    """Return a method of a network, to compute where the user wants it.

    Parameters
    ----------
    method : Method
    wanted, say
        See :func:`~napari_mrisr.networks.sessions.use_gpu`.

    Returns
    -------
    Method or None
        None for a method without a network.

    Raises
    ------
    DeviceError
        If the network is to run on a GPU that cannot be used.
    """
    inner = innermost(method)
    if isinstance(inner, ForeignMethod):
        if wanted == "gpu":
            found = "gpu, but networks of other programs run on the CPU"
            raise DeviceError(explain("device", found, "use cpu"))
        return method
    if not isinstance(inner, ThickSlices | IsotropicNetwork):
        return None
    if not use_gpu(inner.network, wanted, say):
        return method
    placed = replace(inner, on_gpu=True)
    if isinstance(method, Permuted):
        return Permuted(placed, method.axes)
    return replace(method, method=placed) if isinstance(method, Consistent) else placed


def open_network(name: str) -> NetworkFile:
    """Return a bundled network, one of the user's by name, or that of a file."""
    if name in METHODS:
        return bundled_network(name)
    return load_network(user_networks().get(name, name))


def open_kind(name: str, kind: str) -> NetworkFile:
    """Return a network of :func:`open_network`, or raise :class:`BankError` if of another kind."""
    network = open_network(name)
    if network.kind != kind:
        found = f"a network for {network.kind}"
        raise BankError(explain(network.name, found, f"choose a network for {kind}"))
    return network


def bundled_networks() -> list[str]:
    """List the bundled networks, which are called by their kind."""
    folder = resources.files("napari_mrisr") / "banks"
    return [name for name in METHODS if (folder / f"{name}.onnx").is_file()]


@functools.lru_cache(maxsize=4)
def bundled_network(name: str = THICK) -> NetworkFile:
    """Return a bundled network."""
    folder = resources.files("napari_mrisr") / "banks"
    with resources.as_file(folder / f"{name}.onnx") as path:
        return load_network(path)
