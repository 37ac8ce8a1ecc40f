"""Protocols: named settings of an evaluation.

``standard``    tricubic by cubic B-spline, anti-aliased degradation, no leak of the
                truth, SSIM with Wang's window and range 1
``paper-2021``  settings of the 2021 paper's figures: quadratic spline both ways,
                results zeroed where the truth is zero, SSIM with a uniform window
                and range 2
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.evaluation.metrics import MetricSettings
from napari_mrisr.operators.degrade import Degradation, get_degradation


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
    """

    name: str
    degradation: Degradation = field(default_factory=Degradation)
    tricubic: str = "tricubic"
    leak: bool = False
    metrics: MetricSettings = field(default_factory=MetricSettings)

    def describe(self) -> str:
        """Return one line with every setting."""
        leak = "results zeroed where the reference is zero" if self.leak else "no leak"
        words = [f"degradation {self.degradation}", leak, self.metrics.describe()]
        if self.tricubic != "tricubic":
            words.insert(1, f'"tricubic" is the paper\'s {self.tricubic} spline')
        return "; ".join(words)

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


def get_protocol(
    name: str,
    *,
    degradation: str | Degradation | None = None,
    leak: bool | None = None,
    ssim_range: float | None = None,
) -> Protocol:
    """Return a protocol by name, with some settings replaced.

    Parameters
    ----------
    name : str
        ``standard`` or ``paper-2021``.
    degradation, leak, ssim_range : optional
        Replace the protocol's settings.

    Returns
    -------
    Protocol
        Its name lists the replaced settings, as in ``paper-2021 (no leak)``.

    Raises
    ------
    ParameterError
        If a name, degradation or range is unknown.
    """
    if name not in PROTOCOLS:
        mend = f"choose from {', '.join(PROTOCOLS)}"
        raise ParameterError(explain("--protocol", repr(name), mend))
    protocol, switched = PROTOCOLS[name], []
    if degradation is not None and get_degradation(degradation) != protocol.degradation:
        protocol = replace(protocol, degradation=get_degradation(degradation))
        switched.append(f"degradation {protocol.degradation}")
    if leak is not None and leak != protocol.leak:
        protocol = replace(protocol, leak=leak)
        switched.append("leak" if leak else "no leak")
    if ssim_range is not None and ssim_range != protocol.metrics.ssim_range:
        protocol = replace(protocol, metrics=replace(protocol.metrics, ssim_range=ssim_range))
        switched.append(f"SSIM range {ssim_range:g}")
    return replace(protocol, name=f"{name} ({', '.join(switched)})") if switched else protocol
