"""The method network along all axes, by tiny networks with known weights."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers.networks import convolution_model, described, save_model

from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import BankError
from napari_mrisr.methods import get_method
from napari_mrisr.methods.isotropic import IsotropicNetwork
from napari_mrisr.methods.network import make_network, network_method
from napari_mrisr.networks import tiles
from napari_mrisr.networks.file import load_network
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.operators.slices import block_basis
from napari_mrisr.run.upscale import upscale


def network_of(kernel, path):
    model = convolution_model(kernel, kind="isotropic")
    model.graph.initializer[0].name = model.graph.node[0].input[1] = "tail.weight"
    described(model, halo=kernel.shape[-1] // 2, order=len(kernel), kind="isotropic")
    return load_network(save_model(model, path / "blocks.onnx"))


@pytest.fixture
def scan(rng) -> Volume:
    data = rng.random((21, 17, 13), dtype=np.float32)
    return Volume(data, Grid(data.shape, np.eye(4))).normalized()


def test_a_network_of_zeros_is_tricubic_interpolation(scan, tmp_path):
    method = IsotropicNetwork(network_of(np.zeros((64, 1, 3, 3, 3)), tmp_path), 2)
    region = Region.whole((42, 34, 26))
    found = method.compute(scan, region)
    expected = get_method("tricubic", (2, 2, 2)).compute(scan, region)
    low, high = scan.extrema
    inside = (expected > low) & (expected < high)
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-6)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_coefficient_is_a_product_of_polynomials_in_each_block(factor, scan, tmp_path):
    """A coefficient is the voxel itself: its correction is P1(x) P2(z) times the voxel.

    The network's axes are slices, rows and columns: z, x and y.
    """
    kernel = np.zeros((64, 1, 3, 3, 3))
    kernel[2 * 16 + 1 * 4 + 0, 0, 1, 1, 1] = 1
    region = Region.whole(tuple(factor * n for n in scan.data.shape))
    zero = IsotropicNetwork(network_of(0 * kernel, tmp_path), factor).compute(scan, region)
    found = IsotropicNetwork(network_of(kernel, tmp_path), factor).compute(scan, region)
    offset = (np.indices(region.shape) % factor + 0.5) * 2 / factor - 1
    voxel = np.kron(scan.data, np.ones((factor,) * 3))
    expected = zero + offset[0] * (1.5 * offset[2] ** 2 - 0.5) * voxel
    positive = (zero > 0) & (expected > 0) & (found > 0)
    np.testing.assert_allclose(found[positive], expected[positive], atol=1e-5)


def test_a_region_is_that_of_the_whole(scan, tmp_path, rng, monkeypatch):
    monkeypatch.setattr(tiles, "ACROSS", 8)
    monkeypatch.setattr(tiles, "ALONG", 6)
    method = IsotropicNetwork(network_of(rng.normal(0, 0.02, (64, 1, 3, 3, 3)), tmp_path), 3)
    shape = (63, 51, 39)
    full = method.compute(scan, Region.whole(shape))
    for _ in range(5):
        start = tuple(int(rng.integers(n)) for n in shape)
        stop = tuple(int(rng.integers(a + 1, n + 1)) for a, n in zip(start, shape, strict=True))
        region = Region(start, stop)
        np.testing.assert_array_equal(method.compute(scan, region), full[region.slices])


def test_the_basis_reproduces_any_block_of_two_voxels():
    basis = block_basis(2)
    block = np.arange(8.0)
    solved = np.linalg.lstsq(basis, block, rcond=None)[0]
    np.testing.assert_allclose(basis @ solved, block, atol=1e-12)


def test_a_network_for_thick_slices_is_refused(tmp_path):
    path = save_model(convolution_model(np.zeros((2, 1, 3, 3, 3))), tmp_path / "thick.onnx")
    with pytest.raises(BankError, match="thick-slices"):
        make_network((2, 2, 2), str(path))


def test_a_network_without_the_last_layer_is_refused(tmp_path):
    model = convolution_model(np.zeros((64, 1, 3, 3, 3)), kind="isotropic")
    assert onnx.numpy_helper.to_array(model.graph.initializer[0]).shape[0] == 64
    network = load_network(save_model(model, tmp_path / "other.onnx"))
    with pytest.raises(BankError, match="last layer"):
        IsotropicNetwork(network, 2).tiles  # noqa: B018


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_bundled_network_beats_tricubic_on_an_edge_across_any_axis(axis):
    """Blurred steps, as the degradation makes them, become sharper along each axis alike."""
    step = np.where(np.arange(64) // 7 % 2, 20.0, 100.0) + 0.1 * np.arange(64)
    truth = np.broadcast_to(np.moveaxis(step[:, None, None], 0, axis), (64, 64, 64)).copy()
    low = degrade(Volume(truth.astype(np.float32), Grid((64, 64, 64), np.eye(4))), (2, 2, 2))
    inner = (slice(16, 48),) * 3
    error = {
        name: np.abs(upscale(low, 2, method=name).data - truth)[inner].mean()
        for name in ("tricubic", "network")
    }
    assert error["network"] < 0.98 * error["tricubic"]


def test_the_result_degraded_again_is_nearly_the_scan(rng, tmp_path):
    """Consistency for ``standard`` is cut to a few voxels: most of the deviation goes."""
    truth = Volume(1 + rng.random((36, 30, 24), dtype=np.float32), Grid((36, 30, 24), np.eye(4)))
    low = degrade(truth, (2, 2, 2), "standard").normalized()
    network = network_of(rng.normal(0, 0.02, (64, 1, 3, 3, 3)), tmp_path)
    method = network_method(network, (2, 2, 2))
    region = Region.whole(truth.grid.shape)
    deviations = []
    for found in (method.method.compute(low, region), method.compute(low, region)):
        again = degrade(Volume(found, truth.grid), (2, 2, 2), "standard").data
        deviations.append(np.sqrt(np.mean((again - low.data)[4:-4, 4:-4, 4:-4] ** 2)))
    assert deviations[1] < 0.25 * deviations[0]
    assert method.provenance()["data_consistency"] == "with the measured voxels"
