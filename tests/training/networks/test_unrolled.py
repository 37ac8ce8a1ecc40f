"""Unrolled networks in training; skipped, visibly, where PyTorch is not installed."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from napari_mrisr.networks.file import load_network  # noqa: E402
from napari_mrisr.networks.tiles import conditions  # noqa: E402
from napari_mrisr.operators.slices import slice_operator, slice_projection  # noqa: E402
from napari_mrisr.training.networks.architecture import ThickSliceNetwork  # noqa: E402
from napari_mrisr.training.networks.export import export, restore  # noqa: E402
from napari_mrisr.training.networks.loop import (  # noqa: E402
    LoopParameters,
    NetworkTraining,
    denoising_gain,
    psnr_gain,
    unrolled_gain,
)
from napari_mrisr.training.networks.patches import (  # noqa: E402
    HeldOut,
    PatchSampler,
    training_image,
)
from napari_mrisr.training.networks.unrolled import applied, unrolled  # noqa: E402

DOCUMENT = {"factors": [1.5, 9.0], "widths": [0.7, 1.3], "provenance": {}}


def random_network(**options) -> ThickSliceNetwork:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = ThickSliceNetwork(4, 1, **options)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if not name.startswith("gains"):
                parameter.normal_(0.0, 0.1)
    return network


@pytest.fixture
def image(rng):
    data = rng.random((26, 22, 24), dtype=np.float32)
    return training_image(data, np.ones(data.shape, bool))


def test_every_output_of_a_whole_line_fits_the_slices(rng, image):
    """A patch of all slices of its column: D x = y whatever the network says."""
    sampler = PatchSampler([image], [1.0], rng, batch=2, slices=60, across=7, projected=True)
    network = random_network(inputs=10, blocks=3)
    for _ in range(4):
        batch = sampler.draw()
        projected = batch.projected
        given = [torch.from_numpy(a)[:, None] for a in (batch.low, projected.change)]
        told, hide = torch.tensor([batch.told]), torch.from_numpy(projected.hide)
        with torch.no_grad():
            found = unrolled(network, given[0], told, given[1], hide)
            correction = applied(torch.from_numpy(projected.correct), found).numpy()
        for patch in range(2):
            # Slices and voxels beyond the line are padded with zeros.
            n = int(np.flatnonzero(batch.basis[patch].any(1))[-1]) + 1
            count = int(np.flatnonzero(batch.low[patch].any((1, 2)))[-1]) + 1
            fwhm = batch.told[2] + 1.0
            degrade = slice_operator(n, count, "boxcar", fwhm)
            result = batch.cubic[patch, :n] + correction[patch, :n]
            assert np.abs(correction).max() > 0.01
            np.testing.assert_allclose(
                degrade.apply(result, 0), batch.low[patch, :count], atol=1e-5
            )


def test_twice_the_brightness_gives_twice_the_result():
    network = random_network(inputs=10, blocks=2)
    low, change = torch.rand(1, 1, 6, 7, 8), torch.randn(1, 1, 6, 7, 8)
    hide = torch.from_numpy(slice_projection(6, 24, 8, 1.0).hide.taps.reshape(1, 6, 6, 8).copy())
    told = torch.tensor([conditions(4.0, 1.0)])
    with torch.no_grad():
        found = unrolled(network, low, told, change, hide)
        doubled = unrolled(network, 2.0 * low, told, 2.0 * change, hide)
    torch.testing.assert_close(doubled, 2.0 * found)


def test_a_network_for_thick_slices_starts_an_unrolled_one_with_the_same_result(tmp_path, rng):
    export(random_network(), tmp_path / "thick.onnx", DOCUMENT)
    file = load_network(tmp_path / "thick.onnx")
    plain, blocks = restore(file, "thick-slices"), restore(file, "unrolled")
    data = rng.random((6, 7, 8), dtype=np.float32)
    low, told = torch.from_numpy(data)[None, None], torch.tensor([conditions(4.0, 1.0)])
    hide = torch.zeros(1, 6, 6, 8)
    with torch.no_grad():
        found = unrolled(blocks, low, told, torch.rand_like(low), hide)
        torch.testing.assert_close(found, plain(low, told), atol=1e-6, rtol=1e-5)
    export(blocks, tmp_path / "blocks.onnx", {**DOCUMENT, "kind": "unrolled"})
    again = load_network(tmp_path / "blocks.onnx")
    assert (again.kind, again.blocks, again.order) == ("unrolled", 3, 8)
    for a, b in zip(blocks.parameters(), restore(again, "unrolled").parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_new_unrolled_network_is_cubic_interpolation_made_consistent(rng):
    """On edges across the slices the consistent spline is nearer to the truth."""
    data = (np.indices((48, 12, 14))[0] // 7 % 2).astype(np.float32)
    held = HeldOut("stripes", data, np.ones(data.shape, bool))
    new = ThickSliceNetwork(4, 1, inputs=10, blocks=3)
    assert unrolled_gain(new, held, 4.0) > 0.05
    assert psnr_gain(ThickSliceNetwork(4, 1), held, 4.0) == 0.0


@pytest.mark.parametrize("kind", ["unrolled", "denoiser"])
def test_a_training_learns_a_batch(kind, image, monkeypatch):
    options = {"inputs": 10, "blocks": 2} if kind == "unrolled" else {"order": 1}
    torch.manual_seed(3)
    network = ThickSliceNetwork(4, 1, **options)
    # The first 200 steps have a small share of these rates.
    parameters = LoopParameters(60, rate=0.1, adam_rate=0.1, batch=2, slices=6, across=10)
    run = NetworkTraining(parameters, [image], [1.0], network, kind=kind)
    batch = run.sampler.draw()
    monkeypatch.setattr(run.sampler, "draw", lambda: batch)
    losses = [run.advance() for _ in range(35)]
    assert losses[-1] < 0.9 * losses[0]


def test_the_gain_of_a_denoiser_that_removes_nothing_is_zero(rng):
    data = rng.random((12, 13, 14), dtype=np.float32)
    held = HeldOut("noise", data, np.ones(data.shape, bool))
    assert denoising_gain(ThickSliceNetwork(4, 1, 1), held, 5.0) == 0.0
