"""The numbers of regions of interest and of the head, each with its protocol.

Against a truth they are computed on the truth's voxels; without one, each
volume is measured on its own. A number that is undefined is a dash with the
reason (:class:`~napari_mrisr.comparison.table.Value`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from napari_mrisr.comparison.consistency import LARGEST_FACTOR, consistency, nesting
from napari_mrisr.comparison.facts import Facts
from napari_mrisr.comparison.measures import Numbers, measure_region, sharpness
from napari_mrisr.comparison.resample import SAME_VOXELS, Reader, reader
from napari_mrisr.comparison.roi import LabelRoi, Roi, Selection
from napari_mrisr.comparison.table import (
    AGAINST_TRUTH,
    CNR,
    CONSISTENCY,
    CONSISTENCY_DB,
    WITHOUT_TRUTH,
    Basis,
    Quantity,
    Row,
    Table,
    Value,
)
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import scale_label
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.kernels.cpu_regions import WINDOW
from napari_mrisr.operators.degrade import get_degradation

# A volume may lack this part of a region's voxels; with more, its numbers are of another region.
_FEW = 0.01
_ERRORS = ("psnr", "ssim", "rmse", "mae", "bias")
_OUTSIDE = "outside the field of view"


@dataclass(frozen=True, eq=False)
class NumberBook:
    """Numbers of some volumes. Make a new one when the choice of volumes changes.

    Attributes
    ----------
    volumes : mapping of str to Volume
        In the scan's intensities.
    columns : tuple of str
        Keys of the volumes to measure, in order.
    truth : str or None
        What they are compared with.
    measured : str or None
        The low-resolution volume that was measured; asked without a truth.
    facts : Facts
        Shared between books, so that what is known of a volume stays known.
    degradation : str
        Forward model of the consistency with ``measured``.

    Raises
    ------
    ParameterError
        For an unknown degradation.
    """

    volumes: Mapping[str, Volume]
    columns: tuple[str, ...]
    truth: str | None = None
    measured: str | None = None
    facts: Facts = field(default_factory=Facts)
    degradation: str = "standard"

    def __post_init__(self) -> None:
        get_degradation(self.degradation)

    @property
    def ready(self) -> bool:
        """Whether :meth:`region` answers at once: what :meth:`prepare` does is done."""
        if not _warm_up.cache_info().currsize:
            return False
        return self.truth is None or self.facts.knows_window(self.volumes[self.truth])

    def prepare(self, progress: Progress | None = None) -> None:
        """Make ready: the truth's data range, and the kernels compiled."""
        progress = progress or Progress()
        progress.begin("preparing the numbers", 2)
        _warm_up()
        progress.advance()
        if self.truth is not None:
            self.facts.window(self.volumes[self.truth])
        progress.advance()

    def region(self, roi: Roi, progress: Progress | None = None) -> Table:
        """The numbers of a region of interest.

        Parameters
        ----------
        roi : Roi
            The region.
        progress : Progress, optional
            Asked every 50 ms or so; for large regions.

        Raises
        ------
        Cancelled
            When asked to stop.
        """
        if self.truth is not None:
            selection = roi.select(self.volumes[self.truth].grid)
            return self._against_truth(self.truth, roi, selection, selection, progress)
        return Table(WITHOUT_TRUTH, tuple(self._alone(key, roi, progress) for key in self.columns))

    def head(self, progress: Progress | None = None) -> Table:
        """The numbers of the head, and the consistency; takes seconds.

        The head is that of the truth; without one, of the first column. SSIM
        windows may look beyond the mask. Otherwise as :meth:`region`.
        """
        progress = progress or Progress()
        if not self.columns and self.truth is None:
            return Table(WITHOUT_TRUTH)
        progress.begin("finding the head", 1)
        head = self.facts.head(self.volumes[self.truth or self.columns[0]], progress)
        progress.advance()
        if self.truth is not None:
            grid = self.volumes[self.truth].grid
            selection = head.select(grid)
            # The head's border lies in air, which windows may look at.
            around = selection.grown(WINDOW // 2, grid) if selection else None
            return self._against_truth(self.truth, head, selection, around, progress)
        rows = (self._alone(key, head, progress) for key in self.columns)
        with_lr = tuple(self._consistency(row, head, progress) for row in rows)
        return Table(WITHOUT_TRUTH, with_lr)

    def contrast_to_noise(self, first: Roi, second: Roi) -> Table:
        """|mean₁ − mean₂| / √((SD₁² + SD₂²) / 2) of two regions, one row a volume."""
        rows = []
        for key in self._keys():
            reference = self.volumes[self.truth or key]
            entry = reader(self.volumes[key], reference)
            pair = [self._moments(entry, roi.select(reference.grid)) for roi in (first, second)]
            value, why = _cnr(*pair)
            mask = f"1: {first.describe()}; 2: {second.describe()}"
            basis = Basis(mask, self._grid_words(reference.grid), entry.how)
            values = {CNR.name: Value(value, why, basis.say(CNR), CNR.style)}
            name = f"{first.name} | {second.name}"
            rows.append(Row(name, key, values, basis, key == self.truth))
        return Table((CNR,), tuple(rows))

    def _keys(self) -> tuple[str, ...]:
        """The columns, the truth among them."""
        if self.truth is None or self.truth in self.columns:
            return self.columns
        return (self.truth, *self.columns)

    def _against_truth(
        self,
        truth: str,
        roi: Roi,
        selection: Selection | None,
        box: Selection | None,
        progress: Progress | None,
    ) -> Table:
        """Rows of all volumes; ``box`` is the selection in what SSIM windows may reach."""
        reference = self.volumes[truth]
        window = self.facts.window(reference)
        data_range = window.high - window.low if window else None
        keys = self._keys()
        others = [key for key in keys if key != truth]
        readers = {key: reader(self.volumes[key], reference) for key in (truth, *others)}
        found = {}
        reach = "the region's box" if box is selection else "the field of view"
        if box is not None and box.count:
            numbers = measure_region(list(readers.values()), box, data_range, progress)
            found = dict(zip(readers, numbers, strict=True))
        range_words = "none: the truth is constant"
        if window:
            words = f"{window.low:.6g} to the truth's 99.9th percentile {window.high:.6g}"
            range_words = f"{data_range:.6g}, {words}"
        rows = []
        for key in keys:
            entry = found.get(key)
            basis = Basis(
                _mask_words(roi, selection),
                self._grid_words(reference.grid),
                _brought_words(readers[key], entry),
                range_words,
                _window_words(entry, reach),
            )
            whys = _whys(selection, entry, found.get(truth), box)
            if data_range is None:
                whys |= {"psnr": range_words, "ssim": range_words}
            values = _against_truth_values(entry, data_range)
            if key == truth:
                whys |= dict.fromkeys(_ERRORS, "this is the truth")
                values |= dict.fromkeys(_ERRORS, math.nan)
            rows.append(_row(roi.name, key, AGAINST_TRUTH, values, whys, basis, key == truth))
        return Table(AGAINST_TRUTH, tuple(rows))

    def _alone(self, key: str, roi: Roi, progress: Progress | None) -> Row:
        """A row without a truth, on the volume's own voxels."""
        volume = self.volumes[key]
        selection = roi.select(volume.grid)
        entry = self._moments(reader(volume, volume), selection, progress)
        basis = Basis(_mask_words(roi, selection), self._grid_words(volume.grid), SAME_VOXELS)
        whys = _whys(selection, entry, None, selection)
        values = {"n": entry.voxels, "mean": entry.mean, "sd": entry.sd} if entry else {}
        if selection is not None and selection.count:
            values["sharpness"] = sharpness(volume, selection, progress)
            if math.isnan(values["sharpness"]):
                few = min(selection.region.shape) < 3
                reason = "needs 3 voxels an axis" if few else "the mean intensity is not positive"
                whys.setdefault("sharpness", reason)
        later = "given for the head"
        whys = {"consistency": later, "consistency_db": later} | whys
        return _row(roi.name, key, WITHOUT_TRUTH, values, whys, basis, False)

    def _moments(
        self, entry: Reader, selection: Selection | None, progress: Progress | None = None
    ) -> Numbers | None:
        if selection is None or not selection.count:
            return None
        return measure_region([entry], selection, None, progress)[0]

    def _consistency(self, row: Row, head: LabelRoi, progress: Progress) -> Row:
        """The row with whether its volume agrees with the measured one."""
        error, words = self._consistency_percent(row.volume, head, progress)
        percent, why = (math.nan, error) if isinstance(error, str) else (error, "")
        decibel = 20.0 * math.log10(100.0 / percent) if percent else math.inf
        equal = "the volumes are equal here" if percent == 0.0 else ""
        basis = replace(row.basis, consistency=words)
        values = dict(row.values)
        for quantity, value in ((CONSISTENCY, percent), (CONSISTENCY_DB, decibel)):
            reason = why or (equal if quantity is CONSISTENCY_DB else "")
            values[quantity.name] = Value(value, reason, basis.say(quantity), quantity.style)
        return replace(row, values=values, basis=basis)

    def _consistency_percent(
        self, key: str, head: LabelRoi, progress: Progress
    ) -> tuple[float | str, str]:
        """The error or why there is none; and its protocol."""
        if self.measured is None:
            return "no measured low-resolution volume is chosen", ""
        if key == self.measured:
            return "this is the measured volume", ""
        volume, measured = self.volumes[key], self.volumes[self.measured]
        scale = nesting(volume.grid, measured.grid)
        if scale is None:
            limits = f"(factors 1 to {LARGEST_FACTOR})"
            return f"its voxels do not nest in the measured volume's {limits}", ""
        if scale == (1, 1, 1):
            return "it is on the measured volume's own grid", ""
        window, selection = self.facts.window(measured), head.select(measured.grid)
        if window is None:
            return "the measured volume is constant", ""
        if selection is None or not selection.count:
            return _OUTSIDE, ""
        data_range = window.high - window.low
        words = (
            f"mask: {_mask_words(head, selection)} of the measured volume; "
            f"degradation: {self.degradation}, {scale_label(scale)}; "
            f"LR's data range: {data_range:.6g}"
        )
        error = consistency(volume, measured, scale, self.degradation, selection, progress)
        return 100.0 * error / data_range, words

    def _grid_words(self, grid: Grid) -> str:
        voxels = " × ".join(str(n) for n in grid.shape)
        size = " × ".join(f"{edge:.4g}" for edge in grid.voxel_size)
        return f"{'the truth' if self.truth else 'its own'}, {voxels} voxels of {size} mm"


def _against_truth_values(entry: Numbers | None, data_range: float | None) -> dict[str, float]:
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


def _whys(
    selection: Selection | None, entry: Numbers | None, truth: Numbers | None, box: Selection | None
) -> dict[str, str]:
    """Why quantities are undefined, by name; ``*`` stands for all but the count."""
    if selection is None:
        return {"*": _OUTSIDE, "n": _OUTSIDE}
    if entry is None or box is None:
        return {"*": "no voxel's center lies inside"}
    lost = entry.missing / (entry.missing + entry.voxels)
    if lost > _FEW:
        where = "outside its field of view, or not finite"
        return {"*": f"no value in {100 * lost:.3g} % of the region ({where})"}
    whys = {"sd": "one voxel has no SD"} if entry.voxels == 1 else {}
    if truth is None:
        return whys
    smallest = min(box.region.shape)
    if smallest < WINDOW:
        whys["ssim"] = f"needs {WINDOW} voxels an axis, has {smallest}"
    elif truth.constant:
        whys["ssim"] = "the truth is constant here"
    elif entry.windows == 0:
        whys["ssim"] = f"no window of {WINDOW} voxels has its center inside and fits"
    if entry.rmse == 0.0:
        whys["psnr"] = "the images are equal here"
    return whys


def _row(
    region: str,
    key: str,
    quantities: tuple[Quantity, ...],
    found: Mapping[str, float],
    whys: Mapping[str, str],
    basis: Basis,
    is_truth: bool,
) -> Row:
    values = {}
    for quantity in quantities:
        name = quantity.name
        why = whys.get(name) or ("" if name == "n" else whys.get("*", ""))
        value = found.get(name, 0.0 if name == "n" and not why else math.nan)
        if why and not math.isinf(value):
            value = math.nan
        values[name] = Value(value, why, basis.say(quantity), quantity.style)
    return Row(region, key, values, basis, is_truth)


def _cnr(first: Numbers | None, second: Numbers | None) -> tuple[float, str]:
    for entry in (first, second):
        if entry is None or not entry.voxels:
            return math.nan, f"a region is {_OUTSIDE} or holds no voxel's center"
        if entry.missing > _FEW * (entry.missing + entry.voxels):
            return math.nan, "a region lies in part outside its field of view, or is not finite"
        if entry.voxels == 1:
            return math.nan, "one voxel has no SD"
        if entry.constant:
            return math.nan, "a region is constant: it shows no noise"
    assert first is not None and second is not None
    noise = math.sqrt((first.sd**2 + second.sd**2) / 2.0)
    return abs(first.mean - second.mean) / noise, ""


def _mask_words(roi: Roi, selection: Selection | None) -> str:
    what = roi.describe()
    if selection is None:
        return f"{what}; {_OUTSIDE}"
    part = "; what lies outside the field of view is left out" if selection.clipped else ""
    return f"{what}; {selection.count} voxels{part}"


def _brought_words(entry: Reader, numbers: Numbers | None) -> str:
    lost = numbers.missing if numbers else 0
    return f"{entry.how}; {lost} without a value left out" if lost else entry.how


def _window_words(numbers: Numbers | None, reach: str) -> str:
    words = f"Gaussian σ 1.5, {WINDOW}³ voxels, wholly inside {reach}; K₁ 0.01, K₂ 0.03"
    return f"{words}; mean of {numbers.windows}" if numbers and numbers.windows else words


@functools.cache
def _warm_up() -> None:
    """Load or compile the kernels, on 11 voxels cubed."""
    grid = Grid((WINDOW,) * 3, np.eye(4))
    volume = Volume(np.zeros(grid.shape, np.float32), grid)
    selection = Selection(Region.whole(grid.shape), np.ones(grid.shape, np.bool_))
    measure_region([reader(volume, volume)] * 2, selection, 1.0)
    sharpness(volume, selection)
