"""Blinded reading: cases with shuffled columns named A, B, C, D.

Each answer is written at once to a CSV file without names of methods
(``reading.csv``). The key file next to it (``reading.key.json``) assigns letters to
methods. Neither has paths.

The reader compares two columns, from −2 "A much better" to +2 "B much better", or
rates three or four, each from 1 (worst) to 5 (best).
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import OutputError, ParameterError, explain
from napari_mrisr.io import read_volume, write_text
from napari_mrisr.io.csv_tables import csv_text, original_cell
from napari_mrisr.io.formats import PathLike

LETTERS = "ABCD"
QUESTION = "Which image is better?"
PREFERENCES: Mapping[int, str] = {
    -2: "A much better",
    -1: "A better",
    0: "no difference",
    1: "B better",
    2: "B much better",
}
RATINGS: Mapping[int, str] = {1: "worst", 2: "poor", 3: "fair", 4: "good", 5: "best"}

_FORMAT = 1


@dataclass(frozen=True)
class Case:
    """Case of a reading.

    Attributes
    ----------
    name : str
        Name in the user's list and in the answers.
    files : mapping of str to Path
        Image of each method.
    """

    name: str
    files: Mapping[str, Path]


@dataclass(frozen=True)
class ReadingPlan:
    """Cases, methods and order of a reading.

    Attributes
    ----------
    cases : tuple of Case
        Cases in reading order.
    methods : tuple of str
        Two to four methods; every case has an image of each.
    seed : int
        Seed of the shuffled columns.
    question : str
        Question for each case.
    """

    cases: tuple[Case, ...]
    methods: tuple[str, ...]
    seed: int = 0
    question: str = QUESTION

    @property
    def letters(self) -> tuple[str, ...]:
        """Names of the columns, left to right."""
        return tuple(LETTERS[: len(self.methods)])

    @property
    def compares(self) -> bool:
        """True if the reader compares two columns; else the reader rates each one."""
        return len(self.methods) == 2

    @property
    def scale(self) -> Mapping[int, str]:
        """Possible answers and their meaning."""
        return PREFERENCES if self.compares else RATINGS

    @property
    def identity(self) -> str:
        """Twelve characters, unique for this plan."""
        content = [[case.name for case in self.cases], self.methods, self.seed, self.question]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]

    def order(self, case: Case) -> tuple[str, ...]:
        """Return the methods from left to right, in an order given by the seed."""
        methods = list(self.methods)
        random.Random(f"{self.seed}/{case.name}").shuffle(methods)
        return tuple(methods)

    def key(self) -> str:
        """Return the text of the key file."""
        content = {
            "napari_mrisr_reading": _FORMAT,
            "question": self.question,
            "methods": self.methods,
            "seed": self.seed,
            "cases": {
                c.name: dict(zip(self.letters, self.order(c), strict=True)) for c in self.cases
            },
        }
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Answer:
    """Answer to one case.

    Attributes
    ----------
    case : str
        Name of the case.
    values : tuple of int
        One preference, or one rating per column.
    seconds : float
        Reading time.
    """

    case: str
    values: tuple[int, ...]
    seconds: float


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
        _check_path(self.path)
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
    def remaining(self) -> tuple[Case, ...]:
        """Cases without an answer, in reading order."""
        done = {answer.case for answer in self._answers}
        return tuple(case for case in self.plan.cases if case.name not in done)

    def volumes(self, case: Case) -> dict[str, Volume]:
        """Read the images of a case, by letter from left to right, without their history.

        Raises
        ------
        VolumeError
            If an image cannot be read.
        """
        made = {}
        for letter, method in zip(self.plan.letters, self.plan.order(case), strict=True):
            volume = read_volume(case.files[method])
            made[letter] = replace(volume, origin=None, history={})
        return made

    def answer(self, case: Case, values: Sequence[int], seconds: float) -> None:
        """Save the answer to a case.

        Parameters
        ----------
        case : Case
            Case of the plan without an answer.
        values : sequence of int
            One value of -2 to 2 for two columns; else 1 to 5 per column, left to right.
        seconds : float
            Reading time.

        Raises
        ------
        ParameterError
            If the case is not open, or the values are no answer.
        OutputError
            If the file cannot be written; the answers then stay unchanged.
        """
        if case not in self.remaining:
            raise ParameterError(explain(case.name, "is not open", "continue with the next case"))
        made = Answer(case.name, _checked(values, self.plan, case.name), round(seconds, 1))
        self._save([*self._answers, made])

    def take_back(self) -> Case | None:
        """Delete the latest answer, also on disk, and return its case."""
        if not self._answers:
            return None
        name = self._answers[-1].case
        self._save(self._answers[:-1])
        return next(case for case in self.plan.cases if case.name == name)

    def _save(self, answers: list[Answer]) -> None:
        write_text(self.path, answers_csv(answers, self.plan))
        self._answers = answers


def key_path(path: PathLike) -> Path:
    """Return the path of the key of a file of answers."""
    return Path(path).with_suffix(".key.json")


def answers_csv(answers: Sequence[Answer], plan: ReadingPlan) -> str:
    """Return the file of answers: one row per case, without methods."""
    rows = [[plan.identity, a.case, *a.values, f"{a.seconds:.1f}"] for a in answers]
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
    answers: dict[str, Answer] = {}
    for number, row in enumerate(rows[1:], 2):
        if row[:1] != [plan.identity]:
            found = f"line {number} belongs to another reading ({row[0]})"
            raise ParameterError(explain(path, found, mend))
        try:
            _, name, *values, seconds = row
            if name not in names or name in answers:
                raise ValueError(f"case {name!r} is unknown or occurs twice")
            if not 0.0 <= float(seconds) < 1e6:
                raise ValueError(f"{seconds[:20]} seconds")
            checked = _checked([int(v) for v in values], plan, name)
            answers[name] = Answer(name, checked, float(seconds))
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
    columns = ["preference"] if plan.compares else [f"rating_{letter}" for letter in plan.letters]
    return ["reading", "case", *columns, "seconds"]


def _checked(values: Sequence[int], plan: ReadingPlan, name: str) -> tuple[int, ...]:
    count = 1 if plan.compares else len(plan.methods)
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


def _check_path(path: Path) -> None:
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
        ``question``, ``methods``, ``seed`` and ``cases``: the method of each letter per
        case.

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
        if version != _FORMAT:
            found = f"format version {version}"
            raise ParameterError(explain(path, found, "update napari-mrisr to open it"))
        methods = tuple(map(str, content["methods"]))
        cases = {str(name): dict(columns) for name, columns in content["cases"].items()}
        letters = set(LETTERS[: len(methods)])
        for name, columns in cases.items():
            if set(columns) != letters or set(columns.values()) != set(methods):
                raise ValueError(f"columns of {name}")
        return {
            "question": str(content["question"]),
            "methods": methods,
            "seed": _seed(content["seed"]),
            "cases": cases,
        }
    except OSError as error:
        raise ParameterError(explain(path, "no such file", mend)) from error
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(explain(path, "is no key of a reading", mend)) from error
