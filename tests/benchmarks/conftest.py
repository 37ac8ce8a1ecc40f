"""Import benchmarks as their user runs them: from their own folder."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def benchmark(repository: Path) -> Iterator[Callable[[str], ModuleType]]:
    """Import a benchmark by name."""
    folder = repository / "benchmarks"
    sys.path.insert(0, str(folder))
    yield importlib.import_module
    sys.path.remove(str(folder))
    for name in [*(path.stem for path in folder.glob("*.py")), "tracking"]:
        for module in [m for m in sys.modules if m.partition(".")[0] == name]:
            del sys.modules[module]
