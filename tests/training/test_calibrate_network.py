"""Calibration of a network: its expected error is the error that it makes."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.networks import convolution_model, described, save_model
from helpers.scans import head

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import VolumeError
from napari_mrisr.methods import get_method
from napari_mrisr.methods.network import make_network
from napari_mrisr.networks.file import load_network, with_metadata
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.run.upscale import run_method
from napari_mrisr.scan.masks import head_mask
from napari_mrisr.training.calibrate_network import calibrated_network
from napari_mrisr.trust import trust_maps

SHAPE = (36, 32, 40)


def volume(seed):
    return Volume(head(seed, SHAPE), Grid(SHAPE, np.eye(4)))


@pytest.fixture
def network(tmp_path):
    kernel = np.zeros((1, 1, 3, 3, 3))
    return save_model(convolution_model(kernel), tmp_path / "zero.onnx")


def test_the_expected_error_is_measured(network):
    volumes = [(volume(seed), (0, 1, 2)) for seed in range(4)]
    series, ranges = calibrated_network(load_network(network), volumes, factors=(2, 4))
    assert series.factors == (2.0, 4.0)
    assert series.calibrations[0].volumes == 4
    assert ranges.voxel_size == (1.0, 4.0)
    content = with_metadata(network.read_bytes(), calibration=series.to_json())
    network.write_bytes(content)

    truth = volume(9).cropped_to_multiple((1, 1, 4))
    lr = degrade(truth, (1, 1, 4), "slice-profile:boxcar:1")
    result = run_method(make_network((1, 1, 4), str(network)), lr)
    maps = trust_maps(lr, result, load_network(network), threads=1)
    inside = head_mask(truth.data)
    error = np.sqrt(np.mean((result.data - truth.data)[inside] ** 2))
    expected = np.sqrt(np.mean(maps.expected_error.data[inside] ** 2))
    assert error / 1.5 < expected < 1.5 * error


def test_an_isotropic_network_is_measured_by_its_factors(tmp_path):
    model = convolution_model(np.zeros((64, 1, 3, 3, 3)), kind="isotropic")
    model.graph.initializer[0].name = model.graph.node[0].input[1] = "tail.weight"
    described(model, halo=1, order=64, kind="isotropic")
    path = save_model(model, tmp_path / "blocks.onnx")
    volumes = [(volume(seed), (2,)) for seed in range(3)]
    series, ranges = calibrated_network(load_network(path), volumes, factors=(2,))
    assert ranges.voxel_size == (2.0, 2.0)
    path.write_bytes(with_metadata(path.read_bytes(), calibration=series.to_json()))
    truth = volume(8)
    lr = degrade(truth, (2, 2, 2))
    result = run_method(make_network((2, 2, 2), str(path)), lr)
    maps = trust_maps(lr, result, load_network(path), threads=1)
    inside = head_mask(truth.data)
    error = np.sqrt(np.mean((result.data - truth.data)[inside] ** 2))
    expected = np.sqrt(np.mean(maps.expected_error.data[inside] ** 2))
    assert error / 1.5 < expected < 1.5 * error
    assert maps.consistency.history["degradation"] == "standard"


def test_an_unrolled_network_is_measured_by_its_slice_factors(tmp_path):
    kernel = np.random.default_rng(1).normal(0, 0.02, (3, 5, 3, 3, 3))
    model = convolution_model(kernel, kind="unrolled", blocks=2)
    path = save_model(model, tmp_path / "blocks.onnx")
    volumes = [(volume(seed), (0, 1, 2)) for seed in range(3)]
    series, ranges = calibrated_network(load_network(path), volumes, factors=(4,))
    assert ranges.voxel_size == (1.0, 4.0)
    heads = sum(int(head_mask(volume(seed).data).sum()) for seed in range(3))
    assert series.calibrations[0].samples.sum() == pytest.approx(heads, rel=1e-3)  # all of them
    path.write_bytes(with_metadata(path.read_bytes(), calibration=series.to_json()))
    truth = volume(8)
    lr = degrade(truth, (4, 1, 1), "slice-profile:boxcar:1")
    method = get_method("unrolled", (4, 1, 1), str(path))
    result = run_method(method, lr)
    maps = trust_maps(lr, result, load_network(path), threads=1)
    inside = head_mask(truth.data)
    error = np.sqrt(np.mean((result.data - truth.data)[inside] ** 2))
    expected = np.sqrt(np.mean(maps.expected_error.data[inside] ** 2))
    assert error / 1.5 < expected < 1.5 * error
    assert maps.consistency.history["degradation"].startswith("slice-profile:boxcar")


def test_one_volume_is_too_few(network):
    with pytest.raises(VolumeError, match="fewer than 2"):
        calibrated_network(load_network(network), [(volume(0), (2,))], factors=(2,))
