"""Gray levels as at first. No Qt, no napari."""

from __future__ import annotations

from dataclasses import replace

from napari_mrisr.comparison.opening import opening_state
from napari_mrisr.viewer.compare.model.controller import Controller


def reset_windows(controller: Controller) -> None:
    """All columns' gray levels, and the differences' limits, as at first."""
    state = controller.state
    if not state.columns:
        return
    first = opening_state(controller.volumes, state.columns, state.truth)
    looks = {
        key: replace(controller.look(key), limits=look.limits, gamma=1.0)
        for key, look in first.looks.items()
    }
    controller.set_looks(looks)
    controller.set_differences([replace(d, limit=None) for d in state.differences])
