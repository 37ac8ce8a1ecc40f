"""``napari-mrisr bank``: list and describe filter banks."""

from __future__ import annotations

import argparse

from napari_mrisr.cli import options
from napari_mrisr.cli.session import EXIT_GOOD, Session

_EXAMPLE = """\
examples:
  napari-mrisr bank list
  napari-mrisr bank show my-bank.safetensors
  napari-mrisr bank show my-network.onnx
"""


def add_parser(commands: options.Commands) -> None:
    """Add the command."""
    summary = "List and describe filter banks."
    parser = commands.add_parser("bank", help=summary, description=summary, epilog=_EXAMPLE)
    parser.set_defaults(help_of=parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", parser_class=options.Parser)
    show = options.new_command(
        actions, "show", run_show, "Describe a filter bank, or what a network file needs.", _EXAMPLE
    )
    bank = show.add_argument("bank", metavar="FILE|NAME", help="file, or name in the list")
    options.complete_with(bank, options.bank_names)
    options.new_command(
        actions, "list", run_list, "List the bundled filter banks and your own.", _EXAMPLE
    )


def run_show(arguments: argparse.Namespace, session: Session) -> int:
    """Print the description of a bank or of a network."""
    from napari_mrisr.bank.model import load_bank
    from napari_mrisr.methods.foreign import describe_network
    from napari_mrisr.networks.foreign import is_foreign

    if is_foreign(arguments.bank):
        session.emit(describe_network(arguments.bank))
        return EXIT_GOOD
    session.emit(load_bank(arguments.bank).describe())
    return EXIT_GOOD


def run_list(arguments: argparse.Namespace, session: Session) -> int:
    """Print the names of all banks."""
    from napari_mrisr.bank.model import list_banks

    for name in list_banks():
        session.emit(name)
    return EXIT_GOOD
