"""ONNX Runtime's sessions of a network: on the CPU, or on a GPU that gives the same result."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.errors import DeviceError, explain
from napari_mrisr.networks.file import NetworkFile
from napari_mrisr.networks.winograd import rewritten, window_matrices

_CUDA = "CUDAExecutionProvider"
# TF32 has 10 bits. An algorithm chosen by timing could change the bits between two runs.
_CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
# Largest difference of a trial, relative to the largest value.
_TOLERANCE = 1e-4
_TRIAL_VOXELS = 8
_REMEDY = "install onnxruntime-gpu in place of onnxruntime, or use cpu"


@functools.lru_cache(maxsize=8)
def session_of(network: NetworkFile, on_gpu: bool = False) -> Any:
    """Return ONNX Runtime's session, one thread per call: blocks run in threads already.

    On the CPU the network has fast convolutions (:mod:`napari_mrisr.networks.winograd`) if they
    give the same result on random numbers.
    """
    if on_gpu:
        return _session(network.content, True)
    plain, fast = _session(network.content), rewritten(network.content)
    if fast is None:
        return plain
    trial = _trial(network, plain)
    expected: NDArray[np.float32] = plain.run(None, trial)[0]
    try:
        session = _session(fast)
        found = session.run(None, {**trial, **window_matrices(trial["image"].shape[2])})[0]
    except Exception:  # ONNX Runtime's are many: the graph is none of ours
        return plain
    return session if _same(found, expected) else plain


def _session(content: bytes, on_gpu: bool = False) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it would hold memory for the largest tile so far
    options.log_severity_level = 3
    providers: list[Any] = [("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})]
    if on_gpu:
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # CUDA's libraries from pip's packages
        providers.insert(0, (_CUDA, _CUDA_OPTIONS))
    return onnxruntime.InferenceSession(content, options, providers=providers)


@functools.cache
def _run_options() -> Any:
    """Return options that give the memory of a tile back after it."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _trial(network: NetworkFile, session: Any) -> dict[str, NDArray[np.float32]]:
    """Return a small input of random numbers."""
    side = 2 * network.halo + _TRIAL_VOXELS
    channels = next(entry.shape[1] for entry in session.get_inputs() if entry.name == "image")
    shape = (1, channels, side, side + 1, side + 2)
    image = np.random.default_rng(0).random(shape, np.float32)
    return {"image": image, "told": np.array([[0.25, 0.5, 0.0]], np.float32)}


def _same(found: NDArray[np.float32], expected: NDArray[np.float32]) -> bool:
    return bool(np.abs(found - expected).max() <= _TOLERANCE * np.abs(expected).max())


def evaluate(
    network: NetworkFile, given: dict[str, NDArray[np.float32]], on_gpu: bool = False
) -> NDArray[np.float32]:
    """Return the first output of a network.

    Raises
    ------
    DeviceError
        If the GPU fails.
    """
    session = session_of(network, on_gpu)
    matrices = window_matrices(given["image"].shape[2])
    if {entry.name for entry in session.get_inputs()}.issuperset(matrices):
        given = {**given, **matrices}
    try:
        found: NDArray[np.float32] = session.run(None, given, None if on_gpu else _run_options())[0]
    except Exception as error:  # ONNX Runtime's and CUDA's are many
        if not on_gpu:
            raise
        raise DeviceError(explain("device", f"the GPU fails: {error}", "use cpu")) from error
    return found


def use_gpu(network: NetworkFile, wanted: str, say: Callable[[str], None]) -> bool:
    """Return True if a network is to run on a GPU.

    A GPU must first reproduce the CPU's result on random numbers.

    Parameters
    ----------
    network : NetworkFile
    wanted : str
        ``auto``, ``cpu`` or ``gpu``.
    say : callable
        Receives the reason why a GPU that is there is not used.

    Raises
    ------
    DeviceError
        If ``gpu`` is wanted and cannot be used.
    """
    if wanted == "cpu":
        return False
    found = _objection(network)
    if found and wanted == "gpu":
        raise DeviceError(explain("device", f"gpu, but {found}", _REMEDY))
    if found and _has_provider():
        say(explain("GPU", found, "computing on the CPU"))
    return not found


def _has_provider() -> bool:
    import onnxruntime

    return _CUDA in onnxruntime.get_available_providers()


@functools.lru_cache(maxsize=8)
def _objection(network: NetworkFile) -> str:
    """Return why a GPU cannot run a network; empty if it can."""
    if not _has_provider():
        return "this ONNX Runtime has no CUDA"
    given = _trial(network, session_of(network))
    expected = evaluate(network, given)
    try:
        if session_of(network, True).get_providers()[0] != _CUDA:
            return "ONNX Runtime cannot start CUDA"
        result = evaluate(network, given, True)
    except Exception as error:  # ONNX Runtime's and CUDA's are many
        return f"ONNX Runtime cannot use CUDA: {error}"
    if not _same(result, expected):
        return "it fails its trial: a small volume differs from the CPU's"
    return ""
