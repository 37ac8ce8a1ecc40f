"""A foreign network: any exported ``.onnx`` file, checked before anything runs.

The file is read as data first. Refused by name are: external data, loops and other subgraphs,
operators outside a closed list, functions and operators of other domains, weights and
intermediate images of impossible size, and anything but one image in and one image out. ONNX
Runtime works on one thread per call within a memory limit of its own.

Needs (:mod:`napari_mrisr.networks.needs`) come from options, a JSON file of the same name beside
the network, the metadata entry ``napari_mrisr_model`` or a bioimage.io description, in this
order; the others are found by probing (:mod:`napari_mrisr.networks.probe`).
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.errors import BankError, explain
from napari_mrisr.networks import bioimage
from napari_mrisr.networks.file import KEY as OWN_KEY
from napari_mrisr.networks.file import objection
from napari_mrisr.networks.needs import NetworkNeeds

KEY = "napari_mrisr_model"
SUFFIXES = (".onnx", *bioimage.SUFFIXES)
MAX_BYTES = 256_000_000
_MAX_SIDECAR_BYTES = 100_000
# Values of one intermediate image at the probe's size, and bytes of all images at run time.
_MAX_VALUES = 1_000_000_000
_ARENA_BYTES = 4_000_000_000
_REMEDY = "export a plain network: one image in, one image out, weights inside"

_ALLOWED = """
Abs Add And AveragePool BatchNormalization Cast CastLike Ceil Clip Concat Constant
ConstantOfShape Conv ConvTranspose Cos DepthToSpace Div Dropout Einsum Elu Equal Erf Exp Expand
Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater
GreaterOrEqual GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization
LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max MaxPool Mean
MeanVarianceNormalization Min Mish Mod Mul Neg Not Or PRelu Pad Pow Range Reciprocal ReduceL1
ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize
Round ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Size Slice Softmax Softplus Softsign
Split Sqrt Squeeze Sub Sum Tanh ThresholdedRelu Tile Transpose Trilu Unsqueeze Upsample Where Xor
"""
_OPERATORS = frozenset(_ALLOWED.split())


@dataclass(frozen=True, eq=False)
class ForeignNetwork:
    """A network that passed the checks, ready to run.

    Attributes
    ----------
    name : str
        Name of the file.
    content : bytes
        The ``.onnx`` file.
    extents : tuple of int or None
        Extents of the input along the network's axes, slowest first; None for any.
    channels : int
        1, 2 for real and imaginary part, or 3 for a color network: the image is repeated and the
        result averaged.
    needs : NetworkNeeds
        As declared; see :func:`napari_mrisr.networks.probe.probed` for the rest.
    """

    name: str
    content: bytes = field(repr=False)
    extents: tuple[int | None, ...]
    channels: int
    needs: NetworkNeeds

    @property
    def sha256(self) -> str:
        """Checksum of the ``.onnx`` file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def dimensions(self) -> int:
        """3 for a network of volumes, 2 for one of slices."""
        return len(self.extents)

    @property
    def is_complex(self) -> bool:
        """True for a network of real and imaginary part."""
        return self.channels == 2

    @functools.cached_property
    def _session(self) -> Any:
        import onnxruntime

        _limit_memory()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.use_env_allocators", "1")
        return onnxruntime.InferenceSession(
            self.content, options, providers=["CPUExecutionProvider"]
        )

    def run(self, image: NDArray[Any]) -> NDArray[Any]:
        """Run the network.

        Parameters
        ----------
        image : ndarray of float32, or of complex64
            Along the network's axes.

        Returns
        -------
        ndarray of float32, or of complex64 for a network of real and imaginary part

        Raises
        ------
        BankError
            If ONNX Runtime refuses the network or the shape, or the result is no image.
        """
        if self.is_complex:
            given = np.stack([image.real, image.imag])[None].astype(np.float32)
        else:
            given = np.ascontiguousarray(image, np.float32)[None, None]
            given = np.repeat(given, self.channels, axis=1)
        try:
            session = self._session
            found = session.run(None, {session.get_inputs()[0].name: given})[0]
        except Exception as error:  # ONNX Runtime has no common class
            reason = " ".join(str(error).split())[-160:]
            shape = " × ".join(map(str, image.shape))
            found = f"cannot be run on an image of {shape} ({reason})"
            raise BankError(explain(self.name, found, _REMEDY)) from error
        found = np.asarray(found)
        channels = (2,) if self.is_complex else (1, 3)
        is_image = found.ndim == given.ndim and found.dtype == np.float32
        if not is_image or found.shape[1] not in channels:
            text = f"returns {found.dtype} of shape {found.shape}, which is no image"
            raise BankError(explain(self.name, text, _REMEDY))
        if not np.isfinite(found).all():
            raise BankError(explain(self.name, "returns values that are not finite", _REMEDY))
        if self.is_complex:
            return np.asarray(found[0, 0] + np.complex64(1j) * found[0, 1])
        return np.asarray(found[0].mean(axis=0, dtype=np.float32))


def split_spec(spec: str) -> tuple[Path, dict[str, str]]:
    """Split ``FILE.onnx:plane=coronal:halo=8`` into the path and the options."""
    ends = "|".join(re.escape(suffix) for suffix in SUFFIXES)
    match = re.fullmatch(rf"(.*?(?:{ends}))(:.*)?", spec, re.IGNORECASE | re.DOTALL)
    if match is None:
        return Path(spec), {}
    options = {}
    # Values may hold colons: degradation=slice-profile:boxcar:1.
    for part in re.split(r":(?=[^:=]*=)", match[2] or "")[1:]:
        name, _, value = part.partition("=")
        options[name.strip()] = value.strip()
    if match[2] and not options:
        found = f"cannot read option {match[2][1:41]!r}"
        raise BankError(explain(match[1], found, "give NAME=VALUE, such as plane=coronal"))
    return Path(match[1]), options


def is_foreign(spec: str) -> bool:
    """Return True for a network file that napari-mrisr did not write, or an unreadable one."""
    path, _ = split_spec(spec)
    if path.suffix.lower() != ".onnx":
        return path.suffix.lower() in SUFFIXES
    try:
        model = _parsed(_read(path), path)
    except BankError:
        return True  # loading it says why
    return all(entry.key != OWN_KEY for entry in model.metadata_props)


def load_foreign(spec: str) -> ForeignNetwork:
    """Read and check a foreign network; see the module.

    Parameters
    ----------
    spec : str
        Path of an ``.onnx`` file, or of the ``rdf.yaml`` or ``.zip`` of a bioimage.io model;
        options may follow, such as ``:plane=coronal``.

    Raises
    ------
    BankError
        If it cannot be read or is refused.
    """
    path, options = split_spec(spec)
    needs = NetworkNeeds()
    if path.suffix.lower() in bioimage.SUFFIXES:
        content, described = bioimage.read(path, MAX_BYTES, normalized="normalization" in options)
        needs = needs.declared(described, "bioimage.io", path)
    else:
        content = _read(path)
    model = _parsed(content, path)
    if reason := objection(model, _OPERATORS, MAX_BYTES):
        raise BankError(explain(path, reason, _REMEDY))
    entries = {entry.key: entry.value for entry in model.metadata_props}
    if KEY in entries:
        needs = needs.declared(_json(entries[KEY], path, f"metadata {KEY}"), "metadata", path)
    sidecar = path.with_suffix(".json")
    if sidecar.is_file():
        text = _read(sidecar, _MAX_SIDECAR_BYTES).decode("utf-8", "replace")
        needs = needs.declared(_json(text, sidecar, "file"), "sidecar", sidecar)
    needs = needs.declared(options, "option", path)
    extents, channels = _image_in(model, path, is_complex=needs.channels == "complex")
    _check_sizes(model, path, extents, channels)
    return ForeignNetwork(path.name, content, extents, channels, needs)


def _read(path: Path, most: int = MAX_BYTES) -> bytes:
    try:
        size = path.stat().st_size
        if size > most:
            found = f"{size / 1e6:.1f} MB, more than {most / 1e6:.1f} MB"
            raise BankError(explain(path, found, "use a smaller file"))
        return path.read_bytes()
    except OSError as error:
        found = f"cannot be read ({error.strerror or error})"
        raise BankError(explain(path, found, "check the path")) from error


def _parsed(content: bytes, path: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError, RecursionError) as error:
        raise BankError(explain(path, "not an ONNX file", _REMEDY)) from error
    if not model.graph.node:
        raise BankError(explain(path, "not an ONNX file", _REMEDY))
    return model


def _json(text: str, path: Path, place: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BankError(explain(path, f"{place} is not JSON", "correct it")) from error
    if not isinstance(document, dict):
        raise BankError(explain(path, f"{place} is no JSON object", "correct it"))
    return document


def _image_in(model: Any, path: Path, *, is_complex: bool) -> tuple[tuple[int | None, ...], int]:
    """Return the extents and channels of the only input."""
    from onnx import TensorProto

    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1 or len(graph.output) != 1:
        found = f"takes {len(inputs)} inputs and returns {len(graph.output)} outputs"
        raise BankError(explain(path, found, _REMEDY))
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type != TensorProto.FLOAT:
        kind = TensorProto.DataType.Name(tensor.elem_type).lower()
        raise BankError(explain(path, f"takes {kind}, not float32", "export it in float32"))
    shape = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
    if len(shape) not in (4, 5):
        found = f"takes an array of {len(shape)} axes"
        remedy = "export it with 4 (batch, channel, rows, columns) or 5 axes (volumes)"
        raise BankError(explain(path, found, remedy))
    batch, channels, *extents = shape
    if batch not in (None, 0, 1) or channels not in ((None, 2) if is_complex else (None, 1, 3)):
        found = f"takes a batch of {batch} images of {channels} channels"
        remedy = "export it for one image of 1 or 3 channels"
        if is_complex:
            found += ", but declares channels complex"
            remedy = "export it for one image of 2 channels, real and imaginary part"
        elif channels == 2:
            remedy = "declare channels complex if they are real and imaginary part"
        raise BankError(explain(path, found, remedy))
    known = [extent or None for extent in extents]
    if any(extent is not None and not 8 <= extent <= 1024 for extent in known):
        found = f"takes images of {' × '.join(map(str, known))} voxels"
        raise BankError(explain(path, found, "export it for 8 to 1024 voxels per axis, or any"))
    return tuple(known), channels or (2 if is_complex else 1)


def _check_sizes(model: Any, path: Path, extents: tuple[int | None, ...], channels: int) -> None:
    """Refuse intermediate images of impossible size, by shape inference on a small image."""
    import onnx

    trial = onnx.ModelProto()
    trial.CopyFrom(model)
    weights = {tensor.name for tensor in trial.graph.initializer}
    value = next(value for value in trial.graph.input if value.name not in weights)
    sizes = [1, channels, *(extent or 64 for extent in extents)]
    for dimension, size in zip(value.type.tensor_type.shape.dim, sizes, strict=True):
        dimension.dim_value = size
    for output in trial.graph.output:
        output.type.tensor_type.ClearField("shape")
    del trial.graph.value_info[:]
    try:
        trial = onnx.shape_inference.infer_shapes(trial, data_prop=True)
    except Exception as error:  # onnx has no common class
        reason = " ".join(str(error).split())[:120]
        raise BankError(explain(path, f"not a valid network ({reason})", _REMEDY)) from error
    for value in (*trial.graph.value_info, *trial.graph.output):
        count = 1
        for dimension in value.type.tensor_type.shape.dim:
            count *= max(1, dimension.dim_value)
        if count > _MAX_VALUES:
            found = f"makes an image of {count:.1e} values ({value.name[:40]})"
            raise BankError(explain(path, found, _REMEDY))


@functools.cache
def _limit_memory() -> None:
    """Give ONNX Runtime one arena of limited size for all foreign networks."""
    import onnxruntime as ort

    memory = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg({"max_mem": _ARENA_BYTES}))
