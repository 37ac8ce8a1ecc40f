"""How a volume differs from what a bank was trained on, and what that means for the result."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from napari_mrisr.bank.model import FilterBank
from napari_mrisr.core.notice import Caution
from napari_mrisr.scan.traits import TraitRanges, Traits

AXES = ("left-right", "front-back", "foot-head")

# What a measure may lie beyond the training volumes' range before it counts as unlike them.
VOXEL_FACTOR = 1.3
CONTRAST_STEP = 0.15
NOISE_FACTOR = 1.5

FILLED_BAND = 0.66
"""An axis whose spectrum is filled less is taken for interpolated or zero-filled."""

THICK = 2.0
"""Slices are thick when their distance is so many times the in-plane voxel size."""


def cautions_for(traits: Traits, bank: FilterBank | None) -> tuple[Caution, ...]:
    """Compare a low-resolution volume with a bank's training set.

    Parameters
    ----------
    traits : Traits
        Of the volume, see :func:`napari_mrisr.scan.traits.measure_traits`.
    bank : FilterBank or None
        Without one, or for a bank that does not know its training set, only
        what concerns the volume alone is said.

    Returns
    -------
    tuple of Caution
        Empty when nothing is unusual.
    """
    found = list(_of_the_volume(traits))
    ranges = TraitRanges.from_json(bank.provenance.get("traits")) if bank is not None else None
    if ranges is not None:
        found += _against(traits, ranges)
    return tuple(found)


def _of_the_volume(traits: Traits) -> Iterator[Caution]:
    for name, band in zip(AXES, traits.band, strict=True):
        if band <= FILLED_BAND:
            yield Caution(
                "interpolated",
                f"only {100 * band:.0f} % of the spectrum along {name} holds detail, so that axis "
                "was probably interpolated or zero-filled: its voxels are finer than its "
                "resolution, the result stays soft along it and may sharpen what the "
                "interpolation left.",
            )
    thickest = int(np.argmax(traits.voxel_size))
    others = [size for axis, size in enumerate(traits.voxel_size) if axis != thickest]
    ratio = traits.voxel_size[thickest] / max(others)
    if ratio >= THICK:
        yield Caution(
            "thick slices",
            f"slices along {AXES[thickest]} are {ratio:.1f} times as thick as the voxels are wide: "
            "filters learned on nearly cubic voxels take them for smooth tissue, and what lies "
            "within a slice cannot come back.",
        )


def _against(traits: Traits, ranges: TraitRanges) -> Iterator[Caution]:
    low, high = ranges.voxel_size
    sizes = traits.voxel_size
    if min(sizes) < low / VOXEL_FACTOR or max(sizes) > high * VOXEL_FACTOR:
        found = " x ".join(f"{size:.2g}" for size in sizes)
        yield Caution(
            "voxel size",
            f"voxels of {found} mm, and the bank learned from low-resolution voxels of "
            f"{low:.2g} to {high:.2g} mm: anatomy looks different at another scale, so expect a "
            "smaller gain and a less sure expected error.",
        )
    low, high = ranges.contrast
    if not low - CONTRAST_STEP <= traits.contrast <= high + CONTRAST_STEP:
        yield Caution("contrast", _contrast_text(traits.contrast, low, high))
    low, high = ranges.noise
    if traits.noise > high * NOISE_FACTOR:
        yield Caution(
            "noise",
            f"more noise than in training ({100 * traits.noise:.1f} % of the window, training "
            f"{100 * low:.1f} to {100 * high:.1f} %): some of it will be sharpened like detail.",
        )
    elif traits.noise < low / NOISE_FACTOR:
        yield Caution(
            "noise",
            f"less fine detail than in training ({100 * traits.noise:.1f} % of the window, "
            f"training {100 * low:.1f} to {100 * high:.1f} %): the scan was smoothed, denoised or "
            "interpolated, so there is less to recover than the gain of the bank suggests.",
        )


def _contrast_text(contrast: float, low: float, high: float) -> str:
    if np.isnan(contrast):
        return (
            "no head was found in it, so its contrast and noise are not known and the expected "
            "error is a guess."
        )
    kind = "mostly dark with bright parts" if contrast > high else "mostly bright with dark parts"
    example = ", as a T2-weighted scan is beside T1-weighted ones" if contrast > high else ""
    found, lowest, highest = (f"{n:.2f}".replace("-", "−") for n in (contrast, low, high))
    return (
        f"inside the head it is {kind} (contrast {found}, training {lowest} to {highest})"
        f"{example}: edges are sharpened all the same, but the expected error was measured on "
        "other tissue contrast."
    )
