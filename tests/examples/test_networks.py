"""The gallery of networks: their numbers, and that the product opens every family."""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import napari_mrisr as sr
from napari_mrisr.core.volume import Region

BOXCAR = "slice-profile:boxcar:1"
FOLDER = Path(__file__).parents[2] / "examples" / "networks"


@pytest.fixture
def gallery(monkeypatch):
    """Function that imports a file of the gallery."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for path in FOLDER.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_halves_do_not_overlap_and_the_lesion_is_in_the_left_one(gallery):
    task = gallery("task")
    left, right = task.halves()
    assert left.grid.corners()[:, 0].max() == pytest.approx(right.grid.corners()[:, 0].min())
    lesions = task.halves("phantom_lesion.nii.gz")
    assert lesions[0].data.any()
    assert not lesions[1].data.any()


def test_the_numbers_of_truth_and_of_interpolation(gallery, monkeypatch):
    compare = gallery("compare")
    whole = compare.halves

    def small(*names):
        return tuple(v.cropped((0, 100, 60), (72, 40, 80)) for v in whole(*names))

    monkeypatch.setattr(compare, "halves", small)
    task = compare.Task()
    cubic = task.run("cubic", "", method="tricubic")
    zero = np.zeros_like(cubic.inconsistency)
    truth = compare.Result("truth", task.image, "", 0.0, zero)
    _, wrong, detail, right, kept = map(float, task.numbers(truth, cubic))
    assert (wrong, detail, right, kept) == (0.0, 1.0, 1.0, 1.0)
    gain, wrong, detail, _, kept = map(float, task.numbers(cubic, cubic))
    assert gain == 0.0
    assert wrong > 0.5
    assert detail < 0.1
    assert kept < 0.9


@pytest.mark.parametrize("name", ["unet", "edsr", "rdn", "swinir", "srgan", "wgan"])
def test_every_family_is_opened(gallery, tmp_path, rng, name):
    pytest.importorskip("torch", reason="networks are defined in PyTorch, an extra")
    train = gallery("train")
    from napari_mrisr.methods.foreign import inspect_network

    path = tmp_path / f"{name}.onnx"
    network = train.GALLERY[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's exporter
        train.export(network, path, "not trained")
    _, needs, _, _ = inspect_network(str(path))
    assert needs.output == network.NEEDS["output"]
    assert needs.degradation == train.DEGRADATION
    data = rng.random((21, 18, 13), dtype=np.float32)
    scan = sr.Volume(data, sr.Grid(data.shape, np.diag([1.0, 1.0, 4.0, 1.0]))).normalized()
    method = sr.get_method("network", (1, 1, 4), str(path))
    found = method.compute(scan, Region.whole((21, 18, 52)))
    part = Region((3, 2, 11), (17, 9, 30))
    np.testing.assert_array_equal(method.compute(scan, part), found[part.slices])


def test_a_consistent_image_has_the_measured_slices(gallery, rng):
    task = gallery("task")
    image, low = rng.random((5, 6, 28), np.float32), rng.random((5, 6, 7), np.float32)
    found = task.Slices(7).consistent(image, low)
    np.testing.assert_allclose(found.reshape(5, 6, 7, 4).mean(axis=3), low, atol=1e-5)


@pytest.fixture
def thick(rng):
    """Thick slices of a smooth volume, and their window."""
    x, y, z = np.indices((9, 12, 7))
    data = (1.5 + np.sin(0.6 * x) * np.cos(0.4 * y) + 0.1 * z).astype(np.float32)
    low = sr.Volume(data, sr.Grid(data.shape, np.diag([1.0, 1.0, 4.0, 1.0])))
    return low, sr.IntensityWindow(0.0, 4.0)


def test_an_implicit_representation_fits_the_slices_without_training_data(gallery, thick):
    pytest.importorskip("torch", reason="networks are defined in PyTorch, an extra")
    implicit = gallery("implicit")
    low, window = thick
    found = implicit.fit(low, window, minutes=0.01)
    assert found.grid.shape == (9, 12, 28)
    again = sr.degrade(found, (1, 1, 4), BOXCAR)
    np.testing.assert_allclose(again.data, low.data, atol=1e-3)
    assert int(found.history["steps"]) > 1


def test_samples_of_a_diffusion_model_differ_and_fit_the_slices(gallery, thick):
    torch = pytest.importorskip("torch", reason="networks are defined in PyTorch, an extra")
    pytest.importorskip("deepinv", reason="the diffusion example needs deepinv", exc_type=Exception)
    diffusion = gallery("diffusion")
    torch.manual_seed(0)
    body = diffusion.Denoiser(width=4, blocks=1)
    network = diffusion.EDMPrecond(body, pixel_std=1.0).eval()
    low, window = thick
    one, same, other = (diffusion.sample(network, low, window, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.data, same.data)
    # An untrained network ignores the noise nearly, but not quite.
    assert np.abs(one.data - other.data).max() > 1e-4
    again = sr.degrade(other, (1, 1, 4), BOXCAR)
    np.testing.assert_allclose(again.data, low.data, atol=1e-3)


def test_a_diffusion_step_is_undone_by_the_right_answer(gallery, thick):
    """A denoiser that returns the truth's difference gives the truth, from any noise."""
    pytest.importorskip("deepinv", reason="the diffusion example needs deepinv", exc_type=Exception)
    diffusion = gallery("diffusion")
    _, window = thick
    x, y, z = np.indices((9, 12, 28))
    data = (1.5 + np.sin(0.6 * x) * np.cos(0.4 * y + 0.3 * z)).astype(np.float32)
    truth = sr.Volume(data, sr.Grid(data.shape, np.eye(4)))
    low = sr.degrade(truth, (1, 1, 4), BOXCAR)
    cubic = sr.upscale(low, (1, 1, 4), method="tricubic")
    difference = diffusion._as_slices((data - cubic.data) / 4 / diffusion.SPREAD)

    def oracle(noisy, sigma, cubic):
        return difference

    found = diffusion.sample(oracle, low, window, 3)
    np.testing.assert_allclose(found.data, data, atol=1e-3)


def test_the_forward_model_of_deepinv_is_that_of_the_product(gallery, rng):
    torch = pytest.importorskip("torch", reason="networks are defined in PyTorch, an extra")
    pytest.importorskip("deepinv", reason="the diffusion example needs deepinv", exc_type=Exception)
    physics = gallery("diffusion").forward_model(7)
    assert physics.adjointness_test(img_size=(1, 28, 5)) < 1e-5
    data = rng.random((5, 6, 28), np.float32)
    low = sr.degrade(sr.Volume(data, sr.Grid(data.shape, np.eye(4))), (1, 1, 4), BOXCAR).data
    image = torch.from_numpy(data.transpose(1, 2, 0).copy())[:, None]
    np.testing.assert_allclose(physics.A(image)[:, 0], low.transpose(1, 2, 0), atol=1e-5)


def test_a_missing_deepinv_is_named_with_its_remedy(gallery, monkeypatch):
    pytest.importorskip("torch", reason="networks are defined in PyTorch, an extra")
    monkeypatch.setitem(sys.modules, "deepinv.models", None)
    with pytest.raises(ImportError, match=r"install deepinv as examples/networks/README\.md says"):
        gallery("diffusion")


def test_the_gradient_penalty_is_zero_for_a_critic_of_slope_one(gallery, rng):
    torch = pytest.importorskip("torch", reason="networks are defined in PyTorch, an extra")
    train = gallery("train")
    truth, image, cubic = (torch.from_numpy(rng.random((3, 1, 4, 6), np.float32)) for _ in range(3))

    def critic(image, cubic):
        """The scores' mean over positions has a gradient of norm 1."""
        return (image - cubic) * 24**0.5

    loss = train.judge_loss("wgan", critic, truth, image, cubic)
    expected = 24**0.5 * (image.mean() - truth.mean())
    assert float(loss) == pytest.approx(float(expected), abs=1e-4)
    steep = train.judge_loss("wgan", lambda a, b: 3 * critic(a, b), truth, image, cubic)
    assert float(steep) == pytest.approx(float(3 * expected + train.PENALTY * 4), abs=1e-3)


def test_a_complex_network_turns_with_the_phase_and_is_opened(gallery, rng, tmp_path):
    torch = pytest.importorskip("torch", reason="networks are defined in PyTorch, an extra")
    module = gallery("complex_network")
    data = (rng.normal(size=(5, 6, 7)) + 1j * rng.normal(size=(5, 6, 7))).astype(np.complex64)
    torch.manual_seed(0)
    network = module.ComplexNetwork(width=4, blocks=1)
    channels = module.as_channels(data)
    assert channels.shape == (6, 2, 7, 5)
    found = module.turned(channels[2], 0.7)
    expected = module.as_channels(data * np.complex64(np.exp(0.7j)))[2]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(
        network(3 * channels).detach(), 3 * network(channels).detach(), rtol=1e-3, atol=1e-5
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's exporter
        module.export(network, tmp_path / "complex.onnx", "not trained")
    # Wide enough that the middle is not touched by the edges.
    data = (rng.normal(size=(28, 6, 21)) + 1j * rng.normal(size=(28, 6, 21))).astype(np.complex64)
    scan = sr.ComplexVolume.of(data, sr.Grid(data.shape, np.diag([1.0, 1.0, 4.0, 1.0])))
    spec = f"{tmp_path / 'complex.onnx'}:consistency=off"
    result = sr.upscale_complex(scan, (1, 1, 4), bank=spec).data
    change = network(module.as_channels(data)).detach().numpy()
    expected = module.interpolated(data) + (change[:, 0] + 1j * change[:, 1]).transpose(2, 0, 1)
    inner = np.s_[6:-6, :, 24:-24]
    np.testing.assert_allclose(result[inner], expected[inner], atol=1e-4)
