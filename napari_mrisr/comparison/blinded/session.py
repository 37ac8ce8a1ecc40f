"""Blinded reading on disk.

Each answer is written at once to a CSV file without names of methods
(``reading.csv``). The key file next to it (``reading.key.json``) assigns letters to
methods. Neither has paths.
"""

from __future__ import annotations

import csv
import json
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_mrisr.comparison.blinded.plan import (
    CHOICE,
    FIVE_POINT,
    KEY_FORMAT,
    KINDS,
    LESION,
    LETTERS,
    Case,
    ReadingItem,
    ReadingPlan,
)
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import OutputError, ParameterError, explain
from napari_mrisr.io import read_volume, write_text
from napari_mrisr.io.csv_tables import csv_text, original_cell
from napari_mrisr.io.formats import PathLike

_READABLE = (1, KEY_FORMAT)  # version 1 has no kind
_SEEDS = 1_000_000
_MARK = ("x_mm", "y_mm", "z_mm", "distance_mm")


@dataclass(frozen=True)
class Answer:
    """Answer to one case.

    Attributes
    ----------
    case : str
        Name of the case.
    values : tuple of float
        One preference; or one rating per column; or the number of the best column, from 1; or
        x, y, z of the point and its distance to the reference point, mm (NaN: none).
    seconds : float
        Reading time.
    letter : str
        The column, if each is shown alone.
    """

    case: str
    values: tuple[float, ...]
    seconds: float
    letter: str = ""


class Reading:
    """Reading on disk, which resumes an unfinished one.

    Parameters
    ----------
    plan : ReadingPlan
        Cases to read.
    path : str or path
        CSV file of the answers. An existing file must belong to this plan.

    Raises
    ------
    OutputError
        If the file cannot be written.
    ParameterError
        If the file or its key belongs to another plan.
    """

    def __init__(self, plan: ReadingPlan, path: PathLike) -> None:
        self.plan = plan
        self.path = Path(path)
        self._answers: list[Answer] = []
        check_path(self.path)
        if self.path.exists():
            self._answers = read_answers(self.path, plan)
        key = key_path(self.path)
        if not key.exists():
            if self._answers:
                mend = "put it back: it assigns the columns to methods"
                raise ParameterError(explain(self.path, f"its key {key.name} is missing", mend))
            write_text(key, plan.key())
        elif key.read_text("utf-8", errors="replace") != plan.key():
            mend = f"choose another name than {self.path.name}, or the same list, seed and question"
            raise ParameterError(explain(key, "is the key of another reading", mend))

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Answers so far."""
        return tuple(self._answers)

    @property
    def remaining(self) -> tuple[ReadingItem, ...]:
        """Items without an answer yet, in reading order."""
        done = {(answer.case, answer.letter) for answer in self._answers}
        return tuple(item for item in self.plan.items if self._key(item) not in done)

    def volumes(self, item: ReadingItem, progress: Progress | None = None) -> dict[str, Volume]:
        """Read or compute the images of a case, by letter from left to right, without history.

        Parameters
        ----------
        item : ReadingItem
        progress : Progress, optional
            Of images that are computed.

        Raises
        ------
        VolumeError
            If an image cannot be read.
        """
        methods = dict(zip(self.plan.letters, self.plan.order(item.case), strict=True))
        made = {}
        for letter in item.letters:
            image = item.case.images[methods[letter]]
            if isinstance(image, Path):
                volume = read_volume(image)
            else:
                volume = image if isinstance(image, Volume) else image(progress or Progress())
            made[letter] = replace(volume, origin=None, history={})
        return made

    def answer(self, item: ReadingItem, values: Sequence[float], seconds: float) -> None:
        """Save the answer to a case.

        Parameters
        ----------
        item : ReadingItem
            One of :attr:`remaining`.
        values : sequence of float
            Keys of the plan's scale: one, or one per column to rate, left to right. For a
            lesion x, y and z of the point, world mm, or nothing if there is no lesion.
        seconds : float
            Reading time.

        Raises
        ------
        ParameterError
            If the case is not open, or the values are no answer.
        OutputError
            If the file cannot be written; the answers then stay unchanged.
        """
        if self._key(item) not in map(self._key, self.remaining):
            raise ParameterError(explain(item.name, "is not open", "continue with the next case"))
        if self.plan.kind == LESION:
            checked = _mark(values, item.case)
        else:
            checked = _checked(values, self.plan, item.name)
        letter = self._key(item)[1]
        self._save([*self._answers, Answer(item.name, checked, round(seconds, 1), letter)])

    def take_back(self) -> ReadingItem | None:
        """Delete the latest answer, also on disk, and return what it was about."""
        if not self._answers:
            return None
        last = self._answers[-1]
        self._save(self._answers[:-1])
        return next(i for i in self.plan.items if self._key(i) == (last.case, last.letter))

    def _key(self, item: ReadingItem) -> tuple[str, str]:
        return item.name, item.letters[0] if self.plan.kind == LESION else ""

    def _save(self, answers: list[Answer]) -> None:
        write_text(self.path, answers_csv(answers, self.plan))
        self._answers = answers


def key_path(path: PathLike) -> Path:
    """Return the path of the key of a file of answers."""
    return Path(path).with_suffix(".key.json")


def seed_for(path: PathLike) -> int:
    """Return the seed of the reading with this file of answers, or a random one if it is new.

    Raises
    ------
    ParameterError
        If its key is damaged.
    """
    key = key_path(path)
    return int(load_key(key)["seed"]) if key.exists() else secrets.randbelow(_SEEDS)


def answers_csv(answers: Sequence[Answer], plan: ReadingPlan) -> str:
    """Return the file of answers: one row per answer, without methods."""
    rows = []
    for a in answers:
        values: list[object] = [*a.values]
        if plan.kind == CHOICE:
            values = [plan.scale[int(a.values[0])]]
        elif plan.kind == LESION:
            values = [a.letter, *("" if math.isnan(v) else f"{v:.2f}" for v in a.values)]
        rows.append([plan.identity, a.case, *values, f"{a.seconds:.1f}"])
    return csv_text([_header(plan), *rows])


def read_answers(path: Path, plan: ReadingPlan) -> list[Answer]:
    """Read what :func:`answers_csv` wrote.

    Raises
    ------
    ParameterError
        If the file belongs to another plan or is damaged.
    """
    mend = "choose another file, or the list of cases that it belongs to"
    rows = _rows(path)
    if not rows or rows[0] != _header(plan):
        raise ParameterError(explain(path, "is no file of answers of this reading", mend))
    names = {case.name for case in plan.cases}
    answers: dict[tuple[str, str], Answer] = {}
    for number, row in enumerate(rows[1:], 2):
        if row[:1] != [plan.identity]:
            found = f"line {number} belongs to another reading ({row[0]})"
            raise ParameterError(explain(path, found, mend))
        try:
            _, name, *values, seconds = row
            letter = values.pop(0) if plan.kind == LESION else ""
            if name not in names or (name, letter) in answers:
                raise ValueError(f"case {name!r} is unknown or occurs twice")
            if not 0.0 <= float(seconds) < 1e6:
                raise ValueError(f"{seconds[:20]} seconds")
            answers[name, letter] = Answer(
                name, _parsed(values, letter, plan, name), float(seconds), letter
            )
        except ValueError as error:
            raise ParameterError(
                explain(path, f"line {number}: {error}", "correct the line")
            ) from error
    return list(answers.values())


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"seed {value}")
    return value


def _header(plan: ReadingPlan) -> list[str]:
    columns = ["preference"]
    if plan.kind == CHOICE:
        columns = ["choice"]
    elif plan.kind == LESION:
        columns = ["column", *_MARK]
    elif plan.rates:
        columns = [f"rating_{letter}" for letter in plan.letters]
    return ["reading", "case", *columns, "seconds"]


def _parsed(values: Sequence[str], letter: str, plan: ReadingPlan, name: str) -> tuple[float, ...]:
    """Return the values of a row of the file of answers; raise ValueError for others."""
    if plan.kind == CHOICE:
        places = {shown: place for place, shown in plan.scale.items()}
        return _checked([places.get(value, 0) for value in values], plan, name)
    if plan.kind != LESION:
        return _checked([int(value) for value in values], plan, name)
    numbers = tuple(float(value) if value else math.nan for value in values)
    known = [not math.isnan(number) for number in numbers[:3]]
    if letter not in plan.letters or len(numbers) != len(_MARK) or any(known) != all(known):
        raise ValueError(f"column {letter!r} with {', '.join(values)}")
    return numbers


def _mark(values: Sequence[float], case: Case) -> tuple[float, ...]:
    """Return a point and its distance to the case's nearest reference point."""
    if not values:
        return (math.nan,) * len(_MARK)
    if len(values) != 3 or not all(map(math.isfinite, values)):
        shown = ", ".join(map(str, values))
        raise ParameterError(explain(f"answer to {case.name}", shown, "give x, y and z in mm"))
    distances = [math.dist(values, target) for target in case.targets]
    distance = min(distances, default=math.nan)
    return (*map(float, values), distance)


def _checked(values: Sequence[float], plan: ReadingPlan, name: str) -> tuple[float, ...]:
    count = len(plan.methods) if plan.rates else 1
    if len(values) != count or not all(value in plan.scale for value in values):
        shown = ", ".join(map(str, values))
        mend = f"give {count} of {min(plan.scale)} to {max(plan.scale)}"
        raise ParameterError(explain(f"answer to {name}", shown or "nothing", mend))
    return tuple(values)


def _rows(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
            return [[original_cell(cell) for cell in row] for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ParameterError(
            explain(path, f"cannot be read ({reason})", "give a CSV file")
        ) from error


def check_path(path: Path) -> None:
    """Raise :class:`OutputError` unless answers can be written to a file."""
    if path.suffix.lower() != ".csv":
        found = f"{path.suffix or 'no suffix'!r} is no table"
        raise OutputError(explain(path, found, "give a name that ends in .csv"))
    if not path.parent.is_dir():
        raise OutputError(explain(path.parent, "no such folder", "create it first"))


def load_key(path: PathLike) -> dict[str, Any]:
    """Read a key file.

    Returns
    -------
    dict
        ``kind``, ``question``, ``methods``, ``seed``, ``cases``: the method of each letter
        per case, and ``hit_mm``: the largest distance of a hit per case, where it is known.

    Raises
    ------
    ParameterError
        If the file is no key or has a later version.
    """
    path = Path(path)
    mend = "give the .key.json file in the folder of the answers"
    try:
        content = json.loads(path.read_text("utf-8"))
        version = content["napari_mrisr_reading"]
        if version not in _READABLE:
            found = f"format version {version}"
            raise ParameterError(explain(path, found, "update napari-mrisr to open it"))
        methods = tuple(map(str, content["methods"]))
        cases = {str(name): dict(columns) for name, columns in content["cases"].items()}
        letters = set(LETTERS[: len(methods)])
        for name, columns in cases.items():
            if set(columns) != letters or set(columns.values()) != set(methods):
                raise ValueError(f"columns of {name}")
        kind = content.get("kind", FIVE_POINT)
        if kind not in KINDS:
            raise ValueError(f"kind {kind}")
        return {
            "kind": kind,
            "question": str(content["question"]),
            "methods": methods,
            "seed": _seed(content["seed"]),
            "cases": cases,
            "hit_mm": {name: float(mm) for name, mm in content.get("hit_mm", {}).items()},
        }
    except OSError as error:
        raise ParameterError(explain(path, "no such file", mend)) from error
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(explain(path, "is no key of a reading", mend)) from error
