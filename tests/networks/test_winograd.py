"""Fast convolutions against SciPy's, and graphs that they do not fit."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers.networks import convolution_model, described, save_model
from onnx import helper
from scipy import ndimage

from napari_mrisr.networks import sessions
from napari_mrisr.networks.file import load_network
from napari_mrisr.networks.winograd import rewritten, window_matrices

TOLD = np.array([[0.25, 0.5, 0.0]], np.float32)


def network_of(model, path):
    return load_network(save_model(model, path / "network.onnx"))


def is_fast(network):
    return len(sessions.session_of(network).get_inputs()) > 2


def two_layers(kernels, between):
    """A network of two convolutions with nodes between them, from ``a`` to ``b``."""
    first, second = kernels
    model = convolution_model(first)
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["a"], pads=[1] * 6),
        *between,
        helper.make_node("Conv", ["b", "second"], ["coefficients"], pads=[1] * 6),
    ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.append(
        onnx.numpy_helper.from_array(second.astype(np.float32), "second")
    )
    described(model, halo=2, order=len(second))
    return model


@pytest.mark.parametrize("slices", [1, 2, 3, 4, 5, 7, 8, 9, 13, 24, 33])
def test_a_convolution_is_that_of_scipy_for_any_number_of_slices(slices, rng, tmp_path):
    kernel = rng.normal(size=(3, 1, 3, 3, 3)) / 27
    network = network_of(convolution_model(kernel), tmp_path)
    image = rng.random((slices, 6, 11), np.float32)
    found = sessions.evaluate(network, {"image": image[None, None], "told": TOLD})[0]
    assert is_fast(network)
    for weights, one in zip(kernel[:, 0], found, strict=True):
        expected = ndimage.correlate(image.astype(float), weights, mode="constant")
        np.testing.assert_allclose(one, expected, atol=2e-6)


def test_layers_between_and_a_batch_of_images_give_the_result_of_the_plain_graph(rng, tmp_path):
    kernels = rng.normal(size=(5, 1, 3, 3, 3)) / 27, rng.normal(size=(2, 5, 3, 3, 3)) / 27
    gain = rng.normal(size=(1, 5, 1, 1, 1)).astype(np.float32)
    model = two_layers(
        kernels,
        [
            helper.make_node("Mul", ["a", "gain"], ["scaled"]),
            helper.make_node("Relu", ["scaled"], ["on"]),
            helper.make_node("Add", ["on", "a"], ["b"]),
        ],
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(gain, "gain"))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "images"
    described(model, halo=2, order=2)
    network = network_of(model, tmp_path)
    given = {"image": rng.random((3, 1, 10, 7, 9), np.float32), "told": TOLD}
    found = sessions.evaluate(network, given)
    assert is_fast(network)
    expected = sessions._session(network.content).run(None, given)[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_kernel_of_another_size_is_left_alone(rng, tmp_path):
    kernel = rng.normal(size=(2, 1, 5, 5, 5))
    network = network_of(convolution_model(kernel), tmp_path)
    assert rewritten(network.content) is None
    image = rng.random((4, 5, 6), np.float32)
    found = sessions.evaluate(network, {"image": image[None, None], "told": TOLD})[0]
    expected = ndimage.correlate(image, kernel[1, 0], mode="constant")
    np.testing.assert_allclose(found[1], expected, atol=1e-4)


def test_a_graph_that_fails_its_trial_runs_as_it_is(rng, tmp_path):
    """A slice along the channels would take slices after the axes are turned."""
    kernels = rng.normal(size=(4, 1, 3, 3, 3)), rng.normal(size=(2, 2, 3, 3, 3))
    ends = {"start": [1], "stop": [3], "axis": [1]}
    model = two_layers(kernels, [helper.make_node("Slice", ["a", *ends], ["b"])])
    for name, value in ends.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(value), name))
    described(model, halo=2, order=2)
    network = network_of(model, tmp_path)
    assert rewritten(network.content) is not None
    assert not is_fast(network)
    image = rng.random((6, 5, 7), np.float32)
    found = sessions.evaluate(network, {"image": image[None, None], "told": TOLD})[0]
    hidden = [ndimage.correlate(image, k, mode="constant") for k in kernels[0][1:3, 0]]
    expected = sum(
        ndimage.correlate(a, k, mode="constant") for a, k in zip(hidden, kernels[1][0], strict=True)
    )
    np.testing.assert_allclose(found[0], expected, atol=1e-3)


def test_matrices_of_all_parts_give_every_slice_once():
    matrices = window_matrices(13)
    results = [value for name, value in matrices.items() if name.startswith("from")]
    assert sum(len(part) for part in results) == 13
