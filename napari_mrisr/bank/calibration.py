"""Expected error of a bank or network: a table that is learned during or after training.

Filters are fitted to one half of the training volumes and applied to the other,
so that the filters never saw the volume they are judged on. The squared errors are
sorted by two measures that need no truth:

strength
    Root of the trace of the structure tensor at an output voxel, where the last
    stage hashes it; engine units per voxel.
detail
    Root mean square of the low-resolution volume's finest detail around the
    voxel (third mixed differences, see :func:`detail_of`), engine units. In flat
    tissue it is the noise. A blurred or interpolated scan has less of it than a sharp one.

Cells hold the middle of the spread of the training volumes, not their mean: a new scanner
is as likely on either side. Cells with few samples are smoothed with their neighbors. Each
bucket of the last stage has a factor on this error, and the noise of the whole volume
(:attr:`napari_mrisr.scan.traits.Traits.noise`) another, by a power law.

A network has no buckets. Its strength is the local root mean square of what it adds to
interpolation, and it has one table per slice factor (:class:`CalibrationSeries`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.volume import FloatArray

STRENGTH_CUTS = np.geomspace(0.003, 0.5, 20, dtype=np.float32)
DETAIL_CUTS = np.geomspace(0.002, 0.2, 20, dtype=np.float32)

DETAIL_SIGMA = 1.0
"""Standard deviation of the Gaussian that averages detail, in low-resolution voxels."""

# Evidence, in samples, of a cell's neighborhood and of the mean over all buckets.
_CELL_EVIDENCE = 3000.0
_BUCKET_EVIDENCE = 1000.0
# Fewest voxels of a volume in a cell.
_VOLUME_EVIDENCE = 300

# The noise level is used within this factor of the training's.
_NOISE_REACH = 2.0
# Training gives exponents from 0 to 2.
_MOST_EXPONENT = 10.0

_NUMBERS = ("noise", "exponent", "volumes", "spread")
_ARRAYS = ("strength_cuts", "detail_cuts", "squared_error", "samples", "factor")

NDFloat = NDArray[np.float64]


def detail_of(lr: FloatArray) -> FloatArray:
    """Compute the local root mean square of a volume's finest detail.

    The detail is the second difference along each of the three axes in turn, scaled so that
    white noise of standard deviation σ gives σ. The volume is mirrored at its edges.

    Parameters
    ----------
    lr : (x, y, z) ndarray of float32
        Low resolution, engine units.

    Returns
    -------
    (x, y, z) ndarray of float32
    """
    from scipy import ndimage  # late: 0.2 s, which reading a bank does not need

    taps = np.array([-1.0, 2.0, -1.0]) / np.sqrt(6.0)
    fine = lr
    for axis in range(3):
        fine = ndimage.correlate1d(fine, taps, axis=axis, mode="mirror")
    np.square(fine, out=fine)
    energy = ndimage.gaussian_filter(fine, DETAIL_SIGMA, mode="mirror", truncate=3.0)
    return np.asarray(np.sqrt(energy), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Expected squared errors by strength, detail and bucket.

    Attributes
    ----------
    strength_cuts, detail_cuts : (n,), (m,) ndarray of float32
        Ascending. There are also cells below the first and above the last cut.
    squared_error : (n + 1, m + 1) ndarray of float32
        Engine units, squared.
    samples : (n + 1, m + 1) ndarray of int64
        Training voxels in each cell.
    factor : (buckets,) ndarray of float32
        Factor on the squared error, per bucket of the last stage.
    noise, exponent : float
        The table holds for volumes of this noise level (engine units). For others the
        squared error is multiplied by this power of the ratio.
    volumes : int
        Number of training volumes.
    spread : float
        Spread of the volumes: factor on the RMSE, 1 or more, that holds about two thirds
        of them.
    """

    strength_cuts: FloatArray
    detail_cuts: FloatArray
    squared_error: FloatArray
    samples: NDArray[np.int64]
    factor: FloatArray
    noise: float
    exponent: float
    volumes: int
    spread: float

    def cells(self, strength: FloatArray, detail: FloatArray) -> NDArray[np.intp]:
        """Return the flat index into the table of each voxel."""
        rows = np.searchsorted(self.strength_cuts, strength, side="right")
        columns = np.searchsorted(self.detail_cuts, detail, side="right")
        return rows * np.intp(self.squared_error.shape[1]) + columns

    def expected_error(
        self,
        bucket: NDArray[np.int32],
        strength: FloatArray,
        detail: FloatArray,
        noise: float,
    ) -> FloatArray:
        """Compute the expected RMSE of each voxel, in engine units.

        Parameters
        ----------
        bucket, strength, detail : ndarray
            Arrays of one shape.
        noise : float
            Noise of the whole low-resolution volume; NaN if unknown.
        """
        square = self.squared_error.reshape(-1)[self.cells(strength, detail)] * self.factor[bucket]
        return np.asarray(np.sqrt(square * np.float32(self.noise_factor(noise))), dtype=np.float32)

    def noise_factor(self, noise: float) -> float:
        """Return the factor of a noise level on the squared error; 1 if it is unknown."""
        if not noise > 0.0:
            return 1.0
        ratio = min(max(noise / self.noise, 1.0 / _NOISE_REACH), _NOISE_REACH)
        return float(ratio**self.exponent)

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays by name, for saving."""
        return {f"calibration.{name}": getattr(self, name) for name in _ARRAYS}

    def to_json(self) -> dict[str, float]:
        """Return the numbers that are no arrays, for saving."""
        return {name: getattr(self, name) for name in _NUMBERS}

    @classmethod
    def read(
        cls, data: Mapping[str, Any] | None, tensors: Mapping[str, Any], buckets: int
    ) -> Calibration | None:
        """Read the output of :meth:`tensors` and :meth:`to_json`; None without data.

        Raises
        ------
        ValueError, KeyError, TypeError
            For other data or another number of buckets.
        """
        if data is None:
            return None
        arrays = [tensors[f"calibration.{name}"] for name in _ARRAYS]
        strength_cuts, detail_cuts, squared_error, samples, factor = arrays
        found = cls(
            strength_cuts,
            detail_cuts,
            squared_error,
            samples,
            factor,
            float(data["noise"]),
            float(data["exponent"]),
            int(data["volumes"]),
            float(data["spread"]),
        )
        table = (found.strength_cuts.size + 1, found.detail_cuts.size + 1)
        shapes = (found.squared_error.shape, found.samples.shape, found.factor.shape)
        if shapes != (table, table, (buckets,)):
            raise ValueError(f"calibration of shapes {shapes}")
        for array in (found.squared_error, found.factor):
            if not (np.isfinite(array).all() and (array > 0).all()):
                raise ValueError("calibration that is not positive")
        if not (0.0 < found.noise <= 1e6 and abs(found.exponent) <= _MOST_EXPONENT):
            text = f"calibration with noise {found.noise:g} and exponent {found.exponent:g}"
            raise ValueError(text)
        return found


@dataclass(frozen=True, eq=False)
class CalibrationSeries:
    """Calibrations of a network by slice factor.

    Attributes
    ----------
    factors : tuple of float
        Ascending.
    calibrations : tuple of Calibration
        One per factor, with the same cuts and one bucket.
    """

    factors: tuple[float, ...]
    calibrations: tuple[Calibration, ...]

    def at(self, factor: float) -> Calibration:
        """Return the calibration of a slice factor, between two factors by the logarithms."""
        last = len(self.factors) - 1
        place = np.interp(np.log(factor), np.log(self.factors), np.arange(last + 1))
        low, part = int(place), float(place % 1.0)
        below, above = self.calibrations[low], self.calibrations[min(low + 1, last)]
        near = above if part > 0.5 else below

        def between(a: Any, b: Any) -> Any:
            return np.exp((1.0 - part) * np.log(a) + part * np.log(b))

        return replace(
            near,
            squared_error=between(below.squared_error, above.squared_error).astype(np.float32),
            noise=float(between(below.noise, above.noise)),
            exponent=(1.0 - part) * below.exponent + part * above.exponent,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON; inverse of :meth:`from_json`."""
        return {f"{f:g}": c.to_json() | _lists(c) for f, c in self._pairs()}

    def _pairs(self) -> zip[tuple[float, Calibration]]:
        return zip(self.factors, self.calibrations, strict=True)

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> CalibrationSeries | None:
        """Read what :meth:`to_json` wrote; None without data.

        Raises
        ------
        ValueError, KeyError, TypeError
            For other data.
        """
        if not data:
            return None
        found = []
        for factor, entry in data.items():
            arrays = {
                f"calibration.{name}": np.array(
                    entry[name], np.int64 if name == "samples" else np.float32
                )
                for name in _ARRAYS
            }
            calibration = Calibration.read(entry, arrays, 1)
            assert calibration is not None, "it has data"
            found.append((float(factor), calibration))
        found.sort(key=lambda pair: pair[0])
        if found[0][0] < 1.0 or len({c.squared_error.shape for _, c in found}) > 1:
            raise ValueError("calibrations that do not fit each other")
        return cls(tuple(f for f, _ in found), tuple(c for _, c in found))


def _lists(calibration: Calibration) -> dict[str, Any]:
    """Return the arrays as lists of four significant digits."""
    found = {name: getattr(calibration, name) for name in _ARRAYS}
    return {
        name: array.tolist()
        if array.dtype.kind == "i"
        else np.array([float(f"{v:.4g}") for v in array.flat]).reshape(array.shape).tolist()
        for name, array in found.items()
    }


@dataclass(frozen=True, eq=False)
class VolumeErrors:
    """Squared errors of one held-out volume.

    Attributes
    ----------
    noise : float
        Noise of the volume, engine units.
    squares : (cells, buckets) ndarray of float64
        Sums of squared errors.
    counts : (cells, buckets) ndarray of int64
        Numbers of voxels.
    """

    noise: float
    squares: NDFloat
    counts: NDArray[np.int64]


class CalibrationSums:
    """Squared errors of held-out volumes, one volume after the other.

    Parameters
    ----------
    buckets : int
        Number of buckets of the last stage.
    """

    def __init__(self, buckets: int) -> None:
        self.buckets = buckets
        self.shape = (STRENGTH_CUTS.size + 1, DETAIL_CUTS.size + 1)
        self._lock = threading.Lock()
        self.volumes: list[VolumeErrors] = []

    def begin_volume(self, noise: float) -> None:
        """Start another volume, of that noise level."""
        size = (int(np.prod(self.shape)), self.buckets)
        self.take(VolumeErrors(noise, np.zeros(size), np.zeros(size, np.int64)))

    def take(self, volume: VolumeErrors) -> None:
        """Add a volume that was summed elsewhere."""
        self.volumes.append(volume)

    def add(
        self,
        bucket: NDArray[np.int32],
        strength: FloatArray,
        detail: FloatArray,
        error: FloatArray,
    ) -> None:
        """Add voxels of the volume, on any thread; 1D arrays of one length.

        ``error`` is the result minus the truth, engine units.
        """
        rows = np.searchsorted(STRENGTH_CUTS, strength, side="right")
        columns = np.searchsorted(DETAIL_CUTS, detail, side="right")
        index = (rows * self.shape[1] + columns) * self.buckets + bucket
        squares, counts = self.volumes[-1].squares, self.volumes[-1].counts
        square = error.astype(np.float64) ** 2
        square_sums = np.bincount(index, square, squares.size).reshape(squares.shape)
        numbers = np.bincount(index, minlength=counts.size).reshape(counts.shape)
        with self._lock:
            squares += square_sums
            counts += numbers

    def solve(self) -> Calibration | None:
        """Compute the calibration; None if fewer than two volumes have voxels."""
        known = [volume for volume in self.volumes if volume.counts.any() and volume.noise > 0.0]
        if len(known) < 2:
            return None
        volumes = [(volume.squares, volume.counts) for volume in known]
        noises = np.log([volume.noise for volume in known])
        squares = np.stack([s.sum(axis=1) for s, _ in volumes])
        counts = np.stack([n.sum(axis=1) for _, n in volumes])
        pooled = _smoothed(squares.sum(axis=0), counts.sum(axis=0), self.shape)
        table = _middle(squares, counts, pooled)
        levels = squares.sum(axis=1) / (counts * table).sum(axis=1)
        above, seen = np.zeros(self.buckets), np.zeros(self.buckets)
        for (square, count), level in zip(volumes, levels, strict=True):
            above += (square / (level * table)[:, None]).sum(axis=0)
            seen += count.sum(axis=0)
        factor = (above + _BUCKET_EVIDENCE) / (seen + _BUCKET_EVIDENCE)
        middle, exponent = _line(noises, np.log(levels))
        left = np.log(levels) - exponent * (noises - middle)
        return Calibration(
            STRENGTH_CUTS,
            DETAIL_CUTS,
            table.reshape(self.shape).astype(np.float32),
            counts.sum(axis=0).reshape(self.shape),
            factor.astype(np.float32),
            float(np.exp(middle)),
            exponent,
            len(volumes),
            float(np.exp(0.5 * left.std())),
        )


def _line(noise: NDFloat, level: NDFloat) -> tuple[float, float]:
    """Return the middle of the range of log noise, and the slope of log level, 0 to 2.

    A prior as strong as two volumes with 10 % other noise holds the slope back, because
    volumes of one scanner carry no information about other noise levels.
    """
    away = noise - noise.mean()
    slope = float((away * level).sum() / ((away**2).sum() + 2 * 0.1**2))
    return 0.5 * float(noise.min() + noise.max()), min(max(slope, 0.0), 2.0)


def _smoothed(squares: NDFloat, counts: NDArray[np.int64], shape: tuple[int, int]) -> NDFloat:
    """Return mean squared errors of cells; with few samples, of wider neighborhoods."""
    square, count = squares.reshape(shape), counts.reshape(shape).astype(np.float64)
    mean = np.full(shape, squares.sum() / counts.sum())
    for sigma in (8.0, 4.0, 2.0, 1.0, 0.0):
        around = square if sigma == 0.0 else _blurred(square, sigma)
        weight = count if sigma == 0.0 else _blurred(count, sigma)
        mean = (around + _CELL_EVIDENCE * mean) / (weight + _CELL_EVIDENCE)
    return mean.reshape(-1)


def _blurred(array: NDFloat, sigma: float) -> NDFloat:
    from scipy import ndimage

    # Scaled to the sum over the neighborhood: evidence counts samples.
    blurred = ndimage.gaussian_filter(array, sigma, mode="constant")
    return np.asarray(blurred * (4.0 * np.pi * sigma**2))


def _middle(squares: NDFloat, counts: NDArray[np.int64], pooled: NDFloat) -> NDFloat:
    """Return per cell the middle between volumes with small and with large errors.

    This is the mean of the 10th and 90th percentile of the mean squared error of volumes
    with enough voxels; the pooled value if there are fewer than two.
    """
    mean = squares / np.maximum(counts, 1)
    mean[counts < _VOLUME_EVIDENCE] = np.nan
    table = pooled.copy()
    enough = np.isfinite(mean).sum(axis=0) >= 2
    if enough.any():
        table[enough] = np.nanquantile(mean[:, enough], (0.1, 0.9), axis=0).mean(axis=0)
    return np.maximum(table, 1e-12)
