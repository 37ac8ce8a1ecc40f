"""docs/architecture.md, checked: who may import whom, and what an import costs."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_mrisr

PACKAGE = Path(napari_mrisr.__file__).parent
GUI = {"napari", "magicgui", "qtpy", "superqt", "PyQt5", "PyQt6", "PySide2", "PySide6", "vispy"}

# Every part stands on one level and may import from its own and those below.
LEVELS = [
    {"errors", "bank_folder"},
    {"crew", "progress", "ranks", "scale"},
    {"volume"},
    {"planes"},
    {"kernels", "io"},
    {"interpolate", "gradients", "hashing", "filterbank", "degrade", "masks", "normal_equations"}
    | {"bank_file", "calibration", "traits"},
    {"metrics", "methods", "samples", "presets"},
    {"sampling", "devices", "upscale", "predictors", "preview", "fill"},
    {"training", "inspection", "trust", "streaming"},
    {"experiment", "explain", "figure", "page", "protocol", "report", "demo"}
    | {"trust_figure", "trust_report"},
    {"reading", "cluster"},
    {"viewer", "cli"},
    {"__main__"},
]
LEVEL_OF = {part: level for level, parts in enumerate(LEVELS) for part in parts}

# Neither side of the engine knows of the other: files and computing.
APART = {"io": {"interpolate", "gradients", "hashing", "filterbank", "degrade", "kernels"}}


def modules() -> list[Path]:
    """All source files but the package's own ``__init__``."""
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def part_of(path: Path) -> str:
    """The first name below the package: ``io`` for ``io/read.py``."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported, at any depth.

    ``from a.b import c`` gives both ``a.b`` and ``a.b.c``; what stands under
    ``if TYPE_CHECKING`` counts too, since it is a dependency for a reader.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def parts_imported(source: str) -> Iterator[tuple[int, str]]:
    """Line and part for each import of one of our own parts."""
    for line, name in imports(source):
        first, _, rest = name.partition(".")
        if first == "napari_mrisr" and rest and not rest.startswith("__version__"):
            yield line, rest.split(".")[0]


def test_imports_are_found_at_any_depth() -> None:
    source = "def f():\n    from napari_mrisr.viewer.panel import x\n    import qtpy.QtCore\n"
    assert list(imports(source)) == [(2, "napari_mrisr.viewer.panel.x"), (3, "qtpy.QtCore")]
    assert list(parts_imported(source)) == [(2, "viewer")]


def test_every_part_has_its_level() -> None:
    assert {part_of(path) for path in modules()} - set(LEVEL_OF) == set()


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_arrows_point_down(path: Path) -> None:
    part = part_of(path)
    wrong = [
        f"line {line}: {part} imports {other}"
        for line, other in parts_imported(path.read_text("utf-8"))
        if LEVEL_OF.get(other, -1) > LEVEL_OF[part] or other in APART.get(part, ())
    ]
    assert wrong == []


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_viewer_knows_qt(path: Path) -> None:
    part = part_of(path)
    if part == "viewer":
        return
    wrong = [
        f"line {line}: {name}"
        for line, name in imports(path.read_text("utf-8"))
        if name.split(".")[0] in GUI
    ]
    assert wrong == []


def test_parts_form_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in modules():
        part = part_of(path)
        others = {other for _, other in parts_imported(path.read_text("utf-8"))}
        graph.setdefault(part, set()).update(others - {part})
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names the circle


def test_only_the_kernels_know_cupy() -> None:
    found = {
        part_of(path)
        for path in modules()
        for _, name in imports(path.read_text("utf-8"))
        if name.split(".")[0] in {"cupy", "cupyx"}
    }
    assert found <= {"kernels"}


def test_no_pickle_and_no_eval() -> None:
    for path in modules():
        names = {name.split(".")[0] for _, name in imports(path.read_text("utf-8"))}
        assert not names & {"pickle", "dill", "joblib", "marshal", "shelve"}, path


def run(code: str) -> str:
    """Run Python in a process of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_nothing_heavy() -> None:
    heavy = ["numba", "napari", "qtpy", "PyQt6", "cupy", "matplotlib", "numpy", "scipy", "nibabel"]
    loaded = run(
        "import sys, napari_mrisr; dir(napari_mrisr);"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    assert loaded == "[]"


def test_import_takes_less_than_300_ms() -> None:
    # The best of three, for a machine that does other things too.
    code = (
        "import time; start = time.perf_counter(); import napari_mrisr;"
        "print(time.perf_counter() - start)"
    )
    assert min(float(run(code)) for _ in range(3)) < 0.3


def test_engine_and_command_line_need_no_gui() -> None:
    """All modules outside the viewer load, and --help works, with the GUI packages barred."""
    names = [
        ".".join(("napari_mrisr", *path.relative_to(PACKAGE).with_suffix("").parts))
        for path in modules()
        if part_of(path) not in ("viewer", "__main__") and path.stem != "gpu"
    ]
    code = f"""
import importlib, importlib.abc, sys
class Bar(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {GUI!r}:
            raise ImportError(name + " is barred")
sys.meta_path.insert(0, Bar())
for name in {names!r}:
    importlib.import_module(name.removesuffix(".__init__"))
from napari_mrisr.cli import main
try:
    status = main(["--help"])
except SystemExit as end:
    status = end.code
sys.exit(status or 0)
"""
    assert "napari-mrisr" in run(code)


@pytest.mark.parametrize("name", sorted(set(napari_mrisr.__all__) - {"__version__"}))
def test_public_name_loads(name: str) -> None:
    value = getattr(napari_mrisr, name)
    assert value is not None
    assert name in dir(napari_mrisr)


@pytest.mark.parametrize("name", ["upscale", "degrade"])
def test_function_wins_over_its_module(name: str) -> None:
    """``import napari_mrisr.upscale`` must not turn the function into the module."""
    kind = run(
        f"import napari_mrisr.{name}, sys, napari_mrisr;"
        f"module = sys.modules['napari_mrisr.{name}'];"
        f"print(type(napari_mrisr.{name}).__name__, type(module).__name__)"
    )
    assert kind == "function module"


def test_unknown_name_says_so() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        napari_mrisr.nonsense  # noqa: B018
