"""The steps as text: title, sentence, equation with source, numbers.

Equations are written in matplotlib's mathtext. Numbers are in engine units: 0 is
black, and one voxel in a thousand is brighter than 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_mrisr.bank.hashing import FEATURES
from napari_mrisr.explain.anchored import Words, description_words, nearest_words
from napari_mrisr.explain.model import (
    CONSISTENCY,
    Explanation,
    NetworkExplanation,
    StageTrace,
    VoxelExplanation,
)
from napari_mrisr.inspection.texts import grid_text, number_text, range_text, value_text

PAPER = "J. Korea Multimedia Society 24(2), 2021"

KEYS = (
    "scan",
    "start",
    "gradients",
    "tensor",
    "ellipsoid",
    "features",
    "bucket",
    "filter",
    "output",
)
"""The steps in order."""

STAGE_KEYS = KEYS[2:8]
"""The steps of every stage of a bank."""

NETWORK_KEYS = ("scan", "start", "weights", "products", "output")
"""The steps of a network in order."""

UNITS = "Brightness 0 is black; one voxel in a thousand of the scan is brighter than 1."


@dataclass(frozen=True)
class Step:
    """One step as text.

    Attributes
    ----------
    key : str
        One of :data:`KEYS`.
    stage : int or None
        Stage, from 0; None for a step outside the stages.
    title : str
    sentence : str
        A few plain sentences.
    equation : str
        Equation in mathtext.
    source : str
        Source of the equation.
    numbers : tuple of (str, str)
        Names and values.
    """

    key: str
    stage: int | None
    title: str
    sentence: str
    equation: str
    source: str
    numbers: tuple[tuple[str, str], ...]


def steps_of(explanation: VoxelExplanation, stage: int) -> tuple[Step, ...]:
    """Return the nine steps through one stage (number from 0), or all steps of a network."""
    keys = KEYS if isinstance(explanation, Explanation) else NETWORK_KEYS
    return tuple(step_of(explanation, key, stage) for key in keys)


def all_steps(explanation: VoxelExplanation) -> tuple[Step, ...]:
    """Return the steps of all stages in order."""
    if not isinstance(explanation, Explanation):
        return steps_of(explanation, 0)
    steps = [step_of(explanation, key, 0) for key in KEYS[:2]]
    for stage in range(len(explanation.stages)):
        steps += [step_of(explanation, key, stage) for key in STAGE_KEYS]
    return (*steps, step_of(explanation, "output", 0))


def step_of(explanation: VoxelExplanation, key: str, stage: int) -> Step:
    """Return one step; ``stage`` matters for the steps in :data:`STAGE_KEYS`."""
    if key in STAGE_KEYS:
        assert isinstance(explanation, Explanation), "only banks have stages"
        return Step(key, stage, *_STAGE_WORDS[key](explanation.stages[stage]))
    if isinstance(explanation, NetworkExplanation) and key in _NETWORK_WORDS:
        return Step(key, None, *_NETWORK_WORDS[key](explanation))
    return Step(key, None, *_WORDS[key](explanation))


def _scan(explanation: VoxelExplanation) -> Words:
    r = explanation.lr_patch.shape[0] // 2
    value = float(explanation.lr_patch[r, r, r])
    return (
        "The scan",
        "The scanner measured these voxels. Each square is one voxel, each number its "
        "brightness. We want to know the part in the orange frame.",
        r"$y = D\,x$",
        f"y: the scan, x: the wanted image, D: loss of detail ({explanation.degradation})",
        (
            ("measured voxel", voxel_text(explanation.lr_voxel)),
            ("brightness", plain(value)),
            ("intensity in the scan", f"{explanation.to_scan(value):.4g}"),
        ),
    )


def _start(explanation: VoxelExplanation) -> Words:
    smooth = explanation.start == "tricubic"
    equation = r"$s(u) = \sum_k c_k\,\beta^{3}(u - k)$"
    source = "Cubic B-spline along each axis; Unser 1999, doi 10.1109/79.799930"
    if not smooth:
        equation = r"$s(u) = \sum_k y_k\,\beta^{2}(u - k)$"
        source = "Quadratic B-spline without prefilter, as used for the figures of the paper"
    return (
        "First guess: interpolation",
        f"Interpolation divides every measured voxel into {factor_text(explanation)} and fits a "
        "smooth curve to the neighbors. It adds no detail, so edges stay blurred.",
        equation,
        source,
        (
            ("voxel of the result", voxel_text(explanation.voxel)),
            (f"first guess ({explanation.start})", plain(explanation.start_value)),
        ),
    )


def _gradients(stage: StageTrace) -> Words:
    n = stage.window.shape[0]
    r = n // 2
    x, y, z = stage.gradients.vectors[:, r, r, r]
    return (
        "Gradients",
        "Each arrow points toward increasing brightness. A long arrow means a fast change. "
        "Arrows near the center have the largest weight.",
        r"$g = \frac{1}{2}\left(I_{x+1}-I_{x-1},\; I_{y+1}-I_{y-1},\; I_{z+1}-I_{z-1}\right)$",
        f"{PAPER}, section 3.2; central differences",
        (
            ("window", f"{n} × {n} × {n} {grid_text(stage.spec)}s"),
            ("gradient at the center", f"({plain(x)}, {plain(y)}, {plain(z)}) per voxel"),
            ("width of the weights", f"σ = {_sigma_text(stage)} voxels"),
        ),
    )


def _tensor(stage: StageTrace) -> Words:
    t = stage.tensor
    return (
        "Structure tensor",
        "The products of the arrows' components are averaged. Opposite arrows do not cancel, "
        "and six numbers describe all arrows.",
        r"$T = G^{\top} W G = \sum_i w_i\; g_i\, g_i^{\top}$",
        f"{PAPER}, section 3.2, equation 2",
        tuple(
            (name, small(t["xyz".index(name[0]), "xyz".index(name[1])]))
            for name in ("xx", "yy", "zz", "xy", "xz", "yz")
        ),
    )


def _ellipsoid(stage: StageTrace) -> Words:
    lengths = stage.values**0.5
    v = stage.vectors[:, 0]
    return (
        "Tensor as an ellipsoid",
        "The six numbers describe an ellipsoid. It is long in the directions in which brightness "
        "changes: a needle at an edge, a disc at a thin line, a ball in noise.",
        r"$T\,v_i = \lambda_i v_i \qquad \lambda_1 \geq \lambda_2 \geq \lambda_3 \geq 0$",
        f"{PAPER}, section 3.2",
        (
            ("semi-axes √λ1, √λ2, √λ3", ", ".join(small(n) for n in lengths) + " per voxel"),
            ("longest axis v1", "(" + ", ".join(plain(n) for n in v) + ")"),
            ("shape", _shape(stage)),
        ),
    )


def _shape(stage: StageTrace) -> str:
    """Return the shape that the ellipsoid resembles most: needle, disc or ball."""
    a, b, c = stage.values**0.5
    if stage.flat or not a > 0.0:
        return "none: brightness is constant"
    shares = {"needle (edge)": a - b, "disc (line)": b - c, "ball (corner or noise)": c}
    return max(shares, key=lambda name: shares[name])


def cut_features(stage: StageTrace) -> tuple[str, ...]:
    """Return the features on which the stage's buckets depend."""
    return tuple(name for name in FEATURES if stage.spec.hash.cuts.get(name))


_FEATURE_WORDS = {
    "elevation": "elevation: tilt of the longest axis",
    "azimuth": "azimuth: direction of the tilt",
    "strength": "strength: change of brightness",
    "coherence": "coherence: needle (1) to ball (−⅓)",
    "asymmetry": "asymmetry: offset from the edge",
    "curvature": "curvature: bend of the edge",
}


def _features(stage: StageTrace) -> Words:
    if stage.anchor is not None:
        return description_words(stage.anchor)
    names: tuple[str, ...] = ("elevation", "azimuth", "strength", "coherence")
    names += tuple(name for name in cut_features(stage) if name not in names)
    return (
        "Features",
        "Two angles give the direction of the longest axis. Further numbers say how strong, "
        "how clear and how curved the edge is.",
        _angle_equation(stage) + "\n" + r"$\mathrm{strength} = \sqrt{\lambda_1}\qquad"
        r"\mathrm{coherence} = \frac{\sqrt{\lambda_1}-\sqrt{\lambda_2}-\sqrt{\lambda_3}}"
        r"{\sqrt{\lambda_1}+\sqrt{\lambda_2}+\sqrt{\lambda_3}}$",
        f"{PAPER}, section 3.2; coherence: equation 5"
        + (
            ""
            if stage.spec.hash.symmetry == "none"
            else "; sorted axes, asymmetry, curvature: this program"
        ),
        tuple((_FEATURE_WORDS[n], feature_text(n, stage.features[n])) for n in names),
    )


def _sigma_text(stage: StageTrace) -> str:
    sigmas = [f"{sigma:.3g}" for sigma, _ in stage.spec.hash.window.axes]
    return sigmas[0] if len(set(sigmas)) == 1 else " × ".join(sigmas)


def _angle_equation(stage: StageTrace) -> str:
    if stage.spec.hash.symmetry == "cube":
        # Canonical direction: absolute components, sorted by size.
        return (
            r"$\mathrm{elevation} = \arccos |v|_{(1)} \qquad"
            r"\mathrm{azimuth} = \arctan\left(|v|_{(3)}\,/\,|v|_{(2)}\right)$"
        )
    if stage.spec.hash.symmetry == "plane":
        return (
            r"$\mathrm{elevation} = \arccos |v_z| \qquad\mathrm{azimuth} = "
            r"\arctan\left(\min(|v_x|,|v_y|)\,/\,\max(|v_x|,|v_y|)\right)$"
        )
    bars = "|" if stage.spec.hash.symmetry == "flips" else ""
    x, y, z = (f"{bars}v_{axis}{bars}" for axis in "xyz")
    return (
        rf"$\mathrm{{elevation}} = \arccos {z} \qquad"
        rf"\mathrm{{azimuth}} = \arctan\left({y}\,/\,{x}\right)$"
    )


def _bucket(stage: StageTrace) -> Words:
    code = stage.spec.hash
    if stage.flat:
        return (
            "Flat: no filter",
            "Brightness hardly changes here. There is nothing to sharpen, and the voxel stays "
            "unchanged.",
            r"$T_{xx}+T_{yy}+T_{zz} < t^2$",
            "Not in the paper: the flat bucket of this program",
            (
                ("trace of the tensor", small(float(stage.tensor.trace()))),
                ("flat below", small(code.flat**2)),
                ("bucket", f"{stage.bucket} (flat) of {code.bucket_count}"),
            ),
        )
    rows = [
        (name, f"{feature_text(name, stage.features[name])}, in {range_text(name, *limits)}")
        for name, limits in stage.ranges.items()
        if name in stage.features
    ]
    if "phase" in stage.ranges:
        rows.append(("position in the measured voxel", f"{int(stage.ranges['phase'][0])}"))
    rows += [
        ("bucket", f"{stage.bucket} of {code.bucket_count}"),
        ("training samples", f"{stage.support:,}"),
    ]
    if code.symmetry != "none":
        rows.append(("axes of the canonical patch", ", ".join(stage.directions)))
    if stage.anchor is not None:
        return nearest_words(stage.anchor, stage.support, rows)
    return (
        "Bucket",
        "Each feature falls into one of a few ranges. All voxels with the same ranges share "
        f"bucket {stage.bucket}. Training saw {stage.support:,} such voxels.",
        r"$b = (\ldots((d_1 r_2 + d_2)\,r_3 + d_3)\ldots)$",
        "d: index of the range, r: number of ranges; the paper has 8 × 8 × 3 × 3 ranges"
        + ("" if code.symmetry == "none" else " and does not turn patches"),
        tuple(rows),
    )


def _filter(stage: StageTrace) -> Words:
    count, residual = stage.spec.taps, stage.spec.residual
    if stage.flat:
        words = "Flat voxels have no filter, so nothing is added."
    elif residual:
        words = (
            f"The filter of the bucket has {count} weights learned in training. Each weight is "
            "multiplied by the difference from the center voxel, and the products are added."
        )
    else:
        words = (
            f"The filter of the bucket has {count} weights learned in training. Each weight is "
            "multiplied by the brightness, and the products are added."
        )
    rows = [("sum of the products", signed(stage.sum) if residual else plain(stage.sum))]
    if stage.clipped:
        rows.append(("raised to the scan's minimum", plain(stage.after)))
    rows += [("before", plain(stage.before)), ("after", plain(stage.after))]
    if np.isfinite((stage.start_error, stage.error)).all():
        rows.append(
            ("training error before → after", f"{small(stage.start_error)} → {small(stage.error)}")
        )
    return (
        "Filter × patch",
        words,
        r"$\Delta = \sum_k f_b[k]\,(p_k - p_0)$" if residual else r"$x = \sum_k f_b[k]\; p_k$",
        f"{PAPER}, section 3" + ("; differences from the center: this program" if residual else ""),
        tuple(rows),
    )


def _weights(explanation: NetworkExplanation) -> Words:
    found = explanation.filter
    total = float(found.weights.sum())
    shown = float(np.abs(explanation.weights).sum() / max(np.abs(found.weights).sum(), 1e-12))
    reach = " × ".join(str(n) for n in found.weights.shape)
    return (
        "Weights that the network chose",
        "The surroundings of the voxel choose these weights: a network without biases is a filter "
        "that adapts to every voxel. Warm squares add brightness, cold squares subtract it. The "
        "weights include interpolation and data consistency.",
        r"$x = \sum_k w_k(y)\; y_k \qquad w = \partial x\,/\,\partial y$",
        "Row of the Jacobian by a backward pass; Mohan et al. 2020, “Robust and interpretable "
        "blind image denoising via bias-free convolutional neural networks”",
        (
            ("sum of all weights", plain(total)),
            ("largest weight", plain(float(found.weights.max()))),
            ("smallest weight", plain(float(found.weights.min()))),
            ("measured voxels with weights", reach),
            ("part of the weights shown", f"{100 * shown:.0f} %"),
        ),
    )


def _products(explanation: NetworkExplanation) -> Words:
    inside = float(explanation.products.sum())
    found = explanation.filter
    total = found.interpolation + found.correction + found.consistency
    return (
        "Weights × brightness",
        "Each weight is multiplied by the brightness of its voxel, and the products are added. "
        "With the voxels farther away they give the result.",
        r"$x = \sum_k w_k\; y_k$",
        "Exact: a network without biases is a sum of products at every voxel",
        (
            ("sum of the products shown", plain(inside)),
            ("sum of the products farther away", signed(total - inside)),
            ("sum", plain(total)),
        ),
    )


def _output(explanation: VoxelExplanation) -> Words:
    terms = "First guess and changes add up to"
    if explanation.replaces:
        terms = "The filter gives"
    words = f"{terms} {plain(explanation.output)}."
    rows = list(sum_rows(explanation))
    rows.append(("tricubic, for comparison", plain(explanation.tricubic)))
    if explanation.truth is not None:
        ours, theirs = (
            explanation.output - explanation.truth,
            explanation.tricubic - explanation.truth,
        )
        words += f" The reference is {plain(explanation.truth)}. {error_text(ours, theirs)}"
        rows += [
            ("reference", plain(explanation.truth)),
            ("error of the result", signed(ours)),
            ("error of tricubic", signed(theirs)),
        ]
    else:
        words += f" Interpolation alone gives {plain(explanation.tricubic)}."
    rows.append(
        ("result as intensity in the scan", f"{explanation.to_scan(explanation.output):.4g}")
    )
    names = [name for name, _ in explanation.changes]
    symbols = [rf"\Delta_{i}" for i in range(1, len(names) + 1 - (CONSISTENCY in names))]
    symbols += ["c"] if CONSISTENCY in names else []
    changes = " + ".join(symbols)
    equation = rf"$x = s + {changes}$"
    return "Result", words, equation, "Sum of the steps", tuple(rows)


def sum_rows(explanation: VoxelExplanation) -> tuple[tuple[str, str], ...]:
    """Return the terms of the output, and the output, as text."""
    (name, start), *rest = explanation.contributions
    rows = [(f"first guess ({name})", plain(start))]
    rows += [(name, signed(value)) for name, value in rest]
    return (*rows, ("result", plain(explanation.output)))


def error_text(result: float, tricubic: float) -> str:
    """Return a sentence about the errors of the result and of tricubic interpolation."""
    return f"The error is {plain(abs(result))}; tricubic has {plain(abs(tricubic))}."


_WORDS = {"scan": _scan, "start": _start, "output": _output}
_NETWORK_WORDS = {"weights": _weights, "products": _products}
_STAGE_WORDS = {
    "gradients": _gradients,
    "tensor": _tensor,
    "ellipsoid": _ellipsoid,
    "features": _features,
    "bucket": _bucket,
    "filter": _filter,
}


def plain(value: float) -> str:
    """Return three decimals with a true minus sign: ``0.531``."""
    return number_text(value)


def signed(value: float) -> str:
    """Return three decimals with a sign: ``+0.012``."""
    text = f"{value:+.3f}".replace("-", "−")
    return "0.000" if text[1:] == "0.000" else text


def small(value: float) -> str:
    """Return three significant digits: ``1.24 × 10⁻³``."""
    if value == 0.0 or 0.01 <= abs(value) < 1000.0:
        return f"{value:.3g}".replace("-", "−")
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa} × {power_of_ten(int(exponent))}".replace("-", "−")


def power_of_ten(exponent: int) -> str:
    """Return ``10⁻³``."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def feature_text(name: str, value: float) -> str:
    """Return the value of a feature with its unit: ``24.1°``."""
    return f"{small(value)} per voxel" if name == "strength" else value_text(name, value)


def voxel_text(voxel: tuple[int, int, int]) -> str:
    """Return ``x 31, y 77, z 40``."""
    return ", ".join(f"{axis} {n}" for axis, n in zip("xyz", voxel, strict=True))


def factor_text(explanation: VoxelExplanation) -> str:
    """Return ``2 × 2 × 2``."""
    return " × ".join(f"{s:.3g}" for s in explanation.scale)


def stage_label(explanation: Explanation, number: int) -> str:
    """Return the number of a stage (from 1) and its change: ``2: +0.012``."""
    return f"{number + 1}: {signed(explanation.stages[number].change)}"
