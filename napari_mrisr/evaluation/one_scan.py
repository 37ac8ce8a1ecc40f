"""Several methods on one open scan: their results, numbers, and a page to print."""

from __future__ import annotations

import contextlib
import functools
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

from matplotlib.figure import Figure

from napari_mrisr.core.memory import require_memory
from napari_mrisr.core.progress import Progress, ProgressState
from napari_mrisr.core.scale import RealScale, scale_label, thick_axis, whole_scale
from napari_mrisr.core.threads import call_in_thread
from napari_mrisr.core.volume import Grid, IntensityWindow, Volume
from napari_mrisr.errors import ParameterError
from napari_mrisr.evaluation.bench import GAIN, figure_slice, number_text, picture
from napari_mrisr.evaluation.experiment import EvaluateParameters, compare
from napari_mrisr.evaluation.protocol import DIRECTIONS, PROTOCOLS, Protocol, get_protocol
from napari_mrisr.evaluation.tasks.base import Values
from napari_mrisr.evaluation.unreferenced import edge_width, stripes
from napari_mrisr.figures.bench import bench_figure
from napari_mrisr.run.timing import timed_run
from napari_mrisr.run.upscale import check_labels, estimate_memory
from napari_mrisr.scan.masks import BoolArray, head_mask
from napari_mrisr.scan.traits import noise_sd

_MEMORY_MEND = "choose fewer methods, a smaller scale, or crop the scan"


@dataclass(frozen=True, eq=False)
class ScanReport:
    """Results of several methods on one scan.

    Attributes
    ----------
    low : Volume
        Scan that the methods got, in the scan's intensities.
    truth : Volume or None
        Volume that ``low`` was simulated from, prepared as for an evaluation.
    window : IntensityWindow
        Intensities that count as 0 and 1.
    results : dict of str to Volume
        By method.
    values : dict of str to (dict of str to float)
        By method, then the number's name with its unit.
    scale : RealScale
        In RAS order.
    settings : str
        Protocol of the numbers.
    """

    low: Volume
    truth: Volume | None
    window: IntensityWindow
    results: dict[str, Volume]
    values: dict[str, Values]
    scale: RealScale
    settings: str

    def table(self) -> list[list[str]]:
        """Return a row of headings, and a row of texts per method."""
        names = list(dict.fromkeys(name for one in self.values.values() for name in one))
        rows = [
            [method, *(number_text(one.get(name, math.nan)) for name in names)]
            for method, one in self.values.items()
        ]
        return [["method", *names], *rows]


def protocol_of(scale: RealScale) -> Protocol:
    """Return the protocol that simulates a scan: ``thick-slices`` for one axis, else standard.

    Raises
    ------
    ScaleError
        If a factor is not whole.
    """
    axis = thick_axis(whole_scale(scale, "the simulation"))
    if axis is None:
        return PROTOCOLS["standard"]
    return get_protocol(f"thick-slices:{scale[axis]:g}", axis=DIRECTIONS[axis])


def check_memory_for_all(
    grid: Grid, methods: Sequence[str], parameters: EvaluateParameters, scale: RealScale
) -> int:
    """Return the memory for a run of each method on a grid, with all results kept, in bytes.

    Raises
    ------
    MemoryEstimateError
        If it is not free.
    """
    each = [parameters.upscaling(name, scale) for name in methods]
    output = math.prod(grid.upsampled(scale).shape)
    # A result before, and arrays of the output's size that measure one against the truth.
    need = max(estimate_memory(grid, one) for one in each) + 4 * output * (len(each) + 3)
    require_memory(need, f"{len(each)} methods need", _MEMORY_MEND)
    return need


class _Numbered(Progress):
    """Progress of one method after another: ``2 of 4, tv 2×: 34 %``."""

    def __init__(self, outer: Progress, count: int) -> None:
        super().__init__(outer.token)
        self._outer, self._count, self.number = outer, count, 1

    def show(self, state: ProgressState) -> None:
        task = f"{min(self.number, self._count)} of {self._count}, {state.task}"
        self._outer.show(replace(state, task=task))

    def message(self, text: str) -> None:
        self._outer.message(text)


class _Counted(Progress):
    """Counts the methods that are done."""

    def __init__(self, numbered: _Numbered) -> None:
        super().__init__(numbered.token)
        self._numbered = numbered

    def advance(self, steps: int = 1) -> None:
        self._numbered.number += steps


def run_methods(
    volume: Volume,
    methods: Sequence[str],
    scale: RealScale,
    *,
    simulate: bool,
    progress: Progress | None = None,
) -> ScanReport:
    """Run methods on a volume, or on a low-resolution scan that is simulated from it.

    Parameters
    ----------
    volume : Volume
        Scan, or with ``simulate`` the truth.
    methods : sequence of str
        Methods to run.
    scale : RealScale
        Factor of each axis, in RAS order; whole to simulate.
    simulate : bool
        Degrade the volume first, to thick slices if one axis is made finer, and compare the
        results with it.
    progress : Progress, optional
        Shows the method that runs; its token cancels.

    Returns
    -------
    ScanReport
        Each result is that of :func:`~napari_mrisr.run.upscale.upscale`.

    Raises
    ------
    ScaleError, BankError, ParameterError
        If a method does not fit.
    VolumeError
        If a method cannot take a label volume.
    MemoryEstimateError
        If the results do not fit into memory.
    Cancelled
        If the user cancels.

    Examples
    --------
    >>>     >>> import napari_mrisr as sr
    >>> from napari_mrisr.evaluation.one_scan import run_methods
    >>> scan = sr.Volume(np.random.rand(20, 24, 28).astype("f4"), sr.Grid((20, 24, 28), np.eye(4)))
    >>> report = run_methods(scan, ["tricubic", "hashed"], (2, 2, 2), simulate=True)
    >>> list(report.results)
    ['tricubic', 'hashed']
    """
    volume, progress = volume.restored(), progress or Progress()
    protocol = protocol_of(scale) if simulate else PROTOCOLS["standard"]
    parameters = EvaluateParameters(methods=tuple(methods), protocol=protocol)
    methods = parameters.methods
    for name in methods:
        check_labels(volume, parameters.upscaling(name, scale))
    numbered = _Numbered(progress, len(methods))
    if simulate:
        return _against_truth(volume, parameters, whole_scale(scale, "the simulation"), numbered)
    check_memory_for_all(volume.grid, methods, parameters, scale)
    window = IntensityWindow.of(volume.data, progress.token.check)
    report = ScanReport(volume, None, window, {}, {}, scale, "inside the head, without a truth")
    head: BoolArray | None = None
    for name in methods:
        result, seconds = timed_run(parameters.upscaling(name, scale), volume, numbered)
        if head is None:
            head = head_mask(window.to_unit(result.data), Progress(progress.token))
        measuring = functools.partial(_without_truth, result, head, report)
        report.values[name] = {
            **call_in_thread(measuring, progress.token.check), "seconds": seconds
        }  # fmt: skip
        report.results[name] = result
        numbered.number += 1
    return report


def _against_truth(
    volume: Volume, parameters: EvaluateParameters, scale: tuple[int, int, int], inner: _Numbered
) -> ScanReport:
    low = volume.cropped_to_multiple(scale).grid.degraded(scale)
    check_memory_for_all(low, parameters.methods, parameters, scale)
    comparison = compare(volume, parameters, scale, progress=_Counted(inner), inner=inner)
    settings = f"inside the head; {parameters.protocol.describe()}"
    return ScanReport(
        comparison.low,
        comparison.truth,
        comparison.window,
        {name: comparison.results[name] for name in parameters.methods},
        {name: picture(comparison, name) for name in parameters.methods},
        scale,
        settings,
    )


def _without_truth(result: Volume, head: BoolArray, report: ScanReport) -> Values:
    axis = thick_axis(report.scale)
    across = tuple(a for a in range(3) if a != axis)
    unit = report.window.to_unit(result.data)
    values = {
        "edge width (mm)": edge_width(result, head),
        "noise (% of window)": 100.0 * noise_sd(unit, head, Progress(), across),
    }
    if axis is not None:
        with contextlib.suppress(ParameterError):  # too few or too many slices
            slices = report.low.grid.shape[axis]
            values["stripes (% of window)"] = stripes(result, axis, slices)
    return values


def report_page(report: ScanReport) -> Figure:
    """Draw one page: a slice of each result with a magnified part, differences, and the table.

    Differences are from the truth, or without one from the first method. No name of a file or
    layer is written.
    """
    images = {
        name: figure_slice(result, report.window, report.scale)
        for name, result in report.results.items()
    }
    first, title = "reference", "Methods compared on a scan that was simulated from the reference"
    if report.truth is not None:
        reference = figure_slice(report.truth, report.window, report.scale)
    else:
        first, title = next(iter(images)), "Methods compared on one scan, without a truth"
        reference = images.pop(first)
    title = f"{title}, {scale_label(report.scale)}\n{textwrap.fill(report.settings, 110)}"
    captions = dict.fromkeys(images, "")
    if report.truth is not None:
        captions = {name: f"{report.values[name][GAIN]:+.2f} dB" for name in images}
    return bench_figure(reference, images, captions, title, first=first, table=report.table())
