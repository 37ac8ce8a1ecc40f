"""Least squares as sums: the accumulators of all buckets, and their solution.

For the samples of a bucket with patches A (n × taps) and targets B
(n × outputs), Q = A'A, V = A'B and Σ B² are all that least squares needs
(paper, section 3.3, equations 6 and 7). They add, so volumes can be added
later, on other machines and in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import FloatArray
from napari_mrisr.errors import ParameterError, explain

Accumulator = NDArray[np.floating]


@dataclass(eq=False)
class NormalEquations:
    """Accumulators of one stage.

    Attributes
    ----------
    gram : (buckets, taps, taps) ndarray
        Q = A'A of each bucket; float64, or float32 where memory is short.
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
        """Accumulators of nothing."""
        return cls(
            np.zeros((buckets, taps, taps), dtype),
            np.zeros((buckets, taps, outputs), dtype),
            np.zeros(buckets),
            np.zeros(buckets, np.int64),
        )

    @property
    def outputs(self) -> int:
        """Values that a patch predicts."""
        return int(self.cross.shape[2])

    def add(self, bucket: int, patches: FloatArray, targets: FloatArray) -> None:
        """Add samples of one bucket.

        Parameters
        ----------
        bucket : int
            Where they belong.
        patches : (n, taps) ndarray of float32
        targets : (n, outputs) ndarray of float32
        """
        # numpy hands A'A to the BLAS's ssyrk, which computes one half only.
        self.gram[bucket] += patches.T @ patches
        self.cross[bucket] += patches.T @ targets
        self.energy[bucket] += float(np.einsum("ij,ij->", targets, targets, dtype=np.float64))
        self.count[bucket] += patches.shape[0]

    def merge(self, other: NormalEquations) -> None:
        """Add another's sums to these.

        Raises
        ------
        ParameterError
            When the shapes differ: they belong to different specs.
        """
        if self.gram.shape != other.gram.shape or self.cross.shape != other.cross.shape:
            found = f"shapes {self.cross.shape} and {other.cross.shape}"
            raise ParameterError(explain("merge", found, "use equations of the same preset"))
        self.gram += other.gram
        self.cross += other.cross
        self.energy += other.energy
        self.count += other.count

    def copy(self) -> NormalEquations:
        """The same sums in memory of their own."""
        return NormalEquations(
            self.gram.copy(), self.cross.copy(), self.energy.copy(), self.count.copy()
        )

    def less(self, part: NormalEquations) -> NormalEquations:
        """The sums without those of a part of the samples."""
        return NormalEquations(
            self.gram - part.gram,
            self.cross - part.cross,
            np.maximum(self.energy - part.energy, 0.0),
            self.count - part.count,
        )

    def solve(self, ridge: float, progress: Progress | None = None) -> FloatArray:
        """Filters by least squares, drawn towards one filter for all buckets.

        W_b = argmin Σ |A W − B|² + r |W − W₀|², with W₀ the solution for all
        samples together. A bucket without samples gets W₀.

        Parameters
        ----------
        ridge : float
            How many samples' worth of evidence W₀ counts for in each bucket:
            r is ``ridge`` times the mean diagonal of Q a sample.
        progress : Progress, optional
            One step a bucket.

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

    def solve_conjugate_gradients(
        self, identity_tap: int, progress: Progress | None = None, steps: int = 100
    ) -> FloatArray:
        """Filters by plain least squares, solved by conjugate gradients as in the paper.

        Parameters
        ----------
        identity_tap : int
            The start of the iteration, and the filter of a bucket without
            samples, passes this tap through.
        progress : Progress, optional
            One step a bucket.
        steps : int
            Iterations at most; they end before at a relative residual of 1e-5.
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
        """Sum of squared errors of each bucket with given filters.

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
        """The accumulators by name, for saving."""
        return {
            "gram": self.gram,
            "cross": self.cross,
            "energy": self.energy,
            "count": self.count,
        }
