"""Volumes whose axes cannot be mixed up, docks in a viewer, and a check for threads left behind."""

from __future__ import annotations

import functools
import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.desk import Desk, our_threads
from napari.components import ViewerModel
from napari.utils._proxies import PublicOnlyProxy
from npe2 import PluginManager, PluginManifest
from scipy.spatial.transform import Rotation

from napari_mrisr.comparison.readouts import NumberBook
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.viewer.common import labels
from napari_mrisr.viewer.super_resolve import widget as super_resolve

SHAPE = (10, 12, 15)
VOXEL = (1.0, 1.25, 1.5)


def affine_of(turn: np.ndarray) -> np.ndarray:
    """Return voxel index to world for a volume off the origin."""
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(VOXEL)
    affine[:3, 3] = (-31.0, 17.0, -5.0)
    return affine


@pytest.fixture
def volume(rng: np.random.Generator) -> Volume:
    """Return a volume with a different size and voxel size on every axis."""
    data = rng.random(SHAPE, dtype=np.float32) * 100
    return Volume(data, Grid(SHAPE, affine_of(np.eye(3))), history={"method": "none"})


@pytest.fixture
def oblique(volume: Volume) -> Volume:
    """Return the same voxels, rotated about two axes."""
    turn = Rotation.from_euler("xz", (12, -7), degrees=True).as_matrix()
    return Volume(volume.data, Grid(SHAPE, affine_of(turn)))


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    # Cancelled work ends at its next check, seconds later on a busy machine.
    end = time.monotonic() + 20.0
    while our_threads() and time.monotonic() < end:
        time.sleep(0.01)
    assert our_threads() == []


@pytest.fixture(scope="session", autouse=True)
def _quick_viewers(qapp: Any, plugin: None) -> Iterator[None]:
    """Import napari and read the plugin manifests once for all viewers."""
    import napari._qt.qt_main_window  # noqa: F401
    from helpers import leaks  # noqa: F401

    found = list(PluginManifest.discover())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "discover", lambda paths=(): iter(found))
        yield
    gc.unfreeze()


@pytest.fixture(scope="module", autouse=True)
def _quick_collections(_quick_viewers: None) -> None:
    """Exclude the objects that exist before a test file from garbage collection.

    napari collects garbage after each viewer, and so do the tests of leaks; other
    test files load and compile much.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def plugin() -> None:
    """Register the manifest, even if the package is only on the path.

    Once, and before any viewer: napari keeps a plugin's commands, and would register
    them again for each viewer.
    """
    manager = PluginManager.instance()
    if "napari-mrisr" not in manager:
        root = Path(__file__).resolve().parents[2]
        manager.register(PluginManifest.from_file(root / "napari.yaml"))


@pytest.fixture(scope="session")
def numbers_compiled() -> None:
    """Compile the kernels first: a thread that compiles cannot be cancelled."""
    noise = np.random.default_rng(0).uniform(0, 100, (20, 24, 28)).astype(np.float32)
    volume = Volume(noise, Grid(noise.shape, np.eye(4)))
    NumberBook({"truth": volume, "a": volume}, ("truth", "a"), "truth").prepare(Progress())


@pytest.fixture
def qtbot(qtbot: Any) -> Any:
    """Wait two minutes before failing: the machine that tests may be slow and busy."""
    qtbot.waitUntil = functools.partial(qtbot.waitUntil, timeout=120_000)
    return qtbot


@pytest.fixture
def model_desk(qapp: Any, qtbot: Any) -> Iterator[Callable[..., Any]]:
    """Make a dock on a viewer's model, which takes no second to open.

    ``model_desk(SuperResolveWidget)`` returns a :class:`helpers.desk.Desk`; a second
    argument names a class derived from it.
    """
    made: list[Desk] = []

    def make(widget: type, kind: type[Desk] = Desk) -> Desk:
        viewer = ViewerModel()
        # napari gives plugins a proxy, which warns of private attributes.
        made.append(kind(viewer, widget(PublicOnlyProxy(viewer)), qtbot))
        return made[-1]

    yield make
    for desk in made:
        if desk.widget is not None:
            desk.widget.close()
        vars(desk).clear()


@pytest.fixture
def open_desk(plugin: None, make_napari_viewer: Any, qtbot: Any) -> Iterator[Callable[..., Any]]:
    """Open a dock in a real viewer by its menu entry: ``open_desk("Super-resolve")``."""
    made: list[Desk] = []

    def make(entry: str, kind: type[Desk] = Desk, *, show: bool = False) -> Desk:
        viewer = make_napari_viewer(show=show)
        _, widget = viewer.window.add_plugin_dock_widget("napari-mrisr", entry)
        made.append(kind(viewer, widget, qtbot))
        return made[-1]

    yield make
    for desk in made:
        vars(desk).clear()


@pytest.fixture
def banks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offer one bundled bank, whatever the package contains."""
    monkeypatch.setattr(super_resolve, "fitting_banks", lambda scale, any_order: ["bank-a"])
    monkeypatch.setattr(
        labels, "available_scales", lambda name: [(2, 2, 2)] if name == "hashed" else None
    )
