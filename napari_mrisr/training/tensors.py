"""Large safetensors files, read and written in place.

The library copies each tensor while it holds the interpreter's lock, which at
hundreds of MB is felt in the window. The format is simple: the header's length
(8 bytes, little-endian), the header (JSON), the tensors one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NAMES = {"float32": "F32", "float64": "F64", "int64": "I64"}
_DTYPES = {name: np.dtype(dtype) for dtype, name in _NAMES.items()}


def write_tensors(
    path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write a safetensors file of float32, float64 and int64 tensors."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    # Larger items first, so that all lie aligned.
    names = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    end = 0
    for name in names:
        tensor = tensors[name]
        start, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": _NAMES[tensor.dtype.name],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in names:
            file.write(np.ascontiguousarray(tensors[name]).data)


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Metadata and tensors of such a file.

    Raises
    ------
    SafetensorError, OSError, KeyError
        When it is damaged, or holds other types.
    """
    from safetensors import safe_open

    # The library checks the header: sizes, order, and that the file is whole.
    with safe_open(path, framework="numpy") as checked:
        metadata = checked.metadata() or {}
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        tensors = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            dtype, (start, end) = _DTYPES[entry["dtype"]], entry["data_offsets"]
            file.seek(8 + length + start)
            flat = np.fromfile(file, dtype, (end - start) // dtype.itemsize)
            tensors[name] = flat.reshape(entry["shape"])
    return metadata, tensors
