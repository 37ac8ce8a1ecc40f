"""Unblinding: whose scores they were, counts, and the sign test."""

from __future__ import annotations

import csv
import io
from math import comb
from pathlib import Path

import pytest

from napari_mrisr.comparison.blinded.session import Case, Reading, ReadingPlan, key_path
from napari_mrisr.comparison.blinded.unblind import unblind
from napari_mrisr.errors import ParameterError


def read_as(tmp_path, methods, likes, count=10, skip=0):
    """A reader who answers by ``likes``: (case number, methods left to right) to values."""
    cases = tuple(Case(f"c{i}", {m: Path(m) for m in methods}) for i in range(count))
    plan = ReadingPlan(cases, methods, seed=2, question="Sharper?")
    path = tmp_path / "r.csv"
    reading = Reading(plan, path)
    for i, case in enumerate(cases[: count - skip]):
        reading.answer(case, likes(i, plan.order(case)), 2.0)
    return path


def test_a_preference_goes_to_its_method_wherever_its_column_was(tmp_path):
    def likes(i, order):
        strength = 0 if i in (3, 4) else 1 + i % 2
        winner = "tricubic" if i == 0 else "hashed"
        return [strength if order[1] == winner else -strength]

    found = unblind(read_as(tmp_path, ("tricubic", "hashed"), likes))
    assert found.methods == ("tricubic", "hashed")
    assert [a.scores for a in found.answers][:4] == [(1, -1), (-2, 2), (-1, 1), (0, 0)]
    assert found.counts("hashed") == {-2: 0, -1: 1, 0: 2, 1: 3, 2: 4}
    assert found.counts("tricubic") == {-2: 4, -1: 3, 0: 2, 1: 1, 2: 0}
    (pair,) = found.pairs()
    assert (pair.first, pair.wins, pair.losses, pair.ties) == ("tricubic", 1, 7, 2)
    assert pair.p == pytest.approx(2 * (comb(8, 0) + comb(8, 1)) / 2**8)
    text = found.summary()
    assert "Sharper? 10 of 10 cases answered." in text
    assert "hashed: mean preference +1 (−2: 0, −1: 1, 0: 2, +1: 3, +2: 4)" in text
    assert "two-sided sign test p = 0.0703, n = 8 (without ties)" in text


def test_ratings_of_three_are_compared_in_pairs(tmp_path):
    value = {"nearest": 1, "tri-cubic": 3, "hashed": 5}

    def likes(i, order):
        return [value[m] if i else 2 for m in order]

    found = unblind(read_as(tmp_path, tuple(value), likes, count=6, skip=1))
    assert found.counts("nearest") == {1: 4, 2: 1, 3: 0, 4: 0, 5: 0}
    assert [(p.first, p.second, p.wins, p.losses, p.ties) for p in found.pairs()] == [
        ("nearest", "tri-cubic", 0, 4, 1),
        ("nearest", "hashed", 0, 4, 1),
        ("tri-cubic", "hashed", 0, 4, 1),
    ]
    text = found.summary()
    assert "5 of 6 cases" in text
    assert "tri-cubic: mean rating 2.8" in text
    assert "3 tests are not corrected" in text


def test_the_table_has_the_methods_scores(tmp_path):
    path = read_as(tmp_path, ("a", "b"), lambda i, order: [2 if order[1] == "b" else -2], count=3)
    rows = list(csv.DictReader(io.StringIO(unblind(path).to_csv())))
    assert [(r["case"], r["a"], r["b"], r["seconds"]) for r in rows] == [
        (f"c{i}", "-2", "2", "2.0") for i in range(3)
    ]


def test_a_method_named_like_a_formula_is_written_as_text(tmp_path):
    path = read_as(tmp_path, ("=a", "b"), lambda i, order: [0], count=1)
    assert unblind(path).to_csv().startswith("case,'=a,b,seconds\n")


def test_a_reading_without_an_answer_says_so(tmp_path):
    path = read_as(tmp_path, ("a", "b"), lambda i, order: [0], count=3, skip=2)
    assert unblind(path).pairs()[0].p == 1.0
    Reading(ReadingPlan((Case("x", {}),), ("a", "b")), tmp_path / "s.csv")
    with pytest.raises(ParameterError, match=r"s\.csv: cannot be read"):
        unblind(tmp_path / "s.csv")


@pytest.mark.parametrize("seed", ["1e308", "1e999", "NaN", "true", "[]"])
def test_a_key_with_an_impossible_seed_is_refused_by_name(tmp_path, seed):
    path = tmp_path / "r.key.json"
    path.write_text(ReadingPlan((Case("a", {}),), ("x", "y"), 7).key().replace("7", seed))
    with pytest.raises(ParameterError, match=r"r\.key\.json: is no key"):
        unblind(tmp_path / "r.csv", path)


def test_the_key_of_another_reading_does_not_fit(tmp_path):
    path = read_as(tmp_path, ("a", "b"), lambda i, order: [0], count=3)
    (tmp_path / "two").mkdir()
    other = read_as(tmp_path / "two", ("a", "b"), lambda i, order: [0], count=4)
    with pytest.raises(ParameterError, match=r"r\.csv: line 2 belongs to another reading"):
        unblind(path, key_path(other))
