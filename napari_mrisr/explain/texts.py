"""Numbers as text: one way of writing each, wherever it is shown."""

from __future__ import annotations

from napari_mrisr.explain.model import Explanation

DEGREES = ("elevation", "azimuth")


def plain(value: float) -> str:
    """Three decimals, with a proper minus: ``0.531``."""
    text = f"{value:.3f}".replace("-", "−")
    return "0.000" if text == "−0.000" else text


def signed(value: float) -> str:
    """Three decimals with a sign: ``+0.012``."""
    text = f"{value:+.3f}".replace("-", "−")
    return "0.000" if text[1:] == "0.000" else text


def small(value: float) -> str:
    """Three digits, whatever the size: ``1.24 × 10⁻³``."""
    if value == 0.0 or 0.01 <= abs(value) < 1000.0:
        return f"{value:.3g}".replace("-", "−")
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa} × 10{raised}".replace("-", "−")


def feature_text(name: str, value: float) -> str:
    """The value of a feature with its unit: ``24.1°``."""
    if name in DEGREES:
        return f"{value:.1f}°"
    if name == "strength":
        return f"{small(value)} a voxel"
    return plain(value)


def range_text(name: str, low: float, high: float) -> str:
    """The range of a bin: ``15 to 30°``, ``0.18 and more``."""
    unit = "°" if name in DEGREES else ""
    first, last = (f"{value:.3g}".replace("-", "−") for value in (low, high))
    if low == -float("inf"):
        return f"below {last}{unit}"
    if high == float("inf"):
        return f"{first}{unit} and more"
    return f"{first} to {last}{unit}"


def voxel_text(voxel: tuple[int, int, int]) -> str:
    """``x 31, y 77, z 40``."""
    return ", ".join(f"{axis} {n}" for axis, n in zip("xyz", voxel, strict=True))


def factor_text(explanation: Explanation) -> str:
    """``2 × 2 × 2``."""
    return " × ".join(str(s) for s in explanation.scale)


def stage_label(explanation: Explanation, number: int) -> str:
    """``2: +0.012 (upsampled voxels)``."""
    stage = explanation.stages[number]
    grid = "measured voxels" if stage.spec.grid == "cell" else "upsampled voxels"
    return f"{number + 1}: {signed(stage.change)} ({grid})"
