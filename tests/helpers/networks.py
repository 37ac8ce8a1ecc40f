"""Tiny networks with known weights, as files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from napari_mrisr.core.percentiles import go_on
from napari_mrisr.errors import BankError
from napari_mrisr.networks.file import (
    DENOISER,
    FORMAT_VERSION,
    KEY,
    THICK,
    channels_of,
    weights_checksum,
)
from napari_mrisr.training.networks import run


def convolution_model(kernel: np.ndarray, **document: Any) -> onnx.ModelProto:
    """A network of one convolution, with zeros beyond the image.

    ``kernel`` has the shape (order, channels, k, k, k): a coefficient per first index, axes
    slices, rows, columns.
    """
    size = kernel.shape[-1]
    shape = [1, kernel.shape[1], "s", "r", "c"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "kernel"], ["coefficients"], pads=[size // 2] * 6)],
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


class CountingLoop:
    """A training without PyTorch: its network is the number of its steps."""

    place = "CPU, counting"
    step_s = 0.0

    def __init__(self, images: Any, parameters: run.NetworkParameters, start: Any) -> None:
        self.images, self.start, self.kind = images, start, parameters.kind
        self.step, self.steps = 0, parameters.steps

    def advance(self, check: Callable[[], None] = go_on) -> float:
        time.sleep(self.step_s)
        self.step += 1
        return 1.0 / self.step

    def gain(self, held: Any, factor: float, check: Callable[[], None] = go_on) -> float:
        return self.step / 1000 + factor

    def save(self, path: Path, identity: Any = None) -> None:
        path.write_text(json.dumps([self.step, identity]))

    def load(self, path: Path, identity: Any = None) -> None:
        step, known = json.loads(path.read_text())
        if known != identity:
            raise BankError("another training")
        self.step = step

    def export(self, path: Path, document: dict[str, Any]) -> None:
        order = 1 if self.kind == DENOISER else 8
        shape = (order, channels_of(self.kind, order), 3, 3, 3)
        kernel = np.full(shape, self.step, np.float32)
        kind = {} if self.kind == THICK else {"kind": self.kind}
        save_model(convolution_model(kernel, **kind, **document), path)


def train_by_counting(monkeypatch: pytest.MonkeyPatch, step_s: float = 0.0) -> list[CountingLoop]:
    """Train networks without PyTorch; return the loops as they are opened."""
    opened: list[CountingLoop] = []

    def open_loop(images: Any, parameters: Any, start: Any, **_: Any) -> CountingLoop:
        opened.append(CountingLoop(images, parameters, start))
        opened[-1].step_s = step_s
        return opened[-1]

    monkeypatch.setattr(run, "open_loop", open_loop)
    monkeypatch.setattr(run, "require_torch", lambda: None)
    return opened


def plain_model(
    nodes: list[onnx.NodeProto],
    weights: dict[str, np.ndarray] | None = None,
    shape: tuple[object, ...] = (1, 1, "d", "h", "w"),
    metadata: dict[str, Any] | None = None,
) -> onnx.ModelProto:
    """A network from ``image`` to ``result``, as other programs export it."""
    graph = helper.make_graph(
        nodes,
        "plain",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(
                np.asarray(value, np.float32 if np.asarray(value).dtype.kind == "f" else None), name
            )
            for name, value in (weights or {}).items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if metadata:
        helper.set_model_props(model, {"napari_mrisr_model": json.dumps(metadata)})
    return model


def copy_model(*factors: int, **options: Any) -> onnx.ModelProto:
    """A network of one axis per factor that copies the nearest voxel."""
    kernel = np.ones((1, 1, *factors))
    node = helper.make_node("ConvTranspose", ["image", "kernel"], ["result"], strides=list(factors))
    shape = (1, 1, *(f"n{axis}" for axis in range(len(factors))))
    return plain_model([node], {"kernel": kernel}, **{"shape": shape, **options})


def filter_model(kernel: np.ndarray, *, valid: bool = False, **options: Any) -> onnx.ModelProto:
    """A network of one convolution with zeros beyond its edges, or none with ``valid``."""
    pads = [0 if valid else n // 2 for n in kernel.shape] * 2
    node = helper.make_node("Conv", ["image", "kernel"], ["result"], pads=pads)
    shape = (1, 1, *(f"n{axis}" for axis in range(kernel.ndim)))
    return plain_model([node], {"kernel": kernel[None, None]}, **{"shape": shape, **options})
