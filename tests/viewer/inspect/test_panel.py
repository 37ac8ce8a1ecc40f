"""Table of buckets: values, order, bars and signals."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import patterns
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_mrisr.inspection import bucket_map, bucket_table, compare_banks, stage_input
from napari_mrisr.viewer.inspect.controller import columns_of
from napari_mrisr.viewer.inspect.panel import BAR_ROLE, BucketView

BANK = patterns.planted_bank(("cell",))
DESCENDING, ASCENDING = Qt.SortOrder.DescendingOrder, Qt.SortOrder.AscendingOrder


@pytest.fixture(scope="module")
def table():
    source = stage_input(patterns.noise(), BANK, 0)
    return bucket_table(bucket_map(source), source.stage)


@pytest.fixture
def view(qtbot, table):
    widget = BucketView()
    qtbot.addWidget(widget)
    widget.resize(400, 300)
    widget.set_columns(columns_of(table, "tricubic"))
    return widget


def column(view, name):
    place = view.buckets.position(name)
    rows = range(view.buckets.rowCount())
    return [view.buckets.index(row, place).data() for row in rows]


def test_most_frequent_buckets_come_first(view, table):
    assert column(view, "voxels") == [f"{n:,}" for n in sorted(table.voxels.tolist())[::-1]]
    row = view.buckets.row_of(17)
    cells = [view.buckets.index(row, c).data() for c in range(5)]
    expected = ["17", f"{table.voxels[17]:,}", f"{table.training[17]:,}"]
    assert cells == [*expected, f"{table.gain[17]:.2f}", f"{table.error[17]:.4f}"]


@pytest.mark.parametrize("name", ["bucket", "training", "gain", "error"])
@pytest.mark.parametrize("order", [DESCENDING, ASCENDING])
def test_sorted_by_a_click_on_a_heading(view, table, name, order):
    header = view.horizontalHeader()
    view.sortByColumn(view.buckets.position(name), order)
    values = table.column(name)[view.buckets.rows].astype(float)
    known = values[~np.isnan(values)]
    assert np.isnan(values[known.size :]).all()
    steps = np.diff(known)
    assert (steps <= 0).all() if order == DESCENDING else (steps >= 0).all()
    assert header.sortIndicatorSection() == view.buckets.position(name)


def test_the_chosen_bucket_stays_chosen(view):
    view.choose(31)
    view.sortByColumn(view.buckets.position("error"), ASCENDING)
    assert view.bucket == 31


def test_bars_are_shares_on_one_scale(view, table):
    here, training = table.share("voxels"), table.share("training")
    most = max(np.nanmax(here), np.nanmax(training))
    row = view.buckets.row_of(9)
    assert view.buckets.index(row, 1).data(BAR_ROLE) == ("voxels", pytest.approx(here[9] / most))
    assert view.buckets.index(row, 2).data(BAR_ROLE)[1] == pytest.approx(training[9] / most)
    assert view.buckets.index(row, 3).data(BAR_ROLE) is None
    # The flat bucket has no filter and no bar.
    flat = view.buckets.row_of(table.filter_count)
    assert view.buckets.index(flat, 1).data(BAR_ROLE)[1] == 0.0


def test_bars_are_painted(view, table):
    view.show()
    best = int(np.nanargmax(table.share("voxels")))
    row = view.buckets.row_of(best)
    cell = view.visualRect(view.buckets.index(row, 1))
    color = view.viewport().grab().toImage().pixelColor(cell.left() + 4, cell.center().y())
    assert color.blue() > color.red() + 20


def test_a_click_signals_the_bucket_and_choosing_does_not(view, qtbot):
    view.show()
    told = []
    view.chosen.connect(told.append)
    cell = view.visualRect(view.buckets.index(3, 0)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(cell))
    assert told == [int(view.buckets.rows[3])]
    QTest.keyClick(view, Qt.Key.Key_Down)
    assert told[1:] == [int(view.buckets.rows[4])]
    view.choose(5)
    assert len(told) == 2
    assert view.bucket == 5


def test_a_second_bank_adds_columns_and_keeps_the_order(view, table):
    view.sortByColumn(view.buckets.position("gain"), ASCENDING)
    comparison = compare_banks(BANK, patterns.planted_bank(("cell",), seed=4), 0)
    view.set_columns(columns_of(table, "tricubic", comparison))
    names = [c.name for c in view.buckets.columns]
    assert names[5:] == ["difference", "error_ratio", "support_ratio"]
    np.testing.assert_array_equal(view.buckets.rows, table.order("gain", False))
    text = view.buckets.index(view.buckets.row_of(7), 5).data()
    assert text == f"{comparison.difference[7]:.3f}"
    view.sortByColumn(5, DESCENDING)
    view.set_columns(columns_of(table, None))
    assert "Unknown" in view.buckets.columns[3].tip
