"""Super-resolve complex scans: real and imaginary part, with filters chosen from the magnitude.

Learned filters expect what a magnitude looks like. A phase that changes within a patch would be
a wave to them. Its smooth part is therefore taken out before them, z · conj(p), and put back after
them, with p interpolated as a complex number, so that no wrap is an edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_mrisr.core.complex_volume import ComplexVolume
from napari_mrisr.core.memory import memory_errors_explained, require_memory
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import RealScale, ScaleLike, parse_scale
from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import DeviceError, ParameterError, explain
from napari_mrisr.io.convert import as_volume
from napari_mrisr.methods import Method, WholeVolume, default_method
from napari_mrisr.methods.interpolation import Interpolation
from napari_mrisr.methods.network import model_of, takes_both_parts
from napari_mrisr.networks.file import NetworkFile
from napari_mrisr.operators.interpolate import tricubic
from napari_mrisr.run.upscale import (
    UpscaleParameters,
    check_labels,
    check_parameters,
    estimate_memory,
    run,
)

Phasor = NDArray[np.complex64]

_REMEDY = "use a smaller scale or crop the input"
# In voxels. Of 0.7, 1 and 1.5 the best for noisy scans whose phase wraps every 12 voxels.
_SMOOTH = 0.7
# Of the output, beyond those of a run.
_BYTES_A_VOXEL = 40


def upscale_complex(
    image: Any,
    scale: ScaleLike | UpscaleParameters,
    *,
    method: str | None = None,
    bank: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    voxel_size: float | Sequence[float] | None = None,
    progress: Progress | None = None,
) -> Any:
    """Super-resolve a complex scan.

    Parameters
    ----------
    image : ComplexVolume or (nx, ny, nz) array of complex numbers
        See :func:`read_complex` for files.
    scale : float, tuple, str or UpscaleParameters
        As in :func:`upscale`; for a :class:`ComplexVolume` it counts R, A, S.
    method, bank, device, threads
        As in :func:`upscale`; ``bank`` may be a network file.
    voxel_size : float or sequence of float, optional
        For an array: its voxel size in mm, along its axes.
    progress : Progress, optional
        Reports blocks of both parts; its token cancels.

    Returns
    -------
    ComplexVolume or array of complex64
        Of the kind of ``image``.

    Raises
    ------
    MrisrError
        As :func:`upscale`.

    Notes
    -----
    ``hashed``, ``anchored`` and ``network`` choose their filters from the magnitude and apply
    them to the real and the imaginary part, after the smooth part of the phase was taken out; it
    is put back later. Interpolation and iterative methods work on both parts as they are;
    networks of other programs take them as two scans, or both together if they declare it. A
    phase wrap is no edge in either part.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_mrisr as sr
    >>> x = np.arange(12)[:, None, None] * np.ones((12, 10, 8))
    >>> wave = sr.upscale_complex(np.exp(0.7j * x), 2, method="tricubic")
    >>> wave.shape
    (24, 20, 16)
    """
    if isinstance(image, ComplexVolume):
        scan, back = image, None
    else:
        data = np.asarray(image)
        if data.dtype.kind != "c":
            found = f"is no array of complex numbers ({data.dtype})"
            raise ParameterError(explain("image", found, "use upscale"))
        magnitude, back = as_volume(np.abs(data), voxel_size=voxel_size)
        phase, _ = as_volume(np.angle(data), voxel_size=voxel_size)
        scan = ComplexVolume(magnitude, phase)
    if isinstance(scale, UpscaleParameters):
        parameters = scale
    else:
        factors, file = parse_scale(scale), None if bank is None else str(bank)
        name = method or default_method(factors, file)
        parameters = UpscaleParameters(factors, name, file, device, threads)
    chosen = check_parameters(parameters)
    result = run_complex(chosen, scan, parameters, progress=progress or Progress())
    if back is None:
        return result
    return back(result.magnitude) * np.exp(1j * back(result.phase)).astype(np.complex64)


def run_complex(
    method: Method, scan: ComplexVolume, parameters: UpscaleParameters, *, progress: Progress
) -> ComplexVolume:
    """Run a method on both parts; see :func:`upscale_complex`."""
    if parameters.device == "gpu" and not isinstance(model_of(method), NetworkFile):
        found = f"gpu, but {method.name} computes complex scans on the CPU"
        raise DeviceError(explain("device", found, "use cpu"))
    check_labels(scan.magnitude, parameters)
    high = scan.grid.upsampled(parameters.scale).shape
    needed = estimate_complex_memory(scan.grid, parameters)
    found = f"an output of {' × '.join(map(str, high))} complex voxels needs"
    require_memory(needed, found, _REMEDY)
    with memory_errors_explained(_REMEDY):
        # Interpolation commutes with any phase, an iterative method models what was measured, and
        # a network of both parts has learned from phases.
        together = takes_both_parts(method)
        unlearned = isinstance(method, Interpolation | WholeVolume) or together
        learned = not unlearned or model_of(method) is not None
        low, phase = _smooth_phase(scan, parameters.scale) if learned else (None, None)
        flat = scan
        if low is not None:
            flat = ComplexVolume.of(scan.data * low.conj(), scan.grid, scan.magnitude)
        parts = flat.parts(progress.token.check)
        real, imaginary = (run(method, part, parameters, progress=progress) for part in parts)
        data = real.data + np.complex64(1j) * imaginary.data
        if phase is not None:
            data *= phase
        how = "computed together" if together else "guided by the magnitude"
        history = {**real.history, "complex": f"real and imaginary part, {how}"}
        return ComplexVolume.of(data, real.grid, real, history)


def estimate_complex_memory(grid: Grid, parameters: UpscaleParameters) -> int:
    """Return the bytes that a run on both parts needs."""
    high = grid.upsampled(parameters.scale).shape
    return estimate_memory(grid, parameters) + _BYTES_A_VOXEL * math.prod(high)


def _smooth_phase(scan: ComplexVolume, scale: RealScale) -> tuple[Phasor, Phasor]:
    """Return the phasor of the smooth part of the phase, on the scan's and on the result's grid."""
    smooth = ndimage.gaussian_filter(scan.data, _SMOOTH, mode="mirror")
    real, imaginary = (tricubic(np.ascontiguousarray(p), scale) for p in (smooth.real, smooth.imag))
    return _phasor(smooth), _phasor(real + np.complex64(1j) * imaginary)


def _phasor(data: Phasor) -> Phasor:
    found: Phasor = np.exp(np.complex64(1j) * np.angle(data))
    return found
