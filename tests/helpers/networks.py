"""Tiny networks with known weights, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from napari_mrisr.networks.file import FORMAT_VERSION, KEY, weights_checksum


def convolution_model(kernel: np.ndarray, **document: Any) -> onnx.ModelProto:
    """A network of one convolution without padding.

    ``kernel`` has the shape (order, 1, k, k, k): a coefficient per first index, axes slices,
    rows, columns.
    """
    size = kernel.shape[-1]
    shape = [1, 1, "s", "r", "c"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "kernel"], ["coefficients"])],
        "tiny",
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("told", TensorProto.FLOAT, [1, 3]),
        ],
        [helper.make_tensor_value_info("coefficients", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(kernel.astype(np.float32), "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    described(model, halo=size // 2, order=len(kernel), **document)
    return model


def described(model: onnx.ModelProto, **document: Any) -> None:
    """Write the metadata of a network."""
    entries = {
        "format_version": FORMAT_VERSION,
        "factors": [1.5, 9.0],
        "widths": [0.7, 1.3],
        "provenance": {"volumes": []},
        "sha256": weights_checksum(model),
        **document,
    }
    helper.set_model_props(model, {KEY: json.dumps(entries)})


def save_model(model: onnx.ModelProto, path: Path) -> Path:
    """Write a network file."""
    path.write_bytes(model.SerializeToString())
    return path
