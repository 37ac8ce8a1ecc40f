"""Watch of a viewer's layers: the list, and events of the layers that matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

_LIST_EVENTS = ("inserted", "removed", "reordered")

Callback = Callable[[Any], None]


class LayerWatch:
    """Connects callbacks to layers, and disconnects all of them.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Or its model, or the proxy that plugins get.
    listed : callable
        Called with napari's event when a layer was added, removed or moved. It calls
        :meth:`watch` with the layers that matter.
    changed : mapping of str to callable
        From the name of a layer's event, such as ``name`` or ``data``, to the
        callback for each watched layer.

    Attributes
    ----------
    layers : list of napari.layers.Layer
        The watched layers.
    """

    def __init__(self, viewer: Any, listed: Callback, changed: Mapping[str, Callback]) -> None:
        self._viewer = viewer
        self.listed = listed
        self._changed = dict(changed)
        self.layers: list[Any] = []

    def attach(self) -> None:
        """Connect to the viewer's list of layers."""
        for name in _LIST_EVENTS:
            getattr(self._viewer.layers.events, name).connect(self.listed)

    def detach(self) -> None:
        """Disconnect from the list and from all layers."""
        for name in _LIST_EVENTS:
            getattr(self._viewer.layers.events, name).disconnect(self.listed)
        self.watch([])

    def watch(self, layers: Sequence[Any]) -> None:
        """Connect to these layers, and disconnect from those before."""
        for name, callback in self._changed.items():
            for layer in self.layers:
                getattr(layer.events, name).disconnect(callback)
            for layer in layers:
                getattr(layer.events, name).connect(callback)
        self.layers = list(layers)
