"""The commands of README and docs: they parse, and a bundled bank fits where one is needed."""

from __future__ import annotations

import shlex

import pytest

from napari_mrisr.cli import build_parser
from napari_mrisr.methods import default_method
from napari_mrisr.run.upscale import UpscaleParameters, check_parameters


@pytest.fixture
def commands(repository):
    """Arguments of every command, with the file that has it."""
    pages = [repository / "README.md", *sorted((repository / "docs").rglob("*.md"))]
    found = []
    for page in pages:
        # A backslash continues a command on the next line.
        for line in page.read_text("utf-8").replace("\\\n", " ").splitlines():
            # Others that begin so are lines of tables.
            if line.startswith("napari-mrisr ") and "--version" not in line:
                found.append((page.name, shlex.split(line, comments=True)[1:]))
    return found


def test_commands_in_the_documents_parse_and_have_a_bank(commands):
    parser = build_parser()
    assert {page for page, _ in commands} >= {"README.md", "large-volumes.md", "train.md"}
    for page, words in commands:
        try:
            arguments = parser.parse_args(words)
        except SystemExit:
            pytest.fail(f"{page}: {words}")
        if words[0] == "upscale" and arguments.bank is None and arguments.spacing is None:
            method = arguments.method or default_method(arguments.scale)
            check_parameters(UpscaleParameters(arguments.scale, method))
