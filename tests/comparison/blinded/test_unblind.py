"""Unblinding: whose scores they were, counts, and the sign test."""

from __future__ import annotations

import csv
import io
from math import comb
from pathlib import Path

import pytest

from napari_mrisr.comparison.blinded.plan import CHOICE, LESION, Case, ReadingPlan
from napari_mrisr.comparison.blinded.session import Reading, key_path
from napari_mrisr.comparison.blinded.unblind import unblind
from napari_mrisr.errors import ParameterError


def read_as(tmp_path, methods, likes, count=10, skip=0, **options):
    """A reader who answers by ``likes``: (case number, methods left to right) to values."""
    cases = tuple(Case(f"c{i}", {m: Path(m) for m in methods}) for i in range(count))
    plan = ReadingPlan(cases, methods, seed=2, question="Sharper?", **options)
    path = tmp_path / "r.csv"
    reading = Reading(plan, path)
    for i, item in enumerate(plan.items[: count - skip]):
        reading.answer(item, likes(i, plan.order(item.case)), 2.0)
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
    assert "better in 12 % (95 % CI 0 to 53 %)" in text
    # Clopper–Pearson: 1 of 8 or fewer has a probability of 2.5 % at the upper end.
    tail = sum(comb(8, k) * pair.high**k * (1 - pair.high) ** (8 - k) for k in (0, 1))
    assert tail == pytest.approx(0.025, abs=1e-6)
    assert 1 - (1 - pair.low) ** 8 == pytest.approx(0.025, abs=1e-6)
    assert found.pair_table()[1] == (
        "tricubic – hashed", "1", "7", "2", "12 % (95 % CI 0 to 53 %)", "0.0703"
    )  # fmt: skip
    assert found.method_table()[0] == ("Method", "n", "Mean", "−2", "−1", "0", "+1", "+2")
    assert found.method_table()[2] == ("hashed", "10", "+1", "0", "1", "2", "3", "4")


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


def test_a_forced_choice_counts_for_the_chosen_method(tmp_path):
    def likes(i, order):
        return [order.index("net" if i < 4 else "cubic") + 1]

    found = unblind(read_as(tmp_path, ("cubic", "net", "old"), likes, count=6, kind=CHOICE))
    assert [found.counts(m)[1] for m in found.methods] == [2, 4, 0]
    first = found.pairs()[0]
    assert (first.wins, first.losses, first.ties) == (2, 4, 0)
    assert found.pairs()[1].ties == 4  # neither cubic nor old was chosen
    assert "net: chosen in 4 of 6" in found.summary()
    assert found.method_table()[2] == ("net", "6", "67 %", "2", "4")


def test_marked_lesions_are_compared_by_distance(tmp_path):
    """The better method is 1 mm off, the other 3 mm, or it marks nothing."""
    methods = ("cubic", "net")
    cases = tuple(Case(f"c{i}", {m: Path(m) for m in methods}, ((0.0, i, 0.0),)) for i in range(5))
    plan = ReadingPlan(cases, methods, seed=1, kind=LESION)
    reading = Reading(plan, tmp_path / "r.csv")
    for item in plan.items[:-1]:  # the last has no answer yet
        method = plan.order(item.case)["AB".index(item.letters[0])]
        off = 1.0 if method == "net" else 3.0
        ((x, y, z),) = item.case.targets
        missed = method == "cubic" and item.name == "c2"
        reading.answer(item, [] if missed else [x, y, z - off], 1.0)
    found = unblind(tmp_path / "r.csv")
    (pair,) = found.pairs()
    assert (pair.wins, pair.losses, pair.ties) == (0, 4, 0)
    counts = {row[0]: row[1:] for row in found.method_table()[1:]}
    assert {counts["net"][0], counts["cubic"][0]} == {"4", "5"}
    assert counts["net"][2] == "1.0" and counts["cubic"][2] == "3.0"
    assert int(counts["cubic"][1]) == int(counts["cubic"][0]) - 1
    assert "net: marked in" in found.summary()
    row = next(line for line in found.to_csv().splitlines() if line.startswith("c2,"))
    assert row == "c2,,1,2.0"


def test_a_key_of_the_first_version_is_read(tmp_path):
    path = read_as(tmp_path, ("a", "b"), lambda i, order: [2], count=3)
    key = key_path(path)
    text = key.read_text("utf-8").replace('"napari_mrisr_reading": 2', '"napari_mrisr_reading": 1')
    key.write_text(text.replace(' "kind": "five-point",\n', ""), encoding="utf-8")
    assert len(unblind(path).answers) == 3
