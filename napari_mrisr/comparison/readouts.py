"""Numbers of regions of interest and of the head, each with its protocol.

With a reference they are computed on the reference's voxels; without one, each volume
is measured on its own voxels. An undefined number is a dash with the reason
(:class:`~napari_mrisr.comparison.table.Value`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from napari_mrisr.comparison.measures import (
    LARGEST_FACTOR,
    SAME_VOXELS,
    Numbers,
    Sampler,
    VolumeCache,
    consistency,
    forward_model,
    in_plane_axes,
    is_map,
    measure_region,
    noise,
    sampler_of,
    sharpness,
)
from napari_mrisr.comparison.roi import LabelRoi, Roi, Selection
from napari_mrisr.comparison.scene import same_grid
from napari_mrisr.comparison.table import (
    CNR,
    CONSISTENCY,
    WITH_REFERENCE,
    WITHOUT_REFERENCE,
    Basis,
    Quantity,
    Row,
    Table,
    Value,
)
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.kernels.cpu_regions import WINDOW
from napari_mrisr.operators.degrade import get_degradation

# Fraction of a region's voxels that a volume may lack.
_MAX_MISSING = 0.01
_ERRORS = ("psnr", "ssim", "rmse", "mae", "bias")
_OUTSIDE = "outside the field of view"
_MAP = "this is a trust map"


@dataclass(frozen=True, eq=False)
class NumberBook:
    """Numbers of a fixed choice of volumes.

    Attributes
    ----------
    volumes : mapping of str to Volume
        In the scan's intensities.
    columns : tuple of str
        Keys of the volumes to measure, in order.
    truth : str or None
        Reference volume.
    measured : str or None
        Measured low-resolution scan; used if there is no reference.
    cache : VolumeCache
        Shared between books.
    degradation : str or None
        Forward model of the consistency with ``measured``; None for the one that fits the
        scan, see :func:`~napari_mrisr.comparison.measures.forward_model`.

    Raises
    ------
    ParameterError
        If the degradation is unknown.
    """

    volumes: Mapping[str, Volume]
    columns: tuple[str, ...]
    truth: str | None = None
    measured: str | None = None
    cache: VolumeCache = field(default_factory=VolumeCache)
    degradation: str | None = None

    def __post_init__(self) -> None:
        if self.degradation is not None:
            get_degradation(self.degradation)

    @property
    def ready(self) -> bool:
        """Return True if :meth:`region` needs no more preparation."""
        if not _warm_up.cache_info().currsize:
            return False
        return self.truth is None or self.cache.has_window(self.volumes[self.truth])

    def prepare(self, progress: Progress | None = None) -> None:
        """Find the reference's data range and compile the kernels."""
        progress = progress or Progress()
        progress.begin("preparing the numbers", 2)
        _warm_up()
        progress.advance()
        if self.truth is not None:
            self.cache.window(self.volumes[self.truth])
        progress.advance()

    def region(self, roi: Roi, progress: Progress | None = None) -> Table:
        """Return the numbers of a region of interest.

        Parameters
        ----------
        roi : Roi
            Region to measure.
        progress : Progress, optional
            Checked for cancel about every 50 ms.

        Raises
        ------
        Cancelled
            If the user cancels.
        """
        if self.truth is not None:
            selection = roi.select(self.volumes[self.truth].grid)
            return self._with_reference(self.truth, roi, selection, selection, progress)
        return Table(
            WITHOUT_REFERENCE, tuple(self._alone(key, roi, progress) for key in self.columns)
        )

    def head(self, progress: Progress | None = None) -> Table:
        """Return the numbers of the head, and the consistency; takes seconds.

        The head is that of the reference; without one, of the first column. SSIM
        windows may extend beyond the mask. Otherwise as :meth:`region`.
        """
        progress = progress or Progress()
        if not self.columns and self.truth is None:
            return Table(WITHOUT_REFERENCE)
        progress.begin("finding the head", 1)
        head = self.cache.head(self.volumes[self.truth or self.columns[0]], progress)
        progress.advance()
        if self.truth is not None:
            grid = self.volumes[self.truth].grid
            selection = head.select(grid)
            # The head's border lies in air, so windows may extend beyond it.
            around = selection.grown(WINDOW // 2, grid) if selection else None
            return self._with_reference(self.truth, head, selection, around, progress)
        rows = (self._alone(key, head, progress) for key in self.columns)
        with_lr = tuple(self._consistency(row, head, progress) for row in rows)
        return Table(WITHOUT_REFERENCE, with_lr)

    def contrast_to_noise(self, first: Roi, second: Roi) -> Table:
        """Return |mean₁ − mean₂| / √((SD₁² + SD₂²) / 2) of two regions, one row per volume."""
        rows = []
        for key in self._keys():
            reference = self.volumes[self.truth or key]
            entry = sampler_of(self.volumes[key], reference)
            pair = [self._moments(entry, roi.select(reference.grid)) for roi in (first, second)]
            value, reason = _cnr(*pair)
            mask = f"1: {first.describe()}; 2: {second.describe()}"
            basis = Basis(mask, self._grid_text(reference.grid), entry.method)
            values = {CNR.name: Value(value, reason, basis.describe(CNR), CNR.style)}
            name = f"{first.name} | {second.name}"
            rows.append(Row(name, key, values, basis, key == self.truth))
        return Table((CNR,), tuple(rows))

    def _keys(self) -> tuple[str, ...]:
        """Return the columns and the reference."""
        if self.truth is None or self.truth in self.columns:
            return self.columns
        return (self.truth, *self.columns)

    def _with_reference(
        self,
        truth: str,
        roi: Roi,
        selection: Selection | None,
        box: Selection | None,
        progress: Progress | None,
    ) -> Table:
        """Return rows of all volumes; SSIM windows may extend over the region of ``box``."""
        reference = self.volumes[truth]
        window = self.cache.window(reference)
        data_range = window.high - window.low if window else None
        keys = self._keys()
        others = [key for key in keys if key != truth]
        samplers = {key: sampler_of(self.volumes[key], reference) for key in (truth, *others)}
        found = {}
        reach = "the region's box" if box is selection else "the field of view"
        if box is not None and box.count:
            numbers = measure_region(list(samplers.values()), box, data_range, progress)
            found = dict(zip(samplers, numbers, strict=True))
        range_text = "none: the reference is constant"
        if window:
            words = f"{window.low:.6g} to the reference's 99.9th percentile {window.high:.6g}"
            range_text = f"{data_range:.6g}, {words}"
        rows = []
        for key in keys:
            entry = found.get(key)
            basis = Basis(
                _mask_text(roi, selection),
                self._grid_text(reference.grid),
                _sampling_text(samplers[key], entry),
                range_text,
                _window_text(entry, reach),
            )
            reasons = _reasons(selection, entry, found.get(truth), box)
            if data_range is None:
                reasons |= {"psnr": range_text, "ssim": range_text}
            values = _reference_values(entry, data_range)
            if is_map(self.volumes[key]):
                reasons |= dict.fromkeys(_ERRORS, _MAP)
                values |= dict.fromkeys(_ERRORS, math.nan)
            if key == truth:
                reasons |= dict.fromkeys(_ERRORS, "this is the reference")
                values |= dict.fromkeys(_ERRORS, math.nan)
            rows.append(_row(roi.name, key, WITH_REFERENCE, values, reasons, basis, key == truth))
        return Table(WITH_REFERENCE, tuple(rows))

    def _alone(self, key: str, roi: Roi, progress: Progress | None) -> Row:
        """Return a row without a reference, on the volume's own voxels."""
        volume = self.volumes[key]
        selection = roi.select(volume.grid)
        entry = self._moments(sampler_of(volume, volume), selection, progress)
        basis = Basis(_mask_text(roi, selection), self._grid_text(volume.grid), SAME_VOXELS)
        reasons = _reasons(selection, entry, None, selection)
        values = {"n": entry.voxels, "mean": entry.mean, "sd": entry.sd} if entry else {}
        if selection is not None and selection.count:
            values["sharpness"] = sharpness(volume, selection, progress)
            scan = volume if self.measured is None else self.volumes[self.measured]
            values["noise"] = noise(volume, selection, in_plane_axes(scan), progress)
            if math.isnan(values["noise"]):
                reasons.setdefault("noise", "needs 3 voxels per axis")
            if math.isnan(values["sharpness"]):
                few = min(selection.region.shape) < 3
                reason = "needs 3 voxels per axis" if few else "the mean intensity is not positive"
                reasons.setdefault("sharpness", reason)
        later = "given for the head"
        reasons = {"consistency": later} | reasons
        if is_map(volume):
            reasons |= dict.fromkeys(("consistency", "sharpness", "noise"), _MAP)
        return _row(roi.name, key, WITHOUT_REFERENCE, values, reasons, basis, False)

    def _moments(
        self, entry: Sampler, selection: Selection | None, progress: Progress | None = None
    ) -> Numbers | None:
        if selection is None or not selection.count:
            return None
        return measure_region([entry], selection, None, progress)[0]

    def _consistency(self, row: Row, head: LabelRoi, progress: Progress) -> Row:
        """Return the row with the consistency of its volume."""
        error, words = self._consistency_percent(row.volume, head, progress)
        percent, reason = (math.nan, error) if isinstance(error, str) else (error, "")
        basis = replace(row.basis, consistency=words)
        value = Value(percent, reason, basis.describe(CONSISTENCY), CONSISTENCY.style)
        return replace(row, values={**row.values, CONSISTENCY.name: value}, basis=basis)

    def _consistency_percent(
        self, key: str, head: LabelRoi, progress: Progress
    ) -> tuple[float | str, str]:
        """Return the error, or the reason for none, and its protocol."""
        if self.measured is None:
            return "no measured scan is chosen", ""
        if key == self.measured:
            return "this is the measured scan", ""
        volume, measured = self.volumes[key], self.volumes[self.measured]
        if is_map(volume):
            return _MAP, ""
        if same_grid(volume, measured):
            return "it is on the measured scan's own grid", ""
        model = forward_model(volume.grid, measured, self.degradation)
        if model is None:
            limits = f"(factors 1 to {LARGEST_FACTOR})"
            return f"its voxels do not nest in the measured scan's {limits}", ""
        window, selection = self.cache.window(measured), head.select(measured.grid)
        if window is None:
            return "the measured scan is constant", ""
        if selection is None or not selection.count:
            return _OUTSIDE, ""
        data_range = window.high - window.low
        words = (
            f"mask: {_mask_text(head, selection)} of the measured scan; "
            f"degradation: {model.words}; the scan's data range: {data_range:.6g}"
        )
        error = consistency(volume, measured, model, selection, progress)
        return 100.0 * error / data_range, words

    def _grid_text(self, grid: Grid) -> str:
        voxels = " × ".join(str(n) for n in grid.shape)
        size = " × ".join(f"{edge:.4g}" for edge in grid.voxel_size)
        return f"{'the reference' if self.truth else 'its own'}, {voxels} voxels of {size} mm"


def _reference_values(entry: Numbers | None, data_range: float | None) -> dict[str, float]:
    if entry is None:
        return {}
    psnr = math.nan
    if data_range is not None and not math.isnan(entry.rmse):
        psnr = 20.0 * math.log10(data_range / entry.rmse) if entry.rmse else math.inf
    return {
        "psnr": psnr,
        "ssim": entry.ssim,
        "rmse": entry.rmse,
        "mae": entry.mae,
        "bias": entry.bias,
        "n": entry.voxels,
        "mean": entry.mean,
        "sd": entry.sd,
    }


def _reasons(
    selection: Selection | None, entry: Numbers | None, truth: Numbers | None, box: Selection | None
) -> dict[str, str]:
    """Return the reasons of undefined numbers by name; ``*`` is all but the count."""
    if selection is None:
        return {"*": _OUTSIDE, "n": _OUTSIDE}
    if entry is None or box is None:
        return {"*": "no voxel's center lies inside"}
    lost = entry.missing / (entry.missing + entry.voxels)
    if lost > _MAX_MISSING:
        where = "outside its field of view, or not finite"
        return {"*": f"no value in {100 * lost:.3g} % of the region ({where})"}
    reasons = {"sd": "one voxel has no SD"} if entry.voxels == 1 else {}
    if truth is None:
        return reasons
    smallest = min(box.region.shape)
    if smallest < WINDOW:
        reasons["ssim"] = f"needs {WINDOW} voxels per axis, has {smallest}"
    elif truth.constant:
        reasons["ssim"] = "the reference is constant here"
    elif entry.windows == 0:
        reasons["ssim"] = f"no window of {WINDOW} voxels has its center inside and fits"
    if entry.rmse == 0.0:
        reasons["psnr"] = "the images are equal here"
    return reasons


def _row(
    region: str,
    key: str,
    quantities: tuple[Quantity, ...],
    found: Mapping[str, float],
    reasons: Mapping[str, str],
    basis: Basis,
    is_reference: bool,
) -> Row:
    values = {}
    for quantity in quantities:
        name = quantity.name
        reason = reasons.get(name) or ("" if name == "n" else reasons.get("*", ""))
        value = found.get(name, 0.0 if name == "n" and not reason else math.nan)
        if reason and not math.isinf(value):
            value = math.nan
        values[name] = Value(value, reason, basis.describe(quantity), quantity.style)
    return Row(region, key, values, basis, is_reference)


def _cnr(first: Numbers | None, second: Numbers | None) -> tuple[float, str]:
    for entry in (first, second):
        if entry is None or not entry.voxels:
            return math.nan, f"a region is {_OUTSIDE} or holds no voxel's center"
        if entry.missing > _MAX_MISSING * (entry.missing + entry.voxels):
            return math.nan, "a region lies in part outside its field of view, or is not finite"
        if entry.voxels == 1:
            return math.nan, "one voxel has no SD"
        if entry.constant:
            return math.nan, "a region is constant: it shows no noise"
    assert first is not None and second is not None
    noise = math.sqrt((first.sd**2 + second.sd**2) / 2.0)
    return abs(first.mean - second.mean) / noise, ""


def _mask_text(roi: Roi, selection: Selection | None) -> str:
    text = roi.describe()
    if selection is None:
        return f"{text}; {_OUTSIDE}"
    part = "; voxels outside the field of view are not counted" if selection.clipped else ""
    return f"{text}; {selection.count} voxels{part}"


def _sampling_text(sampler: Sampler, numbers: Numbers | None) -> str:
    lost = numbers.missing if numbers else 0
    return f"{sampler.method}; {lost} without a value not counted" if lost else sampler.method


def _window_text(numbers: Numbers | None, reach: str) -> str:
    words = f"Gaussian σ 1.5, {WINDOW}³ voxels, entirely inside {reach}; K₁ 0.01, K₂ 0.03"
    return f"{words}; mean of {numbers.windows}" if numbers and numbers.windows else words


@functools.cache
def _warm_up() -> None:
    """Load or compile the kernels, on 11³ voxels."""
    grid = Grid((WINDOW,) * 3, np.eye(4))
    volume = Volume(np.zeros(grid.shape, np.float32), grid)
    selection = Selection(Region.whole(grid.shape), np.ones(grid.shape, np.bool_))
    measure_region([sampler_of(volume, volume)] * 2, selection, 1.0)
    sharpness(volume, selection)
