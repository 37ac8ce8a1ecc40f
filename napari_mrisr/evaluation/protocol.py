"""Protocols: named settings of an evaluation.

``standard``    tricubic by cubic B-spline, anti-aliased degradation, no leak of the
                truth, SSIM with Wang's window and range 1
``paper-2021``  settings of the 2021 paper's figures: quadratic spline both ways,
                results zeroed where the truth is zero, SSIM with a uniform window
                and range 2
``thick-slices:FACTOR:PROFILE:FWHM``
                as ``standard``, degraded along one axis at a time by a slice profile
``leave-out:2`` every second slice of a scan is left out and predicted from the others;
                for scans without a truth
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from napari_mrisr.core.scale import MAX_SCALE
from napari_mrisr.errors import MrisrError, ParameterError, explain
from napari_mrisr.evaluation.metrics import MetricSettings
from napari_mrisr.operators.degrade import Degradation, get_degradation

DIRECTIONS = ("R-L", "A-P", "S-I")
"""Axes of RAS order, as typed."""

AXES = ("0", "1", "2", *DIRECTIONS, "thickest", "all")
"""Values of ``--axis``; numbers count the file's own axes, and ``all`` means all directions."""

_THICK_FACTOR = 4


@dataclass(frozen=True)
class Protocol:
    """Settings that decide the numbers of an evaluation.

    Attributes
    ----------
    name : str
        Printed with every table.
    degradation : Degradation
        Forward model of the low-resolution volume.
    tricubic : str
        Method in the column "tricubic".
    leak : bool
        Set every result to zero where the truth is zero, as the paper did. The
        background then has no error.
    metrics : MetricSettings
        Data ranges and SSIM window.
    factor : int or None
        Factor along one axis at a time; None for the scales of the parameters.
    axes : tuple of str
        With ``factor``: the axes, each on its own, from :data:`AXES`.
    left_out : bool
        Leave out every second slice and predict it, in place of a degradation.
    """

    name: str
    degradation: Degradation = field(default_factory=Degradation)
    tricubic: str = "tricubic"
    leak: bool = False
    metrics: MetricSettings = field(default_factory=MetricSettings)
    factor: int | None = None
    axes: tuple[str, ...] = ()
    left_out: bool = False

    def describe(self) -> str:
        """Return one line with every setting."""
        leak = "results zeroed where the reference is zero" if self.leak else "no leak"
        words = [*self._slices(), leak, self.metrics.describe()]
        if self.tricubic != "tricubic":
            words.insert(1, f'"tricubic" is the paper\'s {self.tricubic} spline')
        return "; ".join(words)

    def _slices(self) -> list[str]:
        """Return the forward model in words."""
        if self.factor is None:
            return [f"degradation {self.degradation}"]
        axes = ", ".join(axis_text(axis) for axis in self.axes)
        width = f"width {self.degradation.fwhm:g} × slice distance"
        if not self.left_out:
            gaps = " (gaps)" if self.degradation.fwhm < 1.0 else ""
            profile = f"{self.degradation.profile} profile, {width}{gaps}"
            return [f"slices {self.factor} × as far apart along {axes}", profile]
        equal = ", the two taken as equal" if self.degradation.fwhm == 0.5 else ""
        return [
            f"every second slice along {axes} left out and predicted from the others",
            f"slices then are {self.factor} × as far apart and have gaps ({width}: 0.5 × "
            f"thickness / spacing{equal})",
            f"every result at {self.factor}× interpolated at the centers of the left-out slices "
            "by a cubic B-spline",
            "PSNR and SSIM (windows in the slice) of left-out slices only",
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return every setting, for JSON."""
        return {
            "name": self.name,
            "degradation": str(self.degradation),
            "tricubic": self.tricubic,
            "leak": self.leak,
            "data_range": self.metrics.data_range,
            "ssim_range": self.metrics.ssim_range,
            "ssim_window": self.metrics.ssim_window,
            "settings": self.describe(),
            **({"factor": self.factor, "axes": list(self.axes)} if self.factor else {}),
        }


PROTOCOLS = {
    "standard": Protocol("standard"),
    "paper-2021": Protocol(
        "paper-2021",
        degradation=Degradation("paper-2021"),
        tricubic="quadratic",
        leak=True,
        metrics=MetricSettings(ssim_range=2.0, ssim_window="uniform"),
    ),
}


def axis_text(axis: str) -> str:
    """Return a typed axis for display: ``axis 0``, ``R–L`` or ``the thickest axis``."""
    if axis.isdecimal():
        return f"axis {axis}"
    return "the thickest axis" if axis == "thickest" else axis.replace("-", "–")


def get_protocol(
    name: str,
    *,
    axis: str | None = None,
    degradation: str | Degradation | None = None,
    leak: bool | None = None,
    ssim_range: float | None = None,
) -> Protocol:
    """Return a protocol by name, with some settings replaced.

    Parameters
    ----------
    name : str
        ``standard``, ``paper-2021``, ``leave-out:2``, or
        ``thick-slices[:FACTOR[:PROFILE[:FWHM]]]`` such as ``thick-slices:4:gaussian:1.2``.
    axis : str, optional
        Thick axis of ``thick-slices`` (by default all, one after the other) and of
        ``leave-out`` (by default the thickest), from :data:`AXES`.
    degradation, leak, ssim_range : optional
        Replace the protocol's settings.

    Returns
    -------
    Protocol
        Its name lists the replaced settings, as in ``paper-2021 (no leak)``.

    Raises
    ------
    ParameterError
        If a name, axis, degradation or range is unknown, or does not fit the protocol.
    """
    protocol, switched = _by_name(name, axis), []
    if degradation is not None and get_degradation(degradation) != protocol.degradation:
        if protocol.factor is not None:
            found = f"has no effect on protocol {protocol.name}"
            mend = "use e.g. --protocol thick-slices:4:gaussian:1.2"
            raise ParameterError(explain("--degradation", found, mend))
        protocol = replace(protocol, degradation=get_degradation(degradation))
        switched.append(f"degradation {protocol.degradation}")
    if leak is not None and leak != protocol.leak:
        protocol = replace(protocol, leak=leak)
        switched.append("leak" if leak else "no leak")
    if ssim_range is not None and ssim_range != protocol.metrics.ssim_range:
        protocol = replace(protocol, metrics=replace(protocol.metrics, ssim_range=ssim_range))
        switched.append(f"SSIM range {ssim_range:g}")
    if not switched:
        return protocol
    return replace(protocol, name=f"{protocol.name} ({', '.join(switched)})")


def _by_name(name: str, axis: str | None) -> Protocol:
    if axis is not None and axis not in AXES:
        raise ParameterError(explain("--axis", repr(axis), f"choose from {', '.join(AXES)}"))
    base, *options = name.split(":")
    if base == "thick-slices":
        return _thick_slices(name, options, axis or "all")
    if base == "leave-out" and options in ([], ["2"]):
        return Protocol(
            "leave-out:2",
            degradation=Degradation("slice-profile", fwhm=0.5),
            factor=2,
            axes=_each(axis or "thickest"),
            left_out=True,
        )
    if name not in PROTOCOLS:
        mend = f"choose from {', '.join(PROTOCOLS)}, thick-slices:4:boxcar:1, leave-out:2"
        raise ParameterError(explain("--protocol", repr(name), mend))
    if axis is not None:
        found, mend = f"has no effect on protocol {name}", "use --protocol thick-slices"
        raise ParameterError(explain("--axis", found, mend))
    return PROTOCOLS[name]


def _thick_slices(name: str, options: list[str], axis: str) -> Protocol:
    factor, *profile = options or [str(_THICK_FACTOR)]
    mend = f"use e.g. thick-slices:4:gaussian:1.2, with a factor from 2 to {MAX_SCALE}"
    if not (factor.isdecimal() and 2 <= int(factor) <= MAX_SCALE):
        raise ParameterError(explain("--protocol", f"factor {factor!r} of {name!r}", mend))
    try:
        degradation = get_degradation(":".join(["slice-profile", *profile]))
    except MrisrError as error:
        raise ParameterError(explain("--protocol", f"{name!r} ({error})", mend)) from error
    return Protocol(
        f"thick-slices:{int(factor)}:{degradation.profile}:{degradation.fwhm:g}",
        degradation=degradation,
        factor=int(factor),
        axes=_each(axis),
    )


def _each(axis: str) -> tuple[str, ...]:
    return DIRECTIONS if axis == "all" else (axis,)
