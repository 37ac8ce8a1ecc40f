"""Figure of a result without a reference: beside tricubic, with its trust maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from napari_mrisr.comparison.opening import opening_state
from napari_mrisr.comparison.scene import Cutter, build_scene
from napari_mrisr.comparison.state import DIFFERENCE_COLORMAP, Display
from napari_mrisr.core.frames import Frame
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Volume
from napari_mrisr.figures.figure import ColumnText, scene_figure
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.scan.masks import head_mask
from napari_mrisr.trust.maps import TrustMaps

_ERROR_PERCENTILE = 99.5

SUPPORT_NAMES = ("enough", "few samples", "outside training", "both")
SUPPORT_COLORS = ("#20242b", "#e69f00", "#56b4e9", "#d55e00")

_TEXTS = {
    "expected error": ColumnText("RMSE", "RMSE"),
    "support": ColumnText(classes=SUPPORT_NAMES),
    "consistency": ColumnText("degraded − measured", "difference"),
}


def trust_figure(lr: Volume, result: Volume, maps: TrustMaps, scale: Scale) -> Figure:
    """Draw three planes of a result and of its trust maps.

    Parameters
    ----------
    lr, result : Volume
        In the scan's intensities.
    maps : TrustMaps
        Maps of the result.
    scale : tuple of int
        Factors from ``lr`` to ``result``.

    Returns
    -------
    Figure
        Rows axial, sagittal and coronal through the head; columns tricubic, result,
        expected error (if the bank is calibrated), support and consistency.
    """
    view = opening_state({"result": result}, ["result"])
    gray = view.looks["result"]
    volumes = {"tricubic": upscale(lr, UpscaleParameters(scale, "tricubic")), "result": result}
    looks = {"tricubic": gray, "result": gray}
    if maps.expected_error is not None:
        volumes["expected error"] = maps.expected_error
        inside = head_mask(result.data)
        errors = maps.expected_error.data
        high = np.percentile(errors[inside] if inside.any() else errors, _ERROR_PERCENTILE)
        looks["expected error"] = Display("magma", (0.0, float(high) or 1.0))
    volumes |= {"support": maps.support, "consistency": maps.consistency}
    looks["support"] = Display("support", (-0.5, 3.5))
    limit = float(np.percentile(np.abs(maps.consistency.data), _ERROR_PERCENTILE)) or 1.0
    looks["consistency"] = Display(DIFFERENCE_COLORMAP, (-limit, limit))
    cutter = Cutter(volumes, Frame.of(result.grid))
    scenes = [
        build_scene(replace(view, columns=(key,), looks={key: looks[key]}), cutter, {})
        for key in volumes
    ]
    rows = zip(*(scene.panels for scene in scenes), strict=True)
    scene = replace(scenes[0], panels=tuple(tuple(panel for (panel,) in row) for row in rows))
    colors = {"support": np.array([to_rgb(color) for color in SUPPORT_COLORS])}
    return scene_figure(scene, columns=_TEXTS, colormaps=colors)
