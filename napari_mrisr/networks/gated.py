"""A network whose first image switches the units for all images of a batch.

A network without biases computes A(x) x, where the matrix A depends on x only by which rectifiers
are on. With the rectifiers switched by another image m it computes A(m) x, which is linear in x.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from napari_mrisr.networks.file import NetworkFile


@functools.lru_cache(maxsize=4)
def gated(network: NetworkFile) -> NetworkFile:
    """Return a network with the rectifiers of the first image for the whole batch.

    The first result is that of the network itself.
    """
    import onnx

    model = onnx.load_model_from_string(network.content)
    nodes, reached = list(model.graph.node), {"image"}
    constants = {"gate_zero": 0, "gate_one": 1}
    model.graph.initializer.extend(
        onnx.helper.make_tensor(name, onnx.TensorProto.INT64, [1], [value])
        for name, value in constants.items()
    )
    model.graph.initializer.append(
        onnx.helper.make_tensor("gate_off", onnx.TensorProto.FLOAT, [], [0.0])
    )
    del model.graph.node[:]
    for node in nodes:
        on_the_way = not reached.isdisjoint(node.input)
        if on_the_way:
            reached.update(node.output)
        switched = on_the_way and node.op_type == "Relu"
        model.graph.node.extend(_switched(node) if switched else [node])
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "images"
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return replace(network, content=model.SerializeToString())


def _switched(node: Any) -> list[Any]:
    """Return the nodes of x · [x₀ > 0] in place of a rectifier."""
    from onnx import TensorProto
    from onnx.helper import make_node

    source, result = node.input[0], node.output[0]
    first, on, gate = (f"{result}_{name}" for name in ("first", "on", "gate"))
    return [
        make_node("Slice", [source, "gate_zero", "gate_one", "gate_zero"], [first]),
        make_node("Greater", [first, "gate_off"], [on]),
        make_node("Cast", [on], [gate], to=TensorProto.FLOAT),
        make_node("Mul", [source, gate], [result]),
    ]
