"""List of cases of a blinded reading: a CSV file or a folder."""

from __future__ import annotations

import csv
from pathlib import Path

from napari_mrisr.comparison.blinded.session import LETTERS, QUESTION, Case, ReadingPlan
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.io import read_grid
from napari_mrisr.io.formats import PathLike, is_listed, stem_of

_HEADER = "give a header such as case,tricubic,hashed and one line per case"


def read_plan(path: PathLike, seed: int = 0, question: str = QUESTION) -> ReadingPlan:
    """Read the plan of a reading from a list of cases.

    Parameters
    ----------
    path : str or path
        A CSV file with the header ``case,METHOD,METHOD[,...]`` and one line per case,
        with files relative to it; or a folder with one folder per case, in which every
        image has the name of its method (``case-1/tricubic.nii.gz``).
    seed : int
        Seed of the shuffled columns.
    question : str
        Question for each case.

    Returns
    -------
    ReadingPlan
        All images exist and have readable headers.

    Raises
    ------
    ParameterError
        If the list is damaged or does not have two to four methods.
    VolumeError
        If an image is missing or unreadable.
    """
    path = Path(path)
    methods, cases = _folder(path) if path.is_dir() else _table(path)
    if not 2 <= len(methods) <= len(LETTERS):
        found = f"{len(methods)} methods ({', '.join(methods) or 'none'})"
        raise ParameterError(explain(path, found, f"give 2 to {len(LETTERS)}"))
    if not cases:
        raise ParameterError(explain(path, "has no case", _HEADER))
    for case in cases:
        for file in case.files.values():
            read_grid(file)
    return ReadingPlan(tuple(cases), methods, seed, question)


def _table(path: Path) -> tuple[tuple[str, ...], list[Case]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            # Spreadsheets in countries with a decimal comma write semicolons.
            comma = ";" if file.readline().startswith("case;") else ","
            file.seek(0)
            rows = [[cell.strip() for cell in row] for row in csv.reader(file, delimiter=comma)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ParameterError(explain(path, f"cannot be read ({reason})", _HEADER)) from error
    if not rows or rows[0][:1] != ["case"]:
        found = f"its first line is {','.join(rows[0])!r}" if rows else "is empty"
        raise ParameterError(explain(path, found, _HEADER))
    methods = tuple(rows[0][1:])
    if len(set(methods)) < len(methods) or not all(methods):
        found = f"methods {', '.join(map(repr, methods))}"
        raise ParameterError(explain(path, found, "give each column a different name"))
    cases: dict[str, Case] = {}
    for number, row in enumerate(rows[1:], 2):
        if not any(row):
            continue
        name, *files = row
        if len(files) != len(methods) or not all([name, *files]):
            found = f"line {number} has {len([c for c in row if c])} entries"
            raise ParameterError(explain(path, found, f"give {len(methods) + 1}"))
        if name in cases:
            found = f"line {number} repeats case {name!r}"
            raise ParameterError(explain(path, found, "give every case a different name"))
        paths = [path.parent / file for file in files]
        cases[name] = Case(name, dict(zip(methods, paths, strict=True)))
    return methods, list(cases.values())


def _folder(path: Path) -> tuple[tuple[str, ...], list[Case]]:
    cases = []
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()):
        files = sorted(file for file in folder.iterdir() if _is_image(file))
        cases.append(Case(folder.name, {stem_of(file): file for file in files}))
    if not cases:
        raise ParameterError(explain(path, "has no folder", "give one folder per case"))
    methods = tuple(cases[0].files)
    for case in cases:
        if set(case.files) != set(methods):
            found = f"{case.name} has {', '.join(case.files) or 'no image'}"
            mend = f"give it {', '.join(methods)} as {cases[0].name} has"
            raise ParameterError(explain(path, found, mend))
    return methods, cases


def _is_image(file: Path) -> bool:
    return file.is_file() and not file.name.startswith(".") and is_listed(file)
