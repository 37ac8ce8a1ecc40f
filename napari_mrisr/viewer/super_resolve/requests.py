"""Requests of the Super-resolve dock: the form, frozen, and the work it asks for. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari.utils import Colormap

from napari_mrisr.bank.model import FilterBank
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import RealScale, Scale
from napari_mrisr.core.volume import Grid, Volume, scale_text
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.methods.network import model_of, takes_both_parts
from napari_mrisr.methods.registry import base_name
from napari_mrisr.networks.file import NetworkFile
from napari_mrisr.run.complex_scans import estimate_complex_memory, upscale_complex
from napari_mrisr.run.upscale import (
    UpscaleParameters,
    check_parameters,
    estimate_memory,
    upscale,
)
from napari_mrisr.trust import TrustMaps, trust_maps
from napari_mrisr.trust.report import SUPPORT_COLORS
from napari_mrisr.viewer.common.labels import bytes_label, grid_label
from napari_mrisr.viewer.layers.complex_scans import complex_layers, complex_scan
from napari_mrisr.viewer.layers.convert import (
    LayerData,
    LayerSnapshot,
    contrast_limits,
    layer_data,
    result_layer_data,
)

LEARNED = ("hashed", "anchored", "network", "unrolled")
"""Methods with trust maps and cautions about their training set."""

BLENDED = ("hashed", "anchored")
"""Methods with the option of census blending."""

Upscale = Callable[..., Volume]
"""Function with the arguments and the result of :func:`~napari_mrisr.run.upscale.upscale`."""


@dataclass(frozen=True)
class UpscaleRequest:
    """Super-resolve a layer.

    Attributes
    ----------
    source : LayerSnapshot
    parameters : UpscaleParameters
    trust : bool
        Compute trust maps of the result, too.
    phase : LayerSnapshot or None
        Phase of the layer, which is a magnitude; the result has both.
    """

    source: LayerSnapshot
    parameters: UpscaleParameters
    trust: bool = False
    phase: LayerSnapshot | None = None

    @property
    def result_name(self) -> str:
        """Name of the resulting layer."""
        parameters = self.parameters
        method = parameters.method
        if method == "network" and parameters.bank is not None:
            method = Path(parameters.bank).stem
        return f"{self.source.name} {method} {_in_name(parameters.scale, self.source)}"

    @property
    def has_no_preview(self) -> bool:
        """True for a network that takes magnitude and phase: there is no magnitude alone."""
        return self.phase is not None and takes_both_parts(check_parameters(self.parameters))

    def run(self, progress: Progress, compute: Upscale | None = None) -> list[LayerData]:
        """Compute the result, then the trust maps; for a worker thread.

        Parameters
        ----------
        progress : Progress
            Reports and cancels.
        compute : callable, optional
            Used in place of :func:`~napari_mrisr.run.upscale.upscale`; not for complex scans.
        """
        if self.phase is not None:
            return self._run_complex(self.phase, progress)
        volume = self.source.to_volume()
        progress.token.check()
        result = (compute or upscale)(volume, self.parameters, progress=progress)
        layers = [result_layer_data(result, self.result_name, self.source)]
        if self.trust:
            model = model_for_maps(self.parameters)
            threads = self.parameters.thread_count
            maps = trust_maps(volume, result, model, threads=threads, progress=progress)
            layers += map_layers(maps, self.source)
        return layers

    def _run_complex(self, phase: LayerSnapshot, progress: Progress) -> list[LayerData]:
        if self.trust:
            found = "not for complex scans"
            raise ParameterError(explain("Trust maps", found, "turn them off or choose no phase"))
        scan = complex_scan(self.source, phase)
        progress.token.check()
        result = upscale_complex(scan, self.parameters, progress=progress)
        ids = self.source.layer_id, phase.layer_id
        return complex_layers(result, self.result_name, self.source.look, ids)


@dataclass(frozen=True)
class SimulateRequest:
    """Simulate a low-resolution scan from a layer."""

    source: LayerSnapshot
    scale: Scale
    degradation: str

    @property
    def result_name(self) -> str:
        """Name of the resulting layer."""
        return f"{self.source.name} LR {_in_name(self.scale, self.source)}"

    def run(self, progress: Progress) -> list[LayerData]:
        """Compute the result; for a worker thread."""
        from napari_mrisr.operators.degrade import degrade

        volume = self.source.to_volume()
        progress.token.check()
        result = degrade(volume, self.scale, self.degradation, progress=progress)
        return [result_layer_data(result, self.result_name, self.source)]


def _in_name(scale: RealScale, source: LayerSnapshot) -> str:
    """Return the scale in the name of a result, by the axes of the layer's file."""
    origin = None if source.record is None else source.record.origin
    return f"{scale_text(scale, origin).removesuffix('x')}x"


def is_learned(method: str) -> bool:
    """Return True for a method, also with an option, of :data:`LEARNED`."""
    return base_name(method) in LEARNED


Request = UpscaleRequest | SimulateRequest


def model_for_maps(parameters: UpscaleParameters) -> FilterBank | NetworkFile:
    """Return the bank or network for trust maps, or raise :class:`ParameterError`."""
    model = model_of(check_parameters(parameters))
    if model is None:
        found = f"method {parameters.method} has no filters to make them from"
        raise ParameterError(explain("Trust maps", found, "turn them off"))
    return model


def map_layers(maps: TrustMaps, source: LayerSnapshot) -> list[LayerData]:
    """Return the layers of trust maps; only the expected error is visible at first.

    Parameters
    ----------
    maps : TrustMaps
    source : LayerSnapshot
        The low-resolution layer.
    """
    name, layer_id = source.name, source.layer_id
    limit = float(abs(maps.consistency.data).max()) or 1.0
    look = {"colormap": "PiYG", "contrast_limits": (-limit, limit), "visible": False}
    layers = [layer_data(maps.consistency, f"consistency, scan's units: {name}", look, layer_id)]
    steps = Colormap(
        ["#00000000", *SUPPORT_COLORS[1:]],
        name="mrisr support",
        controls=[0, 0.25, 0.5, 0.75, 1],
        interpolation="zero",
    )
    look = {"colormap": steps, "contrast_limits": (-0.5, 3.5), "visible": False}
    layers.append(layer_data(maps.support, f"support: {name}", look, layer_id))
    if maps.expected_error is not None:
        high = contrast_limits(maps.expected_error.data)[1]
        look = {"colormap": "magma", "contrast_limits": (0.0, high), "opacity": 0.7}
        title = f"expected RMSE, scan's units: {name}"
        layers.append(layer_data(maps.expected_error, title, look, layer_id))
    return layers


def plan_label(grid: Grid, parameters: UpscaleParameters, *, phased: bool = False) -> str:
    """Return the size of the result, for ``phased`` with a phase, and the memory that it needs."""
    out, estimate = grid.upsampled(parameters.scale), estimate_memory
    if phased:
        estimate = estimate_complex_memory
    memory = bytes_label(estimate(grid, parameters))
    both = ", magnitude and phase" if phased else ""
    return f"{grid_label(out)}{both}\nabout {memory} of memory"
