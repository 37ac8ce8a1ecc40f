"""A blinded reading: order, answers on disk at once, resumed, and blind."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_mrisr.comparison.blinded.session import (
    PREFERENCES,
    Case,
    Reading,
    ReadingPlan,
    key_path,
    load_key,
)
from napari_mrisr.errors import OutputError, ParameterError

TWO, THREE = ("tricubic", "hashed"), ("nearest", "tricubic", "hashed")


def plan_of(methods=TWO, count=6, **changes):
    cases = tuple(
        Case(f"case {i}", {m: Path(f"/scans/jane/{i}/{m}.nii.gz") for m in methods})
        for i in range(count)
    )
    return ReadingPlan(cases, methods, **changes)


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_columns_are_shuffled_case_by_case_and_again_the_same():
    plan = plan_of(THREE, 60, seed=4)
    orders = [plan.order(case) for case in plan.cases]
    assert orders == [plan_of(THREE, 60, seed=4).order(case) for case in plan.cases]
    assert orders != [plan_of(THREE, 60, seed=5).order(case) for case in plan.cases]
    assert all(sorted(order) == sorted(THREE) for order in orders)
    for method in THREE:  # each is first about as often: 20 of 60, sd 3.7
        assert 9 <= sum(order[0] == method for order in orders) <= 31


def test_the_order_does_not_depend_on_the_version_of_anything():
    """A reading begun today must be continued next year."""
    plan = plan_of(THREE, 4, seed=11)
    found = ["".join(m[0] for m in plan.order(case)) for case in plan.cases]
    assert found == ["thn", "thn", "htn", "htn"]


def test_letters_and_scales():
    assert plan_of().letters == ("A", "B")
    assert plan_of().scale == PREFERENCES
    assert plan_of(THREE).letters == ("A", "B", "C")
    assert sorted(plan_of(THREE).scale) == [1, 2, 3, 4, 5]


def test_each_answer_is_on_disk_at_once_and_the_rest_remains(tmp_path):
    plan, path = plan_of(), tmp_path / "reading.csv"
    reading = Reading(plan, path)
    assert reading.remaining == plan.cases
    assert not path.exists()
    reading.answer(plan.cases[0], [-2], 12.34)
    assert [(r["case"], r["preference"], r["seconds"]) for r in rows_of(path)] == [
        ("case 0", "-2", "12.3")
    ]
    reading.answer(plan.cases[2], [1], 3)
    again = Reading(plan_of(), path)  # closed half-way
    assert [case.name for case in again.remaining] == ["case 1", "case 3", "case 4", "case 5"]
    assert again.answers == reading.answers
    again.answer(again.remaining[0], [0], 1.0)
    assert [r["case"] for r in rows_of(path)] == ["case 0", "case 2", "case 1"]
    assert {p.name for p in tmp_path.iterdir()} == {"reading.csv", "reading.key.json"}


def test_a_case_named_like_a_formula_is_written_as_text_and_read_again(tmp_path):
    plan = ReadingPlan((Case("=case", {m: Path(m) for m in TWO}),), TWO)
    path = tmp_path / "r.csv"
    Reading(plan, path).answer(plan.cases[0], [1], 2.0)
    assert rows_of(path)[0]["case"] == "'=case"
    assert Reading(plan, path).answers[0].case == "=case"


def test_ratings_have_a_column_each(tmp_path):
    plan = plan_of(THREE)
    reading = Reading(plan, tmp_path / "r.csv")
    reading.answer(plan.cases[1], [5, 1, 3], 8.0)
    (row,) = rows_of(tmp_path / "r.csv")
    assert [row[f"rating_{letter}"] for letter in "ABC"] == ["5", "1", "3"]
    assert Reading(plan, tmp_path / "r.csv").answers[0].values == (5, 1, 3)


def test_the_answers_are_blind_and_neither_file_has_a_path(tmp_path):
    plan, path = plan_of(THREE), tmp_path / "r.csv"
    reading = Reading(plan, path)
    for case in plan.cases:
        reading.answer(case, [1, 2, 3], 1.0)
    text = path.read_text("utf-8")
    assert not any(method in text for method in THREE)
    key = key_path(path).read_text("utf-8")
    assert "jane" not in text + key
    columns = load_key(key_path(path))["cases"]
    for case in plan.cases:
        assert tuple(columns[case.name][letter] for letter in "ABC") == plan.order(case)


def test_the_latest_answer_can_be_taken_back(tmp_path):
    plan, path = plan_of(), tmp_path / "r.csv"
    reading = Reading(plan, path)
    assert reading.take_back() is None
    reading.answer(plan.cases[0], [2], 1.0)
    reading.answer(plan.cases[1], [1], 1.0)
    assert reading.take_back() == plan.cases[1]
    assert [r["case"] for r in rows_of(path)] == ["case 0"]
    assert reading.remaining[0] == plan.cases[1]


@pytest.mark.parametrize("values", [[], [3], [-3], [1, 2], [1.5]])
def test_no_answer_is_refused_and_nothing_written(tmp_path, values):
    reading = Reading(plan_of(), tmp_path / "r.csv")
    with pytest.raises(ParameterError, match=r"case 0.*give 1 of -2 to 2"):
        reading.answer(reading.remaining[0], values, 1.0)
    assert not (tmp_path / "r.csv").exists()


def test_a_case_is_answered_once(tmp_path):
    plan = plan_of()
    reading = Reading(plan, tmp_path / "r.csv")
    reading.answer(plan.cases[0], [1], 1.0)
    with pytest.raises(ParameterError, match="case 0"):
        reading.answer(plan.cases[0], [1], 1.0)


def test_a_failed_write_changes_nothing(tmp_path, monkeypatch):
    plan, path = plan_of(), tmp_path / "r.csv"
    reading = Reading(plan, path)
    reading.answer(plan.cases[0], [1], 1.0)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "the disk is full on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match=r"r\.csv.*the disk is full"):
        reading.answer(plan.cases[1], [1], 1.0)
    assert path.read_bytes() == before
    assert len(reading.answers) == 1
    assert {p.name for p in tmp_path.iterdir()} == {"r.csv", "r.key.json"}


@pytest.mark.parametrize(
    "other",
    [
        plan_of(seed=1),
        plan_of(count=5),
        plan_of(question="Which has more noise?"),
        plan_of(THREE),
        plan_of(("tricubic", "nearest")),
    ],
)
def test_answers_to_another_plan_are_refused_by_name(tmp_path, other):
    path = tmp_path / "r.csv"
    Reading(plan_of(), path).answer(plan_of().cases[0], [1], 1.0)
    before = path.read_bytes()
    with pytest.raises(ParameterError, match=r"r\.csv"):
        Reading(other, path)
    assert path.read_bytes() == before


def test_the_key_of_another_plan_is_not_replaced(tmp_path):
    Reading(plan_of(), tmp_path / "r.csv")
    with pytest.raises(ParameterError, match=r"r\.key\.json.*another reading"):
        Reading(plan_of(seed=1), tmp_path / "r.csv")


def test_answers_without_their_key_are_refused(tmp_path):
    path = tmp_path / "r.csv"
    Reading(plan_of(), path).answer(plan_of().cases[0], [1], 1.0)
    key_path(path).unlink()
    with pytest.raises(ParameterError, match=r"key r\.key\.json is missing"):
        Reading(plan_of(), path)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "a,b\n1,2\n",
        lambda text: text.replace(",1,", ",7,"),
        lambda text: text.replace(",1,", ",x,"),
        lambda text: text.replace("case 0", "case 99"),
        lambda text: text + text.splitlines()[1],
        lambda text: text.replace(",1.0", ""),
        lambda text: text.replace(",1.0", ",1e308"),
        lambda text: text.replace(",1.0", ",nan"),
        lambda text: "\0" + text,
    ],
)
def test_damaged_answers_are_refused_by_name(tmp_path, change):
    path = tmp_path / "r.csv"
    Reading(plan_of(), path).answer(plan_of().cases[0], [1], 1.0)
    path.write_text(change(path.read_text("utf-8")), encoding="utf-8")
    with pytest.raises(ParameterError, match=r"r\.csv"):
        Reading(plan_of(), path)


@pytest.mark.parametrize("name", ["reading.txt", "reading", "scan.nii.gz"])
def test_answers_go_into_a_csv_file(tmp_path, name):
    with pytest.raises(OutputError, match=r"\.csv"):
        Reading(plan_of(), tmp_path / name)
    with pytest.raises(OutputError, match="no such folder"):
        Reading(plan_of(), tmp_path / "missing" / "r.csv")


def test_volumes_come_by_letter_and_say_nothing_of_the_method(tmp_path, rng):
    data = {m: rng.normal(100, 9, (5, 6, 7)).astype(np.float32) for m in TWO}
    files = {}
    for method in TWO:
        files[method] = tmp_path / f"{method}.nii"
        nib.save(nib.Nifti1Image(data[method], np.eye(4)), files[method])
    case = Case("one", files)
    plan = ReadingPlan((case,), TWO, seed=3)
    volumes = Reading(plan, tmp_path / "r.csv").volumes(case)
    assert list(volumes) == ["A", "B"]
    for letter, method in zip("AB", plan.order(case), strict=True):
        np.testing.assert_array_equal(volumes[letter].data, data[method])
        assert volumes[letter].origin is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"napari_mrisr_reading": 2}', "\ufffd"])
def test_a_key_that_is_none_is_refused_by_name(tmp_path, text):
    path = tmp_path / "r.key.json"
    with pytest.raises(ParameterError, match="no such file"):
        load_key(path)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError, match=r"r\.key\.json"):
        load_key(path)


def test_a_key_must_name_every_column(tmp_path):
    content = json.loads(plan_of().key())
    content["cases"]["case 3"].pop("B")
    path = tmp_path / "r.key.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ParameterError, match="is no key"):
        load_key(path)
