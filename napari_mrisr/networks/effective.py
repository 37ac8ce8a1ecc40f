"""Row of a network's Jacobian: a backward pass through the ONNX graph, without PyTorch.

A network without biases is piecewise linear and homogeneous: its output equals J(x) x, where
J is the Jacobian at x (Mohan et al. 2020, "Robust and interpretable blind image denoising via
bias-free convolutional neural networks"). A row of J holds the weights with which the voxels of
the input enter one output. ONNX Runtime computes all intermediate values. NumPy carries the
weights of the output back through the few operators that our networks consist of.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.volume import FloatArray
from napari_mrisr.errors import BankError, explain
from napari_mrisr.networks.file import NetworkFile

Attributes = dict[str, Any]
Backward = Callable[[Attributes, list[FloatArray], FloatArray, FloatArray], Sequence[Any]]
"""Takes attributes, inputs, the output, and the weights of the output; returns those of inputs."""


class GraphGradient:
    """Weights of a network's input in a weighted sum of its output.

    Parameters
    ----------
    network : NetworkFile
        Its graph depends on ``image`` by the operators of this module only.

    Raises
    ------
    BankError
        For a graph with another operator on the way from image to output.
    """

    def __init__(self, network: NetworkFile) -> None:
        import onnx
        import onnxruntime

        model = onnx.load_model_from_string(network.content)
        self._constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        self._nodes = list(model.graph.node)
        self._output = model.graph.output[0].name
        self._reached = {"image"}
        for node in self._nodes:
            if self._reached.intersection(node.input):
                self._reached.update(node.output)
                if node.op_type not in _BACKWARD:
                    found = f"operator {node.op_type} has no backward pass"
                    raise BankError(explain(network.name, found, "explain another network"))
        self._attributes = [
            {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            for node in self._nodes
        ]
        # All intermediate values become outputs; ONNX Runtime infers their types.
        known = {value.name for value in model.graph.output}
        self._names = [name for node in self._nodes for name in node.output]
        model.graph.output.extend(
            onnx.ValueInfoProto(name=name) for name in self._names if name not in known
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    @property
    def stride(self) -> int:
        """Input voxels per voxel of the coarsest level: crops must start at multiples of it."""
        pairs = zip(self._nodes, self._attributes, strict=True)
        convolutions = [a for node, a in pairs if node.op_type == "Conv"]
        return math.prod(int(max(a.get("strides", [1]))) for a in convolutions)

    def __call__(
        self, image: FloatArray, told: FloatArray, weigh: Callable[[FloatArray], FloatArray]
    ) -> tuple[FloatArray, FloatArray]:
        """Return the network's output, and the weights of the input.

        Parameters
        ----------
        image : (1, 1, slices, rows, columns) ndarray of float32
        told : (1, conditions) ndarray of float32
        weigh : callable
            Takes the output and returns its weights, of the same shape.

        Returns
        -------
        output : ndarray of float32
        weights : ndarray of float32
            Of the shape of ``image``. Their product with it, summed, equals the weighted
            output for a network without biases.
        """
        inputs = {"image": image, "told": told}
        wanted = {entry.name for entry in self._session.get_inputs()}
        given = {name: value for name, value in inputs.items() if name in wanted}
        found = dict(zip(self._names, self._session.run(self._names, given), strict=True))
        values = {**self._constants, **inputs, **found, "": None}
        output = values[self._output]
        gradient: dict[str, Any] = {self._output: weigh(output)}
        for node, attributes in zip(self._nodes[::-1], self._attributes[::-1], strict=True):
            weights = gradient.pop(node.output[0], None)
            if weights is None or node.output[0] not in self._reached:
                continue
            arrays = [values[name] for name in node.input]
            parts = _BACKWARD[node.op_type](attributes, arrays, values[node.output[0]], weights)
            for name, part in zip(node.input, parts, strict=False):
                if name in self._reached and part is not None:
                    gradient[name] = gradient[name] + part if name in gradient else part
        return output, gradient.get("image", np.zeros_like(image))


@functools.lru_cache(maxsize=2)
def gradient_of(network: NetworkFile) -> GraphGradient:
    """Return the backward pass of a network; kept for the next voxel."""
    return GraphGradient(network)


def _taps(attributes: Attributes, kernel: tuple[int, ...]) -> Any:
    """Yield each tap of a kernel with the slices of the padded input that it multiplies."""
    rank = len(kernel)
    strides = attributes.get("strides", [1] * rank)
    dilations = attributes.get("dilations", [1] * rank)

    def slices(tap: tuple[int, ...], out: tuple[int, ...]) -> tuple[slice, ...]:
        return tuple(
            slice(t * d, t * d + s * (n - 1) + 1, s)
            for t, d, s, n in zip(tap, dilations, strides, out, strict=True)
        )

    return [(tap, functools.partial(slices, tap)) for tap in np.ndindex(*kernel)]


def _pads(attributes: Attributes, rank: int) -> list[tuple[int, int]]:
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or attributes.get("group", 1) != 1:
        raise BankError(explain("network", "grouped or automatic convolution", "export it plainly"))
    pads = attributes.get("pads", [0] * (2 * rank))
    return list(zip(pads[:rank], pads[rank:], strict=True))


def _spread(
    attributes: Attributes, kernel: FloatArray, fine: tuple[int, ...], coarse: FloatArray
) -> FloatArray:
    """Return the adjoint of a convolution, for a kernel (outputs, inputs, …)."""
    rank = kernel.ndim - 2
    pads = _pads(attributes, rank)
    size = [n + a + b for n, (a, b) in zip(fine, pads, strict=True)]
    found = np.zeros((1, kernel.shape[1], *size), np.float32)
    for tap, slices in _taps(attributes, kernel.shape[2:]):
        part = np.tensordot(kernel[(..., *tap)], coarse[0], (0, 0))
        found[(0, slice(None), *slices(coarse.shape[2:]))] += part
    inner = [slice(a, n - b) for n, (a, b) in zip(size, pads, strict=True)]
    return np.asarray(found[(slice(None), slice(None), *inner)])


def _conv(a: Attributes, inputs: list[FloatArray], _: FloatArray, weights: FloatArray) -> Any:
    return [_spread(a, inputs[1], inputs[0].shape[2:], weights)]


def _conv_transpose(
    a: Attributes, inputs: list[FloatArray], _: FloatArray, weights: FloatArray
) -> Any:
    """Correlate: the adjoint of a transposed convolution is the convolution."""
    image, kernel = inputs[:2]
    fine = np.pad(weights[0], [(0, 0), *_pads(a, kernel.ndim - 2)])
    found = np.zeros(image.shape, np.float32)
    for tap, slices in _taps(a, kernel.shape[2:]):
        part = fine[(slice(None), *slices(image.shape[2:]))]
        found[0] += np.tensordot(kernel[(..., *tap)], part, (1, 0))
    return [found]


def _relu(_: Attributes, inputs: list[FloatArray], output: FloatArray, weights: FloatArray) -> Any:
    return [weights * (output > 0)]


def _leaky_relu(a: Attributes, inputs: list[FloatArray], _: FloatArray, weights: FloatArray) -> Any:
    slope = np.float32(a.get("alpha", 0.01))
    return [weights * np.where(inputs[0] > 0, np.float32(1), slope)]


def _mul(_: Attributes, inputs: list[FloatArray], out: FloatArray, weights: FloatArray) -> Any:
    first, second = inputs
    return [_summed(weights * second, first.shape), _summed(weights * first, second.shape)]


def _add(_: Attributes, inputs: list[FloatArray], out: FloatArray, weights: FloatArray) -> Any:
    return [_summed(weights, inputs[0].shape), _summed(weights, inputs[1].shape)]


def _sub(_: Attributes, inputs: list[FloatArray], out: FloatArray, weights: FloatArray) -> Any:
    return [_summed(weights, inputs[0].shape), _summed(-weights, inputs[1].shape)]


def _summed(array: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Sum over the axes along which an input was broadcast."""
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and array.shape[i] != 1)
    return np.asarray(array.sum(axis=axes, keepdims=True))


def _slice(_: Attributes, inputs: list[Any], out: FloatArray, weights: FloatArray) -> Any:
    image, starts, ends = inputs[:3]
    axes = inputs[3] if len(inputs) > 3 and inputs[3] is not None else range(len(starts))
    steps = inputs[4] if len(inputs) > 4 and inputs[4] is not None else [1] * len(starts)
    box = [slice(None)] * image.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        box[int(axis)] = slice(int(start), int(np.clip(end, -(2**62), 2**62)), int(step))
    found = np.zeros(image.shape, np.float32)
    found[tuple(box)] = weights
    return [found]


def _pad(a: Attributes, inputs: list[Any], _: FloatArray, weights: FloatArray) -> Any:
    image, pads = inputs[:2]
    if a.get("mode", b"constant") != b"constant" or len(inputs) > 3:
        raise BankError(explain("network", "padding other than by a constant", "pad by zeros"))
    starts = [int(n) for n in pads[: image.ndim]]
    box = tuple(slice(p, p + n) for p, n in zip(starts, image.shape, strict=True))
    return [weights[box]]


def _concat(a: Attributes, inputs: list[FloatArray], _: FloatArray, weights: FloatArray) -> Any:
    ends = np.cumsum([part.shape[a["axis"]] for part in inputs])
    return np.split(weights, ends[:-1], axis=a["axis"])


def _reshape(_: Attributes, inputs: list[FloatArray], out: FloatArray, weights: FloatArray) -> Any:
    return [weights.reshape(inputs[0].shape)]


def _transpose(a: Attributes, inputs: list[FloatArray], _: FloatArray, weights: FloatArray) -> Any:
    order = a.get("perm", list(range(inputs[0].ndim))[::-1])
    return [weights.transpose(np.argsort(order))]


def _identity(_: Attributes, inputs: list[NDArray[Any]], out: FloatArray, w: FloatArray) -> Any:
    return [w]


_BACKWARD: dict[str, Backward] = {
    "Add": _add,
    "Concat": _concat,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Identity": _identity,
    "LeakyRelu": _leaky_relu,
    "Mul": _mul,
    "Pad": _pad,
    "Relu": _relu,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _reshape,
    "Sub": _sub,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
