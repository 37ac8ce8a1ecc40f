"""A network file: one ``.onnx`` with its metadata, checked before anything runs.

An ``.onnx`` file is a program. The loader reads it as data first and refuses, by name, whatever
a network of ours does not need: external data, loops and other subgraphs, operators of other
domains, sizes beyond :data:`MAX_BYTES`, a wrong checksum. Only then ONNX Runtime sees it.

The metadata key ``napari_mrisr`` holds JSON: ``format_version``, ``kind``, ``halo``, ``order``,
the ranges of slice factor and width in training, ``provenance``, ``sha256`` over the weights,
``calibration`` (:func:`with_metadata` adds it later), and ``blocks`` of an unrolled network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_mrisr.errors import BankError, explain

KEY = "napari_mrisr"
FORMAT_VERSION = 1
THICK, ISOTROPIC = "thick-slices", "isotropic"
"""Kinds of networks of the method ``network``: along one axis, or along all axes alike."""
UNROLLED, DENOISER = "unrolled", "denoiser"
"""Kinds of the iterative methods: a block that is repeated, and one that estimates noise."""
MAX_BYTES = 64_000_000
_MAX_NODES = 2_000
_MAX_BLOCKS = 16
# Operators of our networks, and of their likely successors; all act on their inputs alone.
_OPERATORS = {"Add", "Concat", "Constant", "Conv", "Gather", "Gemm", "Identity", "MatMul", "Mul"}
_OPERATORS |= {"Relu", "Reshape", "Shape", "Slice", "Squeeze", "Sub", "Transpose", "Unsqueeze"}

_REMEDY = "use a file that napari-mrisr wrote"


@dataclass(frozen=True, eq=False)
class NetworkFile:
    """A network that passed the checks.

    Attributes
    ----------
    name : str
    content : bytes
        The file, for ONNX Runtime.
    halo : int
        Low-resolution voxels read around a voxel along every axis.
    order : int
        Legendre coefficients per low-resolution voxel; for isotropic factors products of
        polynomials along x, y and z.
    factors, widths : (low, high)
        Ranges in training: slice distance over pixel size, slice thickness over distance.
    provenance : dict
        Training volumes, licenses, command, date, and the ranges of traits.
    kind : str
        :data:`THICK`, :data:`ISOTROPIC`, :data:`UNROLLED` or :data:`DENOISER`.
    calibration : dict
        Expected error by slice factor
        (:class:`~napari_mrisr.bank.calibration.CalibrationSeries`); may be empty.
    blocks : int
        Number of times that an unrolled network runs.
    """

    name: str
    content: bytes = field(repr=False)
    halo: int
    order: int
    factors: tuple[float, float]
    widths: tuple[float, float]
    provenance: dict[str, Any]
    kind: str = THICK
    calibration: dict[str, Any] = field(default_factory=dict, repr=False)
    blocks: int = 1


def load_network(path: str | Path) -> NetworkFile:
    """Read and check a network file.

    Raises
    ------
    BankError
        If it cannot be read, or holds anything that a network of ours does not need.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            found = f"{size / 1e6:.0f} MB, more than {MAX_BYTES / 1e6:.0f} MB"
            raise BankError(explain(path, found, _REMEDY))
        content = path.read_bytes()
    except OSError as error:
        found = f"cannot be read ({error.strerror or error})"
        raise BankError(explain(path, found, "check the path")) from error
    return parse_network(content, path.name.removesuffix(".onnx"))


def parse_network(content: bytes, name: str) -> NetworkFile:
    """Check the bytes of a network file; see :func:`load_network`."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError, RecursionError) as error:
        raise BankError(explain(name, "not an ONNX file", _REMEDY)) from error
    if reason := objection(model, _OPERATORS):
        raise BankError(explain(name, reason, _REMEDY))
    entries = {entry.key: entry.value for entry in model.metadata_props}
    if KEY not in entries:
        raise BankError(explain(name, f"no metadata {KEY!r}", _REMEDY))
    try:
        document = json.loads(entries[KEY])
        version, checksum = document["format_version"], document["sha256"]
        halo, order = int(document["halo"]), int(document["order"])
        if not (1 <= halo <= 64 and 1 <= order <= 64):
            raise ValueError("halo or order out of range")
        blocks = int(document.get("blocks", 1))
        if not 1 <= blocks <= _MAX_BLOCKS:
            raise ValueError("blocks out of range")
        factors, widths = _pair(document["factors"]), _pair(document["widths"])
        provenance = dict(document["provenance"])
        kind = str(document.get("kind", THICK))
        calibration = dict(document.get("calibration", {}))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BankError(explain(name, "metadata cannot be understood", _REMEDY)) from error
    if version != FORMAT_VERSION:
        found = f"format version {version!r:.20}"
        raise BankError(explain(name, found, "update napari-mrisr"))
    if checksum != weights_checksum(model):
        raise BankError(explain(name, "damaged: the checksum does not fit", "copy it again"))
    if kind not in (THICK, ISOTROPIC, UNROLLED, DENOISER):
        raise BankError(explain(name, f"network for {kind[:40]!r}", "update napari-mrisr"))
    if kind in (UNROLLED, DENOISER):
        _check_channels(model, name, kind, order)
    return NetworkFile(
        name, content, halo, order, factors, widths, provenance, kind, calibration, blocks
    )


def channels_of(kind: str, order: int) -> int:
    """Return the input channels: an unrolled block sees the slices, their change and its output."""
    return 2 + order if kind == UNROLLED else 1


def _check_channels(model: Any, name: str, kind: str, order: int) -> None:
    dims = list(model.graph.input[0].type.tensor_type.shape.dim) if model.graph.input else []
    found, expected = dims[1].dim_value if len(dims) == 5 else 0, channels_of(kind, order)
    if found != expected:
        raise BankError(explain(name, f"{found} input channels, not {expected}", _REMEDY))
    if kind == DENOISER and order != 1:
        raise BankError(explain(name, f"a denoiser of {order} output channels", _REMEDY))


def with_metadata(content: bytes, **entries: Any) -> bytes:
    """Return a network file with other metadata entries; weights and other entries stay."""
    import onnx

    model = onnx.load_model_from_string(content)
    known = {entry.key: entry.value for entry in model.metadata_props}
    known[KEY] = json.dumps({**json.loads(known[KEY]), **entries})
    onnx.helper.set_model_props(model, known)
    return bytes(model.SerializeToString())


def weights_checksum(model: Any) -> str:
    """Return the SHA-256 over graph and weights, without the metadata."""
    return hashlib.sha256(model.graph.SerializeToString(deterministic=True)).hexdigest()


def _pair(value: Any) -> tuple[float, float]:
    low, high = (float(v) for v in value)
    if not 0.0 < low <= high < 1e3:
        raise ValueError("range")
    return low, high


def objection(model: Any, operators: Set[str], most: int = MAX_BYTES) -> str:
    """Return why a model is refused; empty for ``operators`` alone and ``most`` weights."""
    import onnx

    if model.functions:
        return "defines functions of its own"
    graph = model.graph
    if len(graph.node) > _MAX_NODES:
        return f"{len(graph.node)} operations, more than {_MAX_NODES}"
    if graph.sparse_initializer or model.training_info:
        return "holds sparse weights or training information"
    tensors = list(graph.initializer)
    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            return f"operator of another domain ({node.domain[:40]})"
        if node.op_type not in operators:
            return f"operator {node.op_type[:40]}, which is not allowed"
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                return f"operator {node.op_type[:40]} with a subgraph"
            tensors += [attribute.t] if attribute.HasField("t") else []
            tensors += attribute.tensors
    total = 0
    for tensor in tensors:
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            return "weights in another file"
        count = 1
        for n in tensor.dims:
            if not 0 <= n <= most:
                return "weights of an impossible shape"
            count *= max(1, n)
        total += count
        if total > most:
            return "weights of an impossible size"
    return ""
