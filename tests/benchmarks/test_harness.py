"""Rounds, ratios, tables, JSON."""

from __future__ import annotations

import json
import time

import pytest


@pytest.fixture
def harness(benchmark):
    return benchmark("harness")


def test_rounds_are_interleaved_and_the_first_is_not_measured(harness):
    called = []
    functions = {name: lambda name=name: called.append(name) for name in "ab"}
    times = harness.interleaved(functions, 3)
    assert "".join(called) == "abababab"
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3}


def test_seconds_are_of_each_function(harness):
    functions = {"long": lambda: time.sleep(0.05), "short": lambda: time.sleep(0.002)}
    times = harness.interleaved(functions, 2, warm=False)
    assert min(took.wall for took in times["long"]) >= 0.05
    assert min(took.wall for took in times["short"]) < 0.05
    assert max(took.processor for took in times["long"]) < 0.05  # asleep


def test_ratios_are_taken_within_rounds(harness):
    # The machine is three times as slow in the last two rounds.
    walls = {"base": [1.0, 1.0, 3.0, 3.0, 1.0], "ours": [0.5, 0.6, 1.5, 1.2, 0.9]}
    processors = {"base": [1.0] * 5, "ours": [0.7, 0.8, 0.9, 0.6, 0.5]}
    times = {
        name: [harness.Took(*both) for both in zip(walls[name], processors[name], strict=True)]
        for name in walls
    }
    base, ours = harness.ratios(times, "base")
    assert (base.ratio, base.low, base.high) == (1.0, 1.0, 1.0)
    assert ours.seconds == 0.9
    assert (ours.ratio, ours.low, ours.high) == pytest.approx((0.5, 0.4, 0.9))
    assert (base.processor, ours.processor) == (1.0, 0.7)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0341, "0.034"), (0.746, "0.75"), (1.3149, "1.31"), (52.13, "52.1"), (310.4, "310")],
)
def test_numbers(harness, value, text):
    assert harness.number(value) == text


def test_table(harness):
    text = harness.table(("name", "s"), [("a", 1.5), ("longer", 12.25)])
    assert text.splitlines() == ["name       s", "a       1.50", "longer  12.2"]


def test_json_says_what_machine_but_not_whose(harness, tmp_path):
    path = tmp_path / "new" / "found.json"
    harness.write_json(path, {"rows": [1, 2]})
    found = json.loads(path.read_text())
    assert found["rows"] == [1, 2]
    assert found["machine"]["processors"] >= 1
    assert found["machine"]["packages"]["numba"]
    assert not {"node", "hostname", "user"} & set(found["machine"])
