"""The comparison window on a desktop: a window manager, the X server's own mouse and keys.

The window runs in a process of its own, which prints its state whenever it changes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

TOOLS = ("Xvfb", "openbox", "xdotool")

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}"
)

PROGRAM = """
import json
import napari
import numpy as np
from qtpy.QtCore import QTimer
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.viewer.compare.widget import CompareWidget
from napari_mrisr.viewer.layers.convert import layer_data

viewer = napari.Viewer(show=False)
widget = CompareWidget(viewer)
for number, name in enumerate(("first", "second")):
    data = np.random.default_rng(number).random((24, 28, 26), np.float32)
    image, options, _ = layer_data(Volume(data, Grid(data.shape, np.eye(4))), name)
    viewer.add_image(image, **options)
window = widget.comparison
window.resize(900, 600)
window.show()
window.raise_()
told = {}

def tell():
    global told
    corner, view = window.view.mapToGlobal(window.view.rect().topLeft()), window.view
    state = {
        "active": window.isActiveWindow(),
        "full": window.isFullScreen(),
        "view": [corner.x(), corner.y(), view.width(), view.height()],
        "crosshair": list(window.controller.state.crosshair),
        "mode": str(viewer.layers[0].mode),
        "columns": len(window.controller.state.columns),
    }
    if state != told:
        told = state
        print(json.dumps(state), flush=True)

timer = QTimer()
timer.timeout.connect(tell)
timer.start(50)
napari.run(force=True)
"""


class Desktop:
    """A display with a window manager and our window."""

    def __init__(self, environment: dict[str, str], window: subprocess.Popen[str]) -> None:
        self.environment, self.window = environment, window
        self.state: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.window.stdout is not None
        for line in self.window.stdout:
            if line.startswith("{"):
                self.state = json.loads(line)

    def close(self) -> None:
        """End the window, then the thread that reads from it."""
        self.window.terminate()
        self._reader.join()
        self.window.communicate()

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for a state of the window."""
        end = time.monotonic() + 120.0
        while not (self.state and condition(self.state)):
            assert self.window.poll() is None, "the window's process ended"
            assert time.monotonic() < end, self.state
            time.sleep(0.05)
        return self.state

    def act(self, *arguments: object) -> None:
        """Move the mouse or press keys as ``xdotool`` does."""
        command = ["xdotool", *map(str, arguments)]
        subprocess.run(command, env=self.environment, check=True, timeout=60)


@pytest.fixture
def desktop(tmp_path) -> Iterator[Desktop]:
    read, write = os.pipe()
    running = [
        subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x720x24", "-nolisten", "tcp"],
            pass_fds=[write],
            stderr=subprocess.DEVNULL,
        )
    ]
    try:
        os.close(write)
        with os.fdopen(read) as number:
            display = f":{number.readline().strip()}"
        environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
        environment |= {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
        running.append(subprocess.Popen(["openbox"], env=environment, stderr=subprocess.DEVNULL))
        window = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        opened = Desktop(environment, window)
        try:
            yield opened
        finally:
            opened.close()
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(30)


def test_mouse_and_keys_reach_the_window(desktop):
    start = desktop.until(lambda state: state["active"] and state["columns"] == 2)
    x, y, width, height = start["view"]
    # A click moves the crosshair within the first panel, the wheel to another slice.
    desktop.act("mousemove", x + width // 5, y + height // 5, "click", 1)
    clicked = desktop.until(lambda state: state["crosshair"] != start["crosshair"])
    desktop.act("click", 4)
    turned = desktop.until(lambda state: state["crosshair"] != clicked["crosshair"])
    changed = [a != b for a, b in zip(turned["crosshair"], clicked["crosshair"], strict=True)]
    assert sum(changed) == 1
    # A key of napari's does not reach its layers.
    desktop.act("key", "2")
    desktop.act("key", "F11")
    full = desktop.until(lambda state: state["full"] and state["view"][2] > width)
    assert full["mode"] == start["mode"]
    desktop.act("key", "Escape")
    desktop.until(lambda state: not state["full"] and state["view"][2] == width)
