"""GPU: kernels of the folder ``cuda``, compiled and run by CuPy.

Only this module imports CuPy. Import it only after
:func:`napari_mrisr.methods.devices.choose` found CuPy installed.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import cupy
import numpy as np
from numpy.typing import NDArray

from napari_mrisr.errors import DeviceError
from napari_mrisr.kernels.machine import Array, source_of

THREADS = 128


class Gpu:
    """CuPy's current device; see :class:`napari_mrisr.kernels.machine.Machine`.

    Raises
    ------
    DeviceError
        If there is none, or its driver does not fit this CuPy.
    """

    xp = cupy
    failures = (
        MemoryError,  # CuPy's is one
        cupy.cuda.runtime.CUDARuntimeError,
        cupy.cuda.driver.CUDADriverError,
        cupy.cuda.compiler.CompileException,
    )

    def __init__(self) -> None:
        runtime = cupy.cuda.runtime
        try:
            count = runtime.getDeviceCount()
        except runtime.CUDARuntimeError as error:
            raise DeviceError(_why_none(error)) from error
        if count == 0:
            raise DeviceError("there is no CUDA device")
        self.name = runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()

    def launch(
        self,
        kernel: str,
        threads: int,
        arguments: Sequence[Any],
        *,
        parts: int = 1,
        width: int = 1,
    ) -> None:
        """See the protocol."""
        file, name = kernel.split(".")
        function = _module(file, width).get_function(name)
        function((-(-threads // THREADS), parts), (THREADS,), tuple(arguments))

    def get(self, array: Array) -> NDArray[Any]:
        """See the protocol."""
        return np.asarray(cupy.asnumpy(array))

    def free_bytes(self) -> int:
        """See the protocol."""
        free, _ = cupy.cuda.runtime.memGetInfo()
        return int(free) + int(cupy.get_default_memory_pool().free_bytes())

    def release(self) -> None:
        """See the protocol."""
        cupy.get_default_memory_pool().free_all_blocks()


@functools.cache
def _module(file: str, width: int) -> Any:
    # CuPy keeps the machine code in its own cache folder.
    return cupy.RawModule(code=source_of(file), options=(f"-DWIDTH={width}",))


def _why_none(error: Exception) -> str:
    runtime = cupy.cuda.runtime
    driver, own = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if driver == 0:
        return "there is no CUDA driver"
    if driver < own:
        found = f"the driver knows CUDA {_version(driver)}, this CuPy needs {_version(own)}"
        return f"{found} (update the driver, or install the CuPy that fits it)"
    return f"there is no CUDA device ({error})"


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
