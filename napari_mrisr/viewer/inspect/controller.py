"""State of the inspector, the requests for its thread, and what it shows. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.model import FilterBank, Stage, bank_for
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Shape
from napari_mrisr.inspection import (
    BankComparison,
    BucketTable,
    FilterView,
    MeasuredGain,
    StageInput,
    VoxelView,
    bucket_map,
    bucket_table,
    canonical_filter,
    compare_banks,
    inspect_voxel,
    measure_gain,
    reorient,
    stage_input,
)
from napari_mrisr.inspection.buckets import gain_baseline
from napari_mrisr.inspection.effective import EffectiveFilter
from napari_mrisr.inspection.filters import element_text, output_at
from napari_mrisr.inspection.texts import (
    Fact,
    bucket_text,
    grid_text,
    number_text,
    range_text,
    result_fact,
    training_facts,
    voxel_facts,
)
from napari_mrisr.io.csv_tables import csv_text
from napari_mrisr.viewer.inspect.maps import feature_layer, index_at, map_layer
from napari_mrisr.viewer.inspect.network import (
    EffectiveRequest,
    NetworkInspection,
    NetworkRequest,
    view_of,
)
from napari_mrisr.viewer.layers.convert import LayerData, LayerSnapshot

FIRST, SECOND, DIFFERENCE = range(3)
UNDER_CURSOR = -1


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


Request = MapRequest | FeatureRequest | MeasureRequest | NetworkRequest


@dataclass(frozen=True, eq=False)
class FilterScene:
    """A filter and its title.

    Attributes
    ----------
    view : FilterView
    title : str
    residual : bool
        True if its output is added to the voxel, False if it replaces the voxel.
    unit : str
        Voxel to which frequencies refer.
    """

    view: FilterView
    title: str
    residual: bool
    unit: str


@dataclass(frozen=True, eq=False)
class Column:
    """A table column: values, number of decimals, and optional bars from 0 to 1."""

    name: str
    heading: str
    tip: str
    values: NDArray[Any]
    digits: int = 0
    bars: NDArray[np.float64] | None = None

    def text(self, row: int) -> str:
        """Return the text of a cell."""
        value = self.values[row]
        return f"{value:,}" if self.values.dtype.kind in "iu" else number_text(value, self.digits)


def table_csv(columns: Sequence[Column], title: str) -> str:
    """Return a table as CSV: a title row, the headings, and all values in full."""
    rows = zip(*(column.values.tolist() for column in columns), strict=True)
    blank = (["" if value != value else value for value in row] for row in rows)  # NaN
    return csv_text([[title], [column.heading for column in columns], *blank])


def columns_of(
    table: BucketTable,
    baseline: str | None,
    comparison: BankComparison | None = None,
    measured: MeasuredGain | None = None,
) -> list[Column]:
    """Return the columns of a table, of a measured gain, and of a comparison of banks."""
    voxels, training = _bars(table.share("voxels"), table.share("training"))
    gain_tip = "Unknown: the bank stores no error before this stage"
    if baseline is not None:
        gain_tip = f"Gain over {baseline} on the training samples"
    error_tip = "RMS error left on the training samples (window = 1)"
    columns = [
        Column("bucket", "Bucket", "Number; its label in the map is one higher", table.bucket),
        Column("voxels", "Voxels", "Voxels of this scan in the head", table.voxels, 0, voxels),
        Column("training", "Training", "Training samples per bucket", table.training, 0, training),
        Column("gain", "Gain, dB", gain_tip, table.gain, 2),
        Column("error", "Error", error_tip, table.error, 4),
    ]
    if measured is not None:
        tip = "Gain of the whole bank over tricubic against the reference, in the head, dB"
        columns.insert(4, Column("measured", "Scan gain, dB", tip, measured.gain, 2))
    if comparison is not None:
        second = (
            ("difference", "Filter Δ", "Relative difference ‖b − a‖ / ‖a‖", 3),
            ("error_ratio", "Error 2nd/1st", "Ratio of the errors", 3),
            ("support_ratio", "Training 2nd/1st", "Ratio of the training samples", 2),
        )
        for name, heading, tip, digits in second:
            columns.append(Column(name, heading, tip, getattr(comparison, name), digits))
    return columns


def _bars(*shares: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return bars on one scale; the fullest bucket fills its cell."""
    most = max(float(np.nanmax(share, initial=0.0)) for share in shares) or 1.0
    return [np.nan_to_num(share / most) for share in shares]


class Inspector:
    """State of the dock.

    Attributes
    ----------
    inspection : Inspection or None
        Result of the last run.
    voxel : VoxelView or None
        Voxel under the cursor.
    bucket : int or None
        Bucket which filter is shown: that of the voxel, or one chosen in the table.
    second : FilterBank or None
        Bank to compare with.
    comparison : BankComparison or None
    measured : MeasuredGain or None
        Gain measured against a reference.
    network : NetworkInspection or None
        A network inspected instead of a bank.
    effective : EffectiveFilter or None
        Effective filter of the voxel that was clicked last.
    """

    def __init__(self) -> None:
        self.inspection: Inspection | None = None
        self.voxel: VoxelView | None = None
        self.bucket: int | None = None
        self.second: FilterBank | None = None
        self.comparison: BankComparison | None = None
        self.measured: MeasuredGain | None = None
        self.network: NetworkInspection | None = None
        self.effective: EffectiveFilter | None = None
        self._sub: Shape = (0, 0, 0)

    def show(self, inspection: Inspection | None) -> None:
        """Show another stage or volume; discards the comparison, which may not fit."""
        self.inspection = inspection
        self.voxel = self.bucket = None
        self.second = self.comparison = self.measured = None
        self.network = self.effective = None

    def show_network(self, network: NetworkInspection) -> None:
        """Show a network instead of a bank."""
        self.show(None)
        self.network = network

    def request_at(self, world: Sequence[float]) -> EffectiveRequest | None:
        """Return the request for the voxel of a network's result at a position."""
        if self.network is None:
            return None
        index = index_at(self.network.grid, world)
        return None if index is None else EffectiveRequest(self.network, index)

    def point_at(self, world: Sequence[float]) -> bool:
        """Inspect the voxel at a position in napari's world; return False outside the volume."""
        if self.inspection is None:
            return False
        source = self.inspection.source
        index = index_at(source.grid, world)
        if index is None:
            return False
        self.voxel = inspect_voxel(source, index)
        self.bucket = self.voxel.bucket
        scale = source.bank.scale
        if source.stage.spec.grid == "cell":
            fine = index_at(source.grid.upsampled(scale), world) or (0, 0, 0)
            x, y, z = (i % s for i, s in zip(fine, scale, strict=True))
            self._sub = (x, y, z)
        return True

    def choose(self, bucket: int) -> None:
        """Choose a bucket without a voxel."""
        self.voxel, self.bucket = None, bucket

    def compare(self, bank: FilterBank | None) -> None:
        """Compare with a second bank, or with none.

        Raises
        ------
        BankError, ParameterError
            If the buckets differ; then no bank is compared.
        """
        self.second = self.comparison = None
        if bank is not None and self.inspection is not None:
            source = self.inspection.source
            self.comparison = compare_banks(source.bank, bank, source.number)
            self.second = bank

    # What the dock shows.

    @property
    def voxel_heading(self) -> str:
        """Heading with index and bucket of the voxel."""
        assert self.voxel is not None
        index = ", ".join(map(str, self.voxel.index))
        return f"Voxel {index}: bucket {self.voxel.bucket}{' (flat)' if self.voxel.flat else ''}"

    @property
    def voxel_facts(self) -> list[Fact]:
        """Features of the voxel, training statistics of its bucket, output of the filter."""
        assert self.inspection is not None and self.voxel is not None
        source = self.inspection.source
        return [
            *voxel_facts(source, self.voxel),
            *self._training(self.voxel.bucket),
            result_fact(source, self.voxel),
        ]

    @property
    def bucket_facts(self) -> list[Fact]:
        """Ranges and training statistics of the bucket."""
        assert self.inspection is not None and self.bucket is not None
        ranges = self.inspection.source.stage.spec.hash.decode(self.bucket)
        facts = [Fact(name, range_text(name, *ends)) for name, ends in ranges.items()]
        return [*facts, *self._training(self.bucket)]

    @property
    def bucket_line(self) -> str:
        """Ranges of the bucket in one line."""
        assert self.inspection is not None and self.bucket is not None
        spec = self.inspection.source.stage.spec.hash
        return f"Bucket {self.bucket}: {bucket_text(spec, self.bucket)}"

    def _training(self, bucket: int) -> list[Fact]:
        assert self.inspection is not None
        source = self.inspection.source
        facts = training_facts(source.bank, source.number, self.inspection.table, bucket)
        if self.measured is not None:
            gain = number_text(float(self.measured.gain[bucket]), 2)
            facts.append(Fact("gain in this scan", f"{gain} dB", "whole bank over tricubic"))
        return facts

    @property
    def columns(self) -> list[Column]:
        """Columns of the table."""
        assert self.inspection is not None
        source = self.inspection.source
        baseline = gain_baseline(source.bank, source.number)
        return columns_of(self.inspection.table, baseline, self.comparison, self.measured)

    def scene(self, along_volume_axes: bool, output: int, which: int) -> FilterScene | None:
        """Return the filter to draw; None if no bucket is chosen.

        Parameters
        ----------
        along_volume_axes : bool
            Turn the filter to the axes of the voxel's volume; canonical without a voxel.
        output : int
            Canonical phase of a cell stage, or ``UNDER_CURSOR``.
        which : int
            ``FIRST``, ``SECOND`` or ``DIFFERENCE``.
        """
        if self.network is not None:
            if self.effective is None:
                return None
            view = view_of(self.effective, self.network)
            title = f"Effective filter of voxel {', '.join(map(str, self.effective.voxel))}"
            return FilterScene(view, title, False, "measured voxel")
        if self.inspection is None or self.bucket is None:
            return None
        source = self.inspection.source
        element = self.voxel.element if self.voxel is not None and along_volume_axes else None
        output = self._output(output)
        view = self._view(source.stage, which, output, element)
        spec = source.stage.spec
        title = f"Filter of bucket {self.bucket}"
        if spec.grid == "cell":
            title += f", phase {output}"
        if element:
            title += f", axes {element_text(element)}"
        if which != FIRST and self.second is not None:
            name = self.second.name
            title += f" ({name})" if which == SECOND else f" ({name} − {source.bank.name})"
        return FilterScene(view, title, spec.residual, grid_text(spec))

    def _output(self, output: int) -> int:
        assert self.inspection is not None
        source = self.inspection.source
        if source.stage.spec.grid != "cell":
            return 0
        if output != UNDER_CURSOR:
            return output
        if self.voxel is None:
            return 0
        return output_at(source.bank.scale, self.voxel.element, self._sub)

    def _view(self, stage: Stage, which: int, output: int, element: int | None) -> FilterView:
        assert self.inspection is not None and self.bucket is not None
        if which == FIRST or self.second is None:
            return FilterView.of(stage, self.bucket, output, element)
        other = FilterView.of(
            self.second.stages[self.inspection.source.number], self.bucket, output, element
        )
        if which == SECOND or other.cube is None:
            return other
        first: Any = canonical_filter(stage, self.bucket, output)
        if element is not None:
            first = reorient(first, element)
        return FilterView(self.bucket, output, element, other.cube - first)
