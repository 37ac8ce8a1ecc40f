"""Layers of File > Open Sample and of the command line's demo."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_mrisr.io import samples as package_samples
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.run.upscale import UpscaleParameters, upscale
from napari_mrisr.viewer import demo
from napari_mrisr.viewer.layers import files
from napari_mrisr.viewer.layers.convert import snapshot


@pytest.fixture
def volumes(volume):
    truth = volume.cropped_to_multiple((2, 2, 2))
    low = degrade(truth, (2, 2, 2))
    results = {
        name: upscale(low, UpscaleParameters((2, 2, 2), name, threads=1))
        for name in ("nearest", "tricubic")
    }
    return {"low": low, "truth": truth, **results}


def test_demo_layers(volumes):
    layers = demo.demo_layers(volumes)
    names = [kwargs["name"] for _, kwargs, _ in layers]
    assert names == [
        *("nearest − reference", "tricubic − reference"),
        *("low", "reference", "nearest", "tricubic"),
    ]
    assert [kwargs.get("visible", True) for _, kwargs, _ in layers] == [False] * 5 + [True]
    assert len({kwargs["contrast_limits"] for _, kwargs, _ in layers[2:]}) == 1
    difference = Image(layers[0][0], **layers[0][1])
    low, high = difference.contrast_limits
    assert low == -high
    expected = volumes["nearest"].data - volumes["truth"].data
    np.testing.assert_array_equal(snapshot(difference).to_volume().data, expected)


def test_demo_layers_without_reference(volumes):
    del volumes["truth"]
    names = [kwargs["name"] for _, kwargs, _ in demo.demo_layers(volumes)]
    assert names == ["low", "nearest", "tricubic"]


def test_demo_in_a_viewer(plugin, banks, make_napari_viewer, volumes):
    viewer = make_napari_viewer()
    demo.add_demo(viewer, volumes)
    assert [layer.name for layer in viewer.layers if layer.visible] == ["tricubic"]
    assert viewer.window.dock_widgets
    (widget,) = [w for w in viewer.window.dock_widgets.values() if hasattr(w, "choose_layer")]
    assert widget.panel.layer.currentText() == "low"


@pytest.mark.parametrize("name", ["phantom", "mni152", "openneuro_ds000011"])
def test_samples(monkeypatch, volume, name):
    monkeypatch.setattr(package_samples, name, lambda: volume)
    ((data, kwargs, kind),) = getattr(files, name)()
    assert kind == "image"
    assert kwargs["name"]
    np.testing.assert_array_equal(snapshot(Image(data, **kwargs)).to_volume().data, volume.data)


def test_the_phantom_opens_by_its_menu_entry(plugin, make_napari_viewer):
    viewer = make_napari_viewer()
    (layer,) = viewer.open_sample("napari-mrisr", "phantom")
    assert layer.axis_labels == ("inferior", "posterior", "left")
    assert layer.data.ndim == 3


def test_files_open_and_save_by_the_manifest(plugin, make_napari_viewer, tmp_path, volume):
    from napari_mrisr.io import write_volume

    write_volume(volume, tmp_path / "scan.nii.gz")
    viewer = make_napari_viewer()
    (layer,) = viewer.open(tmp_path / "scan.nii.gz", plugin="napari-mrisr")
    assert layer.name == "scan"
    written = layer.save(str(tmp_path / "copy.nii.gz"), plugin="napari-mrisr")
    assert written == [str(tmp_path / "copy.nii.gz")]
    (again,) = viewer.open(tmp_path / "copy.nii.gz", plugin="napari-mrisr")
    np.testing.assert_array_equal(again.data, layer.data)
    np.testing.assert_allclose(again.translate, layer.translate, atol=1e-4)
