"""File format of a filter bank: named tensors and a JSON document, in safetensors, no pickle.

The document is the entry ``napari_mrisr`` of the file's metadata. This module adds
``sha256``, a checksum of the tensors, and ``format_version``: 1, unless the document has
another. :mod:`napari_mrisr.bank.model` defines the tensors and the other entries.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.errors import BankError, explain
from napari_mrisr.io import atomic_write

FORMAT_VERSION = 3
METADATA_KEY = "napari_mrisr"

Tensors = Mapping[str, NDArray[Any]]


def write_bank_file(path: Path, document: Mapping[str, Any], tensors: Tensors) -> None:
    """Write a bank's file atomically; an existing file is replaced.

    Parameters
    ----------
    path : Path
    document : mapping
        JSON data.
    tensors : mapping of str to ndarray
    """
    from safetensors.numpy import save

    held = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    whole = {"format_version": 1, **document, "sha256": checksum(held)}
    with atomic_write(path) as temporary:
        temporary.write_bytes(save(held, {METADATA_KEY: json.dumps(whole, indent=1)}))


def read_bank_file(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what :func:`write_bank_file` wrote.

    Returns
    -------
    document : dict
        A JSON object; its entries are not checked.
    tensors : dict of str to ndarray
        Their checksum is verified.

    Raises
    ------
    BankError
        If the file is no bank, damaged, or from a later version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if METADATA_KEY not in metadata:
                raise BankError(explain(path, "no filter bank of napari-mrisr", "choose another"))
            document = json.loads(metadata[METADATA_KEY])
            if not isinstance(document, dict):
                raise BankError(explain(path, "its description is no object", "train it again"))
            _check_version(path, document)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except BankError:
        raise
    except (SafetensorError, OSError, RecursionError, ValueError) as error:
        found = f"cannot be read as safetensors ({error})"
        raise BankError(explain(path, found, "copy or train it again")) from error
    if checksum(tensors) != document.get("sha256"):
        raise BankError(explain(path, "checksum mismatch", "copy or train it again"))
    return document, tensors


def checksum(tensors: Tensors) -> str:
    """Return the SHA-256 of the tensors' names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name}{tensors[name].dtype}{tensors[name].shape}".encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()


def _check_version(path: Path, document: dict[str, Any]) -> None:
    version = document.get("format_version")
    if type(version) is not int or version < 1:
        raise BankError(explain(path, f"format version {version!r}", "train it again"))
    if version > FORMAT_VERSION:
        found = f"format version {version}, this program knows up to {FORMAT_VERSION}"
        raise BankError(explain(path, found, "update napari-mrisr"))
