"""Forward models: from a high-resolution to a low-resolution volume.

================  ==============================================================
``standard``      Gaussian anti-aliasing, then cubic B-spline at the new voxel
                  centers: ``skimage.transform.resize(order=3, anti_aliasing=True)``
``paper-2021``    quadratic B-spline without prefilter or anti-aliasing, end
                  voxels on end voxels: ``scipy.ndimage.zoom(order=2,
                  prefilter=False)``, behind the figures of the 2021 paper
``kspace``        center crop of the spectrum, with an apodization; the sampling
                  of a scanner that measures fewer phase encodings
``slice-profile`` mean over a boxcar or Gaussian of a given width, then every
                  n-th sample; thick slices
================  ==============================================================

All are separable. All keep the field of view, except ``paper-2021``, which stretches it by
less than a voxel, as in the paper.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import Scale, format_scale, whole_scale
from napari_mrisr.core.volume import FloatArray, Volume
from napari_mrisr.errors import GeometryError, ParameterError, explain
from napari_mrisr.operators.interpolate import (
    AxisOperator,
    cubic_weights,
    operator_from_taps,
    prefilter_taps,
    quadratic_operator,
)

DEGRADATION_SUMMARIES = {
    "standard": "Gaussian blur and cubic spline, as in scikit-image",
    "paper-2021": "quadratic spline without blur, as in the 2021 paper",
    "kspace": "k-space truncation",
    "slice-profile": "mean over the slice profile (thick slices)",
}
"""One line per degradation, to show where a user picks one."""

DEGRADATIONS = tuple(DEGRADATION_SUMMARIES)
APODIZATIONS = ("none", "hann", "hamming", "tukey")
PROFILES = ("boxcar", "gaussian")

MIN_LR_VOXELS = 2

# Wider than for upsampling: the composed operator is applied once, so taps are cheap.
_PREFILTER_RADIUS = 14

_SLAB_VOXELS = 2_000_000


@dataclass(frozen=True)
class Degradation:
    """A forward model with its options.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> str(sr.Degradation("kspace", apodization="hann"))
    'kspace:hann'


    Attributes
    ----------
    name : str
        One of :data:`DEGRADATIONS`.
    apodization : str
        ``kspace`` only: window over the kept spectrum, one of :data:`APODIZATIONS`.
    profile : str
        ``slice-profile`` only: one of :data:`PROFILES`.
    fwhm : float
        ``slice-profile`` only: full width at half maximum as a multiple of
        the distance between slices of the result (1: slices touch, below 1: gaps).
    """

    name: str = "standard"
    apodization: str = "none"
    profile: str = "boxcar"
    fwhm: float = 1.0

    def __post_init__(self) -> None:
        _choice("degradation", self.name, DEGRADATIONS)
        _choice("apodization", self.apodization, APODIZATIONS)
        _choice("profile", self.profile, PROFILES)
        if not 0.0 < self.fwhm <= 4.0:
            raise ParameterError(explain("fwhm", str(self.fwhm), "give a width above 0, up to 4"))

    def __str__(self) -> str:
        """Return the name with its options, as :func:`get_degradation` reads it."""
        if self.name == "kspace" and self.apodization != "none":
            return f"kspace:{self.apodization}"
        if self.name == "slice-profile":
            return f"slice-profile:{self.profile}:{self.fwhm:g}"
        return self.name

    def apply(
        self, array: FloatArray, scale: Scale, progress: Progress | None = None
    ) -> FloatArray:
        """Degrade an array whose axes are multiples of ``scale``.

        Parameters
        ----------
        array : (nx, ny, nz) ndarray of float32
            High-resolution voxels.
        scale : tuple of int
            Factor of each axis; an axis of factor 1 is left alone.
        progress : Progress, optional
            One step per axis.

        Returns
        -------
        ndarray of float32, shape ``(nx // sx, ny // sy, nz // sz)``
        """
        progress = progress or Progress()
        progress.begin("degrading", 3)
        low, high = array.min(), array.max()
        for axis, factor in enumerate(scale):
            if factor > 1:
                array = self._apply_axis(array, axis, factor, progress)
            progress.advance()
        if self.name == "standard":  # as skimage's clip=True
            array = np.clip(array, low, high)
        return np.ascontiguousarray(array, dtype=np.float32)

    def _apply_axis(
        self, array: FloatArray, axis: int, factor: int, progress: Progress
    ) -> FloatArray:
        across = 1 if axis == 0 else 0
        parts = []
        # In slabs, so that a cancel takes effect soon.
        for slab in np.array_split(array, max(1, array.size // _SLAB_VOXELS), axis=across):
            progress.token.check()
            parts.append(self._apply_slab(slab, axis, factor))
        return np.concatenate(parts, axis=across)

    def _apply_slab(self, array: FloatArray, axis: int, factor: int) -> FloatArray:
        n = array.shape[axis]
        if self.name == "kspace":
            return _crop_spectrum(array, axis, n // factor, self.apodization)
        if self.name == "paper-2021":
            return quadratic_operator(n, n // factor).apply(array, axis)
        if self.name == "standard":
            return standard_operator(n, factor).apply(array, axis)
        return profile_operator(n, factor, self.profile, self.fwhm).apply(array, axis)


def get_degradation(name: str | Degradation) -> Degradation:
    """Return a degradation by name; options follow after colons, such as ``kspace:hann``.

    ``slice-profile:gaussian:1.2`` is a Gaussian of FWHM 1.2 slice distances.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> sr.get_degradation("slice-profile:gaussian:1.2").fwhm
    1.2
    """
    if isinstance(name, Degradation):
        return name
    base, *options = name.split(":")
    degradation = Degradation(_choice("degradation", base, DEGRADATIONS))
    for option in options:
        if option in APODIZATIONS and base == "kspace":
            degradation = replace(degradation, apodization=option)
        elif option in PROFILES and base == "slice-profile":
            degradation = replace(degradation, profile=option)
        elif base == "slice-profile" and option.replace(".", "", 1).isdecimal():
            degradation = replace(degradation, fwhm=float(option))
        else:
            mend = "use e.g. standard, kspace:hann or slice-profile:gaussian:1.2"
            raise ParameterError(explain("degradation", f"option {option!r} of {name!r}", mend))
    return degradation


def degrade(
    volume: Volume,
    scale: Scale,
    degradation: str | Degradation = "standard",
    *,
    progress: Progress | None = None,
) -> Volume:
    """Simulate a low-resolution volume.

    Parameters
    ----------
    volume : Volume
        High resolution. Axes that are no multiple of their factor lose up to
        ``factor − 1`` voxels at their far end.
    scale : tuple of int
        Factor of each axis, 1 to 8.
    degradation : str or Degradation
        The forward model.
    progress : Progress, optional
        Reports and cancels.

    Returns
    -------
    Volume
        On the degraded grid, in the input's intensities.

    Raises
    ------
    GeometryError
        If fewer than two voxels would remain along an axis.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_mrisr as sr
    >>> data = np.random.default_rng(0).random((12, 12, 12)).astype(np.float32)
    >>> truth = sr.Volume(data, sr.Grid(data.shape, np.eye(4)))
    >>> thick = sr.degrade(truth, (1, 1, 4), "slice-profile:gaussian:1.2")
    >>> thick.grid.shape, thick.grid.voxel_size
    ((12, 12, 3), (1.0, 1.0, 4.0))
    """
    scale = whole_scale(scale, "degrade")
    chosen = get_degradation(degradation)
    for name, n, factor in zip("xyz", volume.grid.shape, scale, strict=True):
        if n // factor < MIN_LR_VOXELS:
            found = f"{n} voxels along {name} at scale {factor} leave {n // factor}"
            mend = f"use a factor of at most {n // MIN_LR_VOXELS} along {name}"
            name_of_input = volume.origin.name if volume.origin else "volume"
            raise GeometryError(explain(name_of_input, found, mend))
    volume = volume.cropped_to_multiple(scale)
    data = chosen.apply(volume.data, scale, progress)
    # In the file's axis order, as on the command line.
    by = format_scale(volume.origin.from_ras(scale) if volume.origin else scale)
    history = {**volume.history, "degradation": str(chosen), "degraded_by": by}
    return replace(volume, data=data, grid=volume.grid.degraded(scale), history=history)


@functools.lru_cache(maxsize=64)
def standard_operator(n: int, factor: int) -> AxisOperator:
    """Return a Gaussian of σ = (factor − 1) / 2 voxels and cubic B-spline sampling.

    The two and the spline's prefilter are symmetric and mirror at the same
    edges, so they compose to one kernel (checked against scikit-image).
    """
    sigma = (factor - 1) / 2.0
    radius = int(4.0 * sigma + 0.5)  # scipy.ndimage.gaussian_filter's truncate=4
    gaussian = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    blur = np.convolve(gaussian / gaussian.sum(), prefilter_taps(_PREFILTER_RADIUS))
    center = (factor - 1) / 2.0  # of the first output, in input voxels
    offset = np.arange(-2, 4) - (center - np.floor(center))
    taps = np.convolve(cubic_weights(offset), blur)
    first = int(np.floor(center)) - 2 - (blur.size // 2) + factor * np.arange(n // factor)
    return operator_from_taps(first, np.tile(taps, (n // factor, 1)), n)


@functools.lru_cache(maxsize=64)
def profile_operator(n: int, factor: int, profile: str, fwhm: float) -> AxisOperator:
    """Return the mean of the voxels under a slice profile, weighted by their overlap.

    ``fwhm`` is in output voxels, so ``fwhm * factor`` input voxels.
    """
    from scipy.special import ndtr

    width = fwhm * factor
    center = (factor - 1) / 2.0
    reach = int(np.ceil(width if profile == "boxcar" else 1.5 * width)) + 1
    position = np.arange(-reach, reach + factor + 1) - center
    if profile == "boxcar":
        overlap = np.minimum(position + 0.5, width / 2) - np.maximum(position - 0.5, -width / 2)
        taps = np.clip(overlap, 0.0, None)
    else:
        edges = np.append(position - 0.5, position[-1] + 0.5)
        taps = np.diff(ndtr(edges * (np.sqrt(8.0 * np.log(2.0)) / width)))
    first = -reach + factor * np.arange(n // factor)
    return operator_from_taps(first, np.tile(taps / taps.sum(), (n // factor, 1)), n)


def _crop_spectrum(array: FloatArray, axis: int, n_out: int, apodization: str) -> FloatArray:
    """Keep the ``n_out`` lowest frequencies along an axis.

    A linear phase moves the samples so that the field of view stays. The
    unpaired Nyquist frequency of an even ``n_out`` is kept as the cosine.
    """
    from scipy import fft, signal

    n = array.shape[axis]
    keep = n_out // 2 + 1
    spectrum = np.moveaxis(fft.rfft(array, axis=axis), axis, -1)[..., :keep]
    frequency = np.arange(keep)
    shift = (n / n_out - 1.0) / 2.0
    # Twice as fine, so that frequency 0 is the window's middle for an odd n_out too.
    fine = 2 * n_out
    window = {
        "none": np.ones(fine),
        "hann": signal.windows.hann(fine, sym=False),
        "hamming": signal.windows.hamming(fine, sym=False),
        "tukey": signal.windows.tukey(fine, 0.5, sym=False),
    }[apodization]
    half = np.fft.ifftshift(window)[::2][:keep]
    factor = half * np.exp(2j * np.pi * frequency * shift / n) * (n_out / n)
    out = fft.irfft(spectrum * factor.astype(np.complex64), n=n_out, axis=-1)
    return np.ascontiguousarray(np.moveaxis(out, -1, axis), dtype=np.float32)


def _choice(subject: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ParameterError(explain(subject, repr(value), f"choose from {', '.join(choices)}"))
    return value
