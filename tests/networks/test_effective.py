"""The backward pass through a network's graph, against finite differences by ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from helpers.networks import described
from onnx import TensorProto, helper, numpy_helper

from napari_mrisr.errors import BankError
from napari_mrisr.networks.effective import GraphGradient
from napari_mrisr.networks.file import NetworkFile

SHAPE = (1, 1, 5, 12, 10)


def network(nodes, weights, tmp_path):
    """A network of nodes from ``image`` to ``coefficients``, without the loader's checks."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, "s", "r", "c"]),
            helper.make_tensor_value_info("told", TensorProto.FLOAT, [1, 3]),
        ],
        [helper.make_tensor_value_info("coefficients", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    described(model)
    return NetworkFile("tiny", model.SerializeToString(), 1, 1, (1, 9), (0.7, 1.3), {})


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def ints(*values):
    return np.array(values, np.int64)


@pytest.fixture
def two_levels(rng, tmp_path):
    """Every operator: padded slices, gains that are told, and a coarser level in the slice."""

    def kernel(*shape):
        return rng.normal(0, 0.3, shape).astype(np.float32)

    weights = {
        "head": kernel(4, 1, 3, 3, 3),
        "gain": kernel(4, 3),
        "down": kernel(6, 4, 1, 2, 2),
        "middle": kernel(6, 6, 3, 3, 3),
        "up": kernel(6, 4, 1, 2, 2),
        "tail": kernel(2, 8, 1, 1, 3),
        "shape": ints(1, 4, 1, 1, 1),
        "flat": ints(1, 4, -1),
        "back": ints(1, 4, 5, 12, 10),
        "start": ints(1, 2),
        "end": ints(-1, 2**62),
        "axes": ints(3, 4),
        "steps": ints(1, 1),
        "rim": ints(0, 0, 0, 1, 1, 0, 0, 0, 1, 1),
        "unit": ints(0),
        "half": np.float32([0.5]),
    }
    same = {"kernel_shape": [3, 3, 3], "pads": [1] * 6}
    nodes = [
        node("Gemm", "told gain", "gains", transB=1),
        node("Reshape", "gains shape", "wide"),
        node("Conv", "image head", "h0", **same),
        node("Mul", "h0 wide", "h1"),
        node("Relu", "h1", "h2"),
        node("Conv", "h2 down", "d0", strides=[1, 2, 2], kernel_shape=[1, 2, 2]),
        node("LeakyRelu", "d0", "d1", alpha=0.1),
        node("Conv", "d1 middle", "d2", **same),
        node("Add", "d1 d2", "d3"),
        node("ConvTranspose", "d3 up", "u0", strides=[1, 2, 2], kernel_shape=[1, 2, 2]),
        node("Mul", "u0 half", "u1"),
        node("Sub", "u1 h2", "u2"),
        node("Reshape", "u2 flat", "u3"),
        node("Transpose", "u3", "u4", perm=[0, 2, 1]),
        node("Transpose", "u4", "u5", perm=[0, 2, 1]),
        node("Reshape", "u5 back", "u6"),
        node("Unsqueeze", "u6 unit", "u7"),
        node("Squeeze", "u7 unit", "u8"),
        node("Identity", "u8", "u9"),
        node("Concat", "u9 h2", "c0", axis=1),
        node("Slice", "c0 start end axes steps", "c1"),
        node("Pad", "c1 rim", "c2"),
        node("Conv", "c2 tail", "coefficients", kernel_shape=[1, 1, 3]),
    ]
    return network(nodes, weights, tmp_path)


def test_the_weights_are_those_of_finite_differences(two_levels, rng):
    image = rng.normal(0, 1, SHAPE).astype(np.float32)
    told = np.float32([[0.3, -0.5, 0.8]])
    session = onnxruntime.InferenceSession(two_levels.content, providers=["CPUExecutionProvider"])

    def run(x):
        return session.run(None, {"image": x, "told": told})[0]

    mixed = rng.normal(0, 1, run(image).shape).astype(np.float32)
    output, weights = GraphGradient(two_levels)(image, told, lambda _: mixed)
    np.testing.assert_array_equal(output, run(image))
    # Homogeneous: the weights reproduce the weighted output.
    assert np.vdot(weights, image) == pytest.approx(np.vdot(mixed, output), rel=1e-4)
    for _ in range(20):
        at = tuple(int(rng.integers(0, n)) for n in SHAPE)
        step = np.zeros(SHAPE, np.float32)
        step[at] = 1e-3
        change = np.vdot(mixed, run(image + step).astype(float) - run(image - step)) / 2e-3
        assert weights[at] == pytest.approx(change, abs=0.02)


def test_crops_start_at_multiples_of_the_strides(two_levels):
    assert GraphGradient(two_levels).stride == 2


def test_an_operator_without_a_backward_pass_is_named(tmp_path):
    made = network([node("Softmax", "image", "coefficients")], {}, tmp_path)
    with pytest.raises(BankError, match=r"tiny.*Softmax"):
        GraphGradient(made)


def test_operators_off_the_way_from_the_image_do_not_matter(tmp_path):
    kernel = {"kernel": np.ones((1, 1, 1, 1, 1), np.float32), "unit": ints(0, 1)}
    nodes = [
        node("Softmax", "told", "gain"),
        node("ReduceSum", "gain", "total"),
        node("Conv", "image kernel", "h"),
        node("Mul", "h total", "coefficients"),
    ]
    made = network(nodes, kernel, tmp_path)
    image = np.arange(8, dtype=np.float32).reshape(1, 1, 2, 2, 2)
    _, weights = GraphGradient(made)(image, np.zeros((1, 3), np.float32), np.ones_like)
    np.testing.assert_allclose(weights, np.ones_like(image), rtol=1e-6)
