"""Options that several commands share, and the parsers of their values."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from napari_mrisr.cli.session import EXIT_USAGE, error_line
from napari_mrisr.core.scale import RealScale, Scale, parse_scale, whole_scale
from napari_mrisr.errors import MrisrError, OutputError, cut_long, explain

if TYPE_CHECKING:
    # Generic in its parser and invariant; the commands do not care.
    Commands = argparse._SubParsersAction[Any]

SCALE_HELP = (
    "factor from 1 to 8: one number for all axes, or three such as 1x1x4 "
    "in the order of the file's own axes"
)
REAL_SCALE_HELP = (
    "factor from 1 to 10: one number for all axes, or three such as 1x1x4.8 "
    "in the order of the file's own axes"
)
# As `--help` must not import the engine, its texts are repeated here; a test compares them.
METHODS = {
    "hashed": "learned filters",
    "anchored": "learned filters, chosen by anchors",
    "network": "for thick slices",
    "nearest": "copy of the nearest voxel",
    "linear": "linear interpolation",
    "tricubic": "cubic B-spline interpolation",
    "quadratic": "quadratic spline (baseline of the 2021 paper)",
    "lanczos": "windowed sinc",
    "zero-fill": "zero filling of k-space, as scanners do",
    "back-projection": "tricubic, made consistent with the scan",
    "tv": "total variation",
    "plug-and-play": "denoising network, consistent with the scan",
    "unrolled": "network in blocks, for thick slices",
}
DEGRADATIONS = {
    "standard": "Gaussian blur and cubic spline, as in scikit-image",
    "kspace": "k-space truncation",
    "slice-profile": "mean over the slice profile (thick slices)",
    "paper-2021": "quadratic spline without blur, as in the 2021 paper",
}
_WINDOWS = (
    "kspace:hann, :hamming and :tukey add a window; slice-profile:gaussian:1.2 sets the profile "
    "(boxcar or gaussian) and its full width at half maximum in slice distances"
)


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Formatter that keeps line breaks, and breaks no name such as slice-profile."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        lines = text.splitlines()
        return [part for line in lines for part in wrap(line, width, break_on_hyphens=False)]


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line like all others."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", HelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Print the error and exit."""
        error_line(f"{cut_long(message)} (see {self.prog} --help)")
        raise SystemExit(EXIT_USAGE)


def new_command(
    commands: Commands, name: str, run: Callable[..., int], summary: str, example: str
) -> Parser:
    """Add a subcommand with its help, examples and ``--quiet``."""
    parser: Parser = commands.add_parser(name, help=summary, description=summary, epilog=example)
    parser.set_defaults(run=run)
    parser.add_argument("-q", "--quiet", action="store_true", help="show errors only")
    return parser


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the images to work on, and ``--verbose``."""
    parser.add_argument(
        "inputs", nargs="+", metavar="IN", help="image or DICOM series, several, or folders of them"
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="explain cautions and unexpected errors"
    )


def add_scale(parser: Any, **kwargs: Any) -> None:
    """Add ``--scale``."""
    default = f" (default: {kwargs['default']})" if "default" in kwargs else ""
    text = f"{SCALE_HELP}{default}"
    parser.add_argument("--scale", type=scale_value, metavar="FACTOR", help=text, **kwargs)


def add_method(parser: argparse.ArgumentParser) -> None:
    """Add ``--method``, ``--bank`` and ``--model``."""
    text = f"{_listed(METHODS)}\n(default: network if one axis becomes finer, else hashed)"
    method = parser.add_argument("--method", metavar="NAME", help=text)
    complete_with(method, lambda: METHODS)
    weights = parser.add_mutually_exclusive_group()
    add_bank(weights, "filter bank of hashed (default: the bundled one for the scale)")
    add_model(weights)


def add_model(parser: Any) -> None:
    """Add ``--model``."""
    parser.add_argument(
        "--model",
        metavar="FILE[:NAME=VALUE...]",
        help="network of network: an .onnx file of any program, or rdf.yaml or .zip of a "
        "bioimage.io model; options such as :plane=coronal:normalization=z-score declare what "
        "it needs (default: the bundled one)",
    )


def add_bank(parser: Any, text: str) -> None:
    """Add ``--bank``."""
    bank = parser.add_argument("--bank", metavar="FILE|NAME", help=text)
    complete_with(bank, bank_names)


def add_metrics(parser: argparse.ArgumentParser) -> None:
    """Add ``--metrics``."""
    parser.add_argument(
        "--metrics",
        type=names_value,
        default=(),
        metavar="NAME,...",
        help="further metrics inside the head, in addition to psnr and ssim: vif, hfen, gmsd, "
        "ms-ssim, edge-width, noise, stripes, or all",
    )


def add_degradation(
    parser: argparse.ArgumentParser, default: str | None = "standard", shown: str = ""
) -> None:
    """Add ``--degradation``."""
    shown = shown or default or "the protocol's"
    text = f"{_listed(DEGRADATIONS)}\n{_WINDOWS}\n(default: {shown})"
    action = parser.add_argument("--degradation", default=default, metavar="NAME", help=text)
    complete_with(action, lambda: DEGRADATIONS)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add ``--frame`` and ``--fill-nonfinite``."""
    group = parser.add_argument_group("reading")
    group.add_argument(
        "--frame", type=int, metavar="N", help="volume of a 4D image, counted from 0"
    )
    group.add_argument(
        "--fill-nonfinite",
        type=fill_value,
        metavar="VALUE|mean",
        help="replace NaN and infinite voxels by an intensity or by the mean of the finite ones "
        "(default: refuse them)",
    )


def add_running(parser: argparse.ArgumentParser, *, dask: bool = True) -> None:
    """Add ``--device``, ``--threads`` and, unless told otherwise, ``--dask``."""
    group = parser.add_argument_group("computing")
    group.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu"),
        default="auto",
        help="where to compute; auto takes a GPU that works (default: %(default)s)",
    )
    add_threads(group)
    if not dask:
        return
    group.add_argument(
        "--dask",
        metavar="ADDRESS|local",
        help="work on a Dask cluster: local starts one on this machine, otherwise the address or "
        "file of a scheduler; --threads then counts per worker",
    )


def add_threads(parser: Any) -> None:
    """Add ``--threads``."""
    parser.add_argument("--threads", type=int, metavar="N", help="threads (default: one per CPU)")


def add_overwrite(parser: Any) -> None:
    """Add ``--overwrite``."""
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")


def add_existing(parser: argparse.ArgumentParser) -> None:
    """Add ``--overwrite`` and ``--skip-existing``."""
    group = parser.add_argument_group("existing files").add_mutually_exclusive_group()
    add_overwrite(group)
    group.add_argument(
        "--skip-existing", action="store_true", help="skip inputs whose output files exist"
    )


def complete_with(action: argparse.Action, values: Callable[[], Iterable[str]]) -> None:
    """Let shell completion (argcomplete) offer values."""
    action.completer = lambda **_: values()  # type: ignore[attr-defined]


def scale_value(text: str) -> Scale:
    """Parse a scale of whole factors, for ``type=``."""
    try:
        return whole_scale(parse_scale(text))
    except MrisrError as error:
        # argparse puts the option's name in front.
        raise argparse.ArgumentTypeError(str(error).partition(": ")[2]) from error


def real_scale_value(text: str) -> RealScale:
    """Parse a scale, for ``type=``."""
    try:
        return parse_scale(text)
    except MrisrError as error:
        # argparse puts the option's name in front.
        raise argparse.ArgumentTypeError(str(error).partition(": ")[2]) from error


def scales_value(text: str) -> tuple[Scale, ...]:
    """Parse scales joined by commas, such as ``2,3,1x1x4``, for ``type=``."""
    return tuple(scale_value(part) for part in names_value(text))


def names_value(text: str) -> tuple[str, ...]:
    """Parse names joined by commas, for ``type=``."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def spacing_value(text: str) -> float | tuple[float, float, float]:
    """Parse one length in mm, or three joined by ``x`` along R–L, A–P, S–I, for ``type=``."""
    try:
        parts = [float(part) for part in text.lower().split("x")]
    except ValueError:
        parts = []
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 3:
        return parts[0], parts[1], parts[2]
    raise argparse.ArgumentTypeError(f"cannot read {text!r}; give mm such as 0.8 or 1x1x0.8")


def fill_value(text: str) -> float | Literal["mean"]:
    """Parse an intensity or ``mean``, for ``type=``."""
    if text.strip().lower() == "mean":
        return "mean"
    try:
        return float(text)
    except ValueError:
        found = f"cannot read {text!r}; give an intensity such as 0, or mean"
        raise argparse.ArgumentTypeError(found) from None


def check_report_path(path: Path) -> None:
    """Check, before any work, that a report can be written to ``path`` or replaced there.

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
        found, remedy = "folder cannot be written to", "choose another folder"
        raise OutputError(explain(path.parent, found, remedy))


def _listed(texts: Mapping[str, str]) -> str:
    return "\n".join(f"{name}: {text}" for name, text in texts.items())


def bank_names() -> list[str]:
    """List the names of all filter banks, for completion."""
    from napari_mrisr.bank.model import list_banks

    return list_banks()
