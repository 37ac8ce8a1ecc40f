"""Buckets of a volume beside those of the training, and two banks bucket by bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.model import FilterBank, Stage
from napari_mrisr.errors import BankError, ParameterError, explain
from napari_mrisr.inspection.source import check_stage

Column = NDArray[Any]


def count_buckets(
    buckets: NDArray[Any], bucket_count: int, inside: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Voxels in each bucket of a map, of all or of those inside a mask.

    Slab by slab: counting turns its input into 64-bit numbers.

    Returns
    -------
    (bucket_count,) ndarray of int64
    """
    total = np.zeros(bucket_count, np.int64)
    for number, slab in enumerate(buckets):
        chosen = slab.reshape(-1) if inside is None else slab[inside[number]]
        total += np.bincount(chosen, minlength=bucket_count)
    return total


def gain_db(stage: Stage) -> NDArray[np.float64]:
    """What a stage gains over what came before it, of each bucket's training samples, dB.

    NaN where there were no samples, and for a stage without residual, whose bank
    does not hold the error before it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = stage.start_error.astype(np.float64) / stage.error
        return np.asarray(20.0 * np.log10(np.where(stage.error > 0, ratio, np.nan)))


def gain_reference(bank: FilterBank, number: int) -> str | None:
    """What :func:`gain_db` is measured against; None when the bank does not say.

    The first stage starts from the interpolation, ``tricubic`` in all but the
    banks of the 2021 paper's degradation; later ones from the stage before.
    """
    if not check_stage(bank, number).spec.residual:
        return None
    return bank.start if number == 0 else f"stage {number}"


@dataclass(frozen=True, eq=False)
class BucketTable:
    """A row a bucket.

    Attributes
    ----------
    bucket : (n,) ndarray of int64
    here : (n,) ndarray of int64
        Voxels of the volume, inside the head where counted so.
    training : (n,) ndarray of int64
        Training samples.
    error, start_error : (n,) ndarray of float32
        Root mean squared error over the training samples after and before the
        stage, engine units; NaN where not known.
    gain : (n,) ndarray of float64
        dB; see :func:`gain_db`.
    filter_count : int
        Buckets that have a filter: the first ones.
    """

    bucket: NDArray[np.int64]
    here: NDArray[np.int64]
    training: NDArray[np.int64]
    error: NDArray[np.float32]
    start_error: NDArray[np.float32]
    gain: NDArray[np.float64]
    filter_count: int

    def column(self, name: str) -> Column:
        """A column by name."""
        if name not in self.__dataclass_fields__:
            mend = f"choose from {', '.join(self.__dataclass_fields__)}"
            raise ParameterError(explain("column", repr(name), mend))
        return np.asarray(getattr(self, name))

    def order(self, name: str, descending: bool = True) -> NDArray[np.int64]:
        """Rows sorted by a column; equal ones by bucket, NaN last either way."""
        return sorted_rows(self.column(name), descending)

    def share(self, name: str) -> NDArray[np.float64]:
        """``here`` or ``training`` as a share of all voxels that have a filter, 0 to 1.

        NaN for flat voxels: they are not trained on, and would hide the rest.
        """
        counts = self.column(name).astype(np.float64)
        counts[self.filter_count :] = np.nan
        total = np.nansum(counts)
        return counts / total if total > 0 else counts


def sorted_rows(column: Column, descending: bool) -> NDArray[np.int64]:
    """Row numbers in a column's order; stable, NaN last."""
    values = column.astype(np.float64)
    key = -values if descending else values
    return np.argsort(np.where(np.isnan(values), np.inf, key), kind="stable")


def bucket_table(
    buckets: NDArray[Any], stage: Stage, inside: NDArray[np.bool_] | None = None
) -> BucketTable:
    """Counts of a bucket map beside what the bank knows of its training.

    Parameters
    ----------
    buckets : ndarray of int
        Of :func:`napari_mrisr.inspection.maps.bucket_map`.
    stage : Stage
        The same.
    inside : ndarray of bool, optional
        What to count; training samples come from inside heads.
    """
    count = stage.spec.hash.bucket_count
    return BucketTable(
        bucket=np.arange(count),
        here=count_buckets(buckets, count, inside),
        training=stage.support,
        error=stage.error,
        start_error=stage.start_error,
        gain=gain_db(stage),
        filter_count=stage.spec.hash.filter_count,
    )


@dataclass(frozen=True, eq=False)
class BankComparison:
    """A stage of two banks, a row a bucket.

    Attributes
    ----------
    first, second : Stage
    difference : (n,) ndarray of float64
        Length of the difference of the two filters over the first one's length,
        over all outputs; NaN for a bucket without filter.
    support_ratio, error_ratio : (n,) ndarray of float64
        The second bank's over the first's; NaN where not known.
    """

    first: Stage
    second: Stage
    difference: NDArray[np.float64]
    support_ratio: NDArray[np.float64]
    error_ratio: NDArray[np.float64]


def compare_banks(first: FilterBank, second: FilterBank, number: int) -> BankComparison:
    """Compare a stage of two banks bucket by bucket.

    Parameters
    ----------
    first, second : FilterBank
    number : int
        Which stage, from 0.

    Raises
    ------
    BankError
        When a bucket of one is not the same bucket of the other; says why.
    ParameterError
        When one has no such stage.
    """
    a, b = check_stage(first, number), check_stage(second, number)
    reason = _mismatch(first, a, second, b)
    if reason is not None:
        mend = "choose a bank of the same preset and scale"
        raise BankError(explain(f"{second.name} beside {first.name}", reason, mend))
    one, two = (s.weights.astype(np.float64) for s in (a, b))
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.linalg.norm(two - one, axis=(1, 2)) / np.linalg.norm(one, axis=(1, 2))
        support = b.support / a.support.astype(np.float64)
        error = b.error.astype(np.float64) / a.error
    flat = a.spec.hash.bucket_count - a.spec.hash.filter_count
    difference = np.pad(difference, (0, flat), constant_values=np.nan)
    difference, support, error = (
        np.where(np.isfinite(column), column, np.nan) for column in (difference, support, error)
    )
    return BankComparison(a, b, difference, support, error)


def _mismatch(first: FilterBank, a: Stage, second: FilterBank, b: Stage) -> str | None:
    """Why buckets of two stages are not the same, in words; None where they are."""
    if first.scale != second.scale:
        return f"scale {_x(second.scale)}, not {_x(first.scale)}"
    if a.spec.grid != b.spec.grid:
        return f"its stage works on {b.spec.grid}s, not {a.spec.grid}s"
    if a.spec.width != b.spec.width:
        return f"patches of {b.spec.width}³, not {a.spec.width}³"
    if a.spec.residual != b.spec.residual:
        return "one filters differences to the center, the other the patch itself"
    one, two = a.spec.hash, b.spec.hash
    for name in ("window", "symmetry", "phases", "flat"):
        if getattr(one, name) != getattr(two, name):
            return f"{name} {getattr(two, name)}, not {getattr(one, name)}"
    for name in sorted({*one.cuts, *two.cuts}):
        if one.cuts.get(name, ()) != two.cuts.get(name, ()):
            return f"{name} is cut at {two.cuts.get(name, ())}, not at {one.cuts.get(name, ())}"
    return None


def _x(scale: tuple[int, ...]) -> str:
    return "x".join(map(str, scale))
