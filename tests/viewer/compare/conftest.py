"""A check for leaks, and volumes to compare."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QSettings
from qtpy.QtWidgets import QApplication

from napari_mrisr.core.volume import Grid, Volume

_PASSED = pytest.StashKey[bool]()

SHAPE = (40, 48, 56)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Note whether the test passed: the traceback of a failure holds objects."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.when == "call":
        item.stash[_PASSED] = report.passed


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest, qapp: Any) -> Iterator[None]:
    """Fail if a test leaves an object, widget, window or timer of ours behind.

    Set up before any viewer, and checked after it has closed.
    """
    from helpers import leaks

    leaks.sweep()
    windows, timers = len(QApplication.topLevelWidgets()), leaks.timers_running()
    yield
    # Release what the test keeps in its arguments.
    request.node.funcargs.clear()
    if not request.node.stash.get(_PASSED, False):
        return
    leaks.sweep()
    assert leaks.ours_alive() == []
    assert len(QApplication.topLevelWidgets()) <= windows
    assert leaks.timers_running() <= timers


@pytest.fixture(scope="session", autouse=True)
def _compiled(numbers_compiled: None) -> None:
    """Compile the kernels of the numbers before any test."""


@pytest.fixture(autouse=True)
def _no_memory_of_the_user(tmp_path: Path) -> None:
    """Keep the settings in the test's folder."""
    scope = QSettings.Scope.UserScope
    QSettings.setPath(QSettings.Format.IniFormat, scope, str(tmp_path / "settings"))


@pytest.fixture
def volumes() -> dict[str, Volume]:
    """Return reference, LR and two results, smooth enough for meaningful numbers."""
    rng = np.random.default_rng(5)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    head = 100.0 * (x**2 + y**2 + z**2 < 0.8) + 20.0 * np.sin(9 * x) * np.cos(7 * y)
    affine = np.diag([1.0, 1.1, 0.9, 1.0])
    affine[:3, 3] = (-20.0, -30.0, -25.0)
    grid = Grid(SHAPE, affine)

    def noisy(sigma: float) -> np.ndarray:
        return (head + rng.normal(0, sigma, SHAPE)).astype(np.float32)

    made = {"truth": Volume(noisy(1.0), grid)}
    low = made["truth"].data.reshape(20, 2, 24, 2, 28, 2).mean(axis=(1, 3, 5))
    made["LR"] = Volume(low, grid.degraded((2, 2, 2)), history={"degraded_by": "2"})
    for sigma, method in ((6.0, "tricubic"), (3.0, "hashed")):
        history = {"degraded_by": "2", "method": method, "scale": "2"}
        made[method] = Volume(noisy(sigma), grid, history=history)
    return made
