"""A volume of which only a box is in memory.

Methods ask of a volume's data its shape and boxes of it, by slices. That is all
that :class:`BoxArray` offers: not being an array, it cannot be made one by mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume


@dataclass(frozen=True, eq=False)
class BoxArray:
    """A box of a larger array, indexed as that array is.

    Attributes
    ----------
    box : ndarray of float32
        What is in memory.
    corner : tuple of int
        Index of its first voxel in the whole.
    shape : tuple of int
        Of the whole.
    missing : callable or None
        Reads boxes that are not in memory.
    """

    box: FloatArray
    corner: Shape
    shape: Shape
    missing: Callable[[Region], FloatArray] | None = None
    ndim: int = 3
    dtype: np.dtype[np.float32] = field(default_factory=lambda: np.dtype(np.float32))

    def __getitem__(self, index: tuple[slice, slice, slice]) -> FloatArray:
        spans = [part.indices(n) for part, n in zip(index, self.shape, strict=True)]
        assert all(step == 1 for _, _, step in spans), "boxes only"
        (a, d, _), (b, e, _), (c, f, _) = spans
        inner = [
            slice(low - at, high - at)
            for (low, high, _), at in zip(spans, self.corner, strict=True)
        ]
        held = all(s.start >= 0 and s.stop <= n for s, n in zip(inner, self.box.shape, strict=True))
        if held:
            return self.box[tuple(inner)]
        if self.missing is None:
            raise IndexError(f"{spans} is not in the box at {self.corner} of {self.box.shape}")
        return self.missing(Region((a, b, c), (d, e, f)))

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("a volume that is streamed cannot be taken as a whole")


@dataclass(frozen=True, eq=False)
class LazyVolume(Volume):
    """A volume in engine units whose data is a :class:`BoxArray`.

    Attributes
    ----------
    bounds : tuple of float32
        Lowest and highest value of the whole.
    """

    bounds: tuple[np.float32, np.float32] = (np.float32(0), np.float32(1))

    def __post_init__(self) -> None:
        # The base class makes an array of the data, and looks for its extrema when asked.
        self.__dict__["extrema"] = self.bounds
