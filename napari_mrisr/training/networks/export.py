"""Write a trained network as one ``.onnx`` file with its metadata, and read it back."""

from __future__ import annotations

import copy
import io
import json
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper

from napari_mrisr.errors import BankError, explain
from napari_mrisr.io.atomic import atomic_write
from napari_mrisr.networks.file import (
    FORMAT_VERSION,
    KEY,
    THICK,
    UNROLLED,
    NetworkFile,
    channels_of,
    weights_checksum,
)
from napari_mrisr.training.networks.architecture import BLOCKS, CONDITIONS, ThickSliceNetwork


def export(network: ThickSliceNetwork, path: Path, document: dict[str, Any]) -> None:
    """Write a network.

    Parameters
    ----------
    network : ThickSliceNetwork
    path : Path
    document : dict
        ``factors``, ``widths``, ``provenance`` and, for another than thick slices,
        ``kind`` for the metadata.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The newer exporter needs onnxscript, and names the weights otherwise.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            copy.deepcopy(network).cpu().eval(),
            (torch.zeros(1, network.head.in_channels, 8, 9, 10), torch.zeros(1, CONDITIONS)),
            buffer,
            input_names=["image", "told"],
            output_names=["coefficients"],
            dynamic_axes={
                "image": {2: "slices", 3: "rows", 4: "columns"},
                "coefficients": {2: "slices", 3: "rows", 4: "columns"},
            },
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load_model_from_string(buffer.getvalue())
    order = network.tail.out_channels
    entries = {
        "format_version": FORMAT_VERSION,
        "kind": THICK,
        "halo": network.halo,
        "order": order,
        "blocks": network.blocks,
        "sha256": weights_checksum(model),
        **document,
    }
    onnx.helper.set_model_props(model, {KEY: json.dumps(entries)})
    with atomic_write(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def restore(file: NetworkFile, kind: str) -> ThickSliceNetwork:
    """Return the network of a file, to train it further.

    A network for thick slices becomes an unrolled one of kind ``unrolled`` that computes the
    same before its training.

    Raises
    ------
    BankError
        If :func:`export` did not write it.
    """
    model = onnx.load_model_from_string(file.content)
    weights = {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in model.graph.initializer
        if tensor.name.split(".")[0] in ("head", "body", "tail", "gains")
    }
    try:
        pairs = sum(name.startswith("body.") for name in weights) // 2
        channels, inputs = weights["head.weight"].shape[:2]
        order = len(weights["tail.weight"])
        network = ThickSliceNetwork(channels, pairs, order, inputs, file.blocks)
        network.load_state_dict(weights)
        if kind == UNROLLED != file.kind:
            network = _unrolled(network)
    except (KeyError, RuntimeError) as error:
        found = "its layers are not those of a network that napari-mrisr trains"
        remedy = "start from thick-slices or from a network that you trained"
        raise BankError(explain(file.name, found, remedy)) from error
    return network


def _unrolled(network: ThickSliceNetwork) -> ThickSliceNetwork:
    """Return blocks that see the slices only and give equal parts of the coefficients."""
    order = network.tail.out_channels
    inputs = channels_of(UNROLLED, order)
    found = ThickSliceNetwork(network.channels, network.pairs, order, inputs, BLOCKS)
    weights = network.state_dict()
    head = torch.zeros_like(found.head.weight)
    head[:, :1] = weights["head.weight"]
    weights |= {"head.weight": head, "tail.weight": weights["tail.weight"] / BLOCKS}
    found.load_state_dict(weights)
    return found
