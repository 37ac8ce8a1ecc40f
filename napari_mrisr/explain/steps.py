"""The steps in words: title, one plain sentence, the equation and its source, numbers.

Equations are in matplotlib's mathtext. Numbers are in engine units: 0 is black
and 1 the brightness that one voxel in a thousand exceeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_mrisr.bank.hashing import FEATURES
from napari_mrisr.explain.model import Explanation, StageTrace
from napari_mrisr.explain.texts import (
    factor_text,
    feature_text,
    plain,
    range_text,
    signed,
    small,
    voxel_text,
)

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
"""Those that every stage of a bank goes through."""

UNITS = "Brightness: 0 is black, 1 is what only one voxel in a thousand of the scan exceeds."


@dataclass(frozen=True)
class Step:
    """One step, in words.

    Attributes
    ----------
    key : str
        One of :data:`KEYS`.
    stage : int or None
        Number of the stage, from 0; None for a step of no stage.
    title : str
    sentence : str
        One plain sentence.
    equation : str
        In mathtext.
    source : str
        Where the equation is from.
    numbers : tuple of (str, str)
        What is measured here: name and value.
    """

    key: str
    stage: int | None
    title: str
    sentence: str
    equation: str
    source: str
    numbers: tuple[tuple[str, str], ...]


def steps_of(explanation: Explanation, stage: int) -> tuple[Step, ...]:
    """The nine steps, through one stage (number from 0)."""
    return tuple(step_of(explanation, key, stage) for key in KEYS)


def all_steps(explanation: Explanation) -> tuple[Step, ...]:
    """All steps of all stages, for reading from top to bottom."""
    found = [step_of(explanation, key, 0) for key in KEYS[:2]]
    for stage in range(len(explanation.stages)):
        found += [step_of(explanation, key, stage) for key in STAGE_KEYS]
    return (*found, step_of(explanation, "output", 0))


def step_of(explanation: Explanation, key: str, stage: int) -> Step:
    """One step; ``stage`` counts for those of :data:`STAGE_KEYS`."""
    if key in STAGE_KEYS:
        return Step(key, stage, *_STAGE_WORDS[key](explanation.stages[stage]))
    return Step(key, None, *_WORDS[key](explanation))


_Words = tuple[str, str, str, str, tuple[tuple[str, str], ...]]


def _scan(found: Explanation) -> _Words:
    r = found.lr_patch.shape[0] // 2
    value = float(found.lr_patch[r, r, r])
    return (
        "The scan",
        "This is all that the scanner measured around here: each square is one voxel, "
        "each number its brightness, and the orange corner is the piece we want to know.",
        r"$y = D\,x$",
        f"y: the scan, x: what we look for, D: how the scan lost detail ({found.degradation})",
        (
            ("measured voxel", voxel_text(found.lr_voxel)),
            ("its brightness", plain(value)),
            ("in the scan's own numbers", f"{found.to_scan(value):.4g}"),
        ),
    )


def _start(found: Explanation) -> _Words:
    smooth = found.start == "tricubic"
    equation = r"$s(u) = \sum_k c_k\,\beta^{3}(u - k)$"
    source = "Cubic B-spline along each axis; Unser 1999, doi 10.1109/79.799930"
    if not smooth:
        equation = r"$s(u) = \sum_k y_k\,\beta^{2}(u - k)$"
        source = "Quadratic B-spline without prefilter, behind the figures of the paper"
    return (
        "A smooth guess",
        f"Every measured voxel is cut into {factor_text(found)}, and a smooth curve through its "
        "neighbors gives a first guess: no detail is lost, but none is won, so edges are blurred.",
        equation,
        source,
        (
            ("voxel of the result", voxel_text(found.voxel)),
            (f"first guess ({found.start})", plain(found.start_value)),
        ),
    )


def _gradients(stage: StageTrace) -> _Words:
    n = stage.window.shape[0]
    r = n // 2
    x, y, z = stage.gradients.vectors[:, r, r, r]
    grid = "measured" if stage.spec.grid == "cell" else "upsampled"
    return (
        "Where does it get brighter?",
        "Each arrow points to where it gets brighter, a long one where that happens fast; "
        "those near the middle count most.",
        r"$g = \frac{1}{2}\left(I_{x+1}-I_{x-1},\; I_{y+1}-I_{y-1},\; I_{z+1}-I_{z-1}\right)$",
        f"{PAPER}, section 3.2; central differences",
        (
            ("looks at", f"{n} × {n} × {n} {grid} voxels"),
            ("arrow in the middle", f"({plain(x)}, {plain(y)}, {plain(z)}) a voxel"),
            ("weight falls off over", f"σ = {stage.spec.hash.window.sigma:.3g} voxels"),
        ),
    )


def _tensor(stage: StageTrace) -> _Words:
    t = stage.tensor
    return (
        "All arrows in six numbers",
        "Every arrow's components are multiplied with one another and averaged, so that opposite "
        "arrows do not cancel and six numbers are left.",
        r"$T = G^{\top} W G = \sum_i w_i\; g_i\, g_i^{\top}$",
        f"{PAPER}, section 3.2, equation 2",
        tuple(
            (name, small(t["xyz".index(name[0]), "xyz".index(name[1])]))
            for name in ("xx", "yy", "zz", "xy", "xz", "yz")
        ),
    )


def _ellipsoid(stage: StageTrace) -> _Words:
    lengths = stage.values**0.5
    v = stage.vectors[:, 0]
    return (
        "Drawn as a body",
        "The six numbers are the shape of a body, long where brightness changes and thin where "
        "it does not: at an edge a needle, at a thin line a disc, in noise a ball.",
        r"$T\,v_i = \lambda_i v_i \qquad \lambda_1 \geq \lambda_2 \geq \lambda_3 \geq 0$",
        f"{PAPER}, section 3.2",
        (
            ("half axes √λ1, √λ2, √λ3", ", ".join(small(n) for n in lengths) + " a voxel"),
            ("longest axis v", "(" + ", ".join(plain(n) for n in v) + ")"),
            ("shape", _shape(stage)),
        ),
    )


def _shape(stage: StageTrace) -> str:
    """What the body resembles most, by how √λ1 divides into needle, disc and ball."""
    a, b, c = stage.values**0.5
    if stage.flat or not a > 0.0:
        return "nothing changes here"
    shares = {"an edge: a needle": a - b, "a line: a disc": b - c, "a corner or noise: a ball": c}
    return "most like " + max(shares, key=lambda name: shares[name])


def cut_features(stage: StageTrace) -> tuple[str, ...]:
    """The features that the stage's buckets tell apart."""
    return tuple(name for name in FEATURES if stage.spec.hash.cuts.get(name))


_FEATURE_WORDS = {
    "elevation": "elevation: how far the needle leans",
    "azimuth": "azimuth: to which side it leans",
    "strength": "strength: how fast brightness changes",
    "coherence": "coherence: needle or ball",
    "asymmetry": "asymmetry: how far beside the edge",
    "curvature": "curvature: whether the edge bends",
}


def _features(stage: StageTrace) -> _Words:
    names: tuple[str, ...] = ("elevation", "azimuth", "strength", "coherence")
    names += tuple(name for name in cut_features(stage) if name not in names)
    return (
        "A few words for the shape",
        "Which way the needle points and how slim it is are said by a few numbers: two angles, "
        "and one each for how strong, how clear and how bent the edge is.",
        _angle_equation(stage) + "\n" + r"$\mathrm{strength} = \sqrt{\lambda_1}\qquad"
        r"\mathrm{coherence} = \frac{\sqrt{\lambda_1}-\sqrt{\lambda_2}-\sqrt{\lambda_3}}"
        r"{\sqrt{\lambda_1}+\sqrt{\lambda_2}+\sqrt{\lambda_3}}$",
        f"{PAPER}, section 3.2; coherence: equation 5"
        + (
            ""
            if stage.spec.hash.symmetry == "none"
            else "; sorted axes, asymmetry, curvature: ours"
        ),
        tuple((_FEATURE_WORDS[n], feature_text(n, stage.features[n])) for n in names),
    )


def _angle_equation(stage: StageTrace) -> str:
    if stage.spec.hash.symmetry == "cube":
        # The canonical direction: components without sign, by size.
        return (
            r"$\mathrm{elevation} = \arccos |v|_{(1)} \qquad"
            r"\mathrm{azimuth} = \arctan\left(|v|_{(3)}\,/\,|v|_{(2)}\right)$"
        )
    bars = "|" if stage.spec.hash.symmetry == "flips" else ""
    x, y, z = (f"{bars}v_{axis}{bars}" for axis in "xyz")
    return (
        rf"$\mathrm{{elevation}} = \arccos {z} \qquad"
        rf"\mathrm{{azimuth}} = \arctan\left({y}\,/\,{x}\right)$"
    )


def _bucket(stage: StageTrace) -> _Words:
    code = stage.spec.hash
    if stage.flat:
        return (
            "Too flat to sharpen",
            "Next to nothing changes around here, so there is nothing to sharpen and the voxel "
            "stays as it is.",
            r"$T_{xx}+T_{yy}+T_{zz} < t^2$",
            "Not in the paper: the flat bucket of this program",
            (
                ("sum of the changes", small(float(stage.tensor.trace()))),
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
        rows.append(("place within the measured voxel", f"{int(stage.ranges['phase'][0])}"))
    rows += [
        ("bucket", f"{stage.bucket} of {code.bucket_count}"),
        ("places seen in training", f"{stage.support:,}"),
    ]
    if code.symmetry != "none":
        rows.append(("patch turned so that its axes are", ", ".join(stage.directions)))
    return (
        "Into a bucket",
        "Each number falls into one of a few ranges, and all places of the world whose numbers "
        f"fall into the same ranges share bucket {stage.bucket}, of which training saw "
        f"{stage.support:,}.",
        r"$b = (\ldots((d_1 r_2 + d_2)\,r_3 + d_3)\ldots)$",
        "d: number of the range, r: how many there are; the paper has 8 × 8 × 3 × 3 of them"
        + ("" if code.symmetry == "none" else ", and turns no patches"),
        tuple(rows),
    )


def _filter(stage: StageTrace) -> _Words:
    count, residual = stage.spec.taps, stage.spec.residual
    if stage.flat:
        words = "There is no filter for flat places, so nothing is added."
    elif residual:
        words = (
            f"The bucket's filter is a table of {count} weights learned in training: multiply "
            "them with the differences to the middle, square by square, and add up."
        )
    else:
        words = (
            f"The bucket's filter is a table of {count} weights learned in training: multiply "
            "them with the brightness, square by square, and add up."
        )
    rows = [("sum of all products", signed(stage.sum) if residual else plain(stage.sum))]
    if stage.held:
        rows.append(("held at the scan's darkest value", plain(stage.after)))
    rows += [("before", plain(stage.before)), ("after", plain(stage.after))]
    if np.isfinite((stage.start_error, stage.error)).all():
        rows.append(
            ("usual error of the bucket", f"{small(stage.start_error)} → {small(stage.error)}")
        )
    return (
        "Filter times patch",
        words,
        r"$\Delta = \sum_k f_b[k]\,(p_k - p_0)$" if residual else r"$x = \sum_k f_b[k]\; p_k$",
        f"{PAPER}, section 3"
        + ("; differences to the middle: ours" if residual else ": look up, then multiply"),
        tuple(rows),
    )


def _output(found: Explanation) -> _Words:
    sum_ = "the first guess and what the stages added make"
    if not found.stages[-1].spec.residual:
        sum_ = "the filter makes"
    words = f"Here {sum_} {plain(found.output)}"
    rows = list(sum_rows(found))
    rows.append(("tricubic, for comparison", plain(found.tricubic)))
    if found.truth is not None:
        ours, theirs = found.output - found.truth, found.tricubic - found.truth
        words += f", where the truth is {plain(found.truth)}: {verdict(ours, theirs)}."
        rows += [
            ("truth", plain(found.truth)),
            ("error of the result", signed(ours)),
            ("error of tricubic", signed(theirs)),
        ]
    else:
        words += f", where smooth interpolation alone has {plain(found.tricubic)}."
    rows.append(("result in the scan's own numbers", f"{found.to_scan(found.output):.4g}"))
    terms = r" + ".join(rf"\Delta_{i}" for i in range(1, len(found.stages) + 1))
    equation = rf"$x = s + {terms}$"
    return "The voxel of the result", words, equation, "Sum of the steps", tuple(rows)


def sum_rows(found: Explanation) -> tuple[tuple[str, str], ...]:
    """What adds up to the output, and the output, as text."""
    (name, start), *rest = found.contributions
    rows = [(f"first guess ({name})", plain(start))]
    rows += [(name, signed(value)) for name, value in rest]
    return (*rows, ("result", plain(found.output)))


def verdict(ours: float, theirs: float) -> str:
    """How wrong the result was, beside tricubic: ``off by 0.012, tricubic by 0.052``."""
    return f"it is off by {plain(abs(ours))}, tricubic was by {plain(abs(theirs))}"


_WORDS = {"scan": _scan, "start": _start, "output": _output}
_STAGE_WORDS = {
    "gradients": _gradients,
    "tensor": _tensor,
    "ellipsoid": _ellipsoid,
    "features": _features,
    "bucket": _bucket,
    "filter": _filter,
}
