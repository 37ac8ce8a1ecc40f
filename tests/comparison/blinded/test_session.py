"""A blinded reading: order, answers on disk at once, resumed, and blind."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_mrisr.comparison.blinded.plan import CHOICE, LESION, Case, ReadingPlan
from napari_mrisr.comparison.blinded.session import Reading, key_path, load_key, seed_for
from napari_mrisr.core.volume import Grid, Volume
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


def test_each_answer_is_on_disk_at_once_and_the_rest_remains(tmp_path):
    plan, path = plan_of(), tmp_path / "reading.csv"
    reading = Reading(plan, path)
    assert reading.remaining == plan.items
    assert not path.exists()
    reading.answer(plan.items[0], [-2], 12.34)
    assert [(r["case"], r["preference"], r["seconds"]) for r in rows_of(path)] == [
        ("case 0", "-2", "12.3")
    ]
    reading.answer(plan.items[2], [1], 3)
    again = Reading(plan_of(), path)  # closed half-way
    assert [case.name for case in again.remaining] == ["case 1", "case 3", "case 4", "case 5"]
    assert again.answers == reading.answers
    again.answer(again.remaining[0], [0], 1.0)
    assert [r["case"] for r in rows_of(path)] == ["case 0", "case 2", "case 1"]
    assert {p.name for p in tmp_path.iterdir()} == {"reading.csv", "reading.key.json"}


def test_a_case_named_like_a_formula_is_written_as_text_and_read_again(tmp_path):
    plan = ReadingPlan((Case("=case", {m: Path(m) for m in TWO}),), TWO)
    path = tmp_path / "r.csv"
    Reading(plan, path).answer(plan.items[0], [1], 2.0)
    assert rows_of(path)[0]["case"] == "'=case"
    assert Reading(plan, path).answers[0].case == "=case"


def test_ratings_have_a_column_each(tmp_path):
    plan = plan_of(THREE)
    reading = Reading(plan, tmp_path / "r.csv")
    reading.answer(plan.items[1], [5, 1, 3], 8.0)
    (row,) = rows_of(tmp_path / "r.csv")
    assert [row[f"rating_{letter}"] for letter in "ABC"] == ["5", "1", "3"]
    assert Reading(plan, tmp_path / "r.csv").answers[0].values == (5, 1, 3)


def test_the_answers_are_blind_and_neither_file_has_a_path(tmp_path):
    plan, path = plan_of(THREE), tmp_path / "r.csv"
    reading = Reading(plan, path)
    for item in plan.items:
        reading.answer(item, [1, 2, 3], 1.0)
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
    reading.answer(plan.items[0], [2], 1.0)
    reading.answer(plan.items[1], [1], 1.0)
    assert reading.take_back() == plan.items[1]
    assert [r["case"] for r in rows_of(path)] == ["case 0"]
    assert reading.remaining[0] == plan.items[1]


@pytest.mark.parametrize("values", [[], [3], [-3], [1, 2], [1.5]])
def test_no_answer_is_refused_and_nothing_written(tmp_path, values):
    reading = Reading(plan_of(), tmp_path / "r.csv")
    with pytest.raises(ParameterError, match=r"case 0.*give 1 of -2 to 2"):
        reading.answer(reading.remaining[0], values, 1.0)
    assert not (tmp_path / "r.csv").exists()


def test_a_case_is_answered_once(tmp_path):
    plan = plan_of()
    reading = Reading(plan, tmp_path / "r.csv")
    reading.answer(plan.items[0], [1], 1.0)
    with pytest.raises(ParameterError, match="case 0"):
        reading.answer(plan.items[0], [1], 1.0)


def test_a_failed_write_changes_nothing(tmp_path, monkeypatch):
    plan, path = plan_of(), tmp_path / "r.csv"
    reading = Reading(plan, path)
    reading.answer(plan.items[0], [1], 1.0)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "the disk is full on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match=r"r\.csv.*the disk is full"):
        reading.answer(plan.items[1], [1], 1.0)
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
    Reading(plan_of(), path).answer(plan_of().items[0], [1], 1.0)
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
    Reading(plan_of(), path).answer(plan_of().items[0], [1], 1.0)
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
    Reading(plan_of(), path).answer(plan_of().items[0], [1], 1.0)
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
    volumes = Reading(plan, tmp_path / "r.csv").volumes(plan.items[0])
    assert list(volumes) == ["A", "B"]
    for letter, method in zip("AB", plan.order(case), strict=True):
        np.testing.assert_array_equal(volumes[letter].data, data[method])
        assert volumes[letter].origin is None


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '{"napari_mrisr_reading": 3}', "\ufffd"],
)
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


def test_volumes_in_memory_are_read_too(tmp_path, rng):
    grid = Grid((3, 4, 5), np.eye(4))
    images = {
        m: Volume(rng.random(grid.shape, dtype=np.float32), grid, history={"method": m})
        for m in TWO
    }
    plan = ReadingPlan((Case("one", images),), TWO, seed=3)
    volumes = Reading(plan, tmp_path / "r.csv").volumes(plan.items[0])
    for letter, method in zip("AB", plan.order(plan.cases[0]), strict=True):
        assert volumes[letter].data is images[method].data
        assert volumes[letter].history == {}


def test_a_seed_is_random_and_comes_from_the_key_of_a_reading_that_was_begun(tmp_path):
    path = tmp_path / "r.csv"
    assert len({seed_for(path) for _ in range(20)}) > 10
    Reading(plan_of(seed=271828), path)
    assert seed_for(path) == 271828
    assert json.loads(key_path(path).read_text("utf-8"))["seed"] == 271828
    key_path(path).write_text("{}")
    with pytest.raises(ParameterError, match=r"r\.key\.json"):
        seed_for(path)


def test_a_choice_is_written_as_a_letter(tmp_path):
    plan, path = plan_of(THREE, kind=CHOICE), tmp_path / "r.csv"
    reading = Reading(plan, path)
    reading.answer(plan.items[0], [3], 1.0)
    assert rows_of(path)[0]["choice"] == "C"
    assert Reading(plan, path).answers == reading.answers
    with pytest.raises(ParameterError, match="give 1 of 1 to 3"):
        reading.answer(plan.items[1], [4], 1.0)
    path.write_text(path.read_text().replace(",C,", ",D,"))
    with pytest.raises(ParameterError, match="line 2"):
        Reading(plan, path)


def marked(tmp_path):
    cases = tuple(
        Case(f"case {i}", {m: Path(m) for m in TWO}, ((30, 2, 3), (1, 2, 3)) if i else ())
        for i in range(3)
    )
    return ReadingPlan(cases, TWO, kind=LESION), tmp_path / "r.csv"


def test_a_point_is_written_with_its_distance_to_the_nearest_reference_point(tmp_path):
    plan, path = marked(tmp_path)
    reading = Reading(plan, path)
    for item, values in zip(plan.items, ([4, 5, 6], [1, 5, 7], [], [1, 2, 3]), strict=False):
        reading.answer(item, values, 1.0)
    names = ("case", "column", "x_mm", "y_mm", "z_mm", "distance_mm")
    assert [tuple(row[name] for name in names) for row in rows_of(path)] == [
        ("case 0", "A", "4.00", "5.00", "6.00", ""),
        ("case 1", "A", "1.00", "5.00", "7.00", "5.00"),
        ("case 2", "A", "", "", "", ""),
        ("case 0", "B", "1.00", "2.00", "3.00", ""),
    ]
    again = Reading(plan, path)
    assert [item.name for item in again.remaining] == ["case 1", "case 2"]
    assert again.take_back() == plan.items[3]
    for values in ([1.0, 2.0], [1.0, 2.0, float("nan")]):
        with pytest.raises(ParameterError, match="give x, y and z"):
            again.answer(again.remaining[0], values, 1.0)
    path.write_text(path.read_text().replace("4.00,5.00", "4.00,"))
    with pytest.raises(ParameterError, match="line 2"):
        Reading(plan, path)
