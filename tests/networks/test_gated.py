"""A network with the rectifiers of another image."""

from __future__ import annotations

import numpy as np

from napari_mrisr.methods.network import bundled_network
from napari_mrisr.networks.gated import gated
from napari_mrisr.networks.sessions import evaluate

TOLD = np.array([[0.25, 0.5, 0.0]], np.float32)


def run(network, *images):
    return evaluate(network, {"image": np.stack(images)[:, None], "told": TOLD})


def test_the_first_image_alone_decides_and_others_enter_linearly(rng):
    network = bundled_network()
    first, a, b = rng.normal(size=(3, 5, 8, 7)).astype(np.float32)
    found = run(gated(network), first, a, b, a - 3 * b)
    np.testing.assert_allclose(found[:1], run(network, first), atol=1e-5)
    np.testing.assert_allclose(found[3], found[1] - 3 * found[2], atol=1e-4)
    assert np.abs(run(network, a) - found[1:2]).max() > 0.01


def test_a_negated_image_gives_the_negated_result(rng):
    """An ordinary network with rectifiers would not."""
    network = bundled_network()
    first = rng.random((6, 5, 7), np.float32)
    found = run(gated(network), first, -first)
    np.testing.assert_allclose(found[1], -found[0], atol=1e-5)
    assert np.abs(run(network, -first) + found[:1]).max() > 0.01
