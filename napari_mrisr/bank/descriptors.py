"""Descriptions of patches, from which the nearest anchor is found.

=========  =========================================================================
gradients  differences of a canonical patch to its center. Training turns them into
           first and second derivatives and keeps their principal components, which
           is one linear map (Timofte et al. 2013 and 2014: ANR, A+)
phase      phase stretch transform (Asghari and Jalali 2015) in 3D in a canonical
           patch: the angle of the intensities after a filter whose phase grows with
           the frequency. PhSAR
tensor     logarithm of the structure tensor along canonical axes (log-Euclidean
           metric, Arsigny et al. 2006), without its mean eigenvalue
=========  =========================================================================

None has a unit. Scaling the intensities multiplies ``gradients`` by the factor and leaves
``phase`` and ``tensor`` as they are, so the nearest anchor stays the same.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.symmetries import ELEMENTS, element_offsets
from napari_mrisr.core.volume import FloatArray, Region, Shape
from napari_mrisr.errors import BankError, explain
from napari_mrisr.kernels import cpu_samples
from napari_mrisr.kernels.cpu import COMPONENTS
from napari_mrisr.operators.gradients import Window, mirrored_box, tensor_box

KINDS = ("gradients", "phase", "tensor")

_MOST_WIDTH = 15

# Phase stretch transform: strength and warp of the phase, width of the low-pass filter in
# cycles per voxel, and half width of the kernel in voxels.
_STRENGTH, _WARP, _LOW_PASS, _REACH = 2.0, 12.0, 0.25, 2
_GRID = 33

# Eigenvalues are raised by this part of their sum: the logarithm of a small one is noise.
_LEAST = 0.01


@dataclass(frozen=True)
class Descriptor:
    """A kind of description, and the patch that it sees.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    shape : tuple of int
        Canonical patch, odd; (1, 1, 1) for ``tensor``.
    """

    kind: str
    shape: Shape

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            found = f"unknown features {self.kind!r}"
            raise BankError(explain("anchors", found, f"choose from {', '.join(KINDS)}"))
        if not all(w % 2 == 1 and 1 <= w <= _MOST_WIDTH for w in self.shape):
            mend = f"use odd widths of 1 to {_MOST_WIDTH}"
            raise BankError(explain("anchors", f"patch {self.shape}", mend))
        if self.kind == "tensor" and self.shape != (1, 1, 1):
            raise BankError(explain("anchors", f"tensor of a patch {self.shape}", "use (1, 1, 1)"))

    @property
    def inputs(self) -> int:
        """Numbers that describe a voxel."""
        x, y, z = self.shape
        return len(COMPONENTS) if self.kind == "tensor" else x * y * z

    @property
    def reach(self) -> Shape:
        """Voxels needed around a voxel, beyond those of its structure tensor."""
        more = _REACH if self.kind == "phase" else 0
        x, y, z = (w // 2 + more for w in self.shape)
        return x, y, z

    def prepare(
        self, source: FloatArray, corner: Shape, shape: Shape, region: Region, window: Window
    ) -> FloatArray:
        """Compute the image of which :meth:`rows` takes patches.

        Parameters
        ----------
        source, corner, shape, region, window
            As :func:`napari_mrisr.operators.gradients.tensor_box`.

        Returns
        -------
        ndarray of float32
            The region with half a patch around it; for ``tensor``, ``(x, y, z, 6)``.
        """
        if self.kind == "tensor":
            tensor, _ = tensor_box(source, corner, shape, region, window)
            return log_tensor(tensor[:, 1:-1, 1:-1, 1:-1])
        spans = [
            (a - r, b + r) for a, b, r in zip(region.start, region.stop, self.reach, strict=True)
        ]
        box = mirrored_box(source, corner, shape, spans)
        return phase_stretch(box) if self.kind == "phase" else box

    def rows(
        self, image: FloatArray, element: NDArray[np.uint8], chosen: NDArray[np.intp]
    ) -> FloatArray:
        """Return the canonical description of chosen voxels.

        Parameters
        ----------
        image : ndarray of float32
            From :meth:`prepare`.
        element : (x, y, z) ndarray of uint8
            Symmetry that makes each voxel of the region canonical.
        chosen : (n,) ndarray of int
            Flat indices into ``element``.

        Returns
        -------
        (n, inputs) ndarray of float32
        """
        turn = element.reshape(-1)[chosen]
        if self.kind == "tensor":
            order, signs = _tensor_turns()
            flat = image.reshape(-1, len(COMPONENTS))[chosen]
            return np.take_along_axis(flat, order[turn], axis=1) * signs[turn]
        _, ny, nz = image.shape
        a, b, c = (width // 2 for width in self.shape)
        x, y, z = np.unravel_index(chosen, element.shape)
        base = ((x + a) * ny + y + b) * nz + z + c
        offsets = element_offsets(self.shape, (ny * nz, nz, 1))
        rows = np.empty((chosen.size, self.inputs), np.float32)
        cpu_samples.gather(image, base, turn, offsets, self.kind == "gradients", rows)
        return rows


def log_tensor(tensor: FloatArray) -> FloatArray:
    """Compute the logarithm of symmetric tensors without its mean eigenvalue.

    Parameters
    ----------
    tensor : (6, x, y, z) ndarray of float32
        Components xx, xy, xz, yy, yz, zz.

    Returns
    -------
    (x, y, z, 6) ndarray of float32
        Components in the same order; those off the diagonal times √2, so that the Euclidean
        distance is that of the matrices. 0 where the tensor is 0.
    """
    matrix = np.empty((*tensor.shape[1:], 3, 3))
    for number, (a, b) in enumerate(COMPONENTS):
        matrix[..., a, b] = matrix[..., b, a] = tensor[number]
    trace = np.einsum("...ii->...", matrix)[..., None]
    values, vectors = np.linalg.eigh(matrix)
    raised = np.where(trace > 0.0, np.maximum(values, 0.0) + _LEAST * trace, 1.0)
    logs = np.log(raised)
    logs -= logs.mean(axis=-1, keepdims=True)
    found = np.einsum("...ik,...k,...jk->...ij", vectors, logs, vectors)
    parts = [found[..., a, b] * (1.0 if a == b else np.sqrt(2.0)) for a, b in COMPONENTS]
    return np.stack(parts, axis=-1).astype(np.float32)


@functools.cache
def _tensor_turns() -> tuple[NDArray[np.intp], FloatArray]:
    """Return the component and the sign of each canonical component, per symmetry."""
    place = {pair: number for number, pair in enumerate(COMPONENTS)}
    order = np.empty((len(ELEMENTS), len(COMPONENTS)), np.intp)
    signs = np.empty(order.shape, np.float32)
    for row, (axes, sign) in enumerate(ELEMENTS):
        for number, (a, b) in enumerate(COMPONENTS):
            i, j = sorted((axes[a], axes[b]))
            order[row, number] = place[i, j]
            signs[row, number] = sign[a] * sign[b]
    return order, signs


def phase_stretch(box: FloatArray) -> FloatArray:
    """Compute the phase stretch transform of the inner voxels of a box.

    Parameters
    ----------
    box : (x, y, z) ndarray of float32

    Returns
    -------
    (x - 4, y - 4, z - 4) ndarray of float32
        Phase in radians: the angle between the two parts of the filtered intensities.
    """
    from scipy import ndimage

    inner = (slice(_REACH, -_REACH),) * 3
    even, odd = (ndimage.correlate(box, kernel, mode="constant")[inner] for kernel in _kernels())
    return np.asarray(np.arctan2(odd, even), dtype=np.float32)


@functools.cache
def _kernels() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the real and the imaginary part of the transform's kernel.

    The phase is that of Asghari and Jalali 2015, equation 4, of the distance r to the origin
    of the frequencies. The parts are cut to a few voxels, so that the transform is local.
    """
    frequency = np.fft.fftfreq(_GRID)
    radius = np.sqrt(sum(f**2 for f in np.meshgrid(*[frequency] * 3, indexing="ij")))
    warped = _WARP * radius
    phase = warped * np.arctan(warped) - 0.5 * np.log1p(warped**2)
    transfer = np.exp(-0.5 * (radius / _LOW_PASS) ** 2 + 1j * _STRENGTH * phase / phase.max())
    kernel = np.fft.fftshift(np.fft.ifftn(transfer))
    middle = (slice(_GRID // 2 - _REACH, _GRID // 2 + _REACH + 1),) * 3
    even, odd = kernel.real[middle].copy(), kernel.imag[middle].copy()
    # A constant has no phase, also under the cut kernel.
    odd -= odd.mean()
    return even / even.sum(), odd / even.sum()
