"""Compare and blinded reading, opened from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_mrisr.comparison.blinded.plan import ReadingPlan
from napari_mrisr.comparison.blinded.session import Reading
from napari_mrisr.comparison.opening import choose, opening_state
from napari_mrisr.comparison.state import MAX_COLUMNS, CompareState
from napari_mrisr.core.volume import Volume
from napari_mrisr.viewer.compare.linking.layers import look_keywords
from napari_mrisr.viewer.compare.settings import as_remembered
from napari_mrisr.viewer.compare.widget import CompareWidget
from napari_mrisr.viewer.compare.window import CompareWindow
from napari_mrisr.viewer.layers.convert import layer_data


def open_comparison(
    volumes: Mapping[str, Volume],
    state: CompareState | None,
    *,
    truth: str | None,
    measured: str | None,
) -> None:
    """Open napari and compare volumes, until its window is closed.

    Parameters
    ----------
    volumes : mapping of str to Volume
        By name, in the order of the columns.
    state : CompareState or None
        A saved comparison with the keys of ``volumes``. None for a new one.
    truth, measured : str or None
        Keys of the reference and the measured low-resolution scan of a new comparison.
    """
    import napari

    viewer = napari.Viewer(title="napari-mrisr compare")
    add_comparison(viewer, volumes, state, truth=truth, measured=measured)
    napari.run()


def add_comparison(
    viewer: Any,
    volumes: Mapping[str, Volume],
    state: CompareState | None,
    *,
    truth: str | None,
    measured: str | None,
) -> CompareWindow:
    """Add the volumes and the dock to a viewer; return the window.

    See :func:`open_comparison` for the parameters.
    """
    restored = {key: volume.restored() for key, volume in volumes.items()}
    if state is None:
        state = as_remembered(_first_state(restored, truth, measured))
    for key, volume in restored.items():
        look = state.looks.get(key)
        data, kwargs, _ = layer_data(volume, key, None if look is None else look_keywords(look))
        viewer.add_image(data, **kwargs)
    widget = CompareWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Compare", area="right")
    window = widget.comparison
    assert window is not None
    window.restore(state)
    return window


def _first_state(
    volumes: Mapping[str, Volume], truth: str | None, measured: str | None
) -> CompareState:
    if truth is None and measured is None:
        choice = choose(volumes)
        return opening_state(volumes, choice.columns, choice.truth, choice.measured)
    columns = list(dict.fromkeys([truth, *volumes] if truth else volumes))
    return opening_state(volumes, columns[:MAX_COLUMNS], truth, measured)


def open_reading(plan: ReadingPlan, out_path: str | Path) -> None:
    """Open a blinded reading, until its window is closed.

    Parameters
    ----------
    plan : ReadingPlan
        The cases.
    out_path : str or Path
        CSV file of the answers; continued if it belongs to this plan.

    Raises
    ------
    ParameterError, OutputError
        If the file belongs to another plan or cannot be written; before any window opens.
    """
    reading = Reading(plan, out_path)

    import napari
    from napari.qt import get_qapp, get_stylesheet

    from napari_mrisr.viewer.compare.blinded.window import ReadingWindow

    get_qapp()
    window = ReadingWindow(reading, get_stylesheet("dark"))
    window.showMaximized()
    napari.run()
