"""``napari-mrisr compare``: linked planes, figure and table of volumes; blinded reading."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mrisr.cli import options
from napari_mrisr.cli.session import EXIT_GOOD, Session, no_viewer_because
from napari_mrisr.errors import ParameterError, explain

if TYPE_CHECKING:
    from napari_mrisr.comparison.state import CompareState
    from napari_mrisr.core.volume import Volume

_EXAMPLE = """\
examples:
  napari-mrisr compare tricubic.nii.gz hashed.nii.gz --reference high.nii.gz
  napari-mrisr compare comparison.json                      # a saved comparison
  napari-mrisr compare comparison.json --figure figure.pdf --table numbers.csv
  napari-mrisr compare --cases cases.csv --out reading.csv  # blinded
  napari-mrisr compare --unblind reading.csv

The volumes of a saved comparison are found by their content: among the files
given after it, in their former place, or in its folder. In figures, tables and
on screen volumes are labeled by their method or numbered; --names labels them
by file name.

The cases of a blinded reading are a CSV file with the header
case,METHOD,METHOD[,...] and file names relative to it, or a folder: with a
folder per case that holds METHOD.nii.gz, a folder per method, or images that
differ in desc (sub-01_desc-METHOD_T1w.nii.gz). The answers in OUT.csv name no
method; OUT.key.json unblinds them and holds the seed. The same command
continues an unfinished reading.
"""


def add_parser(commands: options.Commands) -> None:
    """Add the command."""
    parser = options.new_command(
        commands,
        "compare",
        run,
        "Compare volumes in linked planes, or rate them blinded.",
        _EXAMPLE,
    )
    parser.add_argument(
        "inputs",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="one to four images, or a saved comparison (.json) and files of its volumes",
    )
    parser.add_argument(
        "--reference",
        "--truth",
        type=Path,
        metavar="FILE",
        help="reference volume that all numbers compare with",
    )
    parser.add_argument(
        "--measured",
        type=Path,
        metavar="FILE",
        help="measured low-resolution scan, for the consistency of the results",
    )
    parser.add_argument(
        "--figure",
        type=Path,
        metavar="FILE",
        help="write the figure as .png, .pdf, .svg or .tif and open no window",
    )
    parser.add_argument(
        "--table",
        type=Path,
        metavar="FILE",
        help="write the numbers as CSV and open no window",
    )
    parser.add_argument(
        "--names",
        action="store_true",
        help="label volumes by file name (may identify patients)",
    )
    _add_blinded(parser)
    options.add_reading(parser)


def _add_blinded(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("blinded reading")
    group.add_argument("--cases", type=Path, metavar="CSV|FOLDER", help="cases to rate")
    group.add_argument("--out", type=Path, metavar="CSV", help="file for the answers")
    group.add_argument(
        "--seed", type=int, metavar="N", help="seed of the shuffled columns (default: random)"
    )
    group.add_argument(
        "--kind",
        default="five-point",
        choices=("five-point", "choice", "lesion"),
        help="five-point scale (default), choice of the best, or a lesion to mark",
    )
    group.add_argument("--question", metavar="TEXT", help="question for each case")
    group.add_argument(
        "--unblind", type=Path, metavar="CSV", help="merge answers with their key and count them"
    )


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Run the command."""
    _check_together(arguments)
    for path in (arguments.figure, arguments.table):
        if path is not None:
            options.check_report_path(path)
    if arguments.figure is not None:
        from napari_mrisr.figures.page import check_figure_path

        check_figure_path(arguments.figure)
    if arguments.unblind is not None:
        return _unblind(arguments, session)
    headless = arguments.figure is not None or arguments.table is not None
    if not headless:
        _check_window()
    if arguments.cases is not None:
        return _read_blinded(arguments, session)
    opened = _open(arguments, session)
    if headless:
        _write(opened, arguments, session)
        return EXIT_GOOD
    from napari_mrisr.viewer.compare import open_comparison

    session.end()
    open_comparison(opened.volumes, opened.state, truth=opened.truth, measured=opened.measured)
    return EXIT_GOOD


@dataclass(frozen=True, eq=False)
class _Opened:
    """Volumes to compare, by label; the state is None unless one was saved."""

    volumes: Mapping[str, Volume]
    columns: tuple[str, ...]
    truth: str | None
    measured: str | None
    state: CompareState | None = None


def _check_together(arguments: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    blinded = arguments.cases is not None
    files = bool(arguments.inputs or arguments.reference or arguments.measured)
    if arguments.unblind is not None and (blinded or files or arguments.figure is not None):
        raise _wrong("--unblind", "was combined with other work", "give it alone, or with --table")
    if arguments.unblind is not None:
        return
    if blinded != (arguments.out is not None):
        given, missing = ("--cases", "--out") if blinded else ("--out", "--cases")
        raise _wrong(given, f"has no {missing}", f"give {missing} too")
    if blinded and (files or arguments.figure is not None or arguments.table is not None):
        raise _wrong("--cases", "was combined with files, --figure or --table", "give it alone")
    if not blinded and not files:
        raise _wrong("compare", "no volume", "give image files, a saved comparison or --cases")
    if arguments.reference is not None and arguments.reference == arguments.measured:
        found = f"{arguments.reference} is both"
        raise _wrong("--reference, --measured", found, "leave out one of them")
    if _is_saved(arguments) and (arguments.reference or arguments.measured):
        found = f"{arguments.inputs[0]} records which they are"
        raise _wrong("--reference, --measured", found, "leave them out")


def _wrong(subject: str, found: str, mend: str) -> ParameterError:
    return ParameterError(explain(subject, found, mend))


def _is_saved(arguments: argparse.Namespace) -> bool:
    return bool(arguments.inputs) and arguments.inputs[0].suffix.lower() == ".json"


def _check_window() -> None:
    why = no_viewer_because()
    if why:
        mend = "write --figure or --table instead"
        raise _wrong("compare", f"no window can be opened: {why}", mend)


def _open(arguments: argparse.Namespace, session: Session) -> _Opened:
    if not _is_saved(arguments):
        return _open_files(arguments, session)
    from napari_mrisr.comparison.document import open_state

    path, *candidates = arguments.inputs
    session.progress.begin(f"finding the volumes of {path.name}", 1)
    with session.at_once():
        found = open_state(
            path, candidates, frame=arguments.frame, fill_nonfinite=arguments.fill_nonfinite
        )
    volumes = dict(found.volumes)
    labels = _labels(arguments, volumes, found.paths, found.state.truth, found.state.measured)
    state = found.state.relabeled(labels)
    named = {labels[key]: volume for key, volume in volumes.items()}
    return _Opened(named, state.columns, state.truth, state.measured, state)


def _open_files(arguments: argparse.Namespace, session: Session) -> _Opened:
    from napari_mrisr.comparison.opening import choose
    from napari_mrisr.comparison.state import MAX_COLUMNS
    from napari_mrisr.io import read_grid, read_volume

    columns = list(dict.fromkeys(arguments.inputs))
    truth, measured = arguments.reference, arguments.measured
    if truth is not None and truth not in columns:
        columns.insert(0, truth)
    if not columns:
        raise _wrong("--measured", "is the only volume", "give results to compare with it")
    if len(columns) > MAX_COLUMNS:
        found = f"{len(columns)} volumes, the reference among them"
        raise _wrong("compare", found, f"give up to {MAX_COLUMNS}")
    paths = columns + [measured] * (measured is not None and measured not in columns)
    for path in paths:
        read_grid(path, frame=arguments.frame)
    session.progress.begin("reading", len(paths))
    volumes: dict[str, Volume] = {}
    for path in paths:
        with session.at_once():
            volume = read_volume(
                path, frame=arguments.frame, fill_nonfinite=arguments.fill_nonfinite
            )
        volumes[str(path)] = volume
        session.progress.advance()
    files = {str(path): path for path in paths}
    truth_key, measured_key = (str(p) if p is not None else None for p in (truth, measured))
    if truth is None and measured is None:
        choice = choose(volumes)
        truth_key, measured_key = choice.truth, choice.measured
    labels = _labels(arguments, volumes, files, truth_key, measured_key)
    return _Opened(
        {labels[key]: volume for key, volume in volumes.items()},
        tuple(labels[str(path)] for path in columns),
        labels[truth_key] if truth_key else None,
        labels[measured_key] if measured_key else None,
    )


def _labels(
    arguments: argparse.Namespace,
    volumes: Mapping[str, Volume],
    paths: Mapping[str, Path],
    truth: str | None,
    measured: str | None,
) -> dict[str, str]:
    """Return the label of each volume."""
    from napari_mrisr.comparison.opening import neutral_labels, unique_labels
    from napari_mrisr.io.formats import stem_of

    if not arguments.names:
        return neutral_labels(volumes, list(volumes), truth, measured)
    return unique_labels({key: stem_of(paths[key]) for key in volumes})


def _write(opened: _Opened, arguments: argparse.Namespace, session: Session) -> None:
    """Write the figure and the table, without a window."""
    from napari_mrisr.io import write_text

    state = opened.state or _first_state(opened)
    if not state.columns:
        raise _wrong(str(arguments.inputs[0]), "shows no volume", "add one and save it again")
    written = []
    if arguments.table is not None:
        text = _table(opened, state, session)
        with session.writing(arguments.table):
            write_text(arguments.table, text)
        written.append(arguments.table)
    if arguments.figure is not None:
        with session.writing(arguments.figure):
            _draw(opened, state, arguments.figure)
        written.append(arguments.figure)
    session.say("Wrote " + ", ".join(map(str, written)))


def _first_state(opened: _Opened) -> CompareState:
    """Return the columns and their differences from the reference, on one color scale."""
    from napari_mrisr.comparison.opening import opening_state
    from napari_mrisr.comparison.state import Difference

    others = [key for key in opened.columns if key != opened.truth] if opened.truth else []
    pairs = [Difference(key, str(opened.truth)) for key in others]
    return opening_state(opened.volumes, opened.columns, opened.truth, opened.measured, pairs)


def _draw(opened: _Opened, state: CompareState, path: Path) -> None:
    from napari_mrisr.comparison.scene import Cutter, build_scene
    from napari_mrisr.core.frames import Frame
    from napari_mrisr.figures.figure import scene_figure
    from napari_mrisr.figures.page import save_figure

    frame = Frame.of(opened.volumes[state.columns[0]].grid)
    scene = build_scene(state, Cutter(opened.volumes, frame), {})
    save_figure(scene_figure(scene), path)


def _table(opened: _Opened, state: CompareState, session: Session) -> str:
    """Compute the numbers of the regions and of the head, as CSV."""
    from napari_mrisr.comparison.readouts import NumberBook
    from napari_mrisr.comparison.roi import BoxRoi

    book = NumberBook(opened.volumes, state.columns, state.truth, state.measured)
    table = book.head(session.progress)
    for roi in reversed(state.rois):
        table = book.region(BoxRoi(roi), session.progress) + table
    return table.csv({key: key for key in opened.volumes})


def _read_blinded(arguments: argparse.Namespace, session: Session) -> int:
    from napari_mrisr.comparison.blinded.cases import read_plan
    from napari_mrisr.comparison.blinded.session import Reading, seed_for

    seed = seed_for(arguments.out) if arguments.seed is None else arguments.seed
    plan = read_plan(arguments.cases, seed, arguments.question or "", arguments.kind)
    Reading(plan, arguments.out)  # everything is checked before a window opens
    from napari_mrisr.viewer.compare import open_reading

    session.end()
    open_reading(plan, arguments.out)
    return EXIT_GOOD


def _unblind(arguments: argparse.Namespace, session: Session) -> int:
    from napari_mrisr.comparison.blinded.unblind import unblind
    from napari_mrisr.io import write_text

    found = unblind(arguments.unblind)
    session.emit(found.summary())
    if arguments.table is not None:
        write_text(arguments.table, found.to_csv())
        session.say(f"Wrote {arguments.table}")
    return EXIT_GOOD
