"""Figure of an evaluation: a reference, results, and their signed differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from napari_mrisr.comparison.opening import opening_state
from napari_mrisr.comparison.scene import Cutter, build_scene, same_grid
from napari_mrisr.comparison.state import Difference
from napari_mrisr.core.frames import Frame
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.figures.figure import ColumnText, scene_figure


def comparison_figure(
    volumes: Mapping[str, Volume],
    *,
    captions: Mapping[str, str] | None = None,
    title: str = "",
    notes: Sequence[str] = (),
) -> Figure:
    """Draw three planes of a reference, of results, and of their differences.

    Parameters
    ----------
    volumes : mapping of str to Volume
        By label, the reference first; two to four. All on one grid, in one intensity unit.
    captions : mapping of str to str, optional
        Second line of a label's title, such as ``"30.1 dB"``.
    title : str
        Above all panels.
    notes : sequence of str
        Below all panels, before the convention and "not for diagnosis".

    Returns
    -------
    Figure
        Rows axial, sagittal and coronal; columns reference, results, differences. The
        images share one intensity window, the differences one range of colors.

    Raises
    ------
    ParameterError
        For fewer than two or more than four volumes, or volumes on different grids.
    """
    _check_volumes(volumes)
    reference, *results = volumes
    differences = [Difference(label, reference) for label in results]
    state = opening_state(volumes, list(volumes), reference, differences=differences)
    state = replace(state, looks=dict.fromkeys(volumes, state.looks[reference]))
    scene = build_scene(state, Cutter(volumes, Frame.of(volumes[reference].grid)), {})
    texts = {label: ColumnText(caption) for label, caption in (captions or {}).items()}
    return scene_figure(scene, title=title, notes=notes, columns=texts)


def _check_volumes(volumes: Mapping[str, Volume]) -> None:
    if len(volumes) < 2:
        found = f"only {len(volumes)} volume"
        raise ParameterError(explain("figure", found, "give the reference and a result"))
    (first, reference), *others = volumes.items()
    for label, volume in others:
        if not same_grid(volume, reference):
            shapes = volume.grid.shape, reference.grid.shape
            found = f"{label} {shapes[0]} is not on the grid of {first} {shapes[1]}"
            raise ParameterError(explain("figure", found, "resample all to one grid"))
