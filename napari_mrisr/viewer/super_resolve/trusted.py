"""A run that judges its result too: trust maps as layers. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

from napari.utils import Colormap

from napari_mrisr.bank.model import bank_for
from napari_mrisr.core.progress import Progress
from napari_mrisr.trust import TrustMaps, trust_maps
from napari_mrisr.trust.figure import SUPPORT_COLORS
from napari_mrisr.viewer.layers.convert import LayerData, contrast_limits, layer_data
from napari_mrisr.viewer.super_resolve.requests import Fill, UpscaleRequest


@dataclass(frozen=True)
class TrustedRequest(UpscaleRequest):
    """Super-resolve a layer by a filter bank, and make the maps of its result."""

    def run(  # type: ignore[override]
        self, progress: Progress, fill: Fill | None = None
    ) -> list[LayerData]:
        """Do the work, for a background thread: the result first, then the maps."""
        volume = self.volume(progress)
        result = self.result(volume, progress, fill)
        bank = bank_for(self.parameters.scale, self.parameters.bank)
        maps = trust_maps(
            volume, result, bank, threads=self.parameters.thread_count, progress=progress
        )
        layers = [layer_data(result, self.result_name, self.source.look)]
        return layers + map_layers(maps, self.source.name)


def map_layers(maps: TrustMaps, name: str) -> list[LayerData]:
    """Layers of the maps; only the expected error is shown at first.

    Parameters
    ----------
    maps : TrustMaps
    name : str
        Of the low-resolution layer.
    """
    layers = []
    limit = float(abs(maps.consistency.data).max()) or 1.0
    left = layer_data(
        maps.consistency,
        f"consistency, scan's units: {name}",
        {"colormap": "PiYG", "contrast_limits": (-limit, limit), "visible": False},
    )
    layers.append(left)
    colors = ["#00000000", *SUPPORT_COLORS[1:]]
    steps = Colormap(
        colors, name="mrisr support", controls=[0, 0.25, 0.5, 0.75, 1], interpolation="zero"
    )
    look = {"colormap": steps, "contrast_limits": (-0.5, 3.5), "visible": False}
    label = f"support: {name}"
    layers.append(layer_data(maps.support, label, look))
    if maps.expected_error is not None:
        high = contrast_limits(maps.expected_error.data)[1]
        look = {"colormap": "magma", "contrast_limits": (0.0, high), "opacity": 0.7}
        label = f"expected RMSE, scan's units: {name}"
        layers.append(layer_data(maps.expected_error, label, look))
    return layers
