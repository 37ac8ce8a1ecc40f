"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from napari_mrisr.cli.session import EXIT_USAGE
from napari_mrisr.core.scale import Scale, parse_scale
from napari_mrisr.errors import MrisrError, OutputError, explain

if TYPE_CHECKING:
    # Generic in its parser and invariant; the commands do not care.
    Commands = argparse._SubParsersAction[Any]

SCALE_HELP = (
    "factor, 1 to 8: one number for all axes, or three such as 1x1x4, "
    "which count the file's own axes"
)
DEGRADATION_HELP = (
    "standard, paper-2021, kspace[:hann|hamming|tukey] or "
    "slice-profile[:boxcar|gaussian[:FWHM]] (default: %(default)s)"
)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line like all others."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Print the error and end."""
        print(f"napari-mrisr: error: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)


def new_command(
    commands: Commands, name: str, run: Callable[..., int], summary: str, example: str
) -> Parser:
    """A subcommand with its help, an example and ``--quiet``."""
    parser: Parser = commands.add_parser(name, help=summary, description=summary, epilog=example)
    parser.set_defaults(run=run)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, no result lines")
    return parser


def add_reading(parser: argparse.ArgumentParser, *, frame: bool = True) -> None:
    """``--frame`` and ``--fill-nonfinite``."""
    if frame:
        parser.add_argument(
            "--frame", type=int, metavar="K", help="which volume of a 4D image, from 0"
        )
    parser.add_argument(
        "--fill-nonfinite",
        type=float,
        metavar="VALUE",
        help="put VALUE in place of NaN and infinite voxels, which are refused otherwise",
    )


def add_running(parser: argparse.ArgumentParser) -> None:
    """``--device`` and ``--threads``."""
    parser.add_argument(
        "--device", choices=("auto", "cpu", "gpu"), default="auto", help="default: %(default)s"
    )
    add_threads(parser)


def add_threads(parser: argparse.ArgumentParser) -> None:
    """``--threads``."""
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads (default: one a processor)"
    )


def add_dask(parser: argparse.ArgumentParser) -> None:
    """``--dask``."""
    parser.add_argument(
        "--dask",
        metavar="ADDRESS|local",
        help="do the work on a Dask cluster: local for one on this machine, or the address or "
        "file of a scheduler; --threads are then those of each worker (docs/clusters.md)",
    )


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """``--overwrite``."""
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def scale_value(text: str) -> Scale:
    """For ``type=``: a scale."""
    return _value(parse_scale, text)


def scales_value(text: str) -> tuple[Scale, ...]:
    """For ``type=``: scales joined by commas, such as ``2,3,1x1x4``."""
    return tuple(scale_value(part.strip()) for part in text.split(",") if part.strip())


def names_value(text: str) -> tuple[str, ...]:
    """For ``type=``: names joined by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def spacing_value(text: str) -> float | tuple[float, float, float]:
    """For ``type=``: one length in mm, or three joined by ``x``, along x, y, z."""
    try:
        parts = [float(part) for part in text.lower().split("x")]
    except ValueError:
        parts = []
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 3:
        return parts[0], parts[1], parts[2]
    raise argparse.ArgumentTypeError(f"cannot read {text!r}; give mm such as 0.8 or 1x1x0.8")


def check_report_path(path: Path) -> None:
    """Check, before any work, that a report can go to ``path`` (it is replaced).

    Raises
    ------
    OutputError
        For a folder, a missing folder, or the name of an image.
    """
    import os

    from napari_mrisr.io import READABLE, suffix_of

    if path.is_dir():
        raise OutputError(explain(path, "is a folder", "give a file name in it"))
    if suffix_of(path) in READABLE:
        raise OutputError(explain(path, "has the name of an image", "choose another name"))
    if not path.parent.is_dir():
        raise OutputError(explain(path.parent, "no such folder", "create it first"))
    if not os.access(path.parent, os.W_OK | os.X_OK):
        found, mend = "folder cannot be written to", "choose another folder"
        raise OutputError(explain(path.parent, found, mend))


def write_report(path: Path, text: str) -> None:
    """Write a text file atomically."""
    from napari_mrisr.io import write_text

    write_text(path, text)


def _value(read: Callable[[str], Scale], text: str) -> Scale:
    try:
        return read(text)
    except MrisrError as error:
        # argparse puts the option's name in front by itself.
        raise argparse.ArgumentTypeError(str(error).partition(": ")[2]) from error
