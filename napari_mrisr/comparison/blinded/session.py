"""Blinded reading: cases whose columns are shuffled and named A, B, C, D.

A plan says which cases and methods; the answers go, one at once, into a CSV file
that has no names of methods, and what the letters stood for into a key file
beside it (``reading.csv``, ``reading.key.json``). Neither has paths.

Two columns are compared: −2 "A much better" to +2 "B much better". Three or four
are rated, each from 1 (worst) to 5 (best).
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
    """One case of a reading.

    Attributes
    ----------
    name : str
        As the user's list has it; it appears in the answers.
    files : mapping of str to Path
        Method to image.
    """

    name: str
    files: Mapping[str, Path]


@dataclass(frozen=True)
class ReadingPlan:
    """What is read, and in which order.

    Attributes
    ----------
    cases : tuple of Case
        Read in this order.
    methods : tuple of str
        Two to four; every case has an image of each.
    seed : int
        Of the shuffled columns.
    question : str
        Asked for each case.
    """

    cases: tuple[Case, ...]
    methods: tuple[str, ...]
    seed: int = 0
    question: str = QUESTION

    @property
    def letters(self) -> tuple[str, ...]:
        """What columns are called, left to right."""
        return tuple(LETTERS[: len(self.methods)])

    @property
    def compares(self) -> bool:
        """Whether two columns are compared; else each one is rated."""
        return len(self.methods) == 2

    @property
    def scale(self) -> Mapping[int, str]:
        """The five answers and their meaning."""
        return PREFERENCES if self.compares else RATINGS

    @property
    def identity(self) -> str:
        """Twelve characters that differ for every other plan."""
        content = [[case.name for case in self.cases], self.methods, self.seed, self.question]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]

    def order(self, case: Case) -> tuple[str, ...]:
        """Methods from left to right: A, B, ...; random, the same for the same seed."""
        methods = list(self.methods)
        random.Random(f"{self.seed}/{case.name}").shuffle(methods)
        return tuple(methods)

    def key(self) -> str:
        """The key file's text."""
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
    """What was said to one case.

    Attributes
    ----------
    case : str
        Its name.
    values : tuple of int
        One preference, or a rating of each column.
    seconds : float
        How long the case was looked at.
    """

    case: str
    values: tuple[int, ...]
    seconds: float


class Reading:
    """A reading on disk: it goes on where it was left.

    Parameters
    ----------
    plan : ReadingPlan
        What is read.
    path : str or path
        The CSV file of the answers. Where it exists it must be of this plan.

    Raises
    ------
    OutputError
        When the file cannot be written.
    ParameterError
        When it, or its key, belongs to another plan.
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
                mend = "put it back; without it nobody knows the columns"
                raise ParameterError(explain(self.path, f"its key {key.name} is missing", mend))
            write_text(key, plan.key())
        elif key.read_text("utf-8", errors="replace") != plan.key():
            mend = f"choose another name than {self.path.name}, or the same list, seed and question"
            raise ParameterError(explain(key, "is the key of another reading", mend))

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Those given so far."""
        return tuple(self._answers)

    @property
    def remaining(self) -> tuple[Case, ...]:
        """Cases without an answer, in the plan's order."""
        done = {answer.case for answer in self._answers}
        return tuple(case for case in self.plan.cases if case.name not in done)

    def volumes(self, case: Case) -> dict[str, Volume]:
        """The case's images by letter, left to right; nothing in them names a method.

        Raises
        ------
        VolumeError
            When one cannot be read.
        """
        made = {}
        for letter, method in zip(self.plan.letters, self.plan.order(case), strict=True):
            volume = read_volume(case.files[method])
            made[letter] = replace(volume, origin=None, history={})
        return made

    def answer(self, case: Case, values: Sequence[int], seconds: float) -> None:
        """Keep the answer to a case, in memory and on disk at once.

        Parameters
        ----------
        case : Case
            Of the plan, not answered yet.
        values : sequence of int
            One of -2 to 2 for two columns; else one of 1 to 5 for each, left to right.
        seconds : float
            How long it was looked at.

        Raises
        ------
        ParameterError
            For a case that is not to be answered, or values that are no answer.
        OutputError
            When the file cannot be written; then nothing changed.
        """
        if case not in self.remaining:
            raise ParameterError(explain(case.name, "is not to be read", "go on to the next case"))
        made = Answer(case.name, _checked(values, self.plan, case.name), round(seconds, 1))
        self._save([*self._answers, made])

    def take_back(self) -> Case | None:
        """Drop the latest answer, on disk too; the case that is to be read again."""
        if not self._answers:
            return None
        name = self._answers[-1].case
        self._save(self._answers[:-1])
        return next(case for case in self.plan.cases if case.name == name)

    def _save(self, answers: list[Answer]) -> None:
        write_text(self.path, answers_csv(answers, self.plan))
        self._answers = answers


def key_path(path: PathLike) -> Path:
    """Where the key of a file of answers is."""
    return Path(path).with_suffix(".key.json")


def answers_csv(answers: Sequence[Answer], plan: ReadingPlan) -> str:
    """The file of answers: one row a case, no method named."""
    rows = [[plan.identity, a.case, *a.values, f"{a.seconds:.1f}"] for a in answers]
    return csv_text([_header(plan), *rows])


def read_answers(path: Path, plan: ReadingPlan) -> list[Answer]:
    """Read :func:`answers_csv`.

    Raises
    ------
    ParameterError
        When it is not of this plan, or damaged.
    """
    mend = "choose another name for the answers, or the list they belong to"
    rows = _rows(path)
    if not rows or rows[0] != _header(plan):
        raise ParameterError(explain(path, "is no file of answers to this reading", mend))
    names = {case.name for case in plan.cases}
    answers: dict[str, Answer] = {}
    for number, row in enumerate(rows[1:], 2):
        if row[:1] != [plan.identity]:
            found = f"line {number} is of another reading ({row[0]})"
            raise ParameterError(explain(path, found, mend))
        try:
            _, name, *values, seconds = row
            if name not in names or name in answers:
                raise ValueError(f"case {name!r} is unknown or there twice")
            if not 0.0 <= float(seconds) < 1e6:
                raise ValueError(f"{seconds[:20]} seconds")
            checked = _checked([int(v) for v in values], plan, name)
            answers[name] = Answer(name, checked, float(seconds))
        except ValueError as error:
            raise ParameterError(explain(path, f"line {number}: {error}", "mend it")) from error
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
        ``question``, ``methods``, ``seed``, and ``cases``: for each its letters'
        methods.

    Raises
    ------
    ParameterError
        When it is none, or of a later version.
    """
    path = Path(path)
    mend = "give the .key.json file that lies beside the answers"
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
