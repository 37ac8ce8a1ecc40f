"""The command line ``napari-mrisr``.

Exit codes: 0 done; 1 an unexpected error, with its traceback, or one line per file in a
batch; 2 wrong usage or an input that cannot be used; 130, 143 or 129 cancelled by
Ctrl-C, SIGTERM or SIGHUP, with nothing left behind.
"""

# PYTHON_ARGCOMPLETE_OK

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Sequence

from napari_mrisr.cli import (
    bank,
    bench,
    compare,
    degrade,
    demo,
    evaluate,
    info,
    train,
    upscale,
    warm,
)
from napari_mrisr.cli.options import Parser
from napari_mrisr.cli.session import (
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    Session,
    error_line,
    output_error,
    prepare_streams,
    write_line,
)
from napari_mrisr.errors import Cancelled, MrisrError, describe_failure

_COMMANDS = (upscale, degrade, train, evaluate, bench, compare, info, bank, warm, demo)


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
    prepare_streams()
    # Figures are written to files; a wrong value would keep matplotlib from loading.
    os.environ["MPLBACKEND"] = "agg"
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:  # set by a shell that asks for completions
        import argcomplete

        argcomplete.autocomplete(parser)
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has printed help, version or its error
        return int(stop.code or 0)
    if "run" not in arguments:
        arguments.help_of.print_help(sys.stderr)
        return EXIT_USAGE
    # Python's last garbage collection takes 0.2 s, for memory that is freed anyway.
    atexit.register(gc.freeze)
    code = _run(arguments)
    if problem := output_error():
        error_line(problem)
        return code or EXIT_USAGE
    return code


def _run(arguments: argparse.Namespace) -> int:
    """Run a parsed command; return its exit code."""
    quiet, verbose = getattr(arguments, "quiet", False), getattr(arguments, "verbose", False)
    with Session(quiet, verbose) as session:
        try:
            return int(arguments.run(arguments, session))
        except MrisrError as error:
            session.progress.close()
            error_line(str(error))
            return EXIT_USAGE
        except MemoryError:
            session.progress.close()
            error_line("not enough memory; use a smaller scale or crop the input")
            return EXIT_USAGE
        except OSError as error:
            if not error.filename:
                raise
            session.progress.close()
            error_line(describe_failure(error.filename, error)[0])
            return EXIT_UNEXPECTED
        except (Cancelled, KeyboardInterrupt):
            session.progress.close()
            write_line("stderr", "napari-mrisr: cancelled")
            return session.cancelled_code


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands, without importing the engine: --help must be quick."""
    from napari_mrisr._version import __version__

    parser = Parser(
        prog="napari-mrisr",
        description="Super-resolution of 3D MRI by learned hashed filters.\n"
        "Research use, not for diagnosis.",
        epilog="'napari-mrisr COMMAND --help' explains a command.\n\n"
        "completion in bash and zsh:\n"
        '  eval "$(register-python-argcomplete napari-mrisr)"',
    )
    parser.add_argument("--version", action="version", version=f"napari-mrisr {__version__}")
    parser.set_defaults(help_of=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser
