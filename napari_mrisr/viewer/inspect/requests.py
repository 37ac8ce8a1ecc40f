"""What the inspector asks its thread for, frozen, and what comes back. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.filterbank import bank_for
from napari_mrisr.inspection import (
    BucketTable,
    StageInput,
    bucket_map,
    bucket_table,
    stage_input,
)
from napari_mrisr.progress import Progress
from napari_mrisr.scale import Scale
from napari_mrisr.viewer.inspect.maps import part_layer
from napari_mrisr.viewer.layers import LayerData, LayerSnapshot


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
    """

    name: str
    source: StageInput
    labels: NDArray[Any]
    table: BucketTable

    @property
    def of(self) -> str:
        """Bank and stage."""
        return f"{self.source.bank.name} stage {self.source.number + 1}"

    @property
    def title(self) -> str:
        """What is shown, in a line."""
        return f"{self.name}, {self.of}"


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
        table = bucket_table(buckets, source.stage)
        buckets += 1
        return Inspection(self.source.name, source, np.asarray(buckets), table)


@dataclass(frozen=True, eq=False)
class PartRequest:
    """A part of the bucket map, or a feature, as a layer of its own."""

    inspection: Inspection
    part: str

    def run(self, progress: Progress) -> LayerData:
        """Do the work; for a background thread."""
        shown = self.inspection
        return part_layer(shown.source, shown.labels, self.part, shown.title, progress)
