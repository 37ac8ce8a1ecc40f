"""The command line ``napari-mrisr``.

Exit codes: 0 good; 2 wrong usage or an input that cannot be used; 130
cancelled by Ctrl-C, with nothing left behind. An unexpected exception keeps
its traceback (exit 1).
"""

from __future__ import annotations

import argparse
import atexit
import gc
import sys
from collections.abc import Sequence

from napari_mrisr.cli import bank, compare, degrade, demo, evaluate, train, upscale, warm
from napari_mrisr.cli.options import Parser
from napari_mrisr.cli.session import EXIT_CANCELLED, EXIT_USAGE, Session, error_line
from napari_mrisr.errors import Cancelled, MrisrError

_COMMANDS = (upscale, degrade, train, evaluate, compare, bank, warm, demo)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        The exit code.
    """
    _tolerate_any_terminal()
    parser = build_parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has printed help, version or its error
        return int(stop.code or 0)
    if "run" not in arguments:
        arguments.help_of.print_help(sys.stderr)
        return EXIT_USAGE
    # Python's last look for garbage takes a fifth of a second, for memory that ends anyway.
    atexit.register(gc.freeze)
    with Session(quiet=getattr(arguments, "quiet", False)) as session:
        try:
            return int(arguments.run(arguments, session))
        except MrisrError as error:
            session.progress.close()
            error_line(str(error))
            return EXIT_USAGE
        except (Cancelled, KeyboardInterrupt):
            session.progress.close()
            print("napari-mrisr: cancelled", file=sys.stderr)
            return EXIT_CANCELLED


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands. Imports no engine, so that --help is quick."""
    from napari_mrisr._version import __version__

    parser = Parser(
        prog="napari-mrisr",
        description="Super-resolution of 3D MRI by learned hashed filters. "
        "Research use, not for diagnosis.",
        epilog="'napari-mrisr COMMAND --help' explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"napari-mrisr {__version__}")
    parser.set_defaults(help_of=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


def _tolerate_any_terminal() -> None:
    """Print a replacement for ±, × and σ on a terminal that lacks them."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
