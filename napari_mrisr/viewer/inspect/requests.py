"""What the inspector asks its thread for, frozen, and what comes back. No Qt."""

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
from napari_mrisr.viewer.inspect.maps import map_layer, part_layer
from napari_mrisr.viewer.layers.convert import LayerData, LayerSnapshot


@dataclass(frozen=True, eq=False)
class Inspection:
    """A stage of a bank in a volume, ready to be looked at.

    Attributes
    ----------
    name : str
        Of the volume's layer.
    source : StageInput
    labels : ndarray of unsigned integers
        Bucket id + 1 of each voxel of the stage's grid, x, y, z: napari does not
        draw label 0, and bucket 0 is a bucket.
    table : BucketTable
    layer : LayerData
        The map's layer to be.
    """

    name: str
    source: StageInput
    labels: NDArray[Any]
    table: BucketTable
    layer: LayerData

    @property
    def title(self) -> str:
        """What is shown, in a line."""
        return title_of(self.name, self.source)


def title_of(name: str, source: StageInput) -> str:
    """Layer, bank and stage."""
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
        """Do the work; for a background thread."""
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
class PartRequest:
    """A part of the bucket map, or a feature, as a layer of its own."""

    inspection: Inspection
    part: str

    def run(self, progress: Progress) -> LayerData:
        """Do the work; for a background thread."""
        shown = self.inspection
        return part_layer(shown.source, shown.labels, self.part, shown.title, progress)


@dataclass(frozen=True, eq=False)
class MeasureRequest:
    """The gain over tricubic in each bucket, against a truth."""

    inspection: Inspection
    truth: LayerSnapshot

    def run(self, progress: Progress) -> MeasuredGain:
        """Do the work; for a background thread."""
        shown = self.inspection
        truth = self.truth.to_volume()
        progress.token.check()
        return measure_gain(shown.source, shown.labels - 1, truth, progress=progress)


Request = MapRequest | PartRequest | MeasureRequest
