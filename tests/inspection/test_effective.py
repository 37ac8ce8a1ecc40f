"""Effective filters: they reproduce the voxels of a result, along any axis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.networks import convolution_model, described, save_model

from napari_mrisr.core.slices import with_slice_thickness
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import ParameterError
from napari_mrisr.inspection.effective import around, effective_filter
from napari_mrisr.methods import get_method
from napari_mrisr.methods.network import ThickSlices, make_network
from napari_mrisr.networks import tiles
from napari_mrisr.networks.file import load_network


@pytest.fixture
def scan(rng):
    x, y, z = np.indices((19, 9, 21)) / 10.0
    data = 2 + x + np.sin(5 * y + 2 * z) + rng.normal(0, 0.1, x.shape)
    volume = Volume(data.astype(np.float32), Grid((19, 9, 21), np.diag([1.0, 4.2, 1.0, 1.0])))
    return with_slice_thickness(volume, 3.6).normalized()


def voxel_of(method, lr, voxel):
    end = tuple(n + 1 for n in voxel)
    return float(method.compute(lr, Region(voxel, end))[0, 0, 0])


@pytest.mark.parametrize("voxel", [(9, 17, 10), (0, 0, 20), (18, 37, 0), (5, 20, 15)])
def test_the_weights_reproduce_the_voxel(scan, voxel, monkeypatch):
    monkeypatch.setattr(tiles, "ACROSS", 8)
    method = make_network((1, 4.2, 1))
    found = effective_filter(method, scan, voxel)
    value = voxel_of(method, scan, voxel)
    assert found.products(scan).sum() == pytest.approx(value, abs=1e-4)
    assert found.result == pytest.approx(value, abs=1e-5)
    assert found.weights.sum() == pytest.approx(1.0, abs=0.2)
    assert found.correction != 0
    assert found.consistency != 0


def test_the_weights_are_those_of_one_convolution(scan, tmp_path):
    """Coefficient 0 alone: the kernel's weights come back, beside those of interpolation."""
    kernel = np.zeros((1, 1, 3, 3, 3))
    kernel[0, 0] = np.arange(27).reshape(3, 3, 3) / 100  # slices, rows, columns
    network = load_network(save_model(convolution_model(kernel), tmp_path / "one.onnx"))
    lr = replace(scan, grid=Grid((19, 9, 21), np.diag([1.0, 1.0, 2.0, 1.0])))
    method = ThickSlices(network, (1, 1, 2), consistent=False)
    found = effective_filter(method, lr, (9, 4, 21))
    zero = load_network(save_model(convolution_model(0 * kernel), tmp_path / "zero.onnx"))
    cubic = effective_filter(ThickSlices(zero, (1, 1, 2), consistent=False), lr, (9, 4, 21))
    difference = found.around((9, 4, 10), 1) - cubic.around((9, 4, 10), 1)
    np.testing.assert_allclose(difference, kernel[0, 0].transpose(1, 2, 0), atol=1e-6)
    assert cubic.weights.sum() == pytest.approx(1.0, abs=1e-5)
    assert cubic.correction == 0


@pytest.mark.parametrize("voxel", [(11, 7, 40), (0, 17, 41)])
def test_the_weights_of_an_isotropic_network_reproduce_the_voxel(scan, rng, voxel, tmp_path):
    kernel = rng.normal(0, 0.01, (64, 1, 3, 3, 3))
    model = convolution_model(kernel, kind="isotropic")
    model.graph.initializer[0].name = model.graph.node[0].input[1] = "tail.weight"
    described(model, halo=1, order=64, kind="isotropic")
    method = make_network((2, 2, 2), str(save_model(model, tmp_path / "blocks.onnx")))
    found = effective_filter(method, scan, voxel)
    value = voxel_of(method, scan, voxel)
    assert found.products(scan).sum() == pytest.approx(value, abs=1e-4)
    assert found.result == pytest.approx(value, abs=1e-5)
    assert found.correction != 0
    assert found.consistency != 0


def test_other_methods_and_voxels_are_refused(scan):
    with pytest.raises(ParameterError, match="tricubic has none"):
        effective_filter(get_method("tricubic", (1, 4, 1)), scan, (0, 0, 0))
    with pytest.raises(ParameterError, match=r"outside the output.*\(18, 37, 20\)"):
        effective_filter(make_network((1, 4.2, 1)), scan, (0, 38, 0))


def test_a_cube_around_a_voxel_is_zero_beyond_the_array():
    array = np.arange(24.0).reshape(2, 3, 4)
    found = around(array, (5, 5, 5), (5, 6, 7), 1)
    np.testing.assert_array_equal(found[0], 0)
    np.testing.assert_array_equal(found[1:], array[:, :, 1:4])
