"""Back-projection and total variation: objective, an independent solver, the run."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.networks import convolution_model, save_model
from scipy import ndimage

import napari_mrisr as sr
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import BankError, Cancelled, ParameterError
from napari_mrisr.methods import get_method
from napari_mrisr.methods.iterative import Iterative, objective, solve
from napari_mrisr.networks.file import load_network
from napari_mrisr.operators.degrade import get_degradation
from napari_mrisr.operators.forward import forward_model
from napari_mrisr.operators.interpolate import tricubic

VOXEL = (1.0, 1.3, 0.8)


def scan_of(shape, voxel=(1.0, 1.0, 3.0)) -> Volume:
    data = np.random.default_rng(5).random(shape, np.float32)
    return Volume(data, Grid(shape, np.diag([*voxel, 1.0])))


def gradient(image: np.ndarray) -> np.ndarray:
    """Differences in mm, float64, zero at the far end; shape (3, *shape)."""
    parts = []
    for axis, size in enumerate(VOXEL):
        last = np.take(image, [-1], axis)
        parts.append(np.diff(image, axis=axis, append=last) / size)
    return np.stack(parts)


def admm(matrix: np.ndarray, measured: np.ndarray, shape, weight: float) -> np.ndarray:
    """Minimize by another algorithm, with dense matrices in float64."""
    count = int(np.prod(shape))
    units = np.eye(count).reshape(count, *shape)
    g = np.stack([gradient(unit).ravel() for unit in units], axis=1)
    rho = 0.05
    system = np.linalg.inv(matrix.T @ matrix + rho * g.T @ g)
    split, dual = np.zeros(3 * count), np.zeros(3 * count)
    for _ in range(1_500):
        x = system @ (matrix.T @ measured + rho * g.T @ (split - dual))
        field = (g @ x + dual).reshape(3, -1)
        length = np.linalg.norm(field, axis=0)
        shrunk = field * np.maximum(0.0, 1.0 - (weight / rho) / np.maximum(length, 1e-12))
        split = shrunk.ravel()
        dual += g @ x - split
    return x.reshape(shape)


def test_total_variation_equals_an_independent_solver_on_a_tiny_volume():
    high, low, weight = (4, 5, 6), (4, 5, 2), 0.02
    model = forward_model(high, low, get_degradation("slice-profile:boxcar:1"))
    measured = np.random.default_rng(1).random(low, np.float32)
    units = np.eye(120, dtype=np.float32).reshape(120, *high)
    matrix = np.stack([model.apply(unit).ravel() for unit in units], axis=1).astype(np.float64)
    expected = admm(matrix, measured.ravel().astype(np.float64), high, weight)
    start = np.repeat(measured, 3, axis=2)
    found = solve(model, measured, start, weight, VOXEL, 600, inner=60)
    reached = objective(model, measured, found, weight, VOXEL)
    best = objective(model, measured, expected.astype(np.float32), weight, VOXEL)
    assert reached == pytest.approx(best, rel=1e-3)
    np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize("name", ["slice-profile:gaussian:1.2", "kspace:hann", "standard"])
def test_the_objective_never_rises(name):
    """By more than rounding over the best iterate so far."""
    high, low, weight = (10, 12, 16), (10, 6, 4), 0.004
    model = forward_model(high, low, get_degradation(name))
    measured = np.random.default_rng(1).random(low, np.float32)
    start = tricubic(measured, (1, 2, 4))
    values = [objective(model, measured, start, weight, VOXEL)]
    for rounds in range(1, 15):
        image = solve(model, measured, start, weight, VOXEL, rounds)
        values.append(objective(model, measured, image, weight, VOXEL))
    assert all(b <= a * (1 + 1e-6) for a, b in itertools.pairwise(values))
    assert values[-1] < 0.9 * values[0]


@pytest.mark.parametrize("scale", [(1, 1, 3), (1, 1, 2.4), (2, 2, 2), (1.5, 1, 2)])
def test_back_projection_is_consistent_with_the_scan(scale):
    lr = scan_of((9, 8, 7))
    method = get_method("back-projection", scale)
    found = method.compute(lr, Region.whole(lr.grid.upsampled(scale).shape))
    model = forward_model(found.shape, lr.data.shape, method._degradation_of(lr))
    before = np.abs(model.apply(tricubic(lr.data, scale)) - lr.data).mean()
    after = np.abs(model.apply(found) - lr.data).mean()
    assert after < 0.35 * before


def test_every_region_is_that_of_the_whole_run():
    lr = scan_of((6, 7, 5))
    for name in ("back-projection", "tv"):
        method = get_method(name, (1, 1, 3))
        assert method.halo is None
        whole = sr.upscale(lr, (1, 1, 3), method=name)
        normalized = lr.normalized()
        region = Region((1, 2, 3), (5, 6, 14))
        part = normalized.window.from_unit(method.compute(normalized, region))
        np.testing.assert_allclose(part, whole.data[region.slices], atol=1e-6)
        assert whole.history["method"] == name


def test_an_option_sets_the_forward_model():
    lr = scan_of((6, 7, 5))
    found = sr.upscale(lr, (1, 1, 3), method="tv:kspace:hann")
    assert found.history["forward_model"] == "kspace:hann"
    assert found.history["weight"] == "0.0002"
    for name, part in (
        ("tv:blur", "blur"),
        ("tricubic:2", "choose from"),
        ("zero-fill:bell", "choose from none, hann"),
        ("tv:standard", "not whole"),
    ):
        with pytest.raises(ParameterError, match=part):
            get_method(name, (1, 1, 2.5))
    with pytest.raises(ParameterError, match="bank"):
        get_method("tv", (1, 1, 2), "default-2x")


def test_a_run_reports_its_rounds_and_cancels():
    lr, states = scan_of((6, 7, 5)), []

    class Watching(sr.Progress):
        def show(self, state) -> None:
            states.append((state.task, state.done, state.total))
            if state.done == 4:
                self.token.cancel()

    with pytest.raises(Cancelled):
        sr.upscale(lr, (1, 1, 3), method="tv", progress=Watching())
    assert states[:5] == [("tv 1x1x3", n, 25) for n in range(5)]


def test_labels_are_refused_with_an_option_too():
    labels = np.zeros((24, 22, 20), np.int16)
    labels[4:20, 4:20, 4:12], labels[4:20, 4:20, 12:18] = 1, 2
    with pytest.raises(sr.VolumeError, match="3 values"):
        sr.upscale(labels, (1, 1, 3), method="tv:kspace")


def denoiser_of(correction: np.ndarray, folder):
    """A denoiser of one convolution, which gives what it adds to the image."""
    path = folder / "denoiser.onnx"
    model = convolution_model(correction[None, None], kind="denoiser")
    return load_network(save_model(model, path))


def plug_and_play(network, strength: float, rounds: int, scale=(1, 1, 3)) -> Iterative:
    return Iterative("plug-and-play", scale, network=network, strength=strength, rounds=rounds)


@pytest.mark.parametrize("scale", [(1, 1, 3), (1, 1, 2.4), (2, 2, 2)])
def test_a_denoiser_that_finds_no_noise_leaves_back_projection(scale, tmp_path):
    lr = scan_of((6, 7, 5)).normalized()
    nothing = denoiser_of(np.zeros((3, 3, 3)), tmp_path)
    found = plug_and_play(nothing, 0.7, 20, scale).compute_whole(lr, Progress())
    expected = get_method("back-projection", scale).compute_whole(lr, Progress())
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_a_denoiser_that_averages_averages_every_round(strength, tmp_path):
    lr, mean = scan_of((6, 7, 5)).normalized(), np.full((3, 3, 3), 1 / 27)
    mean[1, 1, 1] -= 1.0
    method = plug_and_play(denoiser_of(mean, tmp_path), strength, 2)
    found = method.compute_whole(lr, Progress())
    model = forward_model(found.shape, lr.data.shape, get_degradation("slice-profile:boxcar:1"))
    x = tricubic(lr.data, (1, 1, 3))
    for _ in range(2):
        x = x - model.adjoint(model.apply(x) - lr.data) / model.norm**2
        x += strength * (ndimage.uniform_filter(x, 3, mode="constant") - x)
    np.testing.assert_allclose(found, np.maximum(x, 0.0), atol=1e-6)


def test_plug_and_play_scales_with_the_brightness():
    """With the bundled denoiser, which has no biases."""
    lr = scan_of((10, 9, 5)).normalized()
    method = get_method("plug-and-play", (1, 1, 3))
    twice = Volume(2.0 * lr.data, lr.grid)
    found, doubled = (method.compute_whole(v, Progress()) for v in (lr, twice))
    np.testing.assert_allclose(doubled, 2.0 * found, atol=1e-5)


def test_plug_and_play_states_its_prior_and_its_forward_model():
    found = sr.upscale(scan_of((6, 7, 5)), (1, 1, 3), method="plug-and-play:kspace")
    assert found.history["network"] == "denoiser"
    assert found.history["forward_model"] == "kspace"
    assert {"rounds", "strength"} <= set(found.history)


def test_the_prior_is_a_network_of_its_kind(tmp_path):
    plain = save_model(convolution_model(np.zeros((2, 1, 3, 3, 3))), tmp_path / "plain.onnx")
    with pytest.raises(BankError, match="plain: a network for thick-slices; choose"):
        get_method("plug-and-play", (1, 1, 3), str(plain))
    denoiser_of(np.zeros((3, 3, 3)), tmp_path)
    for scale in ((1, 1, 3), (2, 2, 2)):
        with pytest.raises(BankError, match="denoiser: a network for denoiser"):
            get_method("network", scale, str(tmp_path / "denoiser.onnx"))
