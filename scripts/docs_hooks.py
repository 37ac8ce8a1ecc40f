"""MkDocs hook: fills the command-line reference from the parser itself."""

from __future__ import annotations

import argparse
import os
from typing import Any

MARK = "<!-- command line -->"


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Return the page with the help of every command where the mark stands."""
    return markdown.replace(MARK, help_pages()) if MARK in markdown else markdown


def help_pages() -> str:
    """Return the help of every command, one section per command."""
    os.environ["COLUMNS"] = "76"
    from napari_mrisr.cli import build_parser

    parser = build_parser()
    parts = [_block(parser)]
    for action in parser._subparsers._group_actions:  # type: ignore[union-attr]
        assert isinstance(action, argparse._SubParsersAction)
        for name, command in action.choices.items():
            parts.append(f"## {name}\n\n{_block(command)}")
            nested = [a for a in command._actions if isinstance(a, argparse._SubParsersAction)]
            for inner in nested:
                parts += [f"### {name} {n}\n\n{_block(c)}" for n, c in inner.choices.items()]
    return "\n\n".join(parts)


def _block(parser: argparse.ArgumentParser) -> str:
    return f"```text\n{parser.format_help()}```"
