"""Effective filters of a network, voxel by voxel. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import RealScale
from napari_mrisr.core.volume import Grid, Shape, Volume
from napari_mrisr.inspection import FilterView
from napari_mrisr.inspection.effective import EffectiveFilter, effective_filter
from napari_mrisr.inspection.texts import Fact, number_text
from napari_mrisr.methods import Method
from napari_mrisr.methods.network import network_method, open_network
from napari_mrisr.viewer.layers.convert import LayerSnapshot

REACH = 4
"""Measured voxels on each side of an effective filter that are shown."""


@dataclass(frozen=True, eq=False)
class NetworkInspection:
    """A network applied to a volume, voxel by voxel.

    Attributes
    ----------
    name : str
        Name of the volume's layer.
    lr : Volume
        Low resolution, normalized.
    method : Method
    network : str
        Name of the network.
    """

    name: str
    lr: Volume
    method: Method
    network: str

    @property
    def title(self) -> str:
        """Layer and network in one line."""
        return f"{self.name}, network {self.network}"

    @property
    def grid(self) -> Grid:
        """Grid of the network's result."""
        return self.lr.grid.upsampled(self.method.scale)


@dataclass(frozen=True, eq=False)
class NetworkRequest:
    """Request to inspect a network on a layer."""

    source: LayerSnapshot
    scale: RealScale
    name: str

    def run(self, progress: Progress) -> NetworkInspection:
        """Read the layer on a background thread."""
        network = open_network(self.name)
        method = network_method(network, self.scale)
        volume = self.source.to_volume()
        progress.token.check()
        lr = volume.normalized(check=progress.token.check)
        return NetworkInspection(self.source.name, lr, method, network.name)


@dataclass(frozen=True, eq=False)
class EffectiveRequest:
    """Request for the effective filter of a voxel."""

    inspection: NetworkInspection
    index: Shape

    def __call__(self, progress: Progress) -> EffectiveFilter:
        """Compute the result on a background thread."""
        return effective_filter(self.inspection.method, self.inspection.lr, self.index)


def view_of(found: EffectiveFilter, shown: NetworkInspection) -> FilterView:
    """Return the middle of an effective filter, along the axes of the scan."""
    sizes = zip(found.voxel, shown.lr.grid.shape, shown.grid.shape, strict=True)
    x, y, z = (int((n + 0.5) * low / high) for n, low, high in sizes)
    cube = found.around((x, y, z), REACH).astype(np.float32)
    return FilterView(0, 0, 0, cube)


def effective_facts(found: EffectiveFilter) -> list[Fact]:
    """Return terms and weights of a voxel."""
    shape = " × ".join(str(n) for n in found.weights.shape)
    return [
        Fact("interpolation", number_text(found.interpolation, 4), "window = 1"),
        Fact("network adds", number_text(found.correction, 4)),
        Fact("data consistency", number_text(found.consistency, 4)),
        Fact("result", number_text(found.result, 4)),
        Fact("sum of weights", number_text(float(found.weights.sum()), 3)),
        Fact("largest weight", number_text(float(found.weights.max()), 3)),
        Fact("smallest weight", number_text(float(found.weights.min()), 3)),
        Fact("measured voxels", shape, "R–L × A–P × S–I"),
    ]
