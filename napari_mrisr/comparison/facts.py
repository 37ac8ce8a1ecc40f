"""What is known of volumes: computed once, gone with the volume."""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

import numpy as np

from napari_mrisr.comparison.roi import LabelRoi
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import IntensityWindow, Volume
from napari_mrisr.scan.masks import head_mask

HEAD = "head"
_WORDS = "head (automatic mask of the truth, or of the first volume without one)"


class Facts:
    """Intensity windows and heads of volumes. Several threads may ask.

    Two that ask for the same at once both compute it: nobody waits for a lock.
    """

    def __init__(self) -> None:
        self._windows: WeakKeyDictionary[Volume, IntensityWindow | None] = WeakKeyDictionary()
        self._heads: WeakKeyDictionary[Volume, LabelRoi] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def knows_window(self, volume: Volume) -> bool:
        """Whether :meth:`window` answers at once."""
        with self._lock:
            return volume in self._windows

    def window(self, volume: Volume) -> IntensityWindow | None:
        """Zero to the 99.9th percentile of the finite values; None for a constant volume."""
        with self._lock:
            if volume in self._windows:
                return self._windows[volume]
        low, high = volume.extrema
        if np.isfinite(low) and np.isfinite(high):
            window = IntensityWindow.of(volume.data) if low < high else None
        else:
            finite = volume.data[np.isfinite(volume.data)]
            varies = finite.size and finite.min() < finite.max()
            window = IntensityWindow.of(finite) if varies else None
        with self._lock:
            self._windows[volume] = window
        return window

    def head(self, volume: Volume, progress: Progress | None = None) -> LabelRoi:
        """The head of a volume, as a region of interest. ``progress`` cancels."""
        with self._lock:
            if volume in self._heads:
                return self._heads[volume]
        data = volume.data
        if not all(map(np.isfinite, volume.extrema)):
            data = np.nan_to_num(data, nan=0.0, posinf=0.0, neginf=0.0)
        head = LabelRoi(HEAD, head_mask(data, progress), volume.grid, _WORDS)
        with self._lock:
            self._heads[volume] = head
        return head
