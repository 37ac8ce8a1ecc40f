"""Saving of results: which layer, where to, and the work."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mrisr.errors import MrisrError
from napari_mrisr.viewer.common.dialogs import ask_series_folder, ask_volume_path, last_folder
from napari_mrisr.viewer.common.dock import Dock
from napari_mrisr.viewer.layers.complex_scans import magnitude_of, phase_of, save_complex
from napari_mrisr.viewer.layers.convert import frame_on_screen, is_made, is_map, snapshot
from napari_mrisr.viewer.layers.saving import (
    is_from_dicom,
    save_as_dicom,
    save_snapshot,
    suggested_path,
    suggested_series,
)
from napari_mrisr.viewer.preview.array import PreviewArray
from napari_mrisr.viewer.super_resolve.panel import Panel

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer


class ResultSaver:
    """Saves results of a viewer for the dock.

    Parameters
    ----------
    dock : Dock
        Runs the work, and is the parent of dialogs.
    panel : Panel
        Its buttons call this object.
    viewer : napari.viewer.Viewer
    run : callable
        Runs work in the background; takes a function of the progress, and a text.
    """

    def __init__(
        self, dock: Dock, panel: Panel, viewer: Viewer, run: Callable[[Any, str], None]
    ) -> None:
        self._dock, self._panel, self._viewer, self._run = dock, panel, viewer, run
        panel.save_button.clicked.connect(self.save)
        panel.save_file.triggered.connect(self.save)
        panel.save_series.triggered.connect(lambda: self.save_series())
        panel.save_anonymous.triggered.connect(lambda: self.save_series(anonymize=True))

    def offer(self, event: Any = None) -> None:
        """Show in the button which layer it saves."""
        if self._dock.busy:
            return
        layer = self._result()
        if layer is None:
            self._panel.offer_save("")
        else:
            alone = phase_of(layer, self._viewer.layers) is None
            self._panel.offer_save(layer.name, dicom=alone and is_from_dicom(layer))

    def save(self) -> None:
        """Save the result that the tooltip of *Save…* names; ask for the file."""
        layer = self._result()
        if layer is None or self._dock.busy:
            return
        suggested = suggested_path(layer, self._viewer.layers, last_folder())
        path = ask_volume_path(self._dock, suggested)
        if path is None:
            return
        phase = phase_of(layer, self._viewer.layers)
        if phase is None:
            self._save(path, save_snapshot, layer)
        else:
            self._save(path, save_complex, layer, phase)

    def save_series(self, *, anonymize: bool = False) -> None:
        """Save the same result as a DICOM series; ask for the folder."""
        layer = self._result()
        if layer is None or self._dock.busy or not is_from_dicom(layer):
            return
        path = ask_series_folder(self._dock, suggested_series(layer, last_folder()))
        if path is not None:
            self._save(path, functools.partial(save_as_dicom, anonymize=anonymize), layer)

    def _save(self, path: Path, write: Callable[..., Path], *layers: Image) -> None:
        try:
            point = self._viewer.dims.point
            taken = [snapshot(layer, frame_on_screen(layer, point)) for layer in layers]
        except MrisrError as error:
            self._dock.tell_error(error)
            return
        self._run(functools.partial(write, *taken, path), f"Saving {path.name}…")

    def _result(self) -> Image | None:
        """Return the layer to save: the selected one if it is a result, else the newest result.

        Of a complex scan it is the magnitude.
        """
        found = [layer for layer in self._viewer.layers if is_made(layer)]
        found = [layer for layer in found if not isinstance(layer.data, PreviewArray)]
        selected = self._viewer.layers.selection.active
        images = [layer for layer in found if not is_map(layer)] or found
        if selected not in found:
            selected = images[-1] if images else None
        return magnitude_of(selected, self._viewer.layers) or selected
