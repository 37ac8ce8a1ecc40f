"""ONNX Runtime's sessions of a network: on the CPU, or on a GPU that gives the same result."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.errors import DeviceError, explain
from napari_mrisr.networks.file import NetworkFile

_CUDA = "CUDAExecutionProvider"
# TF32 has 10 bits. An algorithm chosen by timing could change the bits between two runs.
_CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
# Largest difference of the trial, relative to the largest value.
_TOLERANCE = 1e-4
_TRIAL_VOXELS = 8
_REMEDY = "install onnxruntime-gpu in place of onnxruntime, or use cpu"


@functools.lru_cache(maxsize=8)
def session_of(network: NetworkFile, on_gpu: bool = False) -> Any:
    """Return ONNX Runtime's session, one thread per call: blocks run in threads already."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # the arena would hold half as much again
    options.log_severity_level = 3
    providers: list[Any] = ["CPUExecutionProvider"]
    if on_gpu:
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # CUDA's libraries from pip's packages
        providers.insert(0, (_CUDA, _CUDA_OPTIONS))
    return onnxruntime.InferenceSession(network.content, options, providers=providers)


def evaluate(
    network: NetworkFile, given: dict[str, NDArray[np.float32]], on_gpu: bool = False
) -> NDArray[np.float32]:
    """Return the first output of a network.

    Raises
    ------
    DeviceError
        If the GPU fails.
    """
    try:
        found: NDArray[np.float32] = session_of(network, on_gpu).run(None, given)[0]
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
    side = 2 * network.halo + _TRIAL_VOXELS
    image = np.random.default_rng(0).random((1, 1, side, side, side), np.float32)
    given = {"image": image, "told": np.array([[0.25, 0.5, 0.0]], np.float32)}
    expected = evaluate(network, given)
    try:
        if session_of(network, True).get_providers()[0] != _CUDA:
            return "ONNX Runtime cannot start CUDA"
        result = evaluate(network, given, True)
    except Exception as error:  # ONNX Runtime's and CUDA's are many
        return f"ONNX Runtime cannot use CUDA: {error}"
    if np.abs(result - expected).max() > _TOLERANCE * np.abs(expected).max():
        return "it fails its trial: a small volume differs from the CPU's"
    return ""
