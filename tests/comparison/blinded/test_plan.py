"""Plan of a blinded reading: order of the columns, balanced; kinds of questions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from napari_mrisr.comparison.blinded.plan import (
    CHOICE,
    LESION,
    PREFERENCES,
    Case,
    ReadingPlan,
)
from napari_mrisr.errors import ParameterError

TWO, THREE = ("tricubic", "hashed"), ("nearest", "tricubic", "hashed")
FOUR = (*THREE, "network")


def plan_of(methods=TWO, count=6, **changes):
    cases = tuple(Case(f"case {i}", {m: Path(m) for m in methods}) for i in range(count))
    return ReadingPlan(cases, methods, **changes)


def test_columns_are_shuffled_case_by_case_and_again_the_same():
    plan = plan_of(THREE, 60, seed=4)
    orders = [plan.order(case) for case in plan.cases]
    assert orders == [plan_of(THREE, 60, seed=4).order(case) for case in plan.cases]
    assert orders != [plan_of(THREE, 60, seed=5).order(case) for case in plan.cases]
    assert all(sorted(order) == sorted(THREE) for order in orders)


@pytest.mark.parametrize("methods", [TWO, THREE, FOUR])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 12])
def test_each_method_is_equally_often_at_each_place(methods, count):
    for seed in range(20):
        plan = plan_of(methods, count, seed=seed)
        for place in range(len(methods)):
            found = Counter(plan.order(case)[place] for case in plan.cases)
            assert {found[m] for m in methods} <= {count // len(methods), -(-count // len(methods))}


def test_balance_does_not_make_the_order_predictable():
    """Pairs of cases with opposite sides would tell the second case's order."""
    plans = [plan_of(TWO, 4, seed=seed) for seed in range(200)]
    same = sum(plan.order(plan.cases[0]) == plan.order(plan.cases[1]) for plan in plans)
    assert 40 < same < 95  # 1 of 3 expected: 67, sd 6.7


def test_the_order_does_not_depend_on_the_version_of_anything():
    """A reading begun today must be continued next year."""
    plan = plan_of(THREE, 4, seed=11)
    found = ["".join(m[0] for m in plan.order(case)) for case in plan.cases]
    assert found == ["hnt", "hnt", "thn", "nth"]


def test_letters_and_scales():
    assert plan_of().letters == ("A", "B")
    assert plan_of().scale == PREFERENCES
    assert plan_of(THREE).letters == ("A", "B", "C")
    assert sorted(plan_of(THREE).scale) == [1, 2, 3, 4, 5]
    assert plan_of(THREE, kind=CHOICE).scale == {1: "A", 2: "B", 3: "C"}
    assert plan_of(kind=LESION).scale == {}
    assert [plan_of(m).rates for m in (TWO, THREE)] == [False, True]


def test_lesions_are_read_column_by_column_all_cases_before_any_again():
    items = plan_of(THREE, 2, kind=LESION).items
    assert [(item.name, *item.letters) for item in items] == [
        ("case 0", "A"),
        ("case 1", "A"),
        ("case 0", "B"),
        ("case 1", "B"),
        ("case 0", "C"),
        ("case 1", "C"),
    ]
    assert [item.letters for item in plan_of(THREE, 2).items] == [("A", "B", "C")] * 2


def test_kinds_are_named_and_part_of_the_identity():
    with pytest.raises(ParameterError, match="choose from five-point, choice, lesion"):
        plan_of(kind="essay")
    assert plan_of(kind=LESION).question == "Mark the lesion."
    assert plan_of(question="Sharper?", kind=CHOICE).question == "Sharper?"
    assert plan_of().identity != plan_of(kind=CHOICE).identity
