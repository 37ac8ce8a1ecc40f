"""Training samples: sort them by bucket, and gather their patches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.volume import FloatArray
from napari_mrisr.kernels.jit import jit

IndexArray = NDArray[np.int64]


@jit
def _sort(buckets, places, order):  # type: ignore[no-untyped-def]
    for n in range(buckets.size):
        bucket = buckets[n]
        if bucket < places.size:
            order[places[bucket]] = n
            places[bucket] += 1


def sort_by_bucket(buckets: NDArray[np.int32], count: int) -> tuple[IndexArray, IndexArray]:
    """Sort samples by bucket; the sort is stable.

    Parameters
    ----------
    buckets : (n,) ndarray of int32
        Not negative. Samples of bucket ``count`` and above are left out.
    count : int
        Number of buckets.

    Returns
    -------
    order : (m,) ndarray of int64
        Indices of the samples in their new order.
    ends : (count + 1,) ndarray of int64
        The samples of bucket b are ``order[ends[b]:ends[b + 1]]``.
    """
    ends = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(buckets, minlength=count)[:count], out=ends[1:])
    order = np.empty(ends[-1], np.int64)
    _sort(buckets, ends[:-1].copy(), order)
    return order, ends


@jit
def _gather(source, base, element, offsets, centered, out):  # type: ignore[no-untyped-def]
    for s in range(out.shape[0]):
        steps = offsets[element[s]]
        center = source[base[s]] if centered else np.float32(0.0)
        for t in range(out.shape[1]):
            # Unsigned: numba then omits its check for negative indices.
            out[s, t] = source[np.uint64(base[s] + steps[t])] - center


def gather(
    source: FloatArray,
    base: IndexArray,
    element: NDArray[np.uint8],
    offsets: IndexArray,
    centered: bool,
    out: FloatArray,
) -> None:
    """Copy one patch per sample.

    Parameters
    ----------
    source : (x, y, z) ndarray of float32
        C contiguous.
    base : (n,) ndarray of int64
        Flat indices of the samples.
    element : (n,) ndarray of uint8
        Symmetry of each sample.
    offsets : (48, taps) ndarray of int64
        Distance from ``base`` to each tap, per symmetry.
    centered : bool
        Subtract the value at ``base`` from the patch.
    out : (n, taps) ndarray of float32
        Receives the patches; C contiguous.
    """
    _gather(source.reshape(-1), base, element, offsets, centered, out)
