"""Signed distances, noise and painting: what the phantom is drawn with.

All lengths are mm in a frame with its origin between the two ventricles' front
horns: x to the right, y to the front, z up. Noise lives on lattices of fixed
mm, so the same head comes out at any voxel size. The sums run in an order
that does not depend on threads, so the same voxels come out every time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Field = NDArray[Any]  # of float32
Point = Sequence[float] | NDArray[np.float64]
Box = tuple[slice, slice, slice]

LATTICE = 96
"""Points along each axis of a noise lattice; it repeats beyond."""


@dataclass
class Canvas:
    """The fine grid that is painted on.

    Attributes
    ----------
    axes : tuple of ndarray
        Position of the voxels along each axis, mm.
    x, y, z : ndarray of float32, shape of the grid
        Position of each voxel, bent a little so that nothing is symmetric.
    image : ndarray of float32
        What was painted so far.
    voxel : float
        Edge of a fine voxel, mm: the width of a painted edge.
    """

    axes: tuple[Field, Field, Field]
    voxel: float
    x: Field = field(init=False)
    y: Field = field(init=False)
    z: Field = field(init=False)
    image: Field = field(init=False)

    def __post_init__(self) -> None:
        x, y, z = np.meshgrid(*self.axes, indexing="ij")
        bends = [noise(seed, 80.0, 0.6)(x, y, z) for seed in (11, 12, 13)]
        self.x, self.y, self.z = x + 1.2 * bends[0], y + 1.8 * bends[1], z + 1.5 * bends[2]
        self.image = np.zeros_like(self.x)

    def at(self, box: Box | None = None) -> tuple[Field, Field, Field]:
        """Positions of the voxels, of all or of a box."""
        box = box or (slice(None),) * 3
        return self.x[box], self.y[box], self.z[box]

    def box(self, *points: Point, margin: float) -> Box:
        """Return the voxels within ``margin`` mm of the box around some points."""
        low = np.min(np.array(points), axis=0) - margin - 6.0  # 6: the bending
        high = np.max(np.array(points), axis=0) + margin + 6.0
        edges = [
            np.searchsorted(axis, [a, b]) for axis, a, b in zip(self.axes, low, high, strict=True)
        ]
        x, y, z = (slice(int(a), int(b)) for a, b in edges)
        return x, y, z

    def paint(
        self, distance: Field, value: float | Field, box: Box | None = None, opacity: float = 1.0
    ) -> None:
        """Paint where ``distance`` is negative, with an edge one voxel wide."""
        part = self.image[box] if box else self.image
        part += inside(distance, self.voxel) * np.float32(opacity) * (value - part)

    def paint_ellipsoid(
        self, center: Point, radii: Point, value: float, both: bool = False, opacity: float = 1.0
    ) -> None:
        """Paint one ellipsoid, or it and its mirror image."""
        for sign in (1.0, -1.0) if both else (1.0,):
            place = (sign * center[0], center[1], center[2])
            box = self.box(place, margin=max(radii))
            self.paint(ellipsoid(*self.at(box), place, radii), value, box, opacity)

    def paint_tube(self, points: Sequence[Point], radii: Point, value: float) -> None:
        """Paint a tube through points, with a radius at each."""
        for a, b, radius_a, radius_b in zip(points, points[1:], radii, radii[1:], strict=False):
            box = self.box(a, b, margin=max(radius_a, radius_b))
            self.paint(capsule(*self.at(box), a, b, radius_a, radius_b), value, box)


def noise(seed: int, wavelength: float, band: float) -> Callable[[Field, Field, Field], Field]:
    """Smooth random field of variance 1, as a function of position.

    Parameters
    ----------
    seed : int
        Which field.
    wavelength : float
        Its typical wavelength, mm.
    band : float
        Relative width of the band of wavelengths; 0.1 gives even ripples.
    """
    values = np.random.default_rng([2026, seed]).standard_normal((LATTICE,) * 3)
    spacing = wavelength / 8.0
    k = np.fft.fftfreq(LATTICE, spacing)
    kz = np.fft.rfftfreq(LATTICE, spacing)
    length = np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + kz[None, None, :] ** 2)
    ring = np.exp(-0.5 * ((length * wavelength - 1.0) / band) ** 2)
    ring[0, 0, 0] = 0.0
    values = np.fft.irfftn(np.fft.rfftn(values) * ring, (LATTICE,) * 3, axes=(0, 1, 2))
    lattice = (values / values.std()).astype(np.float32)

    def sample(x: Field, y: Field, z: Field) -> Field:
        out = np.empty(x.shape, np.float32)
        for i in range(len(x)):  # a slice at a time keeps the coordinates small
            where = np.stack([x[i], y[i], z[i]]) / np.float32(spacing)
            out[i] = ndimage.map_coordinates(lattice, where, order=1, mode="grid-wrap")
        return out

    return sample


def inside(distance: Field, width: float) -> Field:
    """Return the part of a voxel in which ``distance`` is negative, 0 to 1."""
    return np.clip(np.float32(0.5) - distance / np.float32(width), 0.0, 1.0)


def ellipsoid(x: Field, y: Field, z: Field, center: Point, radii: Point) -> Field:
    """Distance to an ellipsoid, negative inside; exact to first order at its surface."""
    first = np.zeros((), np.float32)
    second = np.zeros((), np.float32)
    for p, c, r in zip((x, y, z), center, radii, strict=True):
        square = ((p - np.float32(c)) / np.float32(r)) ** 2
        first = first + square
        second = second + square / np.float32(r * r)
    root = np.sqrt(first)
    distance: Field = root * (root - 1.0) / np.sqrt(np.maximum(second, np.float32(1e-12)))
    return distance


def capsule(
    x: Field, y: Field, z: Field, a: Point, b: Point, radius_a: float, radius_b: float
) -> Field:
    """Distance to a tube from ``a`` to ``b`` with round ends."""
    d = [v - u for u, v in zip(a, b, strict=True)]
    p = [c - np.float32(u) for c, u in zip((x, y, z), a, strict=True)]
    t = (p[0] * d[0] + p[1] * d[1] + p[2] * d[2]) / np.float32(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
    t = np.clip(t, 0.0, 1.0).astype(np.float32)
    away = np.sqrt(sum((c - t * np.float32(e)) ** 2 for c, e in zip(p, d, strict=True)))
    distance: Field = away - np.float32(radius_a) - t * np.float32(radius_b - radius_a)
    return distance


def join(a: Field, b: Field, blend: float) -> Field:
    """Union of two shapes with a fillet of ``blend`` mm."""
    h = np.maximum(np.float32(blend) - np.abs(a - b), 0.0) / np.float32(blend)
    joined: Field = np.minimum(a, b) - h * h * np.float32(blend / 4.0)
    return joined


def carve(a: Field, b: Field, blend: float) -> Field:
    """Return the intersection of ``a`` and ``b``, with edges rounded by ``blend`` mm."""
    return -join(-a, -b, blend)


def slope(values: Field, spacing: Point) -> list[Field]:
    """Gradient along the three axes, per mm."""
    return [g.astype(np.float32) for g in np.gradient(values, *spacing)]


def sheet_distance(values: Field, spacing: Point) -> Field:
    """Distance to where a field is zero, to first order, mm."""
    steep = np.zeros_like(values)
    for axis in range(3):  # one at a time, for memory
        steep += np.gradient(values, spacing[axis], axis=axis).astype(np.float32) ** 2
    np.sqrt(steep, out=steep)
    # Where the field is flat the first order runs off: keep sheets thin there.
    floor = np.float32(0.35) * np.float32(steep[::4, ::4, ::4].mean(dtype=np.float64))
    distance: Field = np.abs(values) / np.maximum(steep, floor)
    return distance
