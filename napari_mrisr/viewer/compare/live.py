"""Computed columns of Compare, and the menu that offers them.

A computed column is a layer of the viewer, like every column. At first its array holds the
measured voxels, each repeated. The planes through the crosshair are computed first, then the
rest. Then the layer is a result like any other. A column that the user takes out before
is removed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from napari.layers import Image
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QMenu

from napari_mrisr.comparison.slices import nearest_index
from napari_mrisr.core.frames import PLANES
from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import MrisrError
from napari_mrisr.methods import available_methods, get_method, method_summary
from napari_mrisr.methods.resampled import bank_of
from napari_mrisr.run.upscale import UpscaleParameters
from napari_mrisr.viewer.common.labels import (
    described,
    fitting_banks,
    isotropic_choice,
    offered_scales,
    scale_label,
)
from napari_mrisr.viewer.compare.model.controller import Controller
from napari_mrisr.viewer.layers.convert import result_layer_data, snapshot
from napari_mrisr.viewer.preview.array import PlaneName
from napari_mrisr.viewer.preview.controller import Preview, PreviewController, preview_key
from napari_mrisr.viewer.preview.layer import PreviewImage
from napari_mrisr.viewer.super_resolve.requests import UpscaleRequest

SUFFIX = " (live)"


class LiveColumns(QObject):
    """Computed columns.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer that gets their layers.
    controller : Controller
        Its crosshair says which planes are computed first, its columns which layers are shown.

    Signals
    -------
    added : str
        The layer of that name was added, to become a column.
    changed : str
        The layer of that name has new voxels.
    gone
        A column is finished or was removed.
    failed : Exception
        A column cannot be computed, and was removed.
    """

    added = Signal(str)
    changed = Signal(str)
    gone = Signal()
    failed = Signal(object)
    _computed = Signal(object)

    def __init__(self, viewer: Any, controller: Controller) -> None:
        super().__init__()
        self._viewer, self._controller = viewer, controller
        self._computed.connect(self._receive, Qt.ConnectionType.QueuedConnection)
        self._previews = PreviewController(self._computed.emit)
        self._columns: list[_Column] = []

    # What the user asks for.

    def toggle(self, layer: Any, parameters: UpscaleParameters) -> None:
        """Compute the result of a layer as a column, or remove that column."""
        source = snapshot(layer)
        column = self._find(preview_key(source, parameters))
        if column is not None:
            self._drop(column)
            return
        preview = self._previews.get(source, parameters, needs_whole=True)
        self._columns.append(_Column(preview, PreviewImage(self._viewer)))
        self._show()
        self._receive(preview)

    def is_on(self, layer: Any, parameters: UpscaleParameters) -> bool:
        """Return True if that result is being computed."""
        return self._find(preview_key(snapshot(layer), parameters)) is not None

    # What Compare tells and asks.

    def names(self) -> list[str]:
        """Return the names of the layers whose voxels are not all computed."""
        return [column.name for column in self._columns if column.name is not None]

    def share(self) -> float:
        """Return the computed part of all columns, 0 to 1."""
        arrays = [column.preview.array for column in self._columns]
        shares = [array.share if array is not None else 0.0 for array in arrays]
        return sum(shares) / len(shares) if shares else 1.0

    def look(self) -> None:
        """Compute the planes through the crosshair first."""
        for column in self._columns:
            self._previews.look(column.preview, self._planes(column.preview.grid))

    def prune(self) -> None:
        """Remove columns that are not shown any more, or whose layers were deleted."""
        shown = self._controller.state.columns
        for column in tuple(self._columns):
            if column.name in shown:
                column.was_shown = True
            elif column.was_shown or (column.name is not None and not column.image.exists):
                self._drop(column)

    def close(self, *, remove: bool = True) -> None:
        """End all work; with ``remove``, remove unfinished layers from the viewer."""
        columns, self._columns = self._columns, []
        self._previews.close()
        for column in columns:
            if remove:
                column.image.remove()

    def _planes(self, grid: Grid) -> list[PlaneName]:
        """Return the planes through the crosshair; none if the scan is cut obliquely."""
        controller = self._controller
        frame = controller.frame
        if not frame.is_along(grid):
            return []
        affine = frame.affine(grid)
        at = controller.position()
        found = []
        for plane in PLANES:
            axis = plane.normal
            index = int(nearest_index((at[axis] - affine[axis, 3]) / affine[axis, axis]))
            if plane.name in controller.state.planes and 0 <= index < grid.shape[axis]:
                found.append((axis, index))
        return found

    def _find(self, key: tuple[Any, ...]) -> _Column | None:
        return next((column for column in self._columns if column.preview.key == key), None)

    def _show(self) -> None:
        self.look()
        self._previews.show([column.preview for column in self._columns])

    def _receive(self, preview: Preview) -> None:
        """Show new voxels."""
        column = self._find(preview.key)
        if column is None or preview is not column.preview:
            return
        array = preview.array
        if preview.error is not None:
            self._drop(column)
            self.failed.emit(preview.error)
        elif array is None or array.volume is None:
            return
        elif preview.filled:
            self._finish(column)
        elif column.name is None:
            name = UpscaleRequest(preview.source, preview.parameters).result_name
            column.image.put(preview, name + SUFFIX)
            self.added.emit(column.name)
            self.look()
        else:
            column.image.refresh(preview)
        if column in self._columns and column.name is not None:
            self.changed.emit(column.name)

    def _finish(self, column: _Column) -> None:
        """Make the layer a result like any other."""
        preview = column.preview
        name = UpscaleRequest(preview.source, preview.parameters).result_name
        made = result_layer_data(preview.result(), name, preview.source)
        was_added = column.name is not None
        self._columns.remove(column)
        self._previews.remove(preview)
        if was_added:
            column.image.keep(made)
        else:
            data, kwargs, _ = made
            self.added.emit(self._viewer.add_image(data, **kwargs).name)
        self.gone.emit()

    def _drop(self, column: _Column) -> None:
        self._columns.remove(column)
        self._show()
        column.image.remove()
        self.gone.emit()


class _Column:
    """A preview and its layer."""

    def __init__(self, preview: Preview, image: PreviewImage) -> None:
        self.preview, self.image = preview, image
        self.was_shown = False

    @property
    def name(self) -> str | None:
        """The layer's name, or None before it is added."""
        return None if self.image.layer is None else self.image.layer.name


# The menu.

IsOn = Callable[[Any, UpscaleParameters], bool]
Toggle = Callable[[Any, UpscaleParameters], None]


def fill_menu(
    menu: QMenu, layers: Mapping[str, Any], measured: str | None, is_on: IsOn, toggle: Toggle
) -> None:
    """Offer methods, scales and banks for each layer; mark the columns that are computed.

    Parameters
    ----------
    menu : QMenu
        Emptied first.
    layers : mapping of str to layer
        Layers that may be super-resolved.
    measured : str or None
        The low-resolution one, which comes first. The others are in a submenu.
    is_on : callable
        Returns True if a layer's result is a computed column.
    toggle : callable
        Called when the user picks an entry.
    """
    empty(menu)
    first = measured if measured in layers else next(iter(layers), None)
    if first is None:
        menu.addAction("Open a volume first").setEnabled(False)
        return
    menu.addAction(f"Of {short_name(first)}").setEnabled(False)
    _offer(menu, layers[first], is_on, toggle)
    others = [key for key in layers if key != first]
    if others:
        menu.addSeparator()
        more = menu.addMenu("Of another layer")
        for key in others:
            submenu = more.addMenu(short_name(key))
            # Filled when opened, because each entry asks the layer.
            fill = functools.partial(_offer, submenu, layers[key], is_on, toggle)
            submenu.aboutToShow.connect(fill)


def empty(menu: QMenu) -> None:
    """Remove all entries from a menu, and the references to layers in them."""
    menu.clear()
    for submenu in menu.findChildren(QMenu):
        submenu.setParent(None)
        submenu.deleteLater()


def _offer(menu: QMenu, layer: Any, is_on: IsOn, toggle: Toggle) -> None:
    if any(action.menu() for action in menu.actions()):
        return
    try:
        grid = snapshot(layer).grid if isinstance(layer, Image) else None
    except MrisrError:
        grid = None
    usual = UpscaleParameters().method
    for method in sorted(available_methods(), key=lambda name: name != usual):
        found = choices(method, grid)
        if not found:
            continue
        submenu = menu.addMenu(described(method, method_summary(method)))
        for text, parameters in found:
            action = submenu.addAction(text)
            action.setCheckable(True)
            action.setChecked(is_on(layer, parameters))
            action.triggered.connect(lambda *_, chosen=parameters: toggle(layer, chosen))


def choices(method: str, grid: Grid | None = None) -> list[tuple[str, UpscaleParameters]]:
    """Return the parameters that a method offers and their texts; none without its banks."""
    try:
        found = []
        first = None if grid is None else isotropic_choice(grid, method)
        if first is not None:
            found.append((first[0], UpscaleParameters(first[1], method)))
        for scale in offered_scales(method)[0]:
            found.append((scale_label(scale), UpscaleParameters(scale, method)))
            if method != "hashed":
                continue
            usual = bank_of(get_method(method, scale))
            for bank in fitting_banks(scale, any_order=True):
                if usual is None or bank != usual.name:
                    parameters = UpscaleParameters(scale, method, bank)
                    found.append((f"{scale_label(scale)}   {bank}", parameters))
        return found
    except MrisrError:
        return []


def short_name(name: str) -> str:
    """Return a name that fits into a menu, cut in the middle."""
    return name if len(name) <= 40 else f"{name[:24]}…{name[-15:]}"
