"""Further metrics against the truth: VIF, HFEN, GMSD and multi-scale SSIM, in 3D and 2D.

Each metric is blind to something; ``docs/reference/metrics.md`` says to what. All take images
in one unit and, where a constant depends on it, the data range.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.metrics import structural_similarity

from napari_mrisr.errors import ParameterError, explain

FloatVolume = NDArray[np.floating]
BoolArray = NDArray[np.bool_]
NDFloat = NDArray[np.float64]

_VIF_SCALES = 4
_VIF_NOISE = 2.0 / 255.0**2
_LOG_SIGMA = 1.5
_ROUNDING = 1e-9
_GMSD_CONSTANT = 170.0 / 255.0**2
_MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_MS_WINDOW = 11


def visual_information(truth: FloatVolume, image: FloatVolume, *, data_range: float) -> float:
    """Return the visual information fidelity (VIF), in the pixel domain, extended to 3D.

    The information that the image shares with the truth, relative to that in the truth, under
    a local Gaussian model with noise of variance 2 per 255² of the data range. Sum over four
    scales with Gaussian windows of 17, 9, 5 and 3 voxels (σ a fifth of it), without padding;
    each scale halves the one before. Scales that do not fit the volume are left out.

    Sheikh and Bovik 2006, doi 10.1109/TIP.2005.859378 (there in 2D).

    Parameters
    ----------
    truth, image : (x, y, z) or (x, y) ndarray of float
        Images on the same grid.
    data_range : float
        In the images' unit.

    Returns
    -------
    float
        1 for equal images, 0 for unrelated ones, above 1 for more contrast than the truth;
        NaN if the truth is constant or no scale fits.

    Raises
    ------
    ParameterError
        If the shapes differ or the range is not positive.
    """
    x, y = _checked(truth, image, data_range)
    noise, shared, total = _VIF_NOISE * data_range**2, 0.0, 0.0
    for scale in range(_VIF_SCALES):
        width = 2 ** (_VIF_SCALES - scale) + 1
        if min(x.shape) < width + (scale > 0) * width:
            break
        taps = np.exp(-0.5 * ((np.arange(width) - width // 2) / (width / 5.0)) ** 2)
        taps /= taps.sum()
        if scale > 0:
            halves = (slice(None, None, 2),) * x.ndim
            x, y = (_valid(array, taps)[halves] for array in (x, y))
        mean_x, mean_y = _valid(x, taps), _valid(y, taps)
        var_x = np.maximum(_valid(x * x, taps) - mean_x**2, 0.0)
        var_y = np.maximum(_valid(y * y, taps) - mean_y**2, 0.0)
        common = _valid(x * y, taps) - mean_x * mean_y
        gain = np.where(var_x > 1e-10 * data_range**2, common / np.maximum(var_x, 1e-30), 0.0)
        gain = np.maximum(gain, 0.0)
        left = np.maximum(var_y - gain * common, 1e-10 * data_range**2)
        shared += float(np.log1p(gain**2 * var_x / (left + noise)).sum())
        total += float(np.log1p(var_x / noise).sum())
    return shared / total if total > 0.0 else math.nan


def high_frequency_error(
    truth: FloatVolume, image: FloatVolume, *, mask: BoolArray | None = None
) -> float:
    """Return the high-frequency error norm (HFEN).

    The norm of the difference of both images' Laplacians of Gaussian (σ 1.5 voxels), relative
    to the norm of the truth's. Ravishankar and Bresler 2011, doi 10.1109/TMI.2010.2090538.

    Parameters
    ----------
    truth, image : (x, y, z) or (x, y) ndarray of float
        Images on the same grid.
    mask : ndarray of bool, optional
        Voxels to count; all by default.

    Returns
    -------
    float
        0 for equal images; NaN if the truth has no detail.

    Raises
    ------
    ParameterError
        If the shapes differ.
    """
    x, y = _checked(truth, image, 1.0)
    fine, difference = _detail(x), _detail(y - x)
    if mask is not None:
        fine, difference = fine[mask], difference[mask]
    norm, least = float(np.linalg.norm(fine)), _ROUNDING * float(np.linalg.norm(x))
    return float(np.linalg.norm(difference)) / norm if norm > least else math.nan


def _detail(array: NDFloat) -> NDFloat:
    """Return the Laplacian of Gaussian, without the constant that its cut-off taps leave."""
    flat = np.ones((1,) * array.ndim)
    left = float(ndimage.gaussian_laplace(flat, _LOG_SIGMA).item())
    return np.asarray(ndimage.gaussian_laplace(array, _LOG_SIGMA) - left * array)


def gradient_deviation(
    truth: FloatVolume,
    image: FloatVolume,
    *,
    data_range: float,
    mask: BoolArray | None = None,
) -> float:
    """Return the gradient magnitude similarity deviation (GMSD), extended to 3D.

    The standard deviation over voxels of (2 a b + c) / (a² + b² + c), where a and b are the
    Prewitt gradients of both images after averaging 2³ voxels, and c is 170 per 255² of the
    data range. Xue et al. 2014, doi 10.1109/TIP.2013.2293423 (there in 2D).

    Parameters
    ----------
    truth, image : (x, y, z) or (x, y) ndarray of float
        Images on the same grid, of at least 6 voxels per axis.
    data_range : float
        In the images' unit.
    mask : ndarray of bool, optional
        Voxels to count; all by default. A block of 2³ counts if all its voxels do.

    Returns
    -------
    float
        0 for equal images; larger for errors that differ from place to place. NaN for an
        empty mask.

    Raises
    ------
    ParameterError
        If the shapes differ or the range is not positive.
    """
    x, y = (_halved(array) for array in _checked(truth, image, data_range))
    a, b = (_prewitt(array) for array in (x, y))
    constant = _GMSD_CONSTANT * data_range**2
    similar = (2.0 * a * b + constant) / (a * a + b * b + constant)
    if mask is not None:
        similar = similar[_halved(mask.astype(np.float64)) == 1.0]
    return float(similar.std()) if similar.size else math.nan


def multiscale_ssim(truth: FloatVolume, image: FloatVolume, *, data_range: float) -> float:
    """Return the multi-scale SSIM, extended to 3D.

    Products of contrast and structure over up to five scales (each the mean of 2³ voxels of
    the one before), and the SSIM at the coarsest, with the weights of Wang et al. 2003
    (doi 10.1109/ACSSC.2003.1292216) and Gaussian windows of σ 1.5. Scales with an axis of
    fewer than 11 voxels are left out, and the weights are divided by their sum.

    Parameters
    ----------
    truth, image : (x, y, z) or (x, y) ndarray of float
        Images on the same grid.
    data_range : float
        In the images' unit.

    Returns
    -------
    float
        1 for equal images; NaN if an axis has fewer than 11 voxels.

    Raises
    ------
    ParameterError
        If the shapes differ or the range is not positive.
    """
    x, y = _checked(truth, image, data_range)
    scales = [n for n in range(len(_MS_WEIGHTS)) if min(x.shape) >> n >= _MS_WINDOW]
    if not scales:
        return math.nan
    weights = np.array(_MS_WEIGHTS[: len(scales)])
    weights /= weights.sum()
    product = 1.0
    for scale, weight in zip(scales, weights, strict=True):
        if scale == scales[-1]:
            found = float(
                structural_similarity(
                    x, y, data_range=data_range, gaussian_weights=True, sigma=1.5,
                    use_sample_covariance=False,
                )  # type: ignore[no-untyped-call]
            )  # fmt: skip
        else:
            found = _contrast_structure(x, y, data_range)
        product *= max(found, 0.0) ** float(weight)
        x, y = _halved(x), _halved(y)
    return product


def _contrast_structure(x: NDFloat, y: NDFloat, data_range: float) -> float:
    """Return the mean of (2 cov + c) / (var + var + c), away from the border as scikit-image."""
    constant, inner = (0.03 * data_range) ** 2, (slice(5, -5),) * x.ndim

    def mean(array: NDFloat) -> NDFloat:
        return np.asarray(ndimage.gaussian_filter(array, 1.5, truncate=3.5)[inner])

    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    common = mean(x * y) - mean_x * mean_y
    return float(np.mean((2.0 * common + constant) / (var_x + var_y + constant)))


def _prewitt(array: NDFloat) -> NDFloat:
    """Return the magnitude of Prewitt gradients, per two voxels."""
    # SciPy's taps are −1, 0, 1 along the axis and sums over 3 voxels along the others.
    sums = 3.0 ** (array.ndim - 1)
    parts = (ndimage.prewitt(array, axis, mode="mirror") / sums for axis in range(array.ndim))
    return np.asarray(np.sqrt(sum(part**2 for part in parts)))


def _halved(array: NDFloat) -> NDFloat:
    """Return the means of blocks of 2³ voxels (2² in 2D); a last odd plane is dropped."""
    even = array[tuple(slice(0, n // 2 * 2) for n in array.shape)]
    blocks = even.reshape([part for n in even.shape for part in (n // 2, 2)])
    return np.asarray(blocks.mean(axis=tuple(range(1, blocks.ndim, 2))))


def _valid(array: NDFloat, taps: NDFloat) -> NDFloat:
    """Filter along all axes, and keep the voxels whose window lies inside."""
    reach = taps.size // 2
    for axis in range(array.ndim):
        array = ndimage.correlate1d(array, taps, axis)
        keep = [slice(None)] * array.ndim
        keep[axis] = slice(reach, array.shape[axis] - reach)
        array = array[tuple(keep)]
    return array


def _checked(truth: FloatVolume, image: FloatVolume, data_range: float) -> tuple[NDFloat, NDFloat]:
    if truth.shape != image.shape or truth.ndim not in (2, 3):
        found = f"shapes {truth.shape} and {image.shape}"
        raise ParameterError(explain("metric", found, "give two images of one shape"))
    if not (math.isfinite(data_range) and data_range > 0.0):
        raise ParameterError(explain("data range", str(data_range), "give a positive number"))
    return np.asarray(truth, np.float64), np.asarray(image, np.float64)
