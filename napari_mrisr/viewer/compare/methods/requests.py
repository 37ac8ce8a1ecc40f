"""Requests of the dock: the form, frozen, and the work it asks for. No Qt."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import RealScale, whole_scale
from napari_mrisr.core.threads import call_in_thread
from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import MrisrError
from napari_mrisr.evaluation.experiment import EvaluateParameters
from napari_mrisr.evaluation.one_scan import (
    ScanReport,
    check_memory_for_all,
    protocol_of,
    report_page,
    run_methods,
)
from napari_mrisr.evaluation.protocol import PROTOCOLS
from napari_mrisr.figures.page import save_figure
from napari_mrisr.run.timing import seconds_per_voxel
from napari_mrisr.run.upscale import UpscaleParameters, check_parameters
from napari_mrisr.viewer.common.labels import duration_label
from napari_mrisr.viewer.common.worker import WorkerProgress
from napari_mrisr.viewer.layers.convert import LayerSnapshot
from napari_mrisr.viewer.super_resolve.requests import SimulateRequest, UpscaleRequest

Rates = dict[UpscaleParameters, float]
"""Measured seconds per low-resolution voxel."""

# A method that takes longer is named before it starts.
_SLOW_S = 20.0


@dataclass(frozen=True)
class MethodsRequest:
    """Run methods on a layer.

    Attributes
    ----------
    source : LayerSnapshot
    methods : tuple of str
    scale : RealScale
        In RAS order.
    simulate : bool
        Simulate a low-resolution scan from the layer first, and compare with the layer.
    """

    source: LayerSnapshot
    methods: tuple[str, ...]
    scale: RealScale
    simulate: bool

    def run(self, progress: Progress) -> ScanReport:
        """Run the methods; for a worker thread."""
        volume = self.source.to_volume()
        progress.token.check()
        return run_methods(
            volume, self.methods, self.scale, simulate=self.simulate, progress=progress
        )

    @property
    def low_name(self) -> str:
        """Name of the simulated scan's layer."""
        scale = whole_scale(self.scale, "the simulation")
        return SimulateRequest(self.source, scale, "").result_name

    def grid(self) -> Grid:
        """Return the grid that the methods get, or raise :class:`ScaleError`."""
        grid = self.source.grid
        if not self.simulate:
            return grid
        scale = whole_scale(self.scale, "the simulation")
        x, y, z = ((n // s) * s for n, s in zip(grid.shape, scale, strict=True))
        return grid.cropped((0, 0, 0), (x, y, z)).degraded(scale)

    def memory(self) -> int:
        """Return the memory that the run needs, or raise :class:`MemoryEstimateError`."""
        parameters = EvaluateParameters(methods=self.methods)
        return check_memory_for_all(self.grid(), self.methods, parameters, self.scale)

    def seconds(self, rates: Rates) -> dict[str, float]:
        """Return the estimated seconds of each method whose rate is known."""
        voxels = math.prod(self.grid().shape)
        known = ((name, rates.get(self.upscaling(name))) for name in self.methods)
        return {name: rate * voxels for name, rate in known if rate is not None}

    def upscaling(self, method: str) -> UpscaleParameters:
        """Return the parameters of one run."""
        return parameters_of(self.scale, simulate=self.simulate).upscaling(method, self.scale)

    def measure_rates(self, known: Iterable[UpscaleParameters], progress: WorkerProgress) -> None:
        """Report the rate of each method that is not known yet; for a worker thread."""
        missing = [p for name in self.methods if (p := self.upscaling(name)) not in set(known)]
        if missing:
            volume = self.source.to_volume()
        for parameters in missing:
            progress.report((parameters, seconds_per_voxel(volume, parameters, progress)))


def parameters_of(scale: RealScale, *, simulate: bool) -> EvaluateParameters:
    """Return the parameters of an evaluation at a scale."""
    return EvaluateParameters(protocol=protocol_of(scale) if simulate else PROTOCOLS["standard"])


def unfit(method: str, scale: RealScale, *, simulate: bool) -> str:
    """Return why a method cannot run at a scale; empty if it can."""
    try:
        check_parameters(parameters_of(scale, simulate=simulate).upscaling(method, scale))
    except MrisrError as error:
        return str(error)
    return ""


def time_text(seconds: dict[str, float], count: int) -> str:
    """Return the sum of the estimates, and which methods are slow."""
    if len(seconds) < count:
        return "measuring the speed…"
    total = f"about {duration_label(sum(seconds.values()))}"
    slow = [
        f"{name} about {duration_label(took)}" for name, took in seconds.items() if took > _SLOW_S
    ]
    return f"{total}; slow: {', '.join(slow)}" if slow else total


def result_name(source: LayerSnapshot, parameters: UpscaleParameters) -> str:
    """Return the name of a result's layer."""
    return UpscaleRequest(source, parameters).result_name


def save_page(report: ScanReport, path: Path, progress: Progress) -> Path:
    """Write the page of a report; return its path."""
    page = call_in_thread(functools.partial(report_page, report), progress.token.check)
    save_figure(page, path)
    return path
