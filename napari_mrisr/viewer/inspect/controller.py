"""What the inspector shows: a stage in a volume, a voxel, a bucket, a second bank. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari_mrisr.bank.model import FilterBank, Stage
from napari_mrisr.core.volume import Shape
from napari_mrisr.inspection import (
    BankComparison,
    FilterView,
    MeasuredGain,
    VoxelView,
    canonical_filter,
    compare_banks,
    inspect_voxel,
    reorient,
)
from napari_mrisr.inspection.buckets import gain_baseline
from napari_mrisr.inspection.filters import element_text, output_at
from napari_mrisr.inspection.texts import (
    Fact,
    bucket_text,
    number_text,
    range_text,
    result_fact,
    training_facts,
    voxel_facts,
)
from napari_mrisr.viewer.inspect.buckets import Column, columns_of
from napari_mrisr.viewer.inspect.filter_view import UNDER_CURSOR, FilterScene
from napari_mrisr.viewer.inspect.maps import index_at
from napari_mrisr.viewer.inspect.requests import Inspection

FIRST, SECOND, DIFFERENCE = range(3)


class Inspector:
    """The state behind the widget.

    Attributes
    ----------
    inspection : Inspection or None
        What the last run found.
    voxel : VoxelView or None
        The voxel under the cursor.
    bucket : int or None
        The bucket whose filter is shown: that voxel's, or one of the histogram.
    second : FilterBank or None
        Bank to compare with.
    comparison : BankComparison or None
    measured : MeasuredGain or None
        Against a truth.
    """

    def __init__(self) -> None:
        self.inspection: Inspection | None = None
        self.voxel: VoxelView | None = None
        self.bucket: int | None = None
        self.second: FilterBank | None = None
        self.comparison: BankComparison | None = None
        self.measured: MeasuredGain | None = None
        self._sub: Shape = (0, 0, 0)

    def show(self, inspection: Inspection | None) -> None:
        """Show another stage or volume; without a comparison, which may not fit."""
        self.inspection = inspection
        self.voxel = self.bucket = None
        self.second = self.comparison = self.measured = None

    def point_at(self, world: Sequence[float]) -> bool:
        """Look at the voxel at a position of napari's world; False outside the volume."""
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
        """Look at a bucket, at no voxel."""
        self.voxel, self.bucket = None, bucket

    def compare(self, bank: FilterBank | None) -> None:
        """Compare with a second bank; None to end it.

        Raises
        ------
        BankError, ParameterError
            When the buckets are not the same; then nothing is compared.
        """
        self.second = self.comparison = None
        if bank is not None and self.inspection is not None:
            source = self.inspection.source
            self.comparison = compare_banks(source.bank, bank, source.number)
            self.second = bank

    # What to show of it.

    @property
    def voxel_heading(self) -> str:
        """Which voxel."""
        assert self.voxel is not None
        place = ", ".join(map(str, self.voxel.index))
        return f"Voxel {place}: bucket {self.voxel.bucket}{' (flat)' if self.voxel.flat else ''}"

    @property
    def voxel_facts(self) -> list[Fact]:
        """The voxel's features, its bucket's training, and what the filter makes of it."""
        assert self.inspection is not None and self.voxel is not None
        source = self.inspection.source
        return [
            *voxel_facts(source, self.voxel),
            *self._training(self.voxel.bucket),
            result_fact(source, self.voxel),
        ]

    @property
    def bucket_facts(self) -> list[Fact]:
        """The bucket's ranges and what is known of it."""
        assert self.inspection is not None and self.bucket is not None
        ranges = self.inspection.source.stage.spec.hash.decode(self.bucket)
        facts = [Fact(name, range_text(name, *ends)) for name, ends in ranges.items()]
        return [*facts, *self._training(self.bucket)]

    @property
    def bucket_line(self) -> str:
        """The bucket's ranges."""
        assert self.inspection is not None and self.bucket is not None
        spec = self.inspection.source.stage.spec.hash
        return f"Bucket {self.bucket}: {bucket_text(spec, self.bucket)}"

    def _training(self, bucket: int) -> list[Fact]:
        assert self.inspection is not None
        source = self.inspection.source
        facts = training_facts(source.bank, source.number, self.inspection.table, bucket)
        if self.measured is not None:
            gain = number_text(float(self.measured.gain[bucket]), 2)
            facts.append(Fact("gain here", f"{gain} dB", "whole bank over tricubic"))
        return facts

    @property
    def columns(self) -> list[Column]:
        """The histogram's columns."""
        assert self.inspection is not None
        source = self.inspection.source
        reference = gain_baseline(source.bank, source.number)
        return columns_of(self.inspection.table, reference, self.comparison, self.measured)

    def scene(self, as_applied: bool, output: int, whose: int) -> FilterScene | None:
        """The filter to draw; None before there is a bucket.

        Parameters
        ----------
        as_applied : bool
            Turned to the voxel's symmetry; canonical where there is no voxel.
        output : int
            Canonical phase of a cell stage, or ``UNDER_CURSOR``.
        whose : int
            ``FIRST``, ``SECOND`` or ``DIFFERENCE``.
        """
        if self.inspection is None or self.bucket is None:
            return None
        source = self.inspection.source
        element = self.voxel.element if self.voxel is not None and as_applied else None
        output = self._output(output)
        view = self._view(source.stage, whose, output, element)
        spec = source.stage.spec
        title = f"Filter of bucket {self.bucket}"
        if spec.grid == "cell":
            title += f", phase {output}"
        if element:
            title += f", turned {element_text(element)}"
        if whose != FIRST and self.second is not None:
            name = self.second.name
            title += f" ({name})" if whose == SECOND else f" ({name} − {source.bank.name})"
        unit = "LR voxel" if spec.grid == "cell" else "upsampled voxel"
        return FilterScene(view, title, spec.residual, unit)

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

    def _view(self, stage: Stage, whose: int, output: int, element: int | None) -> FilterView:
        assert self.inspection is not None and self.bucket is not None
        if whose == FIRST or self.second is None:
            return FilterView.of(stage, self.bucket, output, element)
        other = FilterView.of(
            self.second.stages[self.inspection.source.number], self.bucket, output, element
        )
        if whose == SECOND or other.cube is None:
            return other
        first: Any = canonical_filter(stage, self.bucket, output)
        if element is not None:
            first = reorient(first, element)
        return FilterView(self.bucket, output, element, other.cube - first)
