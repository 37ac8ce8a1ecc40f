"""Texts about layers."""

from __future__ import annotations

import numpy as np

from napari_mrisr.core.volume import Grid, Origin, Volume
from napari_mrisr.viewer.common.labels import source_label
from napari_mrisr.viewer.layers.convert import layer_data, snapshot


def label_of(origin):
    from napari.layers import Image

    data = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    volume = Volume(data, Grid(data.shape, np.diag([1.0, 1.25, 4.8, 1.0])), origin=origin)
    array, kwargs, _ = layer_data(volume, "scan")
    return source_label(snapshot(Image(array, **kwargs))).splitlines()


def test_the_acquisition_stands_below_the_size():
    facts = ("echo time 30 ms", "head first supine")
    origin = Origin("scan", slice_thickness=4.0, slice_source="DICOM header", acquisition=facts)
    assert label_of(origin)[-1] == (
        "slices 4 mm thick, gap 0.8 mm, echo time 30 ms, head first supine"
    )


def test_gaps_and_overlaps_are_named():
    for thickness, text in ((4.8, "no gap"), (6.0, "overlap 1.2 mm")):
        origin = Origin("scan", slice_thickness=thickness, slice_source="BIDS sidecar")
        assert label_of(origin)[-1] == f"slices {thickness:.3g} mm thick, {text}"


def test_an_assumed_thickness_is_not_shown():
    assert not [line for line in label_of(Origin("scan")) if "thick" in line]
