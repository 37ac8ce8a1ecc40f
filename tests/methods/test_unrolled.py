"""The method unrolled, by tiny networks with known weights."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.networks import convolution_model, save_model

import napari_mrisr as sr
from napari_mrisr.core.axes import permute_volume
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.slices import relative_width, with_slice_thickness
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import BankError, Cancelled, ScaleError
from napari_mrisr.methods import available_scales, get_method
from napari_mrisr.methods.network import model_of
from napari_mrisr.methods.unrolled import Unrolled
from napari_mrisr.networks import tiles
from napari_mrisr.networks.file import NetworkFile, load_network
from napari_mrisr.operators.interpolate import tricubic
from napari_mrisr.operators.slices import consistency_operators, slice_operator

ORDER = 3


@pytest.fixture
def scan(rng) -> Volume:
    """Noise far from zero, so that no voxel is cut at zero; another size on every axis."""
    data = 1.0 + rng.random((9, 8, 7), dtype=np.float32)
    return Volume(data, Grid(data.shape, np.diag([1.0, 1.0, 4.0, 1.0])))


def network_of(kernel: np.ndarray, folder, blocks: int = 3) -> NetworkFile:
    model = convolution_model(kernel, kind="unrolled", blocks=blocks)
    return load_network(save_model(model, folder / f"{blocks}.onnx"))


@pytest.fixture
def random(rng, tmp_path) -> NetworkFile:
    return network_of(rng.normal(0, 0.02, (ORDER, 2 + ORDER, 3, 3, 3)), tmp_path)


def whole(method, lr: Volume, threads: int = 1) -> np.ndarray:
    return method.compute_whole(lr, Progress(), threads)


@pytest.mark.parametrize("scale", [(1, 1, 4), (1, 1, 2.6), (3, 1, 1)])
def test_a_network_of_zeros_is_cubic_interpolation_made_consistent(scale, scan, tmp_path):
    nothing = network_of(np.zeros((ORDER, 2 + ORDER, 3, 3, 3)), tmp_path)
    found = whole(Unrolled(nothing, scale), scan)
    axis = int(np.argmax(scale))
    n, n_out = scan.grid.shape[axis], found.shape[axis]
    cubic = tricubic(scan.data, scale)
    degrade, spread = consistency_operators(n, n_out, "boxcar", 1.0)
    expected = cubic + spread.apply(scan.data - degrade.apply(cubic, axis), axis)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("scale", "width"), [((1, 1, 4), 1.0), ((1, 1, 2.6), 0.75)])
def test_every_result_degrades_to_the_measured_slices(scale, width, scan, random):
    """To 2e-5 of the intensities, float32's rounding."""
    scan = with_slice_thickness(scan, 4.0 * width)
    assert relative_width(scan, 2) == width
    found = whole(Unrolled(random, scale), scan)
    degrade = slice_operator(found.shape[2], 7, "boxcar", width)
    np.testing.assert_allclose(degrade.apply(found, 2), scan.data, atol=2e-5)


def test_blocks_add_up(scan, rng, tmp_path):
    """A block that sees the slices only gives the same in every block."""
    kernel = np.zeros((ORDER, 2 + ORDER, 3, 3, 3))
    kernel[:, 0] = rng.normal(0, 0.02, (ORDER, 3, 3, 3))
    one = whole(Unrolled(network_of(2.0 * kernel, tmp_path, 1), (1, 1, 4)), scan)
    two = whole(Unrolled(network_of(kernel, tmp_path, 2), (1, 1, 4)), scan)
    np.testing.assert_allclose(two, one, atol=1e-5)


@pytest.mark.parametrize("channel", [1, 2 + ORDER - 1])
def test_a_later_block_sees_what_the_first_one_changed(channel, scan, rng, tmp_path):
    kernel = np.zeros((ORDER, 2 + ORDER, 3, 3, 3))
    kernel[:, 0] = rng.normal(0, 0.02, (ORDER, 3, 3, 3))
    before = whole(Unrolled(network_of(kernel, tmp_path, 2), (1, 1, 4)), scan)
    kernel[:, channel] = rng.normal(0, 0.1, (ORDER, 3, 3, 3))
    after = whole(Unrolled(network_of(kernel, tmp_path, 2), (1, 1, 4)), scan)
    assert np.abs(after - before).max() > 0.01


def test_twice_the_brightness_gives_twice_the_result():
    """With the bundled network, which has no biases."""
    data = np.random.default_rng(8).random((10, 9, 6), dtype=np.float32)
    grid = Grid(data.shape, np.diag([1.0, 1.0, 3.0, 1.0]))
    method = get_method("unrolled", (1, 1, 3))
    found, doubled = (whole(method, Volume(a * data, grid)) for a in (1.0, 2.0))
    np.testing.assert_allclose(doubled, 2.0 * found, atol=2e-5)


def test_another_axis_gives_the_permuted_result(scan, random):
    turned = permute_volume(scan, (2, 0, 1))
    found = whole(Unrolled(random, (4, 1, 1)), turned)
    expected = whole(Unrolled(random, (1, 1, 4)), scan)
    np.testing.assert_array_equal(found, expected.transpose(2, 0, 1))


def test_regions_and_threads_give_the_bits_of_the_whole(scan, random, monkeypatch):
    monkeypatch.setattr(tiles, "ACROSS", 4)
    method, region = Unrolled(random, (1, 1, 4)), Region((2, 1, 5), (8, 7, 21))
    expected = whole(method, scan)
    assert method.halo is None
    np.testing.assert_array_equal(method.compute(scan, region), expected[region.slices])
    np.testing.assert_array_equal(whole(method, scan, 3), expected)


def test_a_run_counts_tiles_of_all_blocks_and_cancels(monkeypatch, scan):
    monkeypatch.setattr(tiles, "ACROSS", 5)
    states = []

    class Watching(sr.Progress):
        def show(self, state) -> None:
            states.append((state.task, state.done, state.total))
            if state.done == 5:
                self.token.cancel()

    with pytest.raises(Cancelled):
        sr.upscale(scan, (1, 1, 4), method="unrolled", threads=1, progress=Watching())
    assert states[:6] == [("unrolled 1x1x4", n, 12) for n in range(6)]


def test_a_result_states_its_network():
    data = np.random.default_rng(8).random((6, 7, 5), dtype=np.float32)
    lr = Volume(data, Grid(data.shape, np.diag([1.0, 1.0, 3.0, 1.0])))
    found = sr.upscale(lr, (1, 1, 3), method="unrolled")
    assert (found.history["network"], found.history["blocks"]) == ("unrolled", "3")
    assert found.history["data_consistency"] == "with the measured slices"


def test_the_bundled_networks_state_their_training():
    for name, scale in (("unrolled", (1, 1, 3)), ("plug-and-play", (2, 2, 2))):
        model = model_of(get_method(name, scale))
        assert isinstance(model, NetworkFile)
        assert {"volumes", "steps", "command", "traits"} <= set(model.provenance)
        assert all(volume["license"] for volume in model.provenance["volumes"])
        assert len(model.content) < 1_000_000


def test_other_scales_and_networks_are_refused(tmp_path):
    with pytest.raises(ScaleError, match=r"2 for method unrolled.*use method network"):
        get_method("unrolled", (2, 2, 2))
    assert set(available_scales("unrolled")) >= {(1, 1, 2), (8, 1, 1)}
    plain = save_model(convolution_model(np.zeros((2, 1, 3, 3, 3))), tmp_path / "plain.onnx")
    with pytest.raises(BankError, match="plain: a network for thick-slices; choose"):
        get_method("unrolled", (1, 1, 3), str(plain))
