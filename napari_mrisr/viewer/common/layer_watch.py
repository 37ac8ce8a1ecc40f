"""Listening to a viewer's layers: to the list of them, and to those of it that matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

_LIST_EVENTS = ("inserted", "removed", "reordered")

Callback = Callable[[Any], None]


class LayerWatch:
    """Connects callbacks to layers, and takes all of them back.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Or its model, or the proxy that plugins get.
    listed : callable
        Called with napari's event when a layer came, went or was moved. It says
        with :meth:`watch` which layers matter.
    changed : mapping of str to callable
        From the name of a layer's event, such as ``name`` or ``data``, to what is
        called with it for each layer watched.

    Attributes
    ----------
    layers : list of napari.layers.Layer
        Those watched.
    """

    def __init__(self, viewer: Any, listed: Callback, changed: Mapping[str, Callback]) -> None:
        self._viewer = viewer
        self._listed = listed
        self._changed = dict(changed)
        self.layers: list[Any] = []

    def attach(self) -> None:
        """Listen to the viewer's list of layers."""
        for name in _LIST_EVENTS:
            getattr(self._viewer.layers.events, name).connect(self._listed)

    def detach(self) -> None:
        """Listen to nothing any more."""
        for name in _LIST_EVENTS:
            getattr(self._viewer.layers.events, name).disconnect(self._listed)
        self.watch([])

    def watch(self, layers: Sequence[Any]) -> None:
        """Listen to these layers, and to none of those before."""
        for name, callback in self._changed.items():
            for layer in self.layers:
                getattr(layer.events, name).disconnect(callback)
            for layer in layers:
                getattr(layer.events, name).connect(callback)
        self.layers = list(layers)
