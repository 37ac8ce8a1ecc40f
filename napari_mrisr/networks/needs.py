"""Needs of a foreign network: what it is given, what it returns, and how it must be tiled.

Each need has a name and a text, so that ONNX metadata, a JSON file, a bioimage.io description
and options on the command line declare them alike:

=================  ===========================================================================
``input``          ``low-resolution`` or ``interpolated`` (by a cubic spline, to the new grid)
``output``         ``image``, or ``correction`` of cubic interpolation
``channels``       ``image``, or ``complex``: real and imaginary part as two channels
``scale``          factors along the network's axes, such as ``4x1x1``
``axes``           the network's axes, slowest first: ``zyx``, or ``zx`` for slices
``plane``          instead of ``axes``: ``axial``, ``coronal`` or ``sagittal``
``normalization``  see :class:`Normalization`
``halo``           voxels of the input that a voxel's result depends on, per side
``multiple``       number that the extents of the input must be a multiple of
``tile``           largest extent of the input, with the halo
``degradation``    forward model of the training, such as ``slice-profile:boxcar:1``
``consistency``    ``on`` or ``off``: correct the result by the measured slices
=================  ===========================================================================

x, y and z point to the patient's right, anterior and superior.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import BankError, MrisrError, explain
from napari_mrisr.operators.degrade import get_degradation

PLANES = {"axial": "yx", "coronal": "zx", "sagittal": "zy"}
"""Axes of a slice in each anatomical plane, slowest first."""

MOST_HALO = 256
_SIMPLE = ("window", "symmetric", "bytes", "scan", "minmax", "z-score", "z-score-nonzero")
_WITH_TWO = ("linear", "percentiles")


@dataclass(frozen=True)
class Normalization:
    """Linear map from intensities to the values that a network was trained on.

    Its inverse maps the network's result back.

    Attributes
    ----------
    kind : str
        ``window``: 0 to 1 from zero to the 99.9th percentile. ``symmetric`` and ``bytes``: the
        same as −1 to 1 and 0 to 255. ``scan``: none. ``minmax``: 0 to 1 between the extremes.
        ``z-score``: mean 0 and standard deviation 1 over the volume; ``z-score-nonzero`` over
        its voxels that are not zero. ``percentiles``: 0 to 1 between two percentiles.
        ``linear``: gain times intensity plus offset.
    first, second : float
        Percentiles, or gain and offset.
    """

    kind: str = "window"
    first: float = 0.0
    second: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Normalization:
        """Read ``z-score``, ``percentiles 1 99.8`` or ``linear 0.01 0``; commas serve too.

        Raises
        ------
        ValueError
            For anything else.
        """
        kind, *numbers = re.split(r"[\s,]+", text.strip().lower())
        values = [float(number) for number in numbers]
        if not all(map(math.isfinite, values)):
            raise ValueError("not finite")
        if kind in _SIMPLE and not values:
            return cls(kind)
        if kind in _WITH_TWO and len(values) == 2:
            low, high = values
            if kind == "percentiles" and not 0 <= low < high <= 100:
                raise ValueError("percentiles out of order")
            if kind == "linear" and low == 0:
                raise ValueError("gain of zero")
            return cls(kind, low, high)
        raise ValueError("unknown")

    def __str__(self) -> str:
        """Return the text that :meth:`parse` reads."""
        numbers = f" {self.first:g} {self.second:g}" if self.kind in _WITH_TWO else ""
        return self.kind + numbers

    @property
    def needs_all(self) -> bool:
        """True if the map depends on all voxels of the volume."""
        return self.kind in ("z-score", "z-score-nonzero", "percentiles")

    def line(self, lr: Volume) -> tuple[float, float]:
        """Return gain and offset from engine units to the network's values."""
        width, low = lr.window.high - lr.window.low, lr.window.low
        fixed = {"window": (1.0, 0.0), "symmetric": (2.0, -1.0), "bytes": (255.0, 0.0)}
        if self.kind in fixed:
            return fixed[self.kind]
        if self.kind in ("scan", "linear"):
            gain, offset = (1.0, 0.0) if self.kind == "scan" else (self.first, self.second)
            return gain * width, gain * low + offset
        bottom, top = (float(value) for value in lr.extrema)
        if self.kind == "percentiles":
            bottom, top = (float(v) for v in np.percentile(lr.data, [self.first, self.second]))
        elif self.needs_all:
            voxels = lr.data if self.kind == "z-score" else lr.data[lr.data != 0]
            if voxels.size:
                bottom = float(voxels.mean(dtype=np.float64))
                top = bottom + float(voxels.std(dtype=np.float64))
        gain = 1.0 / (top - bottom) if top > bottom else 1.0
        return gain, -gain * bottom


@dataclass(frozen=True)
class NetworkNeeds:
    """Needs of a network; see the module. None and empty texts: not declared.

    Attributes
    ----------
    sources : dict of str to str
        Origin of each need: file, option, probed or assumed.
    """

    input: str | None = None
    output: str | None = None
    channels: str | None = None
    scale: tuple[int, ...] | None = None
    axes: str | None = None
    normalization: Normalization | None = None
    halo: tuple[int, ...] | None = None
    multiple: int | None = None
    tile: int | None = None
    degradation: str | None = None
    consistency: bool | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    def declared(self, given: Mapping[str, Any], source: str, subject: object) -> NetworkNeeds:
        """Return the needs with further ones, which replace earlier ones.

        Parameters
        ----------
        given : mapping of str to str or number or list
            Texts by name, see the module.
        source : str
            Their origin, for messages and provenance.
        subject : object
            The file, for messages.

        Raises
        ------
        BankError
            For an unknown name or a value that cannot be read.
        """
        values: dict[str, Any] = {}
        for name, value in given.items():
            if name not in _READERS:
                found = f"{source} has an unknown entry {str(name)[:40]!r}"
                remedy = f"choose from {', '.join(_READERS)}"
                raise BankError(explain(subject, found, remedy))
            key = "axes" if name == "plane" else name
            try:
                values[key] = _READERS[name](value)
            except (TypeError, ValueError, OverflowError, MrisrError) as error:
                found = f"{source} has {name} {str(value)[:60]!r}"
                raise BankError(explain(subject, found, _REMEDIES[name])) from error
        return replace(self, **values, sources={**self.sources, **dict.fromkeys(values, source)})

    def completed(self, source: str, **found: Any) -> NetworkNeeds:
        """Return the needs with values for those that were not declared."""
        missing = {name: value for name, value in found.items() if getattr(self, name) is None}
        return replace(self, **missing, sources={**self.sources, **dict.fromkeys(missing, source)})

    def lines(self) -> list[str]:
        """List the needs and their origin."""
        found = []
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name in self.sources:
                text = "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
                text = {"True": "on", "False": "off"}.get(text, text)
                found.append(f"{one.name} {text} ({self.sources[one.name]})")
        return found


def _choice(*names: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = str(value).strip().lower()
        if text not in names:
            raise ValueError(text)
        return text

    return read


def _numbers(lowest: int, highest: int) -> Callable[[Any], tuple[int, ...]]:
    def read(value: Any) -> tuple[int, ...]:
        parts = re.split(r"[x×,]", value) if isinstance(value, str) else value
        parts = [parts] if isinstance(parts, int | float) else list(parts)
        numbers = tuple(int(part) for part in parts)
        if any(float(part) != number for part, number in zip(parts, numbers, strict=True)):
            raise ValueError("not whole")
        if not 1 <= len(numbers) <= 3 or not all(lowest <= n <= highest for n in numbers):
            raise ValueError("out of range")
        return numbers

    return read


def _number(lowest: int, highest: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        (number,) = _numbers(lowest, highest)(value)
        return number

    return read


def _axes(value: Any) -> str:
    text = str(value).strip().lower()
    if len(text) not in (2, 3) or len(set(text)) != len(text) or set(text) - set("xyz"):
        raise ValueError(text)
    return text


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"on": True, "off": False}[_choice("on", "off")(value)]


_READERS: dict[str, Callable[[Any], Any]] = {
    "input": _choice("low-resolution", "interpolated"),
    "output": _choice("image", "correction"),
    "channels": _choice("image", "complex"),
    "scale": _numbers(1, 8),
    "axes": _axes,
    "plane": lambda value: PLANES[_choice(*PLANES)(value)],
    "normalization": lambda value: Normalization.parse(str(value)),
    "halo": _numbers(0, MOST_HALO),
    "multiple": _number(1, 128),
    "tile": _number(8, 1024),
    "degradation": lambda value: str(get_degradation(str(value))),
    "consistency": _switch,
}
_REMEDIES = {
    "input": "use low-resolution or interpolated",
    "output": "use image or correction",
    "channels": "use image or complex",
    "scale": "give whole factors from 1 to 8, such as 4x1x1",
    "axes": "give the network's axes, slowest first, such as zyx or zx",
    "plane": f"use {', '.join(PLANES)}",
    "normalization": f"use {', '.join(_SIMPLE)}, percentiles LOW HIGH or linear GAIN OFFSET",
    "halo": f"give whole voxels from 0 to {MOST_HALO}",
    "multiple": "give a whole number from 1 to 128",
    "tile": "give whole voxels from 8 to 1024",
    "degradation": "give a degradation such as slice-profile:boxcar:1",
    "consistency": "use on or off",
}
