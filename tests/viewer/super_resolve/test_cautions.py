"""Cautions and trust maps in the Super-resolve widget, in a real viewer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.scans import head
from napari.layers import Image
from scipy import signal

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.scan.traits import TraitRanges, measure_traits
from napari_mrisr.trust import cautions_for, trust_maps
from napari_mrisr.viewer.layers.convert import layer_data, snapshot
from napari_mrisr.viewer.super_resolve import cautions as cautions_module
from napari_mrisr.viewer.super_resolve import requests
from napari_mrisr.viewer.super_resolve.widget import SuperResolveWidget

SHAPE = (40, 44, 36)


@pytest.fixture
def lr():
    """Zero-filled along z; voxels as in training."""
    data = signal.resample(head(2, (40, 44, 18)), 36, axis=2).astype(np.float32)
    return Volume(data, Grid(SHAPE, np.diag([2.0, 2.1, 2.2, 1.0])))


@pytest.fixture
def bank(make_bank, tmp_path):
    ranges = TraitRanges((1.9, 2.3), (-1.0, 1.0), (1e-9, 1.0))
    bank = replace(make_bank((2, 2, 2), ("cell", "voxel")), provenance={"traits": ranges.to_json()})
    path = tmp_path / "mine.safetensors"
    bank.save(path)
    return path


@pytest.fixture
def widget(make_napari_viewer, qtbot, bank, lr):
    viewer = make_napari_viewer()
    widget = SuperResolveWidget(viewer)
    viewer.window.add_dock_widget(widget, area="right")
    data, kwargs, _ = layer_data(lr, "low")
    viewer.add_image(data, **kwargs)
    widget.open_bank(str(bank))
    yield widget
    widget.detach()


def look(widget, qtbot):
    qtbot.waitUntil(lambda: bool(widget.panel.cautions.text()))
    qtbot.waitUntil(lambda: not widget.watch.worker.running)


def test_the_panel_says_what_the_api_says(widget, qtbot, lr, bank):
    from napari_mrisr import load_bank

    look(widget, qtbot)
    expected = cautions_for(measure_traits(lr), load_bank(bank))
    assert [c.kind for c in expected] == ["interpolated axis"]
    for caution in expected:
        assert caution.text in widget.panel.cautions.text()
    assert widget.panel.run_button.isEnabled()


def test_another_method_needs_no_caution(widget, qtbot):
    look(widget, qtbot)
    widget.panel.method.name = "tricubic"
    assert widget.panel.cautions.text() == ""
    assert not widget.panel.trust.isVisibleTo(widget.panel)
    widget.panel.method.name = "hashed"
    look(widget, qtbot)
    assert "Interpolated" in widget.panel.cautions.text()


def test_another_layer_is_looked_at(widget, qtbot):
    look(widget, qtbot)
    plain = Volume(head(4, (34, 38, 42)), Grid((34, 38, 42), np.diag([5.0, 5.0, 5.1, 1.0])))
    data, kwargs, _ = layer_data(plain, "plain")
    layer = widget._viewer.add_image(data, **kwargs)
    widget.choose_layer(layer)
    qtbot.waitUntil(lambda: "Unusual voxel size" in widget.panel.cautions.text())
    assert "Interpolated" not in widget.panel.cautions.text()


def test_trust_maps_are_the_api_s(widget, qtbot, lr, bank):
    from napari_mrisr import UpscaleParameters, load_bank, upscale

    found = load_bank(bank)
    widget.panel.trust.setChecked(True)
    widget.run()
    qtbot.waitUntil(lambda: not widget.busy)
    layers = {layer.name: layer for layer in widget._viewer.layers}
    # A bank without calibration has no expected error.
    assert list(layers) == [
        "low",
        "low hashed 2x",
        "consistency, scan's units: low",
        "support: low",
    ]
    maps = trust_maps(lr, upscale(lr, UpscaleParameters(bank=str(bank))), found)
    for name, volume in (("support: low", maps.support), (list(layers)[2], maps.consistency)):
        again = snapshot(layers[name]).to_volume() if np.ptp(volume.data) else volume
        np.testing.assert_allclose(again.data, volume.data, atol=1e-4)
        np.testing.assert_allclose(again.grid.affine, volume.grid.affine)
        assert not layers[name].visible
    assert "2 trust maps" in widget.panel.status.text()


def test_closing_mid_look_leaves_no_thread(widget, qtbot, monkeypatch, lr):
    def endless(volume, progress):
        progress.begin("endless", 10_000)
        while True:
            progress.advance()

    look(widget, qtbot)
    monkeypatch.setattr(cautions_module, "measure_traits", endless)
    data, kwargs, _ = layer_data(replace(lr, data=lr.data + 1), "other")
    layer = widget._viewer.add_image(data, **kwargs)
    widget.choose_layer(layer)
    assert widget.watch.worker.running
    widget.detach()
    assert not widget.watch.worker.running


def test_cancelled_maps_leave_no_layer(widget, qtbot, monkeypatch):
    def endless(*arguments, progress, **options):
        progress.begin("endless", 10_000)
        while True:
            progress.advance()

    monkeypatch.setattr(requests, "trust_maps", endless)
    widget.panel.trust.setChecked(True)
    widget.run()
    qtbot.waitUntil(lambda: "endless" in widget.panel.status.text())
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.busy)
    assert [layer.name for layer in widget._viewer.layers] == ["low"]


def test_layers_of_maps_with_an_expected_error(lr):
    from napari_mrisr.scan.traits import Traits
    from napari_mrisr.trust import TrustMaps
    from napari_mrisr.viewer.super_resolve.requests import map_layers

    unknown = Traits((2.0, 2.1, 2.2), 0.0, 0.02, (1.0, 1.0, 1.0))
    data, kwargs, _ = layer_data(lr, "low")
    source = snapshot(Image(data, **kwargs))
    *others, error = map_layers(TrustMaps(lr, lr, lr, 1.0, unknown), source)
    for _, kwargs, _ in (*others, error):
        assert kwargs["metadata"]["mrisr"].source_id == source.layer_id
    assert error[1]["name"] == "expected RMSE, scan's units: low"
    assert error[1].get("visible", True)
    assert not any(kwargs["visible"] for _, kwargs, _ in others)
