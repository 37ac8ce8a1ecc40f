"""Objects, timers and callbacks of ours that a test leaves behind."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

from qtpy.QtCore import QCoreApplication, QEvent, QTimer
from qtpy.QtWidgets import QApplication

from napari_mrisr.viewer.common.worker import Worker
from napari_mrisr.viewer.compare import exporting, numbers
from napari_mrisr.viewer.compare.blinded import results
from napari_mrisr.viewer.compare.blinded import window as reading
from napari_mrisr.viewer.compare.canvas import canvas
from napari_mrisr.viewer.compare.linking import link
from napari_mrisr.viewer.compare.model.controller import Controller
from napari_mrisr.viewer.compare.side_panel import SidePanel
from napari_mrisr.viewer.compare.toolbar import Toolbar
from napari_mrisr.viewer.compare.view import CompareView
from napari_mrisr.viewer.compare.widget import CompareWidget
from napari_mrisr.viewer.compare.window import CompareWindow

OURS = {
    CompareWidget,
    CompareView,
    CompareWindow,
    SidePanel,
    Toolbar,
    Controller,
    canvas.CompareCanvas,
    exporting.Exporter,
    link.Link,
    Worker,
    numbers.Meter,
    numbers.NumbersPanel,
    reading.ReadingWindow,
    results.ResultsWindow,
}


def sweep() -> None:
    """Collect garbage in Qt and Python."""
    for _ in range(2):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QApplication.processEvents()
        gc.collect()


def ours_alive() -> list[Any]:
    """Return our objects that are still referenced."""
    return [entry for entry in gc.get_objects() if type(entry) in OURS]


def timers_running() -> int:
    """Return the number of active timers."""
    count = 0
    for entry in gc.get_objects():
        if type(entry) is QTimer:
            try:
                count += entry.isActive()
            except RuntimeError:  # Qt's part has gone
                continue
    return count


def callbacks(viewer: Any) -> Iterator[str]:
    """Yield the names of our functions that napari would still call."""
    events = [viewer.events, viewer.layers.events, viewer.dims.events, viewer.scene.camera.events]
    events += [layer.events for layer in viewer.layers]
    for group in events:
        for name, emitter in group.emitters.items():
            for callback in emitter.callbacks:
                holder = callback[0] if isinstance(callback, tuple) else callback
                holder = holder() if isinstance(holder, weakref.ref) else holder
                module = getattr(holder, "__module__", "") or type(holder).__module__
                if "napari_mrisr" in module:
                    yield f"{name}: {callback}"
    for callback in viewer.mouse_move_callbacks:
        if "napari_mrisr" in callback.__module__:
            yield f"mouse: {callback}"
