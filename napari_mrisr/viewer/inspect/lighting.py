"""The bucket map's layer: shown, replaced, one bucket lit."""

from __future__ import annotations

from typing import Any

from napari.layers import Labels

from napari_mrisr.viewer.inspect.requests import Inspection


class MapLayer:
    """Keeps the one Labels layer that the inspector works with.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self.layer: Labels | None = None

    def show(self, inspection: Inspection) -> Labels:
        """The map as a layer; of the same stage, in the layer that is there."""
        data, kwargs, _ = inspection.layer
        before = self.layer
        if before is not None and before.name == kwargs["name"] and before.data.shape == data.shape:
            before.data, before.visible, before.show_selected_label = data, True, False
            for name in ("scale", "translate", "features", "colormap"):
                setattr(before, name, kwargs[name])
            return before
        if before is not None:
            before.visible = False
        self.layer = self._viewer.add_labels(data, **kwargs)
        self.layer.editable = False
        return self.layer

    def light(self, inspection: Inspection, bucket: int | None) -> None:
        """Paint a bucket only, or with None all; where a person took the layer away, anew."""
        if self.layer is None and bucket is None:
            return
        layer = self.layer if self.layer is not None else self.show(inspection)
        if bucket is not None:
            layer.selected_label = bucket + 1
            layer.visible = True
        layer.show_selected_label = bucket is not None

    def forget_removed(self) -> bool:
        """Whether the layer was taken away."""
        if self.layer is None or self.layer in self._viewer.layers:
            return False
        self.layer = None
        return True
