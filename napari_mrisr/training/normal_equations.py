"""Least squares from sums: accumulators per bucket, and their solution.

For the samples of a bucket with patches A (n × taps) and targets B
(n × outputs), least squares needs only Q = A'A, V = A'B and Σ B² (paper, section
3.3, equations 6 and 7). These sums add, so volumes can be added later, on other
machines and in any order.

The sums of every second volume (the first half) are kept as well. Subtraction gives
those of the second half, and so each half has filters that do not know it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import FloatArray
from napari_mrisr.errors import ParameterError, explain

Accumulator = NDArray[np.floating]

_ROUND_TO = 2.0**-32
_ROUND_BLOCK = 64


@dataclass(eq=False)
class NormalEquations:
    """Accumulators of one stage.

    Attributes
    ----------
    gram : (buckets, taps, taps) ndarray
        Q = A'A per bucket; float64, or float32 to save memory.
    cross : (buckets, taps, outputs) ndarray
        V = A'B.
    energy : (buckets,) ndarray of float64
        Σ B² over samples and outputs.
    count : (buckets,) ndarray of int64
        Samples.
    """

    gram: Accumulator
    cross: Accumulator
    energy: NDArray[np.float64]
    count: NDArray[np.int64]

    @classmethod
    def empty(
        cls, buckets: int, taps: int, outputs: int, dtype: type[np.floating] = np.float64
    ) -> NormalEquations:
        """Return sums of no samples."""
        return cls(
            np.zeros((buckets, taps, taps), dtype),
            np.zeros((buckets, taps, outputs), dtype),
            np.zeros(buckets),
            np.zeros(buckets, np.int64),
        )

    @property
    def outputs(self) -> int:
        """Number of values that a patch predicts."""
        return int(self.cross.shape[2])

    def add(self, bucket: int, patches: FloatArray, targets: FloatArray) -> None:
        """Add samples of one bucket.

        Parameters
        ----------
        bucket : int
        patches : (n, taps) ndarray of float32
        targets : (n, outputs) ndarray of float32
        """
        # numpy calls ssyrk of the BLAS here, which computes one half only.
        self.gram[bucket] += patches.T @ patches
        self.cross[bucket] += patches.T @ targets
        self.energy[bucket] += float(np.einsum("ij,ij->", targets, targets, dtype=np.float64))
        self.count[bucket] += patches.shape[0]

    def merge(self, other: NormalEquations) -> None:
        """Add other sums to these.

        Raises
        ------
        ParameterError
            If the shapes differ.
        """
        if self.gram.shape != other.gram.shape or self.cross.shape != other.cross.shape:
            found = f"shapes {self.cross.shape} and {other.cross.shape}"
            raise ParameterError(explain("merge", found, "use equations of the same preset"))
        self.gram += other.gram
        self.cross += other.cross
        self.energy += other.energy
        self.count += other.count

    def plus(self, other: NormalEquations) -> NormalEquations:
        """Return the sum; neither operand changes."""
        total = self.copy()
        total.merge(other)
        return total

    def copy(self) -> NormalEquations:
        """Return an independent copy."""
        return NormalEquations(
            self.gram.copy(), self.cross.copy(), self.energy.copy(), self.count.copy()
        )

    def round(self) -> None:
        """Round sums of double precision to multiples of 2⁻³², in place."""
        if self.gram.dtype.itemsize < 8:
            return
        for array in (self.gram, self.cross, self.energy):
            for start in range(0, len(array), _ROUND_BLOCK):
                block = array[start : start + _ROUND_BLOCK]
                np.multiply(block, 1 / _ROUND_TO, out=block)
                np.rint(block, out=block)
                np.multiply(block, _ROUND_TO, out=block)

    def minus(self, part: NormalEquations) -> NormalEquations:
        """Return the sums without those of a part of the samples."""
        return NormalEquations(
            self.gram - part.gram,
            self.cross - part.cross,
            np.maximum(self.energy - part.energy, 0.0),
            self.count - part.count,
        )

    def solve(self, ridge: float, progress: Progress | None = None) -> FloatArray:
        """Solve for the filters by ridge regression towards one common filter.

        W_b = argmin Σ |A W − B|² + r |W − W₀|², with W₀ the solution for all
        samples together. A bucket without samples gets W₀.

        Parameters
        ----------
        ridge : float
            Weight of W₀ in samples per bucket: r is ``ridge`` times the mean diagonal
            of Q per sample.
        progress : Progress, optional
            Advances by one step per bucket.

        Returns
        -------
        (buckets, taps, outputs) ndarray of float32
        """
        progress = progress or Progress()
        total_gram = self.gram.sum(axis=0, dtype=np.float64)
        total_cross = self.cross.sum(axis=0, dtype=np.float64)
        taps = total_gram.shape[0]
        samples = int(self.count.sum())
        if samples == 0:
            return np.zeros(self.cross.shape, np.float32)
        diagonal = float(np.trace(total_gram)) / taps
        identity = np.eye(taps)
        common = np.linalg.solve(total_gram + 1e-5 * diagonal * identity, total_cross)
        filters = np.empty(self.cross.shape, np.float32)
        strength = ridge * diagonal / samples
        progress.begin("solving for the filters", len(self.count))
        for bucket, count in enumerate(self.count):
            gram = self.gram[bucket].astype(np.float64)
            rest = self.cross[bucket] - gram @ common
            if count:
                filters[bucket] = common + np.linalg.solve(gram + strength * identity, rest)
            else:
                filters[bucket] = common
            progress.advance()
        return filters

    def shared(self, groups: NDArray[np.intp]) -> NormalEquations:
        """Return the sums of each bucket's group of buckets.

        Parameters
        ----------
        groups : (anchors, n) ndarray of int
            Anchors of each group. An anchor's buckets follow each other, in equal numbers.
        """
        anchors = len(groups)
        parts = []
        for sums in self.tensors().values():
            split = sums.reshape(anchors, -1, *sums.shape[1:])
            total = np.zeros_like(split)
            for column in groups.T:
                total += split[column]
            parts.append(total.reshape(sums.shape))
        gram, cross, energy, count = parts
        return NormalEquations(gram, cross, energy, count)

    def solve_examples(self) -> FloatArray:
        """Return rank-one filters: the detail of a bucket's typical patch, scaled by contrast.

        The typical patch u is the first principal component of the bucket's patches. Its
        detail V'u / u'Qu is the least-squares answer to a patch u. A patch p gets the detail
        times u'p. This is a look-up of examples (Freeman et al. 2002) that keeps contrast.

        Returns
        -------
        (buckets, taps, outputs) ndarray of float32
        """
        filters = np.zeros(self.cross.shape, np.float32)
        for bucket in np.flatnonzero(self.count):
            values, vectors = np.linalg.eigh(self.gram[bucket].astype(np.float64))
            if values[-1] > 0.0:
                typical = vectors[:, -1]
                filters[bucket] = np.outer(typical, typical @ self.cross[bucket]) / values[-1]
        return filters

    def solve_conjugate_gradients(
        self, identity_tap: int, progress: Progress | None = None, steps: int = 100
    ) -> FloatArray:
        """Solve for the filters by conjugate gradients without a ridge, as in the paper.

        Parameters
        ----------
        identity_tap : int
            The iteration starts at the filter that passes this tap through; a bucket
            without samples keeps it.
        progress : Progress, optional
            Advances by one step per bucket.
        steps : int
            Maximum number of iterations; a relative residual of 1e-5 ends them earlier.
        """
        from scipy.sparse.linalg import cg

        progress = progress or Progress()
        filters = np.zeros(self.cross.shape, np.float32)
        filters[:, identity_tap] = 1.0
        progress.begin("solving for the filters", len(self.count))
        for bucket, count in enumerate(self.count):
            if count:
                for output in range(self.outputs):
                    start = filters[bucket, :, output].copy()
                    solution, _ = cg(
                        self.gram[bucket],
                        self.cross[bucket, :, output],
                        x0=start,
                        rtol=1e-5,
                        maxiter=steps,
                    )
                    filters[bucket, :, output] = solution
            progress.advance()
        return filters

    def squared_error(self, filters: FloatArray) -> NDArray[np.float64]:
        """Return the sum of squared errors per bucket with given filters.

        Σ |A W − B|² = Σ B² − 2 tr W'V + tr W'QW, over samples and outputs.
        """
        errors = self.energy.copy()
        for bucket in np.flatnonzero(self.count):
            weights = filters[bucket].astype(np.float64)
            errors[bucket] += float(
                np.sum(weights * (self.gram[bucket] @ weights - 2.0 * self.cross[bucket]))
            )
        return np.maximum(errors, 0.0)

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Return the accumulators by name."""
        return {
            "gram": self.gram,
            "cross": self.cross,
            "energy": self.energy,
            "count": self.count,
        }


Halves = list[NormalEquations | None]


def add_to_first_half(
    half: NormalEquations | None,
    done: int,
    added: tuple[NormalEquations | None, NormalEquations | None],
) -> NormalEquations | None:
    """Add volumes to the sums of a stage's first half.

    Parameters
    ----------
    half : NormalEquations or None
        Sums so far; None if they were not kept from the first volume on.
    done : int
        Number of volumes that the stage already contains.
    added : tuple of NormalEquations or None
        Sums of volumes of the first half and of the second.

    Returns
    -------
    NormalEquations or None
        ``half`` itself, if it was given. None in single precision: it would need too
        much memory, and differences would be too coarse.
    """
    first = added[0]
    if first is None or first.gram.dtype.itemsize < 8:
        return half
    if half is None:
        return first.copy() if done == 0 else None
    half.merge(first)
    return half
