"""The CUDA kernels compiled for this processor, so that they are tested without a GPU.

A few definitions stand in for CUDA's words; each kernel gets a function that
walks over the grid's blocks and threads. What differs from a GPU: threads run
one after another, and nothing checks how memory is accessed in parallel.
"""

from __future__ import annotations

import ctypes
import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_mrisr.kernels.machine import source_of

COMPILER = shutil.which("g++") or shutil.which("clang++")
THREADS = 64

_WORDS = """
#include <cmath>
#include <cstddef>
using namespace std;
#define __global__
#define __device__
#define __restrict__
struct Numbers { unsigned x, y, z; };
static Numbers blockIdx, threadIdx, blockDim, gridDim;
struct float4 { float x, y, z, w; };
template <class T> static inline T __ldg(const T* at) { return *at; }
"""

_WALK = """
extern "C" void walk_{name}(unsigned blocks, unsigned parts, unsigned threads{declared})
{{
    gridDim = {{blocks, parts, 1}}, blockDim = {{threads, 1, 1}};
    for (blockIdx.y = 0; blockIdx.y < parts; ++blockIdx.y)
        for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x)
            for (threadIdx.x = 0; threadIdx.x < threads; ++threadIdx.x) {name}({passed});
}}
"""

_KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
_SCALARS = {"int32": ctypes.c_int, "float32": ctypes.c_float}


class HostMachine:
    """See :class:`napari_mrisr.kernels.machine.Machine`.

    Attributes
    ----------
    free : int
        What :meth:`free_bytes` says.
    launched : list of str
        Kernels run, in order.
    refuse_above : int
        Threads of a launch above which there is no memory.
    """

    name = "this processor"
    xp = np
    failures = (MemoryError, RuntimeError)

    def __init__(self) -> None:
        self.free = 2**40
        self.launched: list[str] = []
        self.refuse_above = 2**40
        self.released = 0

    def launch(
        self,
        kernel: str,
        threads: int,
        arguments: Sequence[Any],
        *,
        parts: int = 1,
        width: int = 1,
    ) -> None:
        if threads > self.refuse_above:
            raise MemoryError(f"{kernel}: {threads} threads")
        self.launched.append(kernel)
        file, name = kernel.split(".")
        function = getattr(_compiled(file, width), f"walk_{name}")
        blocks = -(-threads // THREADS)
        function(blocks, parts, THREADS, *(_passed(argument) for argument in arguments))

    def get(self, array: np.ndarray) -> np.ndarray:
        return array.copy()

    def free_bytes(self) -> int:
        return self.free

    def release(self) -> None:
        self.released += 1


def _passed(argument: Any) -> Any:
    if isinstance(argument, np.ndarray):
        assert argument.flags.c_contiguous
        return ctypes.c_void_p(argument.ctypes.data)
    # Python's own numbers have no width, and on a GPU would be passed as eight bytes.
    assert isinstance(argument, np.generic), type(argument)
    return _SCALARS[argument.dtype.name](argument.item())


@functools.cache
def _compiled(file: str, width: int) -> Any:
    source = source_of(file)
    text = _WORDS + source
    for name, declared in _KERNEL.findall(source):
        passed = ", ".join(re.findall(r"(\w+)\s*(?:,|$)", declared))
        text += _WALK.format(name=name, declared=", " + declared, passed=passed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.cpp"
        path.write_text(text)
        out = path.with_suffix(".so")
        # As in a kernel, only what is written as fmaf is rounded once.
        options = ["-O2", "-march=native", "-ffp-contract=off", "-shared", "-fPIC", "-w"]
        command = [COMPILER, *options, f"-DWIDTH={width}", str(path), "-o", str(out)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return ctypes.CDLL(str(out))
