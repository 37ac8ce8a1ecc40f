"""Picture of each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_mrisr.core.scale import RealScale
from napari_mrisr.explain.anchored import description_strips, nearest_strips
from napari_mrisr.explain.gauges import (
    STRIP_IN,
    Gauge,
    draw_dial,
    draw_ellipsoid,
    draw_strips,
    draw_sum,
)
from napari_mrisr.explain.model import (
    Explanation,
    NetworkExplanation,
    StageTrace,
    VoxelExplanation,
)
from napari_mrisr.explain.patches import (
    AXIAL,
    DIVERGING,
    Mark,
    center_mark,
    draw_cells,
    draw_planes,
    draw_slices,
    gray_range,
)
from napari_mrisr.explain.sheet import DRAWING, Cells, Rect, Sheet, SheetStyle
from napari_mrisr.explain.steps import Step, cut_features, feature_text, power_of_ten, small

EQUATION_IN = 0.52
_MARGIN_IN = 0.06
# Output voxels on each side in the last pictures.
_NEAR = 6
# Part of a network's weights that is multiplied voxel by voxel.
_MIDDLE = (2, -2)
# Part of the largest weight that has full color, or else its neighbors would be white.
_FULL = 0.2


@dataclass(frozen=True, eq=False)
class StepImage:
    """Picture of a step.

    Attributes
    ----------
    pixels : (height, width, 4) ndarray of uint8
        Red, green, blue and opacity, not premultiplied.
    cells : tuple of Cells
        Squares whose values can be read.
    """

    pixels: NDArray[np.uint8]
    cells: tuple[Cells, ...]


def picture_of(
    explanation: VoxelExplanation, step: Step, style: SheetStyle, size: tuple[int, int], dpi: float
) -> StepImage:
    """Draw a step on a transparent background.

    Parameters
    ----------
    explanation : VoxelExplanation
    step : Step
    style : SheetStyle
    size : tuple of int
        Width and height, pixels.
    dpi : float
        Pixels per inch; it scales the font size of the style.
    """
    width, height = (max(120, n) / dpi for n in size)
    with DRAWING:
        figure = new_figure(width, height, dpi)
        figure.patch.set_alpha(0.0)
        cells = draw_step(figure, explanation, step, style, (0.0, 0.0, width, height))
        canvas = figure.canvas
        assert isinstance(canvas, FigureCanvasAgg)
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.array(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return StepImage(pixels, tuple(cells))


def new_figure(width: float, height: float, dpi: float) -> Figure:
    """Return an empty figure that needs no display; sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def draw_step(
    figure: Figure, explanation: VoxelExplanation, step: Step, style: SheetStyle, rect: Rect
) -> list[Cells]:
    """Draw a step and its equation below into a part (inches) of a figure.

    Returns
    -------
    list of Cells
        Squares whose values can be read.
    """
    left, bottom, width, height = rect
    lines = len(step.equation.splitlines())
    foot = EQUATION_IN * (0.6 + 0.4 * lines) if lines else 0.0
    m = _MARGIN_IN
    if lines:
        Sheet(figure, style, (left + m, bottom, width - 2 * m, foot)).equation(step.equation)
    inner = (left + m, bottom + foot, width - 2 * m, height - foot - m)
    sheet = Sheet(figure, style, inner)
    if isinstance(explanation, Explanation) and step.stage is not None:
        _DRAW_STAGE_STEP[step.key](sheet, explanation.stages[step.stage])
    elif isinstance(explanation, NetworkExplanation) and step.key in _DRAW_NETWORK_STEP:
        _DRAW_NETWORK_STEP[step.key](sheet, explanation)
    else:
        _DRAW_STEP[step.key](sheet, explanation)
    return sheet.cells


def _phase_mark(explanation: VoxelExplanation, factor: RealScale, color: str) -> Mark:
    """Outline the output voxel in a patch with ``factor`` voxels per measured voxel."""
    r = explanation.lr_patch.shape[0] // 2
    center, size = [], []
    for n, m, s, f in zip(
        explanation.voxel, explanation.lr_voxel, explanation.scale, factor, strict=True
    ):
        # In measured voxels from the patch's outer edge, then in voxels of the patch.
        middle = r + (n - m * s + 0.5) / s
        center.append(middle * f - 0.5)
        size.append(f / s)
    return Mark((center[0], center[1], center[2]), (size[0], size[1], size[2]), color)


def _cell_mark(explanation: VoxelExplanation, factor: RealScale, color: str) -> Mark:
    r = explanation.lr_patch.shape[0] // 2
    x, y, z = ((r + 0.5) * f - 0.5 for f in factor)
    a, b, c = (float(f) for f in factor)
    return Mark((x, y, z), (a, b, c), color)


def _scan(sheet: Sheet, explanation: VoxelExplanation) -> None:
    style, one = sheet.style, (1, 1, 1)
    marks = (_cell_mark(explanation, one, style.cell), _phase_mark(explanation, one, style.voxel))
    draw_planes(sheet, explanation.lr_patch, marks)


def _start(sheet: Sheet, explanation: VoxelExplanation) -> None:
    if not isinstance(explanation, Explanation):
        patch = _crop(explanation.around["tricubic"])
        draw_planes(sheet, patch, (center_mark(patch, sheet.style.voxel),))
        return
    style, scale = sheet.style, explanation.scale
    marks = (
        _cell_mark(explanation, scale, style.cell),
        _phase_mark(explanation, scale, style.voxel),
    )
    draw_planes(sheet, explanation.start_patch, marks)


def _gradients(sheet: Sheet, stage: StageTrace) -> None:
    vectors, weights = stage.gradients.vectors, stage.gradients.weights
    longest = max(float(np.linalg.norm(vectors, axis=0).max()), 1e-9)
    placed = draw_planes(sheet, stage.window, (center_mark(stage.window, sheet.style.voxel),))
    for axes, view in placed:
        for text in list(axes.texts):
            text.remove()
        for image in axes.images:
            image.set_alpha(0.45)
        count = stage.window.shape[0]
        rows, columns = np.mgrid[:count, :count]
        # The picture's right and down oppose the patient's axes.
        right = -view.cut(vectors[view.across]) / longest
        down = -view.cut(vectors[view.upward]) / longest
        share = view.cut(weights) / weights.max()
        color = np.zeros((count, count, 4))
        color[..., :3] = to_rgb(sheet.style.warm)
        color[..., 3] = 0.25 + 0.75 * np.sqrt(share)
        axes.quiver(
            columns, rows, right, down, color=color.reshape(-1, 4), angles="xy", units="xy",
            scale_units="xy", scale=1.05, pivot="mid", width=0.09, headwidth=3.4, headlength=3.4,
            headaxislength=3.0, minlength=0.02, zorder=4,
        )  # fmt: skip


def _tensor(sheet: Sheet, stage: StageTrace) -> None:
    beside = sheet.width > 1.3 * sheet.height
    wide, high = (sheet.width / 2, sheet.height) if beside else (sheet.width, sheet.height / 2)
    side = min(wide - 0.5, high - 0.5, 2.2)
    first = ((wide - side) / 2, (sheet.height if beside else 1.5 * high) - (high + side) / 2)
    if not beside:
        first = ((wide - side) / 2, high + (high - side) / 2)
    second = (
        (wide + (wide - side) / 2, (high - side) / 2)
        if beside
        else ((wide - side) / 2, (high - side) / 2)
    )
    weights = AXIAL.cut(stage.gradients.weights)
    draw_cells(
        sheet, (*first, side, side), weights, "weight", limits=(0.0, float(weights.max())),
        colors="viridis",
    )  # fmt: skip
    _caption(sheet, first, side, "weights w (axial plane)")
    reach = max(float(np.abs(stage.tensor).max()), 1e-12)
    axes = draw_cells(
        sheet, (*second, side, side), stage.tensor, "tensor", limits=(-reach, reach),
        colors=DIVERGING,
    )  # fmt: skip
    power, factor = _power(reach)
    for (row, column), value in np.ndenumerate(stage.tensor):
        ink = "white" if abs(value) > 0.6 * reach else "black"
        text = f"{value * factor:.2f}".replace("-", "−")
        axes.text(
            column, row, text, ha="center", va="center", color=ink, fontsize=sheet.style.points
        )
    for n, letter in enumerate("xyz"):
        axes.text(n, -0.58, letter, ha="center", va="bottom", color=sheet.style.faint)
        axes.text(-0.62, n, letter, ha="right", va="center", color=sheet.style.faint)
    _caption(sheet, second, side, f"structure tensor T{power}")


def _power(reach: float) -> tuple[str, float]:
    """Return a power of ten for numbers of that size, as text and as factor."""
    exponent = -int(np.floor(np.log10(reach)))
    if 0 <= exponent <= 1:
        return "", 1.0
    return f" × {power_of_ten(exponent)}", 10.0**exponent


def _caption(sheet: Sheet, at: tuple[float, float], side: float, text: str) -> None:
    sheet.text(
        at[0] + side / 2, at[1] - 0.04, text, ha="center", va="top",
        fontsize=0.85 * sheet.style.points,
    )  # fmt: skip


def _ellipsoid(sheet: Sheet, stage: StageTrace) -> None:
    width, height, foot = sheet.width, sheet.height, 3 * STRIP_IN
    if width < 1.6 * height:
        ellipsoid, strips = (0.0, foot, width, height - foot), (0.0, 0.0, width, foot)
    else:
        ellipsoid, strips = (0.0, 0.0, width / 2, height), (width / 2, 0.0, width / 2, height)
    draw_ellipsoid(sheet.part(ellipsoid), stage.values, stage.vectors)
    lengths = [float(n) for n in np.sqrt(np.maximum(stage.values, 0.0))]
    limits = (0.0, max(lengths[0], 1e-9))
    gauges = [
        Gauge(f"√λ{i}: semi-axis along v{i}", small(n), n, limits) for i, n in enumerate(lengths, 1)
    ]
    draw_strips(sheet.part(strips), gauges)


def _gauge(stage: StageTrace, name: str, *, cut: bool) -> Gauge:
    code, value = stage.spec.hash, stage.features[name]
    cuts = code.cuts.get(name, ()) if cut else ()
    limits = code.range_of(name)
    if not cut:
        # Same scale as with bins in the next step.
        wide = Gauge(name, "", value, limits, code.cuts.get(name, ())).shown
        limits = wide
    return Gauge(name, feature_text(name, value), value, limits, cuts)


def _features(sheet: Sheet, stage: StageTrace) -> None:
    if stage.anchor is not None:
        draw_strips(sheet, [Gauge(*strip) for strip in description_strips(stage.anchor)])
        return
    names = ["strength", "coherence"]
    names += [n for n in cut_features(stage) if n in ("asymmetry", "curvature")]
    strips = STRIP_IN * len(names)
    top = sheet.height - strips
    for number, name in enumerate(("elevation", "azimuth")):
        part = sheet.part((number * sheet.width / 2, strips, sheet.width / 2, top))
        draw_dial(part, _gauge(stage, name, cut=False))
    gauges = [_gauge(stage, name, cut=False) for name in names]
    draw_strips(sheet.part((0.0, 0.0, sheet.width, strips)), gauges)


def _bucket(sheet: Sheet, stage: StageTrace) -> None:
    foot = 0.3
    text = f"bucket {stage.bucket} of {stage.spec.hash.bucket_count}"
    sheet.text(
        sheet.width / 2, 0.08, text, ha="center", va="bottom", fontweight="bold",
        color=sheet.style.voxel, fontsize=1.3 * sheet.style.points,
    )  # fmt: skip
    part = sheet.part((0.0, foot, sheet.width, sheet.height - foot))
    if stage.flat:
        code = stage.spec.hash
        root = float(np.sqrt(max(stage.tensor.trace(), 0.0)))
        draw_strips(
            part, [Gauge("√(λ1 + λ2 + λ3)", small(root), root, (0.0, np.inf), (code.flat,))]
        )
        return
    if stage.anchor is not None:
        draw_strips(part, [Gauge(*strip) for strip in nearest_strips(stage.anchor)])
        return
    draw_strips(part, [_gauge(stage, name, cut=True) for name in cut_features(stage)])


def _filter(sheet: Sheet, stage: StageTrace) -> None:
    patch = stage.patch.astype(np.float64)
    name = "brightness"
    if stage.spec.residual:
        patch, name = patch - stage.center, "difference"
    rows = ((name, patch), ("filter", stage.filter), ("product", stage.products))
    draw_slices(sheet, rows, ("×", "="))


def _weights(sheet: Sheet, explanation: NetworkExplanation) -> None:
    weights = explanation.weights
    reach = max(_FULL * float(np.abs(weights).max()), 1e-9)
    mark = center_mark(weights, sheet.style.cell)
    draw_planes(sheet, weights, (mark,), "weight", limits=(-reach, reach), colors=DIVERGING)


def _products(sheet: Sheet, explanation: NetworkExplanation) -> None:
    inner = (slice(*_MIDDLE),) * 3
    rows = (
        ("brightness", explanation.brightness[inner]),
        ("weights", explanation.weights[inner]),
        ("product", explanation.products[inner]),
    )
    draw_slices(sheet, rows, ("×", "="), _FULL)


def _output(sheet: Sheet, explanation: VoxelExplanation) -> None:
    bars = min(1.7, 0.45 * sheet.height)
    shown = explanation.around
    label = {"tricubic": "tricubic", "output": "result", "truth": "reference"}
    room = sheet.height - bars
    side = min((sheet.width - 0.3) / len(shown) - 0.1, room - 0.24)
    left = (sheet.width - len(shown) * (side + 0.1) + 0.1) / 2
    near = {name: AXIAL.cut(_crop(patch)) for name, patch in shown.items()}
    limits = gray_range(np.stack(list(near.values())))
    center = center_mark(np.zeros((2 * _NEAR + 1,) * 3), sheet.style.voxel)
    for number, (name, plane) in enumerate(near.items()):
        at = (left + number * (side + 0.1), bars + (room - side) / 2 - 0.05)
        axes = draw_cells(sheet, (*at, side, side), plane, label[name], limits=limits)
        for text in list(axes.texts):
            text.remove()
        center.outline(axes, AXIAL, (2 * _NEAR + 1,) * 3)
        sheet.text(at[0] + side / 2, at[1] + side + 0.03, label[name], ha="center", va="bottom")
    first, *rest = explanation.contributions
    changes = [("filter", sum(v for _, v in rest))] if explanation.replaces else rest
    start = ("first guess", first[1])
    draw_sum(sheet.part((0.0, 0.0, sheet.width, bars)), start, changes, "result", explanation.truth)


def _crop(patch: NDArray[Any]) -> NDArray[Any]:
    r = patch.shape[0] // 2
    inner = slice(r - _NEAR, r + _NEAR + 1)
    return patch[inner, inner, inner]


_DRAW_STEP: dict[str, Callable[[Sheet, VoxelExplanation], None]] = {
    "scan": _scan,
    "start": _start,
    "output": _output,
}
_DRAW_NETWORK_STEP: dict[str, Callable[[Sheet, NetworkExplanation], None]] = {
    "weights": _weights,
    "products": _products,
}
_DRAW_STAGE_STEP: dict[str, Callable[[Sheet, StageTrace], None]] = {
    "gradients": _gradients,
    "tensor": _tensor,
    "ellipsoid": _ellipsoid,
    "features": _features,
    "bucket": _bucket,
    "filter": _filter,
}
