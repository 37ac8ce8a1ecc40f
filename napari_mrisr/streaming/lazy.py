"""A volume in engine units of which only a box is in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_mrisr.core.volume import Volume


@dataclass(frozen=True, eq=False)
class LazyVolume(Volume):
    """A volume in engine units whose data is a :class:`~napari_mrisr.core.volume.BoxArray`.

    Attributes
    ----------
    bounds : tuple of float32
        Lowest and highest value of the whole volume.
    """

    bounds: tuple[np.float32, np.float32] = (np.float32(0), np.float32(1))

    def __post_init__(self) -> None:
        # The base class would make an array of the data and compute its extrema.
        self.__dict__["extrema"] = self.bounds
