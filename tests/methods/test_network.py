"""The method network, by tiny networks with known weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.networks import convolution_model, save_model
from scipy import ndimage

import napari_mrisr as sr
from napari_mrisr.core.axes import permute_volume
from napari_mrisr.core.slices import with_slice_thickness
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import ScaleError
from napari_mrisr.io.samples import phantom
from napari_mrisr.methods import get_method
from napari_mrisr.methods.network import ThickSlices, bundled_network, make_network
from napari_mrisr.networks import tiles
from napari_mrisr.networks.file import load_network
from napari_mrisr.networks.sessions import evaluate
from napari_mrisr.operators.slices import positions, slice_operator
from napari_mrisr.run.upscale import run_method
from napari_mrisr.streaming import StreamRequest, stream


@pytest.fixture
def scan(rng) -> Volume:
    """A noisy slope with thick slices, another size on every axis."""
    x, y, z = np.indices((13, 11, 9)) / 10.0
    data = (x + 2 * y + 0.5 * np.sin(3 * z) + rng.normal(0, 0.05, x.shape)).astype(np.float32)
    return Volume(np.maximum(data, 0), Grid((13, 11, 9), np.diag([1.0, 1.0, 4.0, 1.0])))


@pytest.fixture
def random_network(rng, tmp_path):
    kernel = rng.normal(0, 0.02, (3, 1, 5, 5, 5))
    return load_network(save_model(convolution_model(kernel), tmp_path / "random.onnx"))


def network_of(kernel, tmp_path):
    return load_network(save_model(convolution_model(kernel), tmp_path / "tiny.onnx"))


def whole(method, volume):
    lr = volume.normalized()
    return method.compute(lr, Region.whole(lr.grid.upsampled(method.scale).shape))


def test_a_network_of_zeros_is_cubic_interpolation(scan, tmp_path):
    network = network_of(np.zeros((2, 1, 3, 3, 3)), tmp_path)
    found = whole(ThickSlices(network, (1, 1, 4), consistent=False), scan)
    expected = get_method("tricubic", (1, 1, 4)).compute(
        scan.normalized(), Region.whole((13, 11, 36))
    )
    inside = (expected > 0) & (expected < scan.normalized().extrema[1])
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-6)


def test_coefficients_are_a_legendre_series_within_each_slice(scan, tmp_path):
    """Coefficient 0 is the mean of 3³ voxels, 0 beyond the edges; coefficient 1 the voxel."""
    kernel = np.zeros((2, 1, 3, 3, 3))
    kernel[0] = 1 / 27
    kernel[1, 0, 1, 1, 1] = 1
    method = ThickSlices(network_of(kernel, tmp_path), (1, 1, 4), consistent=False)
    zero = ThickSlices(network_of(0 * kernel, tmp_path), (1, 1, 4), consistent=False)
    low = scan.normalized().data
    mean = ndimage.uniform_filter(low, 3, mode="constant")
    offset = positions(9, 36) - np.repeat(np.arange(9), 4)
    expected = np.repeat(mean, 4, 2) + np.repeat(low, 4, 2) * 2 * offset
    np.testing.assert_allclose(
        whole(method, scan), np.maximum(whole(zero, scan) + expected, 0), atol=1e-5
    )


@pytest.mark.parametrize("shape", [(13, 11, 9), (61, 50, 7), (9, 53, 70)])
def test_a_region_is_that_of_the_whole(random_network, rng, shape, monkeypatch):
    monkeypatch.setattr(tiles, "ACROSS", 16)
    data = rng.random(shape, dtype=np.float32)
    volume = Volume(data, Grid(shape, np.diag([1.0, 1.0, 3.0, 1.0]))).normalized()
    method = ThickSlices(random_network, (1, 1, 3))
    out = (shape[0], shape[1], 3 * shape[2])
    expected = method.compute(volume, Region.whole(out))
    for _ in range(6):
        start = [int(rng.integers(0, n)) for n in out]
        stop = [int(rng.integers(a + 1, n + 1)) for a, n in zip(start, out, strict=True)]
        region = Region(tuple(start), tuple(stop))
        fresh = ThickSlices(random_network, (1, 1, 3)).compute(replace(volume), region)
        np.testing.assert_array_equal(fresh, expected[region.slices])


def test_threads_and_blocks_do_not_matter(random_network, scan):
    method = ThickSlices(random_network, (1, 1, 4))
    one, two = (run_method(method, scan, threads=n).data for n in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0)])
def test_any_axis_may_be_the_thick_one(random_network, scan, axes, tmp_path):
    path = save_model(convolution_model(np.ones((1, 1, 3, 3, 3)) / 99), tmp_path / "mine.onnx")
    turned = permute_volume(scan, axes)
    scale = tuple((1, 1, 4)[axis] for axis in axes)
    found = run_method(make_network(scale, str(path)), turned)
    # In-plane axes may be swapped, so the kernel is symmetric.
    expected = permute_volume(run_method(make_network((1, 1, 4), str(path)), scan), axes)
    np.testing.assert_allclose(found.data, expected.data, atol=1e-5)


def test_brightness_scales_the_result(random_network, scan):
    method = ThickSlices(random_network, (1, 1, 4))
    lr = replace(scan.normalized(), data=scan.normalized().data)
    region = Region.whole((13, 11, 36))
    doubled = replace(lr, data=2.0 * lr.data)
    np.testing.assert_allclose(
        method.compute(doubled, region), 2.0 * method.compute(lr, region), rtol=1e-4, atol=1e-5
    )


def test_the_result_degrades_to_the_measured_slices(random_network, scan):
    data = scan.data + 50.0  # far from 0, where results are cut off
    lr = replace(scan, data=data).normalized()
    found = ThickSlices(random_network, (1, 1, 4)).compute(lr, Region.whole((13, 11, 36)))
    again = slice_operator(36, 9, "boxcar", 1.0).apply(found, 2)
    np.testing.assert_allclose(again, lr.data, atol=1e-5)


def test_empty_tiles_cost_nothing(random_network, monkeypatch):
    monkeypatch.setattr(tiles, "evaluate", lambda *_: pytest.fail("the network ran"))
    empty = Volume(np.zeros((7, 6, 5), np.float32), Grid((7, 6, 5), np.eye(4))).normalized()
    found = ThickSlices(random_network, (1, 1, 2)).compute(empty, Region.whole((7, 6, 10)))
    assert not found.any()


def test_a_run_from_disk_to_disk_is_that_in_memory(scan, tmp_path):
    path = save_model(convolution_model(np.ones((2, 1, 3, 3, 3)) / 60), tmp_path / "mine.onnx")
    sr.write_volume(scan, tmp_path / "scan.nii")
    parameters = sr.UpscaleParameters((1, 1, 4), "network", str(path), threads=2)
    stream(StreamRequest(tmp_path / "scan.nii", tmp_path / "out.nii", parameters, memory=10**9))
    expected = sr.upscale(sr.read_volume(tmp_path / "scan.nii"), parameters)
    np.testing.assert_array_equal(sr.read_volume(tmp_path / "out.nii").data, expected.data)


def test_the_bundled_network_is_homogeneous(rng):
    data = rng.random((20, 18, 7), dtype=np.float32)
    lr = Volume(data, Grid((20, 18, 7), np.diag([1.0, 1.0, 4.0, 1.0]))).normalized()
    method = ThickSlices(bundled_network(), (1, 1, 4))
    region = Region.whole((20, 18, 28))
    found = method.compute(replace(lr, data=0.25 * lr.data), region)
    np.testing.assert_allclose(found, 0.25 * method.compute(lr, region), atol=1e-5)


@pytest.mark.parametrize("scale", [(5, 5, 5), (2, 2, 3), (1, 2, 3), (1, 1, 1)])
def test_factors_that_no_network_has_are_refused(scale):
    with pytest.raises(ScaleError, match="one axis"):
        make_network(scale)


def test_the_bundled_network_beats_cubic_on_a_planted_edge():
    """An oblique edge through thick slices, as no training scan has it alone."""
    x, y, z = np.indices((40, 36, 48)) - 20.0
    truth = 100.0 * (1 / (1 + np.exp(-(x + 0.7 * y + 1.3 * (z - 4)) / 0.8)))
    volume = Volume(truth.astype(np.float32), Grid(truth.shape, np.eye(4)))
    low = sr.degrade(volume, (1, 1, 4), "slice-profile:boxcar:1")
    inside = (slice(8, -8),) * 3
    errors = {
        method: float(
            ((sr.upscale(low, (1, 1, 4), method=method).data - truth)[inside] ** 2).mean()
        )
        for method in ("tricubic", "network")
    }
    assert errors["network"] < 0.7 * errors["tricubic"]


def test_a_result_says_how_it_was_made(scan):
    found = sr.upscale(scan, (1, 1, 4), method="network").history
    assert found["network"] == "thick-slices"
    assert found["data_consistency"] == "with the measured slices"
    assert found["slices"].startswith("slices 4 mm thick")


def test_a_slice_gap_is_respected(random_network, scan):
    """Thin slices with gaps: the result is consistent with what they saw."""
    data = replace(scan, data=scan.data + 50.0)
    lr = with_slice_thickness(data, 3.0).normalized()
    found = ThickSlices(random_network, (1, 1, 4)).compute(lr, Region.whole((13, 11, 36)))
    again = slice_operator(36, 9, "boxcar", 0.75).apply(found, 2)
    np.testing.assert_allclose(again, lr.data, atol=1e-5)


@pytest.mark.parametrize("factor", [1.5, 3.7, 4.8])
def test_factors_need_not_divide(random_network, scan, factor):
    method = ThickSlices(random_network, (1, 1, factor))
    grid = scan.grid.upsampled((1, 1, factor))
    assert grid.shape == (13, 11, round(9 * factor))
    np.testing.assert_allclose(grid.corners(), scan.grid.corners(), atol=1e-6)
    found = run_method(method, replace(scan, data=scan.data + 50.0))
    again = slice_operator(grid.shape[2], 9, "boxcar", 1.0).apply(found.data, 2)
    np.testing.assert_allclose(again, scan.data + 50.0, atol=1e-3)


def test_tiles_of_the_bundled_network_leave_no_seams(monkeypatch):
    """Tiles see 6 of the 8 voxels of the receptive field around them."""
    truth = phantom().normalized().data[40:104, 50:110, 40:88]
    low = slice_operator(48, 12, "boxcar", 1.0).apply(np.ascontiguousarray(truth), 2)
    lr = Volume(low, Grid(low.shape, np.diag([1.0, 1.0, 4.0, 1.0])))
    monkeypatch.setattr(tiles, "ACROSS", 64)
    one = whole(make_network((1, 1, 4)), lr)
    monkeypatch.setattr(tiles, "ACROSS", 32)
    many = whole(make_network((1, 1, 4)), lr)
    difference = (many - one)[30:34]  # the tiles meet at 32
    assert 0 < np.sqrt((difference**2).mean()) < 3e-4


def test_background_of_zeros_is_left_out_without_a_change(random_network, rng):
    data = np.zeros((40, 36, 15), np.float32)
    data[12:25, 5:21, 4:9] = rng.random((13, 16, 5))
    lr = Volume(data, Grid(data.shape, np.diag([1.0, 1.0, 4.0, 1.0])))
    found = ThickSlices(random_network, (1, 1, 4)).tiles
    (_, coefficients), *_ = found.covering(lr, Region.whole(data.shape))
    given = found.inputs(lr, Region.whole(data.shape))
    assert given.image.shape == (1, 1, 9, 17, 20)
    image = data.transpose(2, 0, 1)[None, None].copy()
    full = evaluate(random_network, {"image": image, "told": given.told})[0]
    np.testing.assert_allclose(coefficients, full.transpose(2, 3, 1, 0), atol=1e-6)
