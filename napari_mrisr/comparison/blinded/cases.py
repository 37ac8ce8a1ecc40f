"""Cases of a blinded reading: a CSV file, a folder, or volumes in memory."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_mrisr.comparison.blinded.plan import FIVE_POINT, LETTERS, Case, Point, ReadingPlan
from napari_mrisr.comparison.opening import MAP, MEASURED, RESULT, neutral_labels, role
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.io import read_grid
from napari_mrisr.io.formats import PathLike, is_listed, stem_of
from napari_mrisr.methods import METHOD_SUMMARIES

ORIGINAL_IMAGE = "original"

_HEADER = "give a header such as case,tricubic,hashed and one line per case"
_FOLDERS = (
    "put the images of each case into a folder of its own, named by method, or give them "
    "names such as sub-01_desc-hashed_T1w.nii.gz"
)
_TARGET = ("x_mm", "y_mm", "z_mm")
_DESC = re.compile(r"(?:^|_)desc-([A-Za-z0-9+]+)")
_METHOD_FOLDER = re.compile(
    rf"{'|'.join(METHOD_SUMMARIES)}|original|truth|reference|linear|spline|cubic", re.IGNORECASE
)

Found = tuple[tuple[str, ...], list[Case]]
"""Methods and cases."""


def read_plan(
    path: PathLike, seed: int = 0, question: str = "", kind: str = FIVE_POINT
) -> ReadingPlan:
    """Read the plan of a reading from a list of cases or a folder.

    Parameters
    ----------
    path : str or path
        One of:

        - a CSV file with the header ``case,METHOD,METHOD[,...]`` and one line per case,
          with files relative to it. Columns ``x_mm,y_mm,z_mm`` give the reference point of
          a lesion;
        - a folder with one folder per case, in which every image has the name of its
          method (``case-1/tricubic.nii.gz``);
        - a folder with one folder per method (``tricubic/case-1.nii.gz``);
        - a folder of images that differ in ``desc`` (``sub-01_desc-sr2xhashed_T1w.nii.gz``).
    seed : int
        Seed of the shuffled columns.
    question : str
        Question for each case; by default the kind's.
    kind : str
        Kind of question.

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
    plan = _plan(str(path), methods, cases, seed, question, kind)
    for case in cases:
        for file in case.images.values():
            assert isinstance(file, Path), "read from a list"
            read_grid(file)
    return plan


def plan_of_volumes(
    volumes: Mapping[str, Volume],
    sources: Mapping[str, str] | None = None,
    seed: int = 0,
    question: str = "",
    kind: str = FIVE_POINT,
    targets: Sequence[Point] = (),
) -> ReadingPlan:
    """Return the plan of a reading of volumes in memory, such as the open layers.

    The results of one scan are one case. The scan is one of its columns if there is only one
    result. Volumes whose scan is not known are together one case. Trust maps are left out.

    Parameters
    ----------
    volumes : mapping of str to Volume
        By name.
    sources : mapping of str to str, optional
        From the key of a result to the key of its scan.
    seed, question, kind
        As for :func:`read_plan`.
    targets : sequence of (x, y, z)
        Reference points of lesions, world mm, of the only case.

    Raises
    ------
    ParameterError
        If no case has two images, the cases have different methods, or several cases have
        reference points.
    """
    sources = sources or {}
    roles = {key: role(key, volume.history)[0] for key, volume in volumes.items()}
    groups: dict[str, list[str]] = {}
    for key in volumes:
        source = sources.get(key, "")
        if roles[key] == RESULT and source in volumes:
            groups.setdefault(source, []).append(key)
    if not groups:
        groups[""] = [key for key in volumes if roles[key] not in (MAP, MEASURED)]
    few = any(len(keys) < 2 for keys in groups.values())
    cases = []
    for number, (scan, keys) in enumerate(groups.items(), 1):
        chosen = [scan, *keys] if scan and few else keys
        labels = neutral_labels(volumes, chosen)
        images = {labels[key]: volumes[key] for key in chosen}
        if scan in chosen:
            images = {ORIGINAL_IMAGE: volumes[scan]} | {labels[k]: volumes[k] for k in keys}
        cases.append(Case(f"case {number}", images))
    shared = [m for m in cases[0].images if all(m in case.images for case in cases)]
    if targets and len(cases) > 1:
        mend = "open one scan and its results, or give a list with x_mm,y_mm,z_mm"
        raise ParameterError(explain("reference points", f"{len(cases)} cases are open", mend))
    points = tuple(targets)
    cases = [Case(case.name, {m: case.images[m] for m in shared}, points) for case in cases]
    return _plan("open layers", tuple(shared), cases, seed, question, kind)


def _plan(
    subject: str, methods: tuple[str, ...], cases: list[Case], seed: int, question: str, kind: str
) -> ReadingPlan:
    if not 2 <= len(methods) <= len(LETTERS):
        found = f"{len(methods)} methods ({', '.join(methods) or 'none'})"
        raise ParameterError(explain(subject, found, f"give 2 to {len(LETTERS)} for every case"))
    if not cases:
        raise ParameterError(explain(subject, "has no case", _HEADER))
    return ReadingPlan(tuple(cases), methods, seed, question, kind)


def _table(path: Path) -> Found:
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
    names = rows[0][1:]
    if len(set(names)) < len(names) or not all(names):
        found = f"methods {', '.join(map(repr, names))}"
        raise ParameterError(explain(path, found, "give each column a different name"))
    methods = tuple(name for name in names if name not in _TARGET)
    cases: dict[str, Case] = {}
    for number, row in enumerate(rows[1:], 2):
        if not any(row):
            continue
        name, *entries = row
        if len(entries) != len(names) or not all([name, *entries]):
            found = f"line {number} has {len([c for c in row if c])} entries"
            raise ParameterError(explain(path, found, f"give {len(names) + 1}"))
        if name in cases:
            found = f"line {number} repeats case {name!r}"
            raise ParameterError(explain(path, found, "give every case a different name"))
        by_name = dict(zip(names, entries, strict=True))
        images = {method: path.parent / by_name[method] for method in methods}
        cases[name] = Case(name, images, _target(path, number, by_name))
    return methods, list(cases.values())


def _target(path: Path, number: int, entries: Mapping[str, str]) -> tuple[Point, ...]:
    """Return the reference point of a line; empty without the three columns."""
    if not set(_TARGET) <= set(entries):
        return ()
    try:
        x, y, z = (float(entries[name]) for name in _TARGET)
    except ValueError as error:
        shown = ", ".join(entries[name] for name in _TARGET)
        found = f"line {number} has the point {shown}"
        raise ParameterError(explain(path, found, "give three numbers in mm")) from error
    return ((x, y, z),)


def _folder(path: Path) -> Found:
    """Return the cases of a folder, by its layout."""
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir())
    images = {folder.name: _images(folder) for folder in folders}
    images = {name: files for name, files in images.items() if files}
    if images and all(map(_METHOD_FOLDER.search, images)):
        return _by_method(path, images)
    if images:
        return _checked([Case(name, _by_desc(files)) for name, files in images.items()])
    return _checked(_by_name(path))


def _by_method(path: Path, images: Mapping[str, list[Path]]) -> Found:
    """Return the cases of a folder with one folder per method."""
    made: dict[str, dict[str, Path]] = {}
    for method, files in images.items():
        for file in files:
            made.setdefault(_DESC.sub("", stem_of(file)), {})[method] = file
    return _checked([Case(name, found) for name, found in sorted(made.items())])


def _by_name(path: Path) -> list[Case]:
    """Return the cases of a folder of images that differ in ``desc``."""
    made: dict[str, dict[str, Path]] = {}
    for file in _images(path):
        stem = stem_of(file)
        found = _DESC.search(stem)
        made.setdefault(_DESC.sub("", stem), {})[found[1] if found else ORIGINAL_IMAGE] = file
    if not any(len(files) > 1 for files in made.values()):
        raise ParameterError(explain(path, "has no two images of one case", _FOLDERS))
    return [Case(name, files) for name, files in sorted(made.items())]


def _by_desc(files: list[Path]) -> dict[str, Path]:
    """Return the images of a case by ``desc``, or by name if not all have one."""
    found = [_DESC.search(stem_of(file)) for file in files]
    if len({match[1] for match in found if match}) == len(files):
        return {match[1]: file for match, file in zip(found, files, strict=True) if match}
    return {stem_of(file): file for file in files}


def _checked(cases: list[Case]) -> Found:
    """Return the methods and cases; refuse a case with other methods than the first."""
    methods = tuple(cases[0].images)
    for case in cases:
        if set(case.images) != set(methods):
            found = f"has {', '.join(case.images) or 'no image'}"
            mend = f"give it {', '.join(methods)} as {cases[0].name} has"
            raise ParameterError(explain(case.name, found, mend))
    return methods, cases


def _images(folder: Path) -> list[Path]:
    """Return the images in a folder, sorted by name."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.is_file() and not file.name.startswith(".") and is_listed(file)
    )
