"""The explanation of a network's voxel: its terms add up, and its steps tell them."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.networks import convolution_model, save_model
from scipy import ndimage

from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import BankError, GeometryError, ParameterError
from napari_mrisr.explain import explain_network, save_lecture, steps_of
from napari_mrisr.explain.draw import picture_of
from napari_mrisr.explain.sheet import ON_DARK
from napari_mrisr.explain.steps import NETWORK_KEYS, all_steps
from napari_mrisr.methods.network import network_method
from napari_mrisr.networks.file import load_network

SCALE = (1, 3.5, 1)
VOXEL = (9, 20, 5)


@pytest.fixture(scope="module")
def lr():
    shape = (17, 11, 13)
    data = np.random.default_rng(4).random(shape)
    data = 200.0 * ndimage.gaussian_filter(data, 0.9, mode="mirror")
    return Volume(data.astype(np.float32), Grid(shape, np.diag([1.0, 3.5, 1.0, 1.0])))


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    kernel = np.random.default_rng(5).normal(0, 0.03, (3, 1, 3, 3, 3))
    path = tmp_path_factory.mktemp("networks") / "planted.onnx"
    return load_network(save_model(convolution_model(kernel), path))


@pytest.fixture(scope="module")
def explanation(lr, network):
    grid = lr.grid.upsampled(SCALE)
    truth = Volume(200.0 * np.random.default_rng(6).random(grid.shape, np.float32), grid)
    return explain_network(lr, network, SCALE, VOXEL, truth)


def test_the_terms_add_up_to_the_engine_s_voxel(lr, network, explanation):
    end = tuple(n + 1 for n in VOXEL)
    value = network_method(network, SCALE).compute(lr.normalized(), Region(VOXEL, end))[0, 0, 0]
    assert explanation.output == pytest.approx(float(value), abs=1e-6)
    assert sum(term for _, term in explanation.contributions) == pytest.approx(float(value), 1e-5)
    names = [name for name, _ in explanation.contributions]
    assert names == ["tricubic", "network", "data consistency"]
    assert explanation.tricubic == pytest.approx(explanation.start_value, abs=1e-6)


def test_the_products_shown_are_weights_times_the_scan_around_the_voxel(lr, explanation):
    assert explanation.lr_voxel == (9, 5, 5)
    data = np.pad(lr.normalized().data, 5)
    around = data[9:20, 5:16, 5:16]
    seen = explanation.weights != 0
    np.testing.assert_allclose(explanation.products, explanation.weights * around, atol=1e-7)
    np.testing.assert_allclose(explanation.brightness[seen], around[seen])
    # The kernel reaches one voxel; consistency and interpolation work along the slice axis.
    whole = explanation.filter.products(lr.normalized()).sum()
    assert explanation.products.sum() == pytest.approx(whole, abs=0.02)


def test_every_step_has_text_and_a_picture(explanation):
    steps = steps_of(explanation, 0)
    assert tuple(step.key for step in steps) == NETWORK_KEYS
    assert all_steps(explanation) == steps
    assert "3.5" in steps[1].sentence
    assert "slice-profile:boxcar:1" in steps[0].source
    for step in steps:
        found = picture_of(explanation, step, ON_DARK, (500, 400), 100)
        assert found.pixels[..., 3].any()
        assert found.cells


def test_the_lecture_page_tells_of_the_network(explanation, tmp_path):
    save_lecture(explanation, tmp_path / "voxel.html")
    text = (tmp_path / "voxel.html").read_text()
    assert "with network planted" in text
    assert "Weights that the network chose" in text
    assert "Stage" not in text


def test_what_does_not_fit_is_refused(lr, network):
    with pytest.raises(ParameterError, match="outside the output"):
        explain_network(lr, network, SCALE, (17, 0, 0))
    with pytest.raises(BankError, match="choose a network for isotropic"):
        explain_network(lr, network, (2, 2, 2), VOXEL)
    with pytest.raises(GeometryError):
        explain_network(lr, network, SCALE, VOXEL, lr)
