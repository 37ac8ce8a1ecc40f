"""Results of methods that compute whole volumes, for regions of them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

import numpy as np

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import processors
from napari_mrisr.core.volume import FloatArray, Region, Volume


class WholeResults:
    """Whole results, each computed once and kept as long as its volume."""

    def __init__(self) -> None:
        self._kept: weakref.WeakKeyDictionary[Volume, FloatArray] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def region(
        self, compute: Callable[[Volume, Progress, int], FloatArray], lr: Volume, region: Region
    ) -> FloatArray:
        """Return a region of the whole result of a volume.

        Parameters
        ----------
        compute : callable
            See :meth:`~napari_mrisr.methods.WholeVolume.compute_whole`.
        lr : Volume
        region : Region
        """
        with self._lock:
            whole = self._kept.get(lr)
            if whole is None:
                whole = self._kept[lr] = compute(lr, Progress(), processors())
        return np.ascontiguousarray(whole[region.slices])
