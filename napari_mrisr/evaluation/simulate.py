"""Simulated scans of a truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.slices import MOST_OVERLAP, slices_of, with_slice_thickness
from napari_mrisr.core.volume import IntensityWindow, Volume
from napari_mrisr.evaluation.protocol import Protocol
from napari_mrisr.operators.degrade import degrade


def clipped(truth: Volume, scale: Scale) -> tuple[Volume, IntensityWindow]:
    """Return a truth cropped to a multiple of the scale and clipped, and its window."""
    truth = truth.restored().cropped_to_multiple(scale)
    window = IntensityWindow.of(truth.data)
    return replace(truth, data=np.clip(truth.data, window.low, window.high)), window


def simulate(truth: Volume, scale: Scale, protocol: Protocol, progress: Progress) -> Volume:
    """Return the low-resolution scan of a truth under a protocol, which leaves nothing out."""
    low = degrade(truth, scale, protocol.degradation, progress=progress)
    if protocol.factor is None:
        return low
    return with_width(low, int(np.argmax(scale)), protocol.degradation.fwhm)


def with_width(low: Volume, axis: int, fwhm: float) -> Volume:
    """Return a volume with its slice thickness, as from a scan's sidecar, for methods to use.

    ``fwhm`` is a multiple of the distance of the slices.
    """
    if low.origin is not None:  # the thickness of the truth's slices
        low = replace(low, origin=replace(low.origin, slice_thickness=None, slice_source=""))
    slices = slices_of(low.grid, low.origin)
    if slices is None or slices.axis != axis or fwhm > MOST_OVERLAP:
        return low
    return with_slice_thickness(low, fwhm * slices.distance)
