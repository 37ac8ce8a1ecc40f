"""Docstrings name what a thing is or does; they are no riddles."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("napari_mrisr", "tests", "benchmarks", "scripts", "examples", "sample_data")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
RIDDLE = re.compile(r"(What|Where|Whether|When|How|Of)\b")


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring and of every string below an attribute."""
    for node in ast.walk(ast.parse(source)):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.lineno, value.value.strip()


def test_riddles_are_found():
    source = '"""Good."""\nX = 1\n"""What it is."""\ndef f():\n    """Whether."""\n'
    found = [(line, text) for line, text in docstrings(source) if RIDDLE.match(text)]
    assert found == [(3, "What it is."), (5, "Whether.")]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_docstring_starts_with_a_question_word(folder):
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {text.splitlines()[0]}"
        for path in FILES
        if path.is_relative_to(ROOT / folder)
        for line, text in docstrings(path.read_text("utf-8"))
        if RIDDLE.match(text)
    ]
    assert wrong == []
