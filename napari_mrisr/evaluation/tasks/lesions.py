"""Planted lesions: contrast that a method keeps of structures that no training scan had.

Lesions are planted in the truth. The truth and the planted truth are degraded and
super-resolved; the difference of the results is the *change* that the lesions cause.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure

from napari_mrisr.core.memory import require_memory
from napari_mrisr.core.progress import InnerProgress, Progress
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import FloatArray, Volume
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.evaluation.experiment import EvaluateParameters
from napari_mrisr.evaluation.simulate import clipped, simulate
from napari_mrisr.evaluation.tables import GAIN_OVER, aligned
from napari_mrisr.evaluation.tasks.base import NOT_IN_CSV, Task, TaskRow, Values
from napari_mrisr.evaluation.tasks.observer import Area, responses, roc_area, scores
from napari_mrisr.evaluation.tasks.planting import (
    CONTRASTS,
    GAP,
    RADII,
    Lesion,
    place_lesions,
    planted,
)
from napari_mrisr.figures.curves import Curve, curve_figure
from napari_mrisr.run.timing import timed_run
from napari_mrisr.run.upscale import estimate_memory
from napari_mrisr.scan.masks import head_mask

TOLERANCE = 0.02
"""Loss of contrast kept, 10th percentile, that still passes."""
JUDGED_FROM = 2
"""Smallest radius that is judged, in voxels."""

_VOLUMES = 8  # of the truth's size: both truths, both scans, two results of two methods


@dataclass(frozen=True)
class LesionRow(TaskRow):
    """One method's result at one planted lesion.

    Attributes
    ----------
    lesion : int
        Number within the volume, the same for all methods.
    shape : str
        ``sphere``, ``ellipsoid`` or ``sheet``.
    radius : int
        Of the sphere of the same volume, in voxels of the truth.
    contrast : float
        Signed part of the intensity window.
    kept : float
        Projection of the change onto the planted shape; 1 if all of the contrast is kept.
    error : float
        Squared error of the change in the lesion's box, relative to the lesion's energy.
    gain_db : float
        PSNR in the lesion's box minus that of tricubic.
    present, absent : tuple of float
        Responses of the observer's channels, times the sign of the contrast, to the result
        with and without the lesion.
    """

    lesion: int
    shape: str
    radius: int
    contrast: float
    kept: float
    error: float
    gain_db: float
    present: tuple[float, ...] = field(metadata=NOT_IN_CSV)
    absent: tuple[float, ...] = field(metadata=NOT_IN_CSV)


@dataclass(frozen=True)
class LesionTask(Task[LesionRow]):
    """Task ``lesions``.

    Attributes
    ----------
    seed : int
        Decides kinds and places of the lesions.
    """

    name: ClassVar[str] = "lesions"
    seed: int = 0

    def describe(self) -> str:
        """Return one line with every setting."""
        contrasts = ", ".join(f"{100 * c:g}" for c in CONTRASTS)
        return (
            f"spheres, ellipsoids and thin sheets with the volume of a sphere of radius "
            f"{', '.join(map(str, RADII))} voxels, contrast ± {contrasts} % of the window, "
            f"at least {GAP} voxels apart, seed {self.seed}"
        )

    def measure(
        self, truth: Volume, parameters: EvaluateParameters, scale: Scale, progress: Progress
    ) -> list[LesionRow]:
        """Plant lesions and measure the methods; see :meth:`Task.measure`."""
        inner = InnerProgress(progress)
        truth, window = clipped(truth, scale)
        unit = window.to_unit(truth.data)
        lesions = place_lesions(unit, head_mask(unit, inner), self.seed)
        if not lesions:
            found = "no place for a lesion inside the head"
            name = truth.origin.name if truth.origin else "volume"
            raise VolumeError(explain(name, found, "use an image of a whole head"))
        truths = unit, planted(unit, lesions)
        self._check_memory(truth, parameters, scale)
        scans = [
            simulate(
                replace(truth, data=window.from_unit(image)), scale, parameters.protocol, inner
            )
            for image in truths
        ]

        def results(method: str) -> tuple[FloatArray, FloatArray]:
            chosen = parameters.upscaling(method, scale)
            without, with_ = (timed_run(chosen, scan, inner)[0] for scan in scans)
            return window.to_unit(without.data), window.to_unit(with_.data)

        base = results(GAIN_OVER)
        rows: list[LesionRow] = []
        for method in parameters.methods:
            pair = base if method == GAIN_OVER else results(method)
            rows += [
                lesion_row(method, number, lesion, truths[1], pair, base[1])
                for number, lesion in enumerate(lesions)
            ]
            progress.advance()
        return rows

    def _check_memory(self, truth: Volume, parameters: EvaluateParameters, scale: Scale) -> None:
        low = truth.grid.degraded(scale)
        most = max(
            estimate_memory(low, parameters.upscaling(method, scale))
            for method in (GAIN_OVER, *parameters.methods)
        )
        need = most + _VOLUMES * truth.data.nbytes
        require_memory(need, "planted lesions need", "crop the image, or use a smaller one")

    def values(self, rows: Sequence[LesionRow]) -> Values:
        """Return contrast kept per radius, its 10th percentile, and the observer's area."""
        found = {f"kept, radius {r}": _median(part, _kept) for r, part in _by_radius(rows)}
        judged = [row for row in rows if row.radius >= JUDGED_FROM]
        found[f"10th percentile, radius ≥ {JUDGED_FROM}"] = tenth_kept(judged)
        areas = [detectability(part).area for _, part in _by_radius(rows)]
        return {**found, "observer's area": float(np.mean(areas))}

    def table(self, rows: Sequence[LesionRow]) -> str:
        """Return a block of lines per method, a column per radius, and who passes."""
        radii = [radius for radius, _ in _by_radius(rows)]
        lines = [["method", "radius in voxels", *map(str, radii)]]
        for method, own in _by_method(rows).items():
            parts = [part for _, part in _by_radius(own)]
            for title, text in _LINES.items():
                shown = method if title == next(iter(_LINES)) else ""
                lines.append([shown, title, *map(text, parts)])
        counts = ", ".join(f"{len(part)}" for _, part in _by_radius(_first(rows)))
        title = f"Planted lesions per radius: {counts}; medians over lesions"
        return "\n".join([title, *aligned(lines), "", *_verdicts(rows)])

    def figure(self, rows: Sequence[LesionRow], notes: Sequence[str]) -> Figure:
        """Draw contrast kept and the observer's area over the radius, a curve per method."""
        kept, area = {}, {}
        for method, own in _by_method(rows).items():
            parts = dict(_by_radius(own))
            radii = [float(radius) for radius in parts]
            middle = [_median(part, _kept) for part in parts.values()]
            kept[method] = Curve(radii, middle, [tenth_kept(p) for p in parts.values()], middle)
            found = [detectability(part) for part in parts.values()]
            low, high = [one.low for one in found], [one.high for one in found]
            area[method] = Curve(radii, [one.area for one in found], low, high)
        panels = {
            "contrast kept (band: to the 10th percentile)": kept,
            "area under the observer's ROC curve (band: 95 % interval)": area,
        }
        count = len({row.file for row in rows})
        images = "1 image" if count == 1 else f"{count} images"
        title = f"{len(_first(rows))} planted lesions in {images}"
        return curve_figure(panels, "radius of the lesion, voxels", title, notes)


def lesion_row(
    method: str,
    number: int,
    lesion: Lesion,
    truth: FloatArray,
    results: tuple[FloatArray, FloatArray],
    base: FloatArray,
) -> LesionRow:
    """Measure one lesion.

    Parameters
    ----------
    method : str
    number : int
    lesion : Lesion
    truth : (x, y, z) ndarray of float32
        With lesions, in engine units, as all others.
    results : tuple of ndarray
        Of the method, without and with lesions.
    base : (x, y, z) ndarray of float32
        Result of tricubic with lesions.
    """
    box, kind = lesion.box, lesion.kind
    without, with_ = (result[box].astype(np.float64) for result in results)
    shape = kind.contrast * lesion.part.astype(np.float64)
    change, energy = with_ - without, float((shape**2).sum())
    errors = [float(((image - truth[box]) ** 2).sum()) for image in (results[1][box], base[box])]
    gain = 10.0 * math.log10(errors[1] / errors[0]) if min(errors) > 0 else math.nan
    sign = math.copysign(1.0, kind.contrast)
    absent, present = (
        tuple(map(float, sign * responses(result, lesion.center, kind.radius)))
        for result in results
    )
    return LesionRow(
        method,
        lesion=number,
        shape=kind.shape,
        radius=kind.radius,
        contrast=kind.contrast,
        kept=float((change * shape).sum()) / energy,
        error=float(((change - shape) ** 2).sum()) / energy,
        gain_db=gain,
        present=present,
        absent=absent,
    )


def detectability(rows: Sequence[LesionRow]) -> Area:
    """Return the observer's area for rows of one method and radius."""
    present, absent = (np.array([getattr(row, n) for row in rows]) for n in ("present", "absent"))
    return roc_area(*scores(present, absent))


def tenth_kept(rows: Sequence[LesionRow]) -> float:
    """Return the 10th percentile of the contrast kept."""
    return float(np.percentile([row.kept for row in rows], 10)) if rows else math.nan


def losses(rows: Sequence[LesionRow], method: str) -> list[str]:
    """Return where a method keeps less contrast than tricubic, one line per radius and contrast.

    Its median and its 10th percentile must be at least those of tricubic, the latter within
    :data:`TOLERANCE`, at every contrast and every radius from :data:`JUDGED_FROM`.
    """
    found = []
    methods = _by_method(rows)
    for radius, contrast in ((r, c) for r in RADII if r >= JUDGED_FROM for c in CONTRASTS):
        own, base = (
            [row for row in methods[name] if (row.radius, abs(row.contrast)) == (radius, contrast)]
            for name in (method, GAIN_OVER)
        )
        if not own:
            continue
        medians = _median(own, _kept), _median(base, _kept)
        tenths = tenth_kept(own), tenth_kept(base)
        if medians[0] < medians[1] or tenths[0] < tenths[1] - TOLERANCE:
            found.append(
                f"radius {radius}, {100 * contrast:g} %: median {medians[0]:.3f} "
                f"(tricubic {medians[1]:.3f}), 10th percentile {tenths[0]:.3f} ({tenths[1]:.3f})"
            )
    return found


def _verdicts(rows: Sequence[LesionRow]) -> Iterator[str]:
    methods = _by_method(rows)
    if GAIN_OVER not in methods:
        return
    for method in methods:
        if method == GAIN_OVER:
            continue
        lost = losses(rows, method)
        if lost:
            yield f"{method} keeps less contrast than {GAIN_OVER} at"
            yield from (f"  {line}" for line in lost)
        else:
            yield (
                f"{method} keeps at least the contrast of {GAIN_OVER} at every radius ≥ "
                f"{JUDGED_FROM} and contrast (10th percentile: within {TOLERANCE:g})"
            )


def _by_method(rows: Sequence[LesionRow]) -> dict[str, list[LesionRow]]:
    return {
        m: [row for row in rows if row.method == m] for m in dict.fromkeys(r.method for r in rows)
    }


def _by_radius(rows: Sequence[LesionRow]) -> list[tuple[int, list[LesionRow]]]:
    radii = sorted({row.radius for row in rows})
    return [(radius, [row for row in rows if row.radius == radius]) for radius in radii]


def _first(rows: Sequence[LesionRow]) -> list[LesionRow]:
    return next(iter(_by_method(rows).values()), [])


def _kept(row: LesionRow) -> float:
    return row.kept


def _median(rows: Sequence[LesionRow], value: Callable[[LesionRow], float]) -> float:
    return float(np.nanmedian([value(row) for row in rows])) if rows else math.nan


def _area_text(rows: Sequence[LesionRow]) -> str:
    area, low, high = detectability(rows)
    return "–" if math.isnan(area) else f"{area:.2f} ({low:.2f} to {high:.2f})"


_LINES: dict[str, Callable[[Sequence[LesionRow]], str]] = {
    "contrast kept / 10th percentile": lambda rows: (
        f"{_median(rows, _kept):.2f} / {tenth_kept(rows):.2f}"
    ),
    "gain over tricubic, dB": lambda rows: f"{_median(rows, lambda row: row.gain_db):+.2f}",
    "observer's area (95 %)": _area_text,
    "error / lesion's energy": lambda rows: f"{_median(rows, lambda row: row.error):.2f}",
}
