"""What runs the kernels of the folder ``cuda``: a GPU, or in the tests this processor.

The orchestration (:mod:`napari_mrisr.kernels.gpu_kernels`,
:mod:`napari_mrisr.methods.on_device`) knows only this interface, so the very
kernels and the very orchestration are tested where there is no GPU: the tests
compile the same sources with a C++ compiler.
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
        For a person: ``NVIDIA H200``.
    xp : module
        numpy, or cupy with the same functions.
    failures : tuple of exception types
        What is raised when it fails at work, ``MemoryError`` among them.
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
            How many along the grid's first axis; the kernel sees to a rest.
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
        """A copy in the processor's memory, once all kernels before have ended."""
        ...

    def free_bytes(self) -> int:
        """Memory that arrays may still take."""
        ...

    def release(self) -> None:
        """Give memory of dropped arrays back to other programs."""
        ...


def source_of(file: str) -> str:
    """The text of a file of kernels, by its name without the extension."""
    folder = resources.files("napari_mrisr.kernels") / "cuda"
    return (folder / f"{file}.cu").read_text("utf-8")


def int32(*numbers: int) -> list[np.int32]:
    """Numbers as kernels take them."""
    return [np.int32(number) for number in numbers]
