"""Error metrics of an image against the truth: RMSE, MAE, PSNR and SSIM.

A PSNR means little without its mask and data range, an SSIM without its window.
:class:`MetricSettings` holds all three and describes them in words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from napari_mrisr.errors import ParameterError, explain

FloatVolume = NDArray[np.floating]
BoolArray = NDArray[np.bool_]

# Options of skimage's structural_similarity, and voxels the window spans.
# "gaussian" is that of Wang (2004, doi 10.1109/TIP.2003.819861), "uniform" skimage's default.
_WINDOWS: dict[str, tuple[dict[str, object], int]] = {
    "gaussian": (
        {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "truncate": 3.5},
        11,
    ),
    "uniform": ({"win_size": 7, "use_sample_covariance": True}, 7),
}
SSIM_WINDOWS = tuple(_WINDOWS)
_WINDOW_WORDS = {"gaussian": "Gaussian σ 1.5", "uniform": "uniform 7³"}

# Planes per slab: bounds the dozen float64 temporaries of SSIM.
_SLAB_PLANES = 32


@dataclass(frozen=True)
class MetricSettings:
    """Data ranges and SSIM window.

    Attributes
    ----------
    data_range : float
        Peak of the PSNR, in the images' unit.
    ssim_range : float
        Data range of the SSIM, in the images' unit.
    ssim_window : str
        ``gaussian`` (Wang's σ of 1.5 voxels) or ``uniform`` (7³ voxels).
    """

    data_range: float = 1.0
    ssim_range: float = 1.0
    ssim_window: str = "gaussian"

    def __post_init__(self) -> None:
        _check_range(self.data_range)
        _check_range(self.ssim_range)
        _check_window(self.ssim_window)

    def describe(self) -> str:
        """Return one line: ``PSNR range 1; SSIM range 1, window Gaussian σ 1.5``."""
        window = _WINDOW_WORDS[self.ssim_window]
        return f"PSNR range {self.data_range:g}; SSIM range {self.ssim_range:g}, window {window}"


@dataclass(frozen=True)
class Measurement:
    """PSNR and SSIM inside one mask.

    Attributes
    ----------
    psnr_db : float
        In dB; infinite for equal images, NaN if undefined.
    ssim : float
        NaN if undefined.
    note : str
        Reason for an infinite or undefined value; empty if both are finite.
    further : dict of str to float
        Metrics asked for besides, by column.
    """

    psnr_db: float
    ssim: float
    note: str = ""
    further: dict[str, float] = field(default_factory=dict)


def rmse(truth: FloatVolume, image: FloatVolume, *, mask: BoolArray | None = None) -> float:
    """Return the root mean square error, in the images' unit.

    Parameters
    ----------
    truth, image : (x, y, z) ndarray of float
        Images on the same grid.
    mask : (x, y, z) ndarray of bool, optional
        Voxels to count; all by default.

    Returns
    -------
    float
        NaN for an empty mask.

    Raises
    ------
    ParameterError
        If the shapes differ.
    """
    difference = _difference(truth, image, mask)
    return math.sqrt(float(np.mean(np.square(difference)))) if difference.size else math.nan


def mae(truth: FloatVolume, image: FloatVolume, *, mask: BoolArray | None = None) -> float:
    """Return the mean absolute error, in the images' unit; parameters as for :func:`rmse`."""
    difference = _difference(truth, image, mask)
    return float(np.mean(np.abs(difference))) if difference.size else math.nan


def psnr(
    truth: FloatVolume,
    image: FloatVolume,
    *,
    data_range: float,
    mask: BoolArray | None = None,
) -> float:
    """Return the peak signal-to-noise ratio, 20 log10(data range / RMSE).

    Parameters
    ----------
    truth, image : (x, y, z) ndarray of float
        Images on the same grid.
    data_range : float
        Peak, in the images' unit: 1 for images normalized to [0, 1].
    mask : (x, y, z) ndarray of bool, optional
        Voxels to count; all by default. Over the whole field of view, the
        empty background raises the value by 5 to 9 dB.

    Returns
    -------
    float
        In dB; infinite for equal images, NaN for an empty mask.

    Raises
    ------
    ParameterError
        If the shapes differ or the range is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.zeros((12, 13, 14))
    >>> round(psnr(truth, truth + 0.1, data_range=1.0), 6)
    20.0
    """
    _check_range(data_range)
    error = rmse(truth, image, mask=mask)
    return math.inf if error == 0.0 else 20.0 * math.log10(data_range / error)


def ssim(
    truth: FloatVolume,
    image: FloatVolume,
    *,
    data_range: float,
    mask: BoolArray | None = None,
    window: str = "gaussian",
) -> float:
    """Return the structural similarity of 3D windows (Wang 2004).

    Equal to ``skimage.metrics.structural_similarity(gaussian_weights=True,
    sigma=1.5, use_sample_covariance=False)``. Without a mask the mean omits the
    border, where the window leaves the image; with a mask the whole map is averaged
    inside it.

    Parameters
    ----------
    truth, image : (x, y, z) ndarray of float
        Images on the same grid.
    data_range : float
        Range of the intensities, in the images' unit.
    mask : (x, y, z) ndarray of bool, optional
        Voxels whose similarity is averaged.
    window : str
        ``gaussian``, or ``uniform`` for skimage's default of 7³ voxels.

    Returns
    -------
    float
        1 for equal images; NaN for an empty mask, or if an axis is shorter
        than the window (11 voxels, or 7).

    Raises
    ------
    ParameterError
        If the shapes differ, the range is not positive or the window is unknown.

    References
    ----------
    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli. IEEE Trans. Image Process.
    13, 600 (2004). doi 10.1109/TIP.2003.819861

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.random.default_rng(0).random((12, 13, 14))
    >>> ssim(truth, truth, data_range=1.0)
    1.0
    """
    _check_range(data_range)
    _check_window(window)
    return _ssim_means(truth, image, {"": mask}, data_range, window)[""]


def measure(
    truth: FloatVolume,
    image: FloatVolume,
    masks: Mapping[str, BoolArray | None],
    settings: MetricSettings | None = None,
) -> dict[str, Measurement]:
    """Return PSNR and SSIM inside several masks; the SSIM map is computed once.

    Parameters
    ----------
    truth, image : (x, y, z) ndarray of float
        Images on the same grid.
    masks : mapping of str to ndarray of bool or None
        Masks by name; None is the whole field of view.
    settings : MetricSettings, optional
        Ranges and window.

    Returns
    -------
    dict of str to Measurement

    Raises
    ------
    ParameterError
        If the shapes differ.
    """
    settings = settings or MetricSettings()
    similar = _ssim_means(truth, image, masks, settings.ssim_range, settings.ssim_window)
    found = {}
    for name, mask in masks.items():
        peak = psnr(truth, image, mask=mask, data_range=settings.data_range)
        empty = mask is not None and not mask.any()
        note = _note(peak, similar[name], empty, settings.ssim_window)
        found[name] = Measurement(peak, similar[name], note)
    return found


def measure_slices(
    truth: FloatVolume,
    image: FloatVolume,
    mask: BoolArray,
    axis: int,
    settings: MetricSettings | None = None,
) -> Measurement:
    """Return PSNR and SSIM of slices that are no neighbors: windows lie in the slice.

    Parameters
    ----------
    truth, image : (x, y, z) ndarray of float
        Stacks of slices.
    mask : (x, y, z) ndarray of bool
        Voxels to count.
    axis : int
        Axis across the slices.
    settings : MetricSettings, optional
        Ranges and window.
    """
    settings = settings or MetricSettings()
    peak = psnr(truth, image, mask=mask, data_range=settings.data_range)
    total = 0.0
    for a, b, inside in zip(*(np.moveaxis(x, axis, 0) for x in (truth, image, mask)), strict=True):
        if inside.any():
            similar = _ssim_means(a, b, {"": inside}, settings.ssim_range, settings.ssim_window)
            total += similar[""] * int(np.count_nonzero(inside))
    count = int(np.count_nonzero(mask))
    similarity = total / count if count else math.nan
    return Measurement(peak, similarity, _note(peak, similarity, count == 0, settings.ssim_window))


def _note(peak: float, similar: float, empty: bool, window: str) -> str:
    if empty:
        return "the mask is empty"
    notes = []
    if math.isinf(peak):
        notes.append("the images are equal: PSNR is infinite")
    if math.isnan(peak):
        notes.append("values that are not finite: PSNR is undefined")
    elif math.isnan(similar):
        notes.append(f"an axis is shorter than SSIM's window of {_WINDOWS[window][1]} voxels")
    return "; ".join(notes)


def _ssim_means(
    truth: FloatVolume,
    image: FloatVolume,
    masks: Mapping[str, BoolArray | None],
    data_range: float,
    window: str,
) -> dict[str, float]:
    for mask in masks.values():
        _check_shapes(truth, image, mask)
    pad = _WINDOWS[window][1] // 2
    if min(truth.shape) < 2 * pad + 1:
        return dict.fromkeys(masks, math.nan)
    inside = np.zeros(truth.shape, dtype=np.bool_)
    inside[(slice(pad, -pad),) * truth.ndim] = True
    chosen = {name: inside if mask is None else mask for name, mask in masks.items()}
    sums = dict.fromkeys(masks, 0.0)
    for start, stop, similarity in _ssim_slabs(truth, image, data_range, window):
        for name, mask in chosen.items():
            sums[name] += float(similarity[mask[start:stop]].sum())
    counts = {name: int(np.count_nonzero(mask)) for name, mask in chosen.items()}
    return {name: sums[name] / counts[name] if counts[name] else math.nan for name in masks}


def _ssim_slabs(
    truth: FloatVolume, image: FloatVolume, data_range: float, window: str
) -> Iterator[tuple[int, int, NDArray[np.float64]]]:
    """Yield the SSIM map in slabs along the first axis: start, stop, map."""
    options, width = _WINDOWS[window]
    n, pad = truth.shape[0], width // 2
    slabs = max(1, n // max(_SLAB_PLANES, width))
    for index in range(slabs):
        start, stop = n * index // slabs, n * (index + 1) // slabs
        low, high = max(0, start - pad), min(n, stop + pad)
        _, full = structural_similarity(  # type: ignore[no-untyped-call]
            truth[low:high].astype(np.float64),
            image[low:high].astype(np.float64),
            data_range=data_range,
            full=True,
            **options,
        )
        yield start, stop, full[start - low : stop - low]


def _difference(
    truth: FloatVolume, image: FloatVolume, mask: BoolArray | None
) -> NDArray[np.float64]:
    _check_shapes(truth, image, mask)
    if mask is not None:
        truth, image = truth[mask], image[mask]
    return np.subtract(truth, image, dtype=np.float64)


def _check_shapes(truth: FloatVolume, image: FloatVolume, mask: BoolArray | None) -> None:
    for name, other in (("image", image), ("mask", mask)):
        if other is not None and other.shape != truth.shape:
            found = f"{name} of shape {other.shape} for a truth of shape {truth.shape}"
            raise ParameterError(explain("metrics", found, "bring both onto one grid"))
    if mask is not None and mask.dtype != np.bool_:
        raise ParameterError(explain("metrics", f"mask of type {mask.dtype}", "give booleans"))


def _check_range(data_range: float) -> None:
    if not (math.isfinite(data_range) and data_range > 0):
        raise ParameterError(explain("data_range", f"{data_range}", "give a positive number"))


def _check_window(window: str) -> None:
    if window not in _WINDOWS:
        mend = f"choose from {', '.join(SSIM_WINDOWS)}"
        raise ParameterError(explain("SSIM window", repr(window), mend))
