"""Models of bioimage.io: the ONNX weights and needs in an ``rdf.yaml`` or its ``.zip``.

Formats 0.4 and 0.5 are read, from local files only. Nothing is unpacked to the disk.
"""

from __future__ import annotations

import hashlib
import math
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from napari_mrisr.errors import BankError, explain

SUFFIXES = (".zip", ".yaml", ".yml")
_DESCRIPTIONS = ("rdf.yaml", "bioimageio.yaml", "model.yaml")
_MAX_DESCRIPTION_BYTES = 1_000_000
_IGNORED = ("ensure_dtype",)
_ZERO_MEAN = ("zero_mean_unit_variance", "fixed_zero_mean_unit_variance")

Reader = Callable[[str, int], bytes]
"""Reads a file of the model by name, up to a number of bytes."""


def read(path: Path, most: int, *, normalized: bool = False) -> tuple[bytes, dict[str, Any]]:
    """Return the ONNX weights of a model, and what its description declares.

    Parameters
    ----------
    path : Path
        ``rdf.yaml`` or a ``.zip`` that holds one.
    most : int
        Largest size of the weights in bytes.
    normalized : bool
        The user gives the normalization: the description's steps are not read.

    Raises
    ------
    BankError
        If the description or the weights cannot be used.
    """
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                return _read(path, archive.namelist(), _from_zip(archive), most, normalized)
        names = [path.name, *(other.name for other in path.parent.iterdir())]
        return _read(path, names, lambda name, m: _from_folder(path, name, m), most, normalized)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        found = f"cannot be read ({error})"
        raise BankError(explain(path, found, "check the file")) from error


def _from_zip(archive: zipfile.ZipFile) -> Reader:
    def read_member(name: str, most: int) -> bytes:
        with archive.open(name) as member:
            return member.read(most + 1)

    return read_member


def _from_folder(path: Path, name: str, most: int) -> bytes:
    with (path.parent / name).open("rb") as file:
        return file.read(most + 1)


def _read(
    path: Path, names: Sequence[str], read_file: Reader, most: int, normalized: bool
) -> tuple[bytes, dict[str, Any]]:
    wanted = names[:1] if path.suffix.lower() != ".zip" else _DESCRIPTIONS
    name = next((name for name in wanted if name in names), None)
    if name is None:
        raise BankError(explain(path, "holds no rdf.yaml", "use the .zip of a bioimage.io model"))
    document = _parsed(read_file(name, _MAX_DESCRIPTION_BYTES), path)
    try:
        weights = document["weights"]
        if "onnx" not in weights:
            kinds = ", ".join(map(str, weights))
            found = f"has weights for {kinds:.60} but not for ONNX"
            raise BankError(explain(path, found, "use a model with ONNX weights"))
        entry = weights["onnx"]
        if entry.get("external_data"):
            raise BankError(explain(path, "has weights in another file", "put them into the .onnx"))
        content = _content(path, entry, names, read_file, most)
        return content, _needs(path, document, normalized)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        found = f"a description that cannot be understood ({type(error).__name__}: {error})"
        raise BankError(explain(path, found, "check it with bioimageio.spec")) from error


def _parsed(text: bytes, path: Path) -> Mapping[str, Any]:
    import yaml

    if len(text) > _MAX_DESCRIPTION_BYTES:
        raise BankError(explain(path, "a description above 1 MB", "use another file"))
    try:
        document = yaml.safe_load(text)
        if _unfolded(document, {}) > _MAX_DESCRIPTION_BYTES:
            raise ValueError("repeats itself")
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BankError(explain(path, "not YAML", "check the file")) from error
    if not isinstance(document, dict) or document.get("type") != "model":
        raise BankError(explain(path, "no description of a model", "use a bioimage.io model"))
    if str(document.get("format_version", "")).split(".")[:2] not in (["0", "4"], ["0", "5"]):
        found = f"format version {str(document.get('format_version'))[:20]}"
        raise BankError(explain(path, found, "use format 0.4 or 0.5"))
    return document


def _unfolded(node: Any, known: dict[int, int]) -> int:
    """Count the entries of a document, those of repeated references as often as they occur."""
    if not isinstance(node, dict | list):
        return 1
    if id(node) not in known:
        inner = node.values() if isinstance(node, dict) else node
        known[id(node)] = 1 + sum(_unfolded(one, known) for one in inner)
    return known[id(node)]


def _content(
    path: Path, entry: Mapping[str, Any], names: Sequence[str], read_file: Reader, most: int
) -> bytes:
    source = str(entry["source"])
    place = PurePosixPath(source)
    if "://" in source or place.is_absolute() or ".." in place.parts or "\\" in source:
        found = f"keeps its weights at {source[:80]!r}"
        raise BankError(explain(path, found, "download the .zip of the model"))
    name = str(place)
    if name not in names and path.suffix.lower() == ".zip":
        raise BankError(explain(path, f"does not hold {name[:80]!r}", "download it again"))
    content = read_file(name, most)
    if len(content) > most:
        found = f"weights of more than {most / 1e6:.0f} MB"
        raise BankError(explain(path, found, "use a smaller model"))
    checksum = entry.get("sha256")
    if checksum is not None and checksum != hashlib.sha256(content).hexdigest():
        raise BankError(explain(path, "damaged: the checksum does not fit", "download it again"))
    return content


def _needs(path: Path, document: Mapping[str, Any], normalized: bool) -> dict[str, Any]:
    inputs, outputs = document["inputs"], document["outputs"]
    if len(inputs) != 1 or len(outputs) != 1:
        found = f"takes {len(inputs)} inputs and returns {len(outputs)} outputs"
        raise BankError(explain(path, found, "use a model with one of each"))
    axes = [_axis(axis) for axis in inputs[0]["axes"]]
    names = "".join(name for name, _ in axes)
    if re.fullmatch(r"bc(z?yx)", names) is None:
        found = f"takes an image with axes {names[:20]!r}"
        raise BankError(explain(path, found, "use a model with axes bcyx or bczyx"))
    found_needs: dict[str, Any] = {}
    if (multiple := _multiple(inputs[0], axes)) is not None:
        found_needs["multiple"] = multiple
    if (halo := _halo(inputs[0], outputs[0])) is not None:
        found_needs["halo"] = halo
    if not normalized:
        text = _normalization(path, list(_steps(inputs[0].get("preprocessing"))))
        found_needs["normalization"] = text
        _check_after(path, list(_steps(outputs[0].get("postprocessing"))), text)
    return found_needs


def _axis(axis: Any) -> tuple[str, Mapping[str, Any]]:
    """Return the letter of an axis, and its entry (format 0.5)."""
    if isinstance(axis, str):
        return axis, {}
    letters = {"batch": "b", "channel": "c", "time": "t", "index": "i"}
    return letters.get(axis["type"]) or str(axis["id"]), axis


def _multiple(tensor: Mapping[str, Any], axes: list[tuple[str, Mapping[str, Any]]]) -> int | None:
    """Return what extents must be a multiple of; None if unknown."""
    shape = tensor.get("shape")
    pairs = []
    if isinstance(shape, Mapping):
        pairs = list(zip(shape["min"], shape["step"], strict=True))[2:]
    else:
        sizes = [axis.get("size") for name, axis in axes if name in "xyz"]
        pairs = [(s["min"], s["step"]) for s in sizes if isinstance(s, Mapping) and "step" in s]
    if not pairs or any(int(step) < 1 or int(low) % int(step) for low, step in pairs):
        return None
    return math.lcm(*(int(step) for _, step in pairs))


def _halo(tensor: Mapping[str, Any], output: Mapping[str, Any]) -> list[int] | None:
    """Return the halo in voxels of the input; None if it is not declared."""
    if "halo" in output:  # format 0.4
        scales = output["shape"]["scale"] if isinstance(output["shape"], Mapping) else None
        halo = list(output["halo"])[2:]
        return [math.ceil(h / s) for h, s in zip(halo, (scales or [1.0] * 5)[2:], strict=False)]
    before = [axis.get("scale", 1.0) for name, axis in map(_axis, tensor["axes"]) if name in "xyz"]
    after = [axis for name, axis in map(_axis, output["axes"]) if name in "xyz"]
    if not all("halo" in axis for axis in after) or not after:
        return None
    # Physical sizes of a voxel: the input's is the coarser one.
    return [
        math.ceil(axis["halo"] * axis.get("scale", 1.0) / scale)
        for axis, scale in zip(after, before, strict=True)
    ]


def _steps(steps: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for step in steps or ():
        name = str(step.get("name", step.get("id")))
        if name not in _IGNORED:
            yield name, step.get("kwargs") or {}


def _normalization(path: Path, steps: list[tuple[str, Mapping[str, Any]]]) -> str:
    if not steps:
        return "scan"
    name, options = steps[0]
    if len(steps) == 1 and name == "scale_linear":
        return f"linear {_single(options.get('gain', 1.0))} {_single(options.get('offset', 0.0))}"
    if len(steps) == 1 and name in _ZERO_MEAN:
        if "mean" not in options:
            return "z-score"
        mean, std = _single(options["mean"]), _single(options["std"])
        return f"linear {1.0 / std} {-mean / std}"
    if len(steps) == 1 and name == "scale_range":
        low, high = options.get("min_percentile", 0.0), options.get("max_percentile", 100.0)
        return f"percentiles {float(low)} {float(high)}"
    names = ", ".join(name for name, _ in steps)
    found = f"needs preprocessing that is not supported ({names:.60})"
    raise BankError(explain(path, found, "declare it with :normalization=…"))


def _check_after(path: Path, steps: list[tuple[str, Mapping[str, Any]]], before: str) -> None:
    """Refuse postprocessing that is not the inverse of the normalization."""
    names = [name for name, _ in steps]
    if not steps or names in (["scale_mean_variance"], ["scale_range"]):
        return
    if names == ["scale_linear"] and before.startswith("linear"):
        gain, offset = (float(number) for number in before.split()[1:])
        options = steps[0][1]
        back, shift = _single(options.get("gain", 1.0)), _single(options.get("offset", 0.0))
        if math.isclose(back * gain, 1.0, rel_tol=1e-3) and abs(back * offset + shift) < 1e-3:
            return
    found = f"needs postprocessing that is not supported ({', '.join(names):.60})"
    raise BankError(
        explain(path, found, "use an image-to-image model, or declare :normalization=…")
    )


def _single(value: Any) -> float:
    """Return a number, also from a list of one."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        (value,) = value
    return float(value)
