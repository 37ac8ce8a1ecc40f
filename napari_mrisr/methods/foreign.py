"""The method ``network`` with a network file of the user; see :mod:`networks.foreign`.

The network runs on a fixed grid of tiles, each computed from the same voxels whatever region is
asked for, so that every region equals the whole run. Beyond the volume's edges the image is
mirrored. A network of slices runs slice by slice, one tile per slice and part of it.

A network of real and imaginary part computes both from both, at a gain found from the magnitude.
Each part of a complex scan takes its own from tiles that they share.
"""

from __future__ import annotations

import functools
import itertools
import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.complex_volume import Part
from napari_mrisr.core.scale import RealScale, Scale, format_scale, thick_axis
from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume
from napari_mrisr.errors import BankError, ParameterError, ScaleError, explain
from napari_mrisr.methods.consistent import Consistent, invertible
from napari_mrisr.methods.interpolation import make_tricubic
from napari_mrisr.methods.registry import Method
from napari_mrisr.methods.resampled import Resampled
from napari_mrisr.networks.foreign import ForeignNetwork, load_foreign, split_spec
from napari_mrisr.networks.needs import PLANES, NetworkNeeds
from napari_mrisr.networks.probe import Fit, probed
from napari_mrisr.networks.tiles import TileCache
from napari_mrisr.operators.interpolate import TRICUBIC_HALO, mirror_index, tricubic

# Voxels of a tile without its halo along the network's axes, unless the network declares a tile.
_CORE = {2: 128, 3: 48}
# Assumed where consistency is asked for and nothing declares the degradation.
_PROFILE = "slice-profile:boxcar:1"
# Two axes of a slice, slowest first, by preference.
_SLICES = ("yx", "zx", "zy", "yz", "xy", "xz")


@dataclass(frozen=True, eq=False)
class ForeignMethod:
    """A foreign network along the axes of a volume.

    Attributes
    ----------
    network : ForeignNetwork
    needs : NetworkNeeds
        Complete.
    fit : Fit
    order : tuple of int
        The volume's axis of each axis of the network.
    scale : tuple of float
        Factor of each axis of the volume.
    """

    network: ForeignNetwork
    needs: NetworkNeeds
    fit: Fit
    order: tuple[int, ...]
    scale: RealScale
    name: str = "network"
    _cache: TileCache = field(default_factory=TileCache, init=False, repr=False)
    _lines: weakref.WeakKeyDictionary[Volume, tuple[float, float]] = field(
        default_factory=weakref.WeakKeyDictionary, init=False, repr=False
    )

    def __post_init__(self) -> None:
        if min(self._tile) < 1:
            found = f"needs a halo of {self.needs.halo} voxels, which fills its tiles"
            raise BankError(explain(self.network.name, found, "declare a smaller halo"))

    @functools.cached_property
    def _cubic(self) -> Method:
        return make_tricubic(self.scale)

    @property
    def _interpolated(self) -> bool:
        return self.needs.input == "interpolated"

    @functools.cached_property
    def _factors(self) -> Scale:
        """Output voxels per voxel of the network's input, along the volume's axes."""
        return self._along(self.fit.scale, 1)

    @functools.cached_property
    def _halo(self) -> Shape:
        assert self.needs.halo is not None, "complete"
        return self._along(self.needs.halo, 0)

    @functools.cached_property
    def _tile(self) -> Shape:
        """Extents of a tile without its halo, along the volume's axes."""
        assert self.needs.halo is not None and self.needs.multiple is not None, "complete"
        cores = []
        for halo, extent in zip(self.needs.halo, self.network.extents, strict=True):
            most = self.needs.tile or _CORE[self.network.dimensions] + 2 * halo
            step = self.needs.multiple
            core = (most - 2 * halo) // step * step if extent is None else extent - 2 * halo
            cores.append(core)
        return self._along(tuple(cores), 1)

    def _along(self, values: tuple[int, ...], other: int) -> Shape:
        """Return values per axis of the network as values per axis of the volume."""
        found = [other] * 3
        for axis, value in zip(self.order, values, strict=True):
            found[axis] = value
        return found[0], found[1], found[2]

    @property
    def halo(self) -> Shape | None:
        """Low-resolution voxels needed around a region; None if the network needs all."""
        assert self.needs.normalization is not None and self.needs.multiple is not None
        if self.needs.normalization.needs_all:
            return None
        around = []
        for tile, halo, scale in zip(self._tile, self._halo, self.scale, strict=True):
            reach = tile + halo + self.needs.multiple if tile > 1 or halo else 0
            spline = TRICUBIC_HALO if scale > 1 else 0
            around.append(
                math.ceil(reach / scale) + spline if self._interpolated else max(reach, spline)
            )
        return around[0], around[1], around[2]

    def compute(self, lr: Volume, region: Region) -> FloatArray:
        """Compute a region; see :class:`~napari_mrisr.methods.Method`."""
        out = np.empty(region.shape, np.float32)
        for box in self._boxes(lr, region):
            tile = self._tile_of(lr, box)
            corner = [a * f for a, f in zip(box.start, self._factors, strict=True)]
            low = [max(a, c) for a, c in zip(region.start, corner, strict=True)]
            high = [min(b, c + n) for b, c, n in zip(region.stop, corner, tile.shape, strict=True)]
            into = [slice(a - r, b - r) for a, b, r in zip(low, high, region.start, strict=True)]
            part = [slice(a - c, b - c) for a, b, c in zip(low, high, corner, strict=True)]
            out[tuple(into)] = tile[tuple(part)]
        return out

    def _tile_of(self, lr: Volume, box: Region) -> FloatArray:
        """Return the output voxels of a tile for a scan, or a part of a complex scan."""
        if not self.network.is_complex:
            return self._cache.get(lr, box, self._compute)
        part = self._as_part(lr)
        both = self._cache.get(part.guide, box, lambda _, one: self._compute(part, one))
        return both.imag if part.imaginary else both.real

    def _as_part(self, lr: Volume) -> Part:
        if not isinstance(lr, Part):
            raise needs_phase(self.network)
        return lr

    def _boxes(self, lr: Volume, region: Region) -> Iterator[Region]:
        """Yield the tiles that a region meets, in voxels of the network's input."""
        shape = self._input_shape(lr)
        spans = [
            [(t * k, min(n, (t + 1) * k)) for t in range(a // (f * k), -(-b // (f * k)))]
            for a, b, f, k, n in zip(
                region.start, region.stop, self._factors, self._tile, shape, strict=True
            )
        ]
        for (a, d), (b, e), (c, f) in itertools.product(*spans):
            yield Region((a, b, c), (d, e, f))

    def _input_shape(self, lr: Volume) -> Shape:
        return lr.grid.upsampled(self.scale).shape if self._interpolated else lr.grid.shape

    def _compute(self, lr: Volume, box: Region) -> NDArray[Any]:
        """Return the output voxels of a tile, in engine units; of both parts as complex numbers."""
        gain, offset = self._line(lr)
        patch = self._patch(lr, box)
        given = np.float32(gain) * patch + np.float32(offset)
        axes = [*self.order, *(axis for axis in range(3) if axis not in self.order)]
        turned = given.transpose(axes)
        if self.network.dimensions == 2:
            found = self._checked(turned[:, :, 0])[:, :, None]
        else:
            found = self._checked(turned)
        found = found.transpose(np.argsort(axes))
        inner = [
            slice((h - m) * f, (h - m + b - a) * f)
            for a, b, h, m, f in zip(
                box.start,
                box.stop,
                self._halo,
                self._along(self.fit.margin, 0),
                self._factors,
                strict=True,
            )
        ]
        image = found[tuple(inner)]
        start, stop = (
            tuple(a * f for a, f in zip(corner, self._factors, strict=True))
            for corner in (box.start, box.stop)
        )
        if self.needs.output == "correction":
            region = Region((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
            image = self._interpolation(lr, region) + image / np.float32(gain)
        else:
            image = (image - np.float32(offset)) / np.float32(gain)
        if self.network.is_complex:
            return np.asarray(image)
        # Voxels may be darker than any measured one, but not below the window's zero.
        darkest = min(np.float32(0.0), lr.extrema[0])
        return np.asarray(np.maximum(image, darkest, dtype=np.float32))

    def _checked(self, image: NDArray[Any]) -> NDArray[Any]:
        found = self.network.run(image)
        expected = tuple(
            f * (n - 2 * m)
            for n, f, m in zip(image.shape, self.fit.scale, self.fit.margin, strict=True)
        )
        if found.shape != expected:
            text = f"returns {found.shape} voxels for {image.shape}, not {expected}"
            raise BankError(explain(self.network.name, text, "declare multiple and tile"))
        return found

    def _interpolation(self, lr: Volume, region: Region) -> NDArray[Any]:
        """Return the cubic interpolation of a scan, or of both parts as complex numbers."""
        if not self.network.is_complex:
            return self._cubic.compute(lr, region)
        real, imaginary = (tricubic(p, self.scale, region) for p in self._as_part(lr).both)
        return np.asarray(real + np.complex64(1j) * imaginary)

    def _patch(self, lr: Volume, box: Region) -> NDArray[Any]:
        """Return a tile's input with its halo, mirrored beyond the edges."""
        assert self.needs.multiple is not None, "complete"
        extents = self._along(tuple(n or 0 for n in self.network.extents), 0)
        spans, index = [], []
        for axis, n in enumerate(self._input_shape(lr)):
            a, b, halo = box.start[axis], box.stop[axis], self._halo[axis]
            size = b - a + 2 * halo
            if axis in self.order:
                size = extents[axis] or -(-size // self.needs.multiple) * self.needs.multiple
            wanted = mirror_index(np.arange(a - halo, a - halo + size), n)
            spans.append((int(wanted.min()), int(wanted.max()) + 1))
            index.append(wanted - wanted.min())
        (a, d), (b, e), (c, f) = spans
        region = Region((a, b, c), (d, e, f))
        if self._interpolated:
            voxels = self._interpolation(lr, region)
        elif self.network.is_complex:
            real, imaginary = (part[region.slices] for part in self._as_part(lr).both)
            voxels = real + np.complex64(1j) * imaginary
        else:
            voxels = lr.data[region.slices]
        return np.asarray(voxels[np.ix_(*index)])

    def _line(self, lr: Volume) -> tuple[float, float]:
        if self.network.is_complex:
            lr = self._as_part(lr).guide
        found = self._lines.get(lr)
        if found is None:
            assert self.needs.normalization is not None, "complete"
            # A part has no extremes as a volume, which nothing may clip.
            own = Volume(lr.data, lr.grid, lr.window) if isinstance(lr, Part) else lr
            gain, offset = self.needs.normalization.line(own)
            found = self._lines[lr] = gain, 0.0 if self.network.is_complex else offset
        return found

    @property
    def plane(self) -> str:
        """Plane of the slices that the network sees; empty for a network of volumes."""
        seen = {"xyz"[axis] for axis in self.order}
        return next((name for name, axes in PLANES.items() if set(axes) == seen), "")

    def provenance(self) -> dict[str, str]:
        """Return what a saved file states; see :class:`~napari_mrisr.methods.Method`."""
        more = {"network_plane": self.plane} if self.plane else {}
        return {
            "method": self.name,
            "network": self.network.name,
            "network_sha256": self.network.sha256,
            "network_needs": ", ".join(self.needs.lines()),
            **more,
        }


def needs_phase(network: ForeignNetwork) -> BankError:
    """Return the error of a network of both parts for a scan without phase."""
    found = "takes the real and the imaginary part of a complex scan"
    remedy = "give a complex scan, or a magnitude with its phase"
    return BankError(explain(network.name, found, remedy))


def make_foreign(scale: RealScale, spec: str) -> Method:
    """Return the method ``network`` with a foreign network.

    Factors that the network does not have are met by a cubic spline after it. A declared
    slice profile makes the result consistent with the measured slices.

    Parameters
    ----------
    scale : tuple of float
        Factor of each axis.
    spec : str
        File and options; see :func:`~napari_mrisr.networks.foreign.load_foreign`.
    """
    network, needs, fit, _ = inspect_network(spec)
    order, own = _assigned(network, needs, fit, scale)
    foreign = ForeignMethod(network, needs, fit, order, own)
    method: Method = foreign if own == scale else Resampled(foreign, scale)
    degradation = needs.degradation or (needs.consistency and _PROFILE)
    if not degradation or needs.consistency is False:
        return method
    if invertible(scale, degradation):
        return Consistent(method, degradation)
    if needs.consistency:
        found = f"is for one thick axis and a slice profile, not {format_scale(scale)}"
        raise ParameterError(explain("consistency", found, "leave it out"))
    return method


Inspected = tuple[ForeignNetwork, NetworkNeeds, Fit, float]


def inspect_network(spec: str) -> Inspected:
    """Return a network, its complete needs, its geometry and its error for a smooth image."""
    path, _ = split_spec(spec)
    changed = tuple(
        (stat.st_mtime_ns, stat.st_size)
        for stat in (one.stat() for one in (path, path.with_suffix(".json")) if one.exists())
    )
    return _inspected(spec, str(Path.cwd()), changed)


@functools.lru_cache(maxsize=4)
def _inspected(spec: str, folder: str, changed: tuple[tuple[int, int], ...]) -> Inspected:
    network = load_foreign(spec)
    return (network, *probed(network))


def describe_network(spec: str) -> str:
    """Return several lines: what a foreign network needs, and where that is known from."""
    network, needs, fit, error = inspect_network(spec)
    kind = "slices" if network.dimensions == 2 else "volumes"
    lines = [f"{network.name}: network of {kind}, scale {'x'.join(map(str, fit.scale))}"]
    lines += [f"  {need}" for need in needs.lines()]
    lines.append(f"  error for a smooth image: {100 * error:.1f} % of its standard deviation")
    return "\n".join(lines)


def foreign_scales(spec: str) -> list[Scale] | None:
    """Return the scales that a network has by itself; None for any."""
    network, needs, fit, _ = inspect_network(spec)
    if needs.input == "interpolated":
        return None
    orders = _orders(network, needs)
    scales = [_scale_of(order, fit) for order in orders]
    return list(dict.fromkeys(scales))


def _scale_of(order: tuple[int, ...], fit: Fit) -> Scale:
    found = [1, 1, 1]
    for axis, factor in zip(order, fit.scale, strict=True):
        found[axis] = factor
    return found[0], found[1], found[2]


def _orders(network: ForeignNetwork, needs: NetworkNeeds) -> list[tuple[int, ...]]:
    """Return the assignments of the network's axes to the volume's, preferred ones first."""
    texts: list[str]
    if needs.axes is not None and len(needs.axes) != network.dimensions:
        kind = "slices" if network.dimensions == 2 else "volumes"
        found = f"declares axes {needs.axes!r}, but is a network of {kind}"
        raise BankError(explain(network.name, found, "correct the declaration"))
    if network.dimensions == 2:
        texts = [needs.axes] if needs.axes else list(_SLICES)
    else:
        texts = ["".join(order) for order in itertools.permutations("zyx")]
        if needs.axes:
            texts.insert(0, needs.axes)
    return [tuple("xyz".index(letter) for letter in text) for text in dict.fromkeys(texts)]


def _assigned(
    network: ForeignNetwork, needs: NetworkNeeds, fit: Fit, scale: RealScale
) -> tuple[tuple[int, ...], RealScale]:
    """Return the volume's axis of each axis of the network, and the scale it then has."""
    orders = _orders(network, needs)
    if needs.input == "interpolated":
        thick = thick_axis(scale)
        if network.dimensions == 2 and not needs.axes:
            # Slices that show the thick axis; else axial ones.
            seen = [order for order in orders if thick is not None and order[0] == thick]
            return (seen or [(1, 0)])[0], scale
        return orders[0], scale
    costs = []
    for order in orders:
        own = _scale_of(order, fit)
        pairs = list(zip(scale, own, strict=True))
        if all(wanted > 1 or has == 1 for wanted, has in pairs):
            costs.append((sum(abs(math.log(w / h)) for w, h in pairs), order, own))
    if not costs:
        found = f"{format_scale(scale)} for a network of {format_scale(_scale_of(orders[0], fit))}"
        raise ScaleError(explain("scale", found, "use the network's own scale"))
    _, order, own = min(costs, key=lambda entry: entry[0])
    return order, own
