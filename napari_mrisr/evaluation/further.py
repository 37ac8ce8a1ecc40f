"""Metrics of an evaluation beyond PSNR and SSIM, chosen by name and measured inside the head.

``docs/reference/metrics.md`` says what each is blind to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.evaluation.similarity import (
    gradient_deviation,
    high_frequency_error,
    multiscale_ssim,
    visual_information,
)
from napari_mrisr.evaluation.unreferenced import edge_width, stripes
from napari_mrisr.scan.masks import box_around, eroded
from napari_mrisr.scan.traits import noise_sd

BoolArray = NDArray[np.bool_]

ALWAYS = ("psnr", "ssim")
"""Metrics of every evaluation."""

# Reach of the largest filter that looks beyond the mask: HFEN's, 4 σ.
_MARGIN = 6
# Rim of the head that noise leaves out: edges.
_NOISE_RIM = 3


@dataclass(frozen=True)
class ImagePair:
    """A truth and an image, in engine units (0 to 1).

    Attributes
    ----------
    truth, image : Volume
        On one grid.
    head : (x, y, z) ndarray of bool
        Voxels to count.
    axis, slices : int
        Thick axis and the slices measured along it; ``slices`` is 0 without one.
    """

    truth: Volume
    image: Volume
    head: BoolArray
    axis: int = 0
    slices: int = 0

    def in_box(self) -> ImagePair:
        """Return the part in the head's box."""
        box = box_around(self.head, _MARGIN)
        x, y, z = ((part.start, part.stop - part.start) for part in box)
        start, shape = (x[0], y[0], z[0]), self.head[box].shape
        fitting = (shape[0], shape[1], shape[2])
        truth, image = (v.cropped(start, fitting) for v in (self.truth, self.image))
        return replace(self, truth=truth, image=image, head=self.head[box])


Metric = Callable[[ImagePair], float]


def _stripes(pair: ImagePair, volume: Volume) -> float:
    try:
        return stripes(volume, pair.axis, pair.slices)
    except ParameterError:  # no thick axis, or too few voxels per slice
        return math.nan


def _noise(pair: ImagePair, volume: Volume) -> float:
    inner = eroded(pair.head, _NOISE_RIM) & (pair.truth.data != 0)
    return 100.0 * noise_sd(volume.data, inner, Progress()) if inner.any() else math.nan


_IN_BOX: dict[str, dict[str, Metric]] = {
    "vif": {"vif": lambda p: visual_information(p.truth.data, p.image.data, data_range=1.0)},
    "hfen": {"hfen": lambda p: high_frequency_error(p.truth.data, p.image.data, mask=p.head)},
    "gmsd": {
        "gmsd": lambda p: gradient_deviation(
            p.truth.data, p.image.data, data_range=1.0, mask=p.head
        )
    },
    "ms-ssim": {"ms_ssim": lambda p: multiscale_ssim(p.truth.data, p.image.data, data_range=1.0)},
    "edge-width": {
        "edge_width_mm": lambda p: edge_width(p.image, p.head),
        "edge_width_truth_mm": lambda p: edge_width(p.truth, p.head),
    },
    "noise": {
        "noise_percent": lambda p: _noise(p, p.image),
        "noise_truth_percent": lambda p: _noise(p, p.truth),
    },
}
_WHOLE: dict[str, dict[str, Metric]] = {
    "stripes": {
        "stripes_percent": lambda p: _stripes(p, p.image),
        "stripes_truth_percent": lambda p: _stripes(p, p.truth),
    }
}

FURTHER = (*_IN_BOX, *_WHOLE)
"""Metrics to choose from, besides :data:`ALWAYS`."""

LABELS = {
    "vif": "VIF",
    "hfen": "HFEN",
    "gmsd": "GMSD",
    "ms_ssim": "MS-SSIM",
    "edge_width_mm": "edge width (mm)",
    "edge_width_truth_mm": "edge width of the truth (mm)",
    "noise_percent": "noise (%)",
    "noise_truth_percent": "noise of the truth (%)",
    "stripes_percent": "stripes (%)",
    "stripes_truth_percent": "stripes of the truth (%)",
}
"""Heading of each number in a table, with its unit."""


def chosen_metrics(names: Sequence[str]) -> tuple[str, ...]:
    """Return the metrics to measure in addition to :data:`ALWAYS`, in a fixed order.

    Parameters
    ----------
    names : sequence of str
        From :data:`ALWAYS` and :data:`FURTHER`; ``all`` for every one.

    Raises
    ------
    ParameterError
        If a name is unknown.

    Examples
    --------
    >>> chosen_metrics(["psnr", "hfen", "vif"])
    ('vif', 'hfen')
    """
    for name in names:
        if name not in ("all", *ALWAYS, *FURTHER):
            known = ", ".join(("all", *ALWAYS, *FURTHER))
            raise ParameterError(explain("--metrics", repr(name), f"choose from {known}"))
    return tuple(name for name in FURTHER if name in names or "all" in names)


def measure_further(names: Sequence[str], pair: ImagePair) -> dict[str, float]:
    """Return further metrics of an image, inside the head's box.

    VIF and multi-scale SSIM count the whole box, the others the head. Stripes need whole lines
    and count the whole volume. Metrics without a reference are given for the truth too.

    Parameters
    ----------
    names : sequence of str
        From :data:`FURTHER`.
    pair : ImagePair

    Returns
    -------
    dict of str to float
        By column, such as ``vif`` or ``edge_width_mm``; NaN where a metric is undefined.
    """
    part = pair.in_box() if pair.head.any() else None
    found = {}
    for name in names:
        for column, metric in _IN_BOX.get(name, {}).items():
            found[column] = math.nan if part is None else metric(part)
        for column, metric in _WHOLE.get(name, {}).items():
            found[column] = metric(pair)
    return found
