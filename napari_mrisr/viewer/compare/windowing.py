"""Gray levels as at first. No Qt, no napari."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from napari_mrisr.reading.state import Look
from napari_mrisr.viewer.compare.controller import Controller
from napari_mrisr.viewer.layers import contrast_limits
from napari_mrisr.volume import Volume

# Volumes whose limits differ by more than this factor are in other units.
_ALIKE = 2.0


def first_limits(
    volumes: Mapping[str, Volume], keys: Sequence[str], lead: str
) -> dict[str, tuple[float, float]]:
    """Limits that spend no gray level on a few bright voxels.

    All volumes get those of ``lead``, so that one gray is one intensity; but
    those whose intensities are on another scale get their own.
    """
    own = {key: contrast_limits(volumes[key].data) for key in {*keys, lead}}
    low, high = own[lead]
    made = {}
    for key in keys:
        ratio = (own[key][1] - own[key][0]) / (high - low)
        made[key] = (low, high) if 1 / _ALIKE < ratio < _ALIKE else own[key]
    return made


def reset_windows(controller: Controller) -> None:
    """All columns' gray levels, and the differences' limits, as at first."""
    state = controller.state
    if not state.columns:
        return
    lead = state.truth or state.columns[0]
    limits = first_limits(controller.volumes, state.columns, lead)
    looks = {key: replace(controller.look(key), limits=pair, gamma=1.0) for key, pair in limits.items()}
    controller.set_looks({**looks})
    controller.set_differences([replace(d, limit=None) for d in state.differences])


def looks_of(volumes: Mapping[str, Volume]) -> dict[str, Look]:
    """Gray looks for volumes that no layer has a look for."""
    keys = list(volumes)
    limits = first_limits(volumes, keys, keys[0]) if keys else {}
    return {key: Look("gray", pair) for key, pair in limits.items()}
