"""Convolutions with half the products along the slices, by a rewritten graph.

Minimal filtering F(4, 3) computes four outputs of three taps from six products instead of twelve
(Lavin and Gray 2016, "Fast algorithms for convolutional neural networks", Eq. 11): six slices are
mixed by Bᵀ, each mixture is convolved within the slice by a mixture G of the kernel's three
slices, and Aᵀ mixes the six results to four slices. A kernel of 3³ so becomes six of 3², which
ONNX Runtime convolves faster than one in 3D. Results differ by rounding.

Bᵀ and Aᵀ are applied as matrices along the slices of the whole tile, so that zeros beyond its ends
need no code.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.volume import FloatArray

_TO, _FROM = "to_windows", "from_windows"
_TAKEN, _GIVEN = 6, 4  # slices of a window, and results
_BT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
_G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24.0
_AT = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])

# Windows are convolved in parts, so that not all mixtures are in memory at once.
_PARTS = 2
# Operators that treat every voxel alike, or the images of a batch.
_ALIKE = {"Relu", "Identity", "Cast", "Greater", "Slice"}
_PAIRS = {"Add", "Sub", "Mul"}
_TURNED = [0, 2, 1, 3, 4]  # slices before channels
_KERNEL = {"kernel_shape": [3, 3, 3], "pads": [1] * 6}
_DEFAULTS = {"strides": [1, 1, 1], "dilations": [1, 1, 1], "group": 1}


@functools.lru_cache(maxsize=16)
def window_matrices(slices: int) -> dict[str, FloatArray]:
    """Return the inputs of a rewritten graph for a number of slices.

    Returns
    -------
    dict
        For each part, ``to_windows0`` and so on, (6 · windows, slices), has Bᵀ of its windows,
        which begin every 4 slices, the first one slice before the first; ``from_windows0``,
        (results, 6 · windows), has Aᵀ. The results of all parts are the slices in order.
    """
    windows = -(-slices // (_GIVEN * _PARTS))
    found: dict[str, FloatArray] = {}
    for part in range(_PARTS):
        start = _GIVEN * windows * part
        mixing = np.zeros((_TAKEN * windows, slices + 2 * _GIVEN * windows * _PARTS))
        for window in range(windows):
            first = start + _GIVEN * window
            mixing[_TAKEN * window : _TAKEN * (window + 1), first : first + _TAKEN] = _BT
        results = np.kron(np.eye(windows), _AT)[: max(0, slices - start)]
        found[f"{_TO}{part}"] = np.ascontiguousarray(mixing[:, 1 : slices + 1], np.float32)
        found[f"{_FROM}{part}"] = results.astype(np.float32)
    return found


def rewritten(content: bytes) -> bytes | None:
    """Return a network with fast convolutions; None if it has other operators than ours.

    The graph keeps its inputs ``image`` and ``told`` and its output, and takes
    :func:`window_matrices` as well.
    """
    import onnx

    model = onnx.load_model_from_string(content)
    graph = model.graph
    rewriter = _Rewriter({t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer})
    output = graph.output[0].name
    if not rewriter.rewrite(list(graph.node), output):
        return None
    del graph.node[:], graph.initializer[:]
    graph.node.extend(rewriter.nodes)
    graph.initializer.extend(
        onnx.numpy_helper.from_array(value, name) for name, value in rewriter.constants.items()
    )
    graph.input.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, None])
        for name in window_matrices(1)
    )
    return bytes(model.SerializeToString())


class _Rewriter:
    """Writes the nodes of the fast graph; arrays that depend on ``image`` have slices first."""

    def __init__(self, constants: dict[str, NDArray[Any]]) -> None:
        self.constants = constants
        self.nodes: list[Any] = []
        self._turned: dict[str, str] = {}

    def rewrite(self, nodes: list[Any], output: str) -> bool:
        """Rewrite all nodes; return False if there is one that is not known."""
        self._begin()
        for node in nodes:
            if not any(name in self._turned for name in node.input):
                self.nodes.append(node)
            elif node.op_type == "Conv" and self._fits(node):
                self._turned[node.output[0]] = self._convolve(node)
            elif node.op_type in _ALIKE | _PAIRS:
                self._turned[node.output[0]] = self._keep(node)
            else:
                return False
        if output not in self._turned:
            return False
        self._add("Transpose", [self._turned[output]], output, perm=_TURNED)
        return True

    def _begin(self) -> None:
        """Add the image, and the sizes and matrices that all convolutions need."""
        self._add("Transpose", ["image"], _own("image"), perm=_TURNED)
        self._turned["image"] = _own("image")
        self._add("Shape", ["image"], _own("sizes"), start=3)
        self._add("Shape", ["image"], _own("images"), start=0, end=1)
        self._constant("flat", [0, 0, -1])
        self._constant("rest", [-1])
        for part in range(_PARTS):
            self._add("Shape", [f"{_TO}{part}"], _own(f"mixtures{part}"), start=0, end=1)
            sizes = [_own("images"), _own(f"mixtures{part}"), _own("rest")]
            self._joined(f"mixed{part}", sizes)

    def _fits(self, node: Any) -> bool:
        """Return True for a convolution by a kernel of 3³ with zeros beyond the ends."""
        import onnx

        weights = self.constants.get(node.input[1])
        if len(node.input) != 2 or weights is None or weights.shape[2:] != (3, 3, 3):
            return False
        found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        expected = {**_DEFAULTS, **_KERNEL}
        return {**_DEFAULTS, "kernel_shape": [3, 3, 3], **found} == expected

    def _convolve(self, node: Any) -> str:
        """Add a convolution; return the name of its result."""
        source, name = self._turned[node.input[0]], node.output[0]
        kernel = self.constants[node.input[1]].astype(np.float64)
        out, into = kernel.shape[:2]
        mixed = np.einsum("kd,oidrc->koirc", _G, kernel).reshape(_TAKEN * out, into, 3, 3)
        weights = self._constant(f"{node.input[1]}_mixed", mixed.astype(np.float32))
        self._constant(f"{name}_in", [-1, _TAKEN * into])
        self._joined(f"{name}_to", [_own(f"{name}_in"), _own("sizes")])
        self._constant(f"{name}_out", [0, 0, out])
        self._joined(f"{name}_from", [_own(f"{name}_out"), _own("sizes")])
        lines = self._add("Reshape", [source, _own("flat")], _own(f"{name}_lines"))
        parts = []
        for part in range(_PARTS):

            def step(kind: str, given: list[str], part: int = part, **more: Any) -> str:
                return self._add(kind, given, f"{_own(name)}_{part}_{len(self.nodes)}", **more)

            found = step("MatMul", [f"{_TO}{part}", lines])
            found = step("Reshape", [found, _own(f"{name}_to")])
            found = step("Conv", [found, weights], group=_TAKEN, pads=[1] * 4)
            found = step("Reshape", [found, _own(f"mixed{part}")])
            parts.append(step("MatMul", [f"{_FROM}{part}", found]))
        joined = self._joined(f"{name}_joined", parts, axis=1)
        return self._add("Reshape", [joined, _own(f"{name}_from")], _own(name))

    def _keep(self, node: Any) -> str:
        """Add a node as it is, with turned inputs; return the name of its result."""
        import onnx

        given = [self._turned.get(name, name) for name in node.input]
        if node.op_type in _PAIRS:
            for number, name in enumerate(node.input):
                if name not in self._turned:
                    turned = f"{_own(node.output[0])}_{number}"
                    given[number] = self._add("Transpose", [name], turned, perm=_TURNED)
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:], copy.output[:] = given, [_own(node.output[0])]
        self.nodes.append(copy)
        return _own(node.output[0])

    def _constant(self, name: str, value: Any) -> str:
        self.constants[_own(name)] = np.asarray(value)
        return _own(name)

    def _joined(self, name: str, parts: list[str], axis: int = 0) -> str:
        return self._add("Concat", parts, _own(name), axis=axis)

    def _add(self, kind: str, given: list[str], result: str, **attributes: Any) -> str:
        import onnx

        self.nodes.append(onnx.helper.make_node(kind, given, [result], **attributes))
        return result


def _own(name: str) -> str:
    """Return a name that no node of the network has."""
    return f"winograd/{name}"
