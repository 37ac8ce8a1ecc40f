"""Training of a small network; skipped, visibly, where PyTorch is not installed."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from napari_mrisr.core.volume import Grid, Region, Volume  # noqa: E402
from napari_mrisr.errors import Cancelled  # noqa: E402
from napari_mrisr.methods.network import ThickSlices  # noqa: E402
from napari_mrisr.networks.file import load_network  # noqa: E402
from napari_mrisr.networks.tiles import conditions  # noqa: E402
from napari_mrisr.training.networks.architecture import ThickSliceNetwork  # noqa: E402
from napari_mrisr.training.networks.export import export  # noqa: E402
from napari_mrisr.training.networks.loop import (  # noqa: E402
    LoopParameters,
    NetworkTraining,
    psnr_gain,
)
from napari_mrisr.training.networks.patches import HeldOut, training_image  # noqa: E402

PARAMETERS = LoopParameters(steps=6, batch=2, slices=5, across=12)


def training(rng: np.random.Generator) -> NetworkTraining:
    data = rng.random((40, 36, 44), dtype=np.float32)
    image = training_image(data, np.ones(data.shape, bool))
    torch.set_num_threads(1)
    torch.manual_seed(3)
    return NetworkTraining(PARAMETERS, [image], [1.0], ThickSliceNetwork(4, 1))


def test_a_resumed_training_is_that_without_a_stop(tmp_path):
    straight = training(np.random.default_rng(1))
    for _ in range(4):
        straight.advance()
    first = training(np.random.default_rng(1))
    for _ in range(2):
        first.advance()
    first.save(tmp_path / "checkpoint.safetensors")
    second = training(np.random.default_rng(1))
    second.load(tmp_path / "checkpoint.safetensors")
    for _ in range(2):
        second.advance()
    for a, b in zip(straight.averaged.parameters(), second.averaged.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


class Pressing(TorchDispatchMode):
    """Press Stop while the n-th convolution runs, forward or backward; count all that run."""

    def __init__(self, press_at: int = 0) -> None:
        super().__init__()
        self.press_at, self.ran, self.pressed = press_at, 0, False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if "convolution" in func.__name__:
            self.ran += 1
            self.pressed |= self.ran == self.press_at
        return found

    def check(self) -> None:
        if self.pressed:
            raise Cancelled("stopped")


def test_a_stop_ends_a_step_before_its_next_layer():
    """At any layer no other one follows; the training goes on as if never stopped."""
    straight = training(np.random.default_rng(1))
    with Pressing() as counted:
        straight.advance()
    layers = len([m for m in straight.network.modules() if isinstance(m, torch.nn.Conv3d)])
    assert counted.ran == 2 * layers == 8
    run = training(np.random.default_rng(1))
    for press_at in range(1, counted.ran):
        before = [parameter.clone() for parameter in run.network.parameters()]
        with Pressing(press_at) as pressing, pytest.raises(Cancelled):
            run.advance(pressing.check)
        assert pressing.ran == press_at
        assert run.step == 0
        for a, b in zip(before, run.network.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)
    with Pressing(counted.ran) as pressing:  # after the last layer the step is finished
        run.advance(pressing.check)
    assert run.step == 1
    straight.advance()
    run.advance()
    assert run.rng.bit_generator.state == straight.rng.bit_generator.state
    for a, b in zip(straight.averaged.parameters(), run.averaged.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_stopped_step_leaves_an_exact_checkpoint(tmp_path):
    straight = training(np.random.default_rng(1))
    for _ in range(3):
        straight.advance()
    first = training(np.random.default_rng(1))
    first.advance()
    with Pressing(6) as pressing, pytest.raises(Cancelled):
        first.advance(pressing.check)
    first.save(tmp_path / "checkpoint.safetensors")
    second = training(np.random.default_rng(1))
    second.load(tmp_path / "checkpoint.safetensors")
    second.advance()
    second.advance()
    for a, b in zip(straight.averaged.parameters(), second.averaged.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_stop_ends_a_validation_before_its_next_layer(rng):
    run = training(np.random.default_rng(1))
    data = rng.random((24, 12, 13), dtype=np.float32)
    held = HeldOut("one", data, np.ones(data.shape, bool))
    with Pressing() as counted:
        gain = run.gain(held, 4.0)
    assert counted.ran == 4
    for press_at in range(1, counted.ran):
        with Pressing(press_at) as pressing, pytest.raises(Cancelled):
            run.gain(held, 4.0, pressing.check)
        assert pressing.ran == press_at
    assert run.gain(held, 4.0) == gain


def test_a_short_training_beats_cubic_interpolation():
    """Blocks with sharp edges, which cubic interpolation across thick slices blurs."""
    x, y, z = np.indices((56, 52, 60)) // np.array([7, 6, 8])[:, None, None, None]
    data = ((x + y + z) % 2).astype(np.float32)
    inside = np.ones(data.shape, bool)
    torch.set_num_threads(1)
    torch.manual_seed(3)
    parameters = LoopParameters(steps=240, batch=2, slices=6, across=16)
    run = NetworkTraining(
        parameters, [training_image(data, inside)], [1.0], ThickSliceNetwork(8, 1)
    )
    held = HeldOut("blocks", np.ascontiguousarray(data[:48]), inside[:48])
    before = psnr_gain(run.averaged, held, 4.0)
    for _ in range(240):
        run.advance()
    assert before == 0.0  # a new network corrects nothing
    assert psnr_gain(run.averaged, held, 4.0) > 0.2


def test_an_exported_network_computes_the_same(tmp_path):
    torch.manual_seed(0)
    network = ThickSliceNetwork(4, 1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0.0, 0.1)
    document = {"factors": [1.5, 9.0], "widths": [0.7, 1.3], "provenance": {}}
    export(network, tmp_path / "mine.onnx", document)
    file = load_network(tmp_path / "mine.onnx")
    assert (file.halo, file.order) == (network.halo, 8)
    data = np.random.default_rng(4).random((23, 21, 19), dtype=np.float32)
    lr = Volume(data, Grid(data.shape, np.diag([1.0, 1.0, 4.0, 1.0])))
    method = ThickSlices(file, (1, 1, 4))
    (_, found), *_ = method.tiles.covering(lr, Region.whole(data.shape))
    with torch.no_grad():
        image = torch.from_numpy(data.transpose(2, 0, 1).copy())[None, None]
        expected = network(image, torch.tensor([conditions(4.0, 1.0)]))[0].numpy()
    np.testing.assert_allclose(found, expected.transpose(2, 3, 1, 0), atol=1e-5)
