"""Choice of the device: a GPU if one works, else the CPU.

``auto`` uses a GPU if CuPy and a device are present; ``gpu`` also says in one line why it
computes on the CPU. A device must first reproduce the CPU's result on a small volume, so an
unsuitable driver or compiler costs a line, not a result.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable

from napari_mrisr.core.progress import message_after
from napari_mrisr.errors import DeviceError, explain, install
from napari_mrisr.kernels.machine import Machine

DEVICES = ("auto", "cpu", "gpu")

Say = Callable[[str], None]

_said: set[str] = set()


def choose(wanted: str, trial: Callable[[Machine], None], say: Say) -> Machine | None:
    """Return the device to compute on.

    Parameters
    ----------
    wanted : str
        One of :data:`DEVICES`.
    trial : callable
        Computes a small volume on a device. Raises :class:`DeviceError` if the result
        differs from the CPU's, ``NotImplementedError`` if the device has no kernels for it.
    say : callable
        Receives, once per process, the reason why a GPU is not used.

    Returns
    -------
    Machine or None
        None for the CPU.
    """
    if wanted == "cpu":
        return None
    machine, why_not = _find()
    if machine is None:
        if wanted == "gpu":
            _say_once("device gpu", why_not, say)
        return None
    text = f"compiling the kernels for {machine.name} (once)"
    try:
        with message_after(1.0, say, text):
            trial(machine)
    except NotImplementedError as error:
        if wanted == "gpu":
            _say_once("device gpu", str(error), say)
        return None
    except Exception as error:  # CuPy's and CUDA's are many
        machine.release()
        _say_once(machine.name, f"fails its trial: {error}", say)
        return None
    return machine


def say_fallen_back(machine: Machine, error: Exception, say: Say) -> None:
    """Report that a device failed during a run and the CPU takes over."""
    found = "not enough memory" if isinstance(error, MemoryError) else str(error)
    _say_once(machine.name, found, say)


@functools.cache
def _find() -> tuple[Machine | None, str]:
    """Return the GPU, or None and the reason."""
    # CuPy takes a second to import.
    if importlib.util.find_spec("cupy") is None:
        return None, f"CuPy is not installed ({install('gpu')})"
    try:
        from napari_mrisr.kernels.gpu import Gpu

        return Gpu(), ""
    except DeviceError as error:
        return None, str(error)
    except Exception as error:  # a CuPy that does not fit fails in many ways
        return None, f"CuPy cannot be used: {error}"


def _say_once(subject: str, found: str, say: Say) -> None:
    text = explain(subject, found, "computing on the CPU")
    if text not in _said:
        _said.add(text)
        say(text)
