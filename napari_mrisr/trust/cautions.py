"""Cautions: how a scan differs from the training set of a bank or network, and the effect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from napari_mrisr.bank.model import FilterBank
from napari_mrisr.core.frames import AXIS_NAMES
from napari_mrisr.core.notice import Caution
from napari_mrisr.core.scale import thick_axis
from napari_mrisr.core.slices import SliceGeometry
from napari_mrisr.networks.file import DENOISER, THICK, UNROLLED, NetworkFile
from napari_mrisr.operators.degrade import get_degradation
from napari_mrisr.scan.interleaving import ALTERNATES, slice_axis
from napari_mrisr.scan.traits import TraitRanges, Traits

# A measure may lie this far beyond the range of the training volumes.
VOXEL_FACTOR = 1.3
CONTRAST_STEP = 0.15
NOISE_FACTOR = 1.5

FILLED_BAND = 0.66
"""An axis with a smaller filled part of its spectrum counts as interpolated or zero-filled."""

FACTOR_STEP = 1.5
"""A bank for one slice factor serves factors within this ratio."""

FACTOR_SLACK = 1.1
"""A slice factor may lie this ratio beyond the range of the training."""

WIDTH_STEP = 0.15
"""A slice thickness may lie this far beyond the range of the training, in slice distances."""

THICK_FROM = 2.0
"""Slices are thick from this ratio of slice distance to in-plane voxel size."""


def cautions_for(
    traits: Traits,
    bank: FilterBank | NetworkFile | None,
    slices: SliceGeometry | None = None,
) -> tuple[Caution, ...]:
    """Return a caution per property in which a scan differs from a training set.

    Parameters
    ----------
    traits : Traits
        From :func:`napari_mrisr.scan.traits.measure_traits`.
    bank : FilterBank, NetworkFile or None
        Without it, or without a record of its training set, only properties of the volume
        itself are reported.
    slices : SliceGeometry, optional
        Slices of the scan, to compare with those of the training.

    Returns
    -------
    tuple of Caution
        Empty if nothing is unusual.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> traits = sr.measure_traits(sr.read_volume("scan.nii.gz"))
    >>> cautions = sr.cautions_for(traits, sr.load_bank("default-2x"))
    >>> headlines = [caution.kind for caution in cautions]
    """
    thick = _thick_training(bank)
    denoiser = isinstance(bank, NetworkFile) and bank.kind == DENOISER
    found = list(_of_the_volume(traits, made_for_slices=thick is not None or denoiser))
    if thick is not None and slices is not None:
        found += _of_the_slices(traits, slices, thick)
    ranges = None if bank is None else TraitRanges.from_json(bank.provenance.get("traits"))
    if bank is not None and ranges is not None:
        # Filters for nearly cubic voxels have seen anatomy from the size of their training
        # images to that of the low-resolution images made from them.
        finer = max(bank.scale) if isinstance(bank, FilterBank) else bank.factors[1]
        finer = finer if thick is None else 1
        # The size of the voxels that a denoiser sees is the result's.
        found += _against(traits, ranges, None if denoiser else finer)
    return tuple(found)


@dataclass(frozen=True)
class _SliceRanges:
    """Slices of a training set: distance over pixel size, and thickness over distance."""

    factors: tuple[float, float]
    widths: tuple[float, float]


def _thick_training(bank: FilterBank | NetworkFile | None) -> _SliceRanges | None:
    """Return the slices that a bank or network was trained on; None if it was on others."""
    if isinstance(bank, NetworkFile):
        along_one = bank.kind in (THICK, UNROLLED)
        return _SliceRanges(bank.factors, bank.widths) if along_one else None
    if bank is None or thick_axis(bank.scale) is None:
        return None
    profile, factor = get_degradation(bank.degradation), float(max(bank.scale))
    width = profile.fwhm if profile.name == "slice-profile" else 1.0
    return _SliceRanges((factor / FACTOR_STEP, factor * FACTOR_STEP), (width, width))


def _of_the_slices(
    traits: Traits, slices: SliceGeometry, training: _SliceRanges
) -> Iterator[Caution]:
    across = [size for axis, size in enumerate(traits.voxel_size) if axis != slices.axis]
    factor = slices.distance / (across[0] * across[1]) ** 0.5
    low, high = training.factors
    if not low / FACTOR_SLACK <= factor <= high * FACTOR_SLACK:
        yield Caution(
            "unusual slice distance",
            f"The slices are {slices.distance:.2g} mm apart, {factor:.1f} times the pixel size. "
            f"Training had {low:.2g} to {high:.2g} times. Expect a smaller gain and a less certain "
            "expected error.",
        )
    width = slices.thickness / slices.distance
    low, high = training.widths
    if not low - WIDTH_STEP <= width <= high + WIDTH_STEP:
        had = f"{low:.2g}" if low == high else f"{low:.2g} to {high:.2g}"
        kind = "gaps between slices" if width < low else "overlapping slices"
        yield Caution(
            kind,
            f"The slices are {slices.thickness:.2g} mm thick and {slices.distance:.2g} mm apart, "
            f"a ratio of {width:.2f}. Training had {had}. "
            + (
                "Detail in the gaps cannot be recovered."
                if width < low
                else "The result may be sharpened too little."
            ),
        )


def _of_the_volume(traits: Traits, *, made_for_slices: bool) -> Iterator[Caution]:
    if traits.ct:
        yield Caution(
            "looks like CT",
            "The intensities are those of a CT (Hounsfield units, air near −1000). The filters "
            "were trained on MRI. Do not rely on the expected error.",
        )
    thickest = slice_axis(traits.voxel_size)
    others = [size for axis, size in enumerate(traits.voxel_size) if axis != thickest]
    ratio = traits.voxel_size[thickest] / max(others)
    for axis, (name, band) in enumerate(zip(AXIS_NAMES, traits.band, strict=True)):
        if band <= FILLED_BAND:
            in_slice = ratio >= THICK_FROM and axis != thickest
            yield _interpolated(name, band, traits.voxel_size[axis], in_slice)
    if ratio >= THICK_FROM and not made_for_slices:
        yield Caution(
            "thick slices",
            f"The slices along {AXIS_NAMES[thickest]} are {ratio:.1f} times as thick as the voxels "
            "are wide. Filters trained on nearly cubic voxels take them for smooth tissue. Detail "
            "thinner than a slice cannot be recovered.",
        )
    if traits.alternation >= ALTERNATES:
        yield Caution(
            f"slices alternate in brightness ({100 * traits.alternation:.0f} %)",
            f"Odd and even slices along {AXIS_NAMES[thickest]} differ in brightness, as after an "
            "interleaved acquisition. Sharpening makes stripes of the difference. Balance the "
            "slices first.",
        )


def _voxel_size(sizes: tuple[float, ...], low: float, ranges: TraitRanges) -> Iterator[Caution]:
    high = ranges.voxel_size[1]
    if min(sizes) < low / VOXEL_FACTOR or max(sizes) > high * VOXEL_FACTOR:
        found = " × ".join(f"{size:.2g}" for size in sizes)
        yield Caution(
            "unusual voxel size",
            f"The voxels measure {found} mm. Training had voxels of {low:.2g} to "
            f"{high:.2g} mm. Expect a smaller gain and a less certain expected error.",
        )


def _interpolated(name: str, band: float, size: float, in_slice: bool) -> Caution:
    found = f"Only {100 * band:.0f} % of the spectrum along {name} holds detail."
    if in_slice:
        text = (
            f"{found} The slices look finer than they are: the scanner measured voxels of about "
            f"{size / band:.2g} mm along {name} and filled them in to {size:.2g} mm (zero "
            "filling). The result is not sharper than that within a slice."
        )
    else:
        text = (
            f"{found} That axis was probably interpolated or zero-filled. The result stays soft "
            "along it and may sharpen traces of the interpolation."
        )
    return Caution("interpolated axis", text)


def _against(traits: Traits, ranges: TraitRanges, finer: float | None) -> Iterator[Caution]:
    if finer is not None:
        yield from _voxel_size(traits.voxel_size, ranges.voxel_size[0] / finer, ranges)
    if traits.ct:  # its contrast and noise are those of another modality
        return
    low, high = ranges.contrast
    if not low - CONTRAST_STEP <= traits.contrast <= high + CONTRAST_STEP:
        yield _contrast(traits.contrast, low, high)
    low, high = ranges.noise
    if traits.noise > high * NOISE_FACTOR:
        yield Caution(
            "more noise than in training",
            f"The noise is {100 * traits.noise:.1f} % of the intensity window, in training "
            f"{100 * low:.1f} to {100 * high:.1f} %. Some of it will be sharpened like detail.",
        )
    elif traits.noise < low / NOISE_FACTOR:
        yield Caution(
            "less detail than in training",
            f"The finest detail is {100 * traits.noise:.1f} % of the intensity window, in training "
            f"{100 * low:.1f} to {100 * high:.1f} %. The scan was smoothed, denoised or "
            "interpolated. Expect a smaller gain.",
        )


def _contrast(contrast: float, low: float, high: float) -> Caution:
    if np.isnan(contrast):
        text = "Contrast and noise are unknown without a head. The expected error is a guess."
        return Caution("no head found", text)
    kind = "mostly dark with bright parts" if contrast > high else "mostly bright with dark parts"
    example = ", as in a T2-weighted scan" if contrast > high else ""
    found, lowest, highest = (f"{n:.2f}".replace("-", "−") for n in (contrast, low, high))
    return Caution(
        "unusual contrast",
        f"The head is {kind}{example} (contrast {found}, in training {lowest} to {highest}). "
        "Edges are sharpened, but the expected error was measured on another contrast.",
    )
