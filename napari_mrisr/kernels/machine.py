"""Interface that runs the kernels of the folder ``cuda``: a GPU, or the CPU in the tests.

:mod:`napari_mrisr.kernels.gpu_kernels` and :mod:`napari_mrisr.methods.on_device` use only
this interface, so they and the kernels are tested without a GPU: the tests compile the same
sources with a C++ compiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = Any
"""An array of the machine: numpy's or cupy's."""


class Machine(Protocol):
    """Arrays, and kernels to run on them.

    Attributes
    ----------
    name : str
        Name for messages: ``NVIDIA H200``.
    xp : module
        numpy, or cupy with the same functions.
    failures : tuple of exception types
        Exceptions of a failed run, among them ``MemoryError``.
    """

    @property
    def name(self) -> str:
        """See the class."""
        ...

    @property
    def xp(self) -> Any:
        """See the class."""
        ...

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """See the class."""
        ...

    def launch(
        self,
        kernel: str,
        threads: int,
        arguments: Sequence[Any],
        *,
        parts: int = 1,
        width: int = 1,
    ) -> None:
        """Run a kernel.

        Parameters
        ----------
        kernel : str
            File and function: ``rows.apply_rows``.
        threads : int
            Number along the grid's first axis; the kernel handles a remainder.
        arguments : sequence
            Arrays of the machine, C contiguous, and numpy scalars of the
            kernel's own types.
        parts : int
            Size of the grid's second axis.
        width : int
            The macro ``WIDTH``.
        """
        ...

    def get(self, array: Array) -> NDArray[Any]:
        """Return a copy in the CPU's memory after all kernels ended."""
        ...

    def free_bytes(self) -> int:
        """Return the bytes that arrays may still use."""
        ...

    def release(self) -> None:
        """Free the memory of deleted arrays for other programs."""
        ...


def source_of(file: str) -> str:
    """Return the text of a file of kernels by its name without the suffix."""
    folder = resources.files("napari_mrisr.kernels") / "cuda"
    return (folder / f"{file}.cu").read_text("utf-8")


def int32(*numbers: int) -> list[np.int32]:
    """Convert numbers to the kernels' type."""
    return [np.int32(number) for number in numbers]
