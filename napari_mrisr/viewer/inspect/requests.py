"""Frozen requests for the inspector's thread, and their results. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.model import bank_for
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import Scale
from napari_mrisr.inspection import (
    BucketTable,
    MeasuredGain,
    StageInput,
    bucket_map,
    bucket_table,
    measure_gain,
    stage_input,
)
from napari_mrisr.viewer.inspect.maps import feature_layer, map_layer
from napari_mrisr.viewer.layers.convert import LayerData, LayerSnapshot


@dataclass(frozen=True, eq=False)
class Inspection:
    """A stage of a bank applied to a volume.

    Attributes
    ----------
    name : str
        Name of the volume's layer.
    source : StageInput
    labels : ndarray of unsigned integers
        Bucket + 1 of each voxel of the stage's grid, x, y, z; napari does not draw
        label 0.
    table : BucketTable
    layer : LayerData
        Layer of the map.
    """

    name: str
    source: StageInput
    labels: NDArray[Any]
    table: BucketTable
    layer: LayerData

    @property
    def title(self) -> str:
        """Layer, bank and stage in one line."""
        return title_of(self.name, self.source)


def title_of(name: str, source: StageInput) -> str:
    """Return layer, bank and stage in one line."""
    return f"{name}, {source.bank.name} stage {source.number + 1}"


@dataclass(frozen=True, eq=False)
class MapRequest:
    """The bucket map of a layer."""

    source: LayerSnapshot
    scale: Scale
    bank: str | None
    number: int
    earlier: StageInput | None = None

    def run(self, progress: Progress) -> Inspection:
        """Compute the result on a background thread."""
        bank = bank_for(self.scale, self.bank)
        volume = self.source.to_volume()
        progress.token.check()
        source = stage_input(volume, bank, self.number, earlier=self.earlier, progress=progress)
        buckets = bucket_map(source, progress=progress)
        table = bucket_table(buckets, source.stage, source.head(progress))
        buckets += 1
        name, labels = self.source.name, np.asarray(buckets)
        layer = map_layer(labels, source, title_of(name, source))
        return Inspection(name, source, labels, table, layer)


@dataclass(frozen=True, eq=False)
class FeatureRequest:
    """Request for a feature, its bins, or the orientation as a layer."""

    inspection: Inspection
    name: str

    def run(self, progress: Progress) -> LayerData:
        """Compute the result on a background thread."""
        shown = self.inspection
        return feature_layer(shown.source, shown.labels, self.name, shown.title, progress)


@dataclass(frozen=True, eq=False)
class MeasureRequest:
    """Request for the gain over tricubic per bucket against a reference."""

    inspection: Inspection
    reference: LayerSnapshot

    def run(self, progress: Progress) -> MeasuredGain:
        """Compute the result on a background thread."""
        shown = self.inspection
        reference = self.reference.to_volume()
        progress.token.check()
        return measure_gain(shown.source, shown.labels - 1, reference, progress=progress)


Request = MapRequest | FeatureRequest | MeasureRequest
