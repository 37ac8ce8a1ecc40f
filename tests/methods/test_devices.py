"""Which device is chosen, and what is said of it."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial
from types import ModuleType

import numpy as np
import pytest
from helpers.host_machine import COMPILER, HostMachine

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.methods import devices, get_method
from napari_mrisr.methods.devices import _find, choose, say_fallen_back
from napari_mrisr.methods.on_device import try_out
from napari_mrisr.run.upscale import UpscaleParameters, run

TRICUBIC = get_method("tricubic", (2, 1, 3))
TRIAL = partial(try_out, TRICUBIC)

needs_compiler = pytest.mark.skipif(
    COMPILER is None, reason="no C++ compiler to try the CUDA kernels with"
)


@pytest.fixture
def found(monkeypatch):
    """Have a machine found, or None and a reason."""

    def set_found(machine, why_not=""):
        monkeypatch.setattr(devices, "_find", lambda: (machine, why_not))

    return set_found


class NoMethod:
    name, scale, halo = "mine", (2, 2, 2), None


class Wrong(HostMachine):
    """Arithmetic that is a little off."""

    def get(self, array):
        return array + np.float32(2e-4)


class Broken(HostMachine):
    def launch(self, *arguments, **more):
        raise RuntimeError("no kernel image\nis available")


def test_gpu_without_one_says_why_once(found):
    found(None, "there is no CUDA device")
    said = []
    for _ in range(2):
        assert choose("gpu", TRIAL, said.append) is None
    assert said == ["device gpu: there is no CUDA device; computing on the CPU"]


def test_auto_without_one_says_nothing(found):
    found(None, "there is no CUDA device")
    assert choose("auto", TRIAL, pytest.fail) is None


@needs_compiler
def test_a_machine_that_works_is_taken(found):
    machine = HostMachine()
    found(machine)
    TRIAL(machine)  # compiles, which would be said
    for wanted in ("auto", "gpu"):
        assert choose(wanted, TRIAL, pytest.fail) is machine
    assert choose("cpu", TRIAL, pytest.fail) is None


@needs_compiler
@pytest.mark.parametrize("wanted", ["auto", "gpu"])
@pytest.mark.parametrize(
    ("machine", "part"),
    [(Wrong(), "100 % of a trial's voxels are wrong"), (Broken(), "no kernel image is available")],
)
def test_one_that_fails_its_trial_is_left_with_a_line(found, wanted, machine, part):
    found(machine)
    said = []
    assert choose(wanted, TRIAL, said.append) is None
    assert said[-1] == f"this processor: fails its trial: {part}; computing on the CPU"
    assert machine.released > 0


def test_compiling_is_said_when_it_takes_long(found):
    found(HostMachine())
    said = []
    assert choose("auto", lambda machine: time.sleep(1.1), said.append) is not None
    assert said == ["compiling the kernels for this processor (once)"]
    assert choose("auto", lambda machine: None, pytest.fail) is not None


def test_a_method_without_kernels_runs_on_the_cpu(found):
    found(HostMachine())
    trial, said = partial(try_out, NoMethod()), []
    assert choose("auto", trial, said.append) is None
    assert said == []
    assert choose("gpu", trial, said.append) is None
    assert said == ["device gpu: method mine has no kernels for it; computing on the CPU"]


def test_a_failure_at_work_is_named():
    said = []
    say_fallen_back(HostMachine(), MemoryError("x"), said.append)
    say_fallen_back(HostMachine(), RuntimeError("launch failed"), said.append)
    assert said == [
        "this processor: not enough memory; computing on the CPU",
        "this processor: launch failed; computing on the CPU",
    ]


# Finding


def test_without_cupy(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    machine, why_not = _find.__wrapped__()
    assert machine is None
    assert (
        why_not == "CuPy is not installed (pip install 'napari-mrisr[gpu]', or '.[gpu]' in a clone)"
    )


def test_a_cupy_that_cannot_be_loaded(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.delitem(sys.modules, "napari_mrisr.kernels.gpu", raising=False)
    machine, why_not = _find.__wrapped__()
    assert machine is None
    assert why_not.startswith("CuPy cannot be used: ")


class CudaError(RuntimeError):
    """Stands in for ``cupy.cuda.runtime.CUDARuntimeError``."""


def made_up_cupy(driver, count):
    """As much of CuPy as looking for a device asks; ``count`` is a number or an error."""

    def get_device_count():
        if isinstance(count, Exception):
            raise count
        return count

    cupy, cuda, runtime = (ModuleType(name) for name in ("cupy", "cuda", "runtime"))
    cupy.cuda, cuda.runtime = cuda, runtime
    cuda.driver, cuda.compiler = ModuleType("driver"), ModuleType("compiler")
    cuda.driver.CUDADriverError = cuda.compiler.CompileException = CudaError
    cuda.Device = lambda: type("Device", (), {"id": 1})
    runtime.CUDARuntimeError = CudaError
    runtime.getDeviceCount = get_device_count
    runtime.getDeviceProperties = lambda number: {"name": f"Made Up {number}".encode()}
    runtime.driverGetVersion, runtime.runtimeGetVersion = lambda: driver, lambda: 12090
    return cupy


@pytest.mark.parametrize(
    ("driver", "count", "why"),
    [
        (0, CudaError("insufficient"), "there is no CUDA driver"),
        (
            11080,
            CudaError("insufficient"),
            "the driver knows CUDA 11.8, this CuPy needs 12.9 "
            "(update the driver, or install the CuPy that fits it)",
        ),
        (13000, CudaError("no device"), "there is no CUDA device (no device)"),
        (13000, 0, "there is no CUDA device"),
        (13000, 2, ""),
    ],
)
def test_what_cupy_finds(monkeypatch, driver, count, why):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "cupy", made_up_cupy(driver, count))
    monkeypatch.delitem(sys.modules, "napari_mrisr.kernels.gpu", raising=False)
    try:
        machine, why_not = _find.__wrapped__()
    finally:
        # It holds the made-up one.
        sys.modules.pop("napari_mrisr.kernels.gpu", None)
    assert why_not == why
    assert (machine.name if machine else None) == (None if why else "Made Up 1")


def test_cupy_is_not_imported_for_the_cpu():
    code = (
        "import sys; from napari_mrisr.methods import devices; devices.choose('cpu', print, print);"
        "print('cupy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"


@pytest.mark.gpu
def test_the_gpu_is_found_and_computes():
    machine, why_not = _find.__wrapped__()
    assert (machine is not None) and why_not == ""
    data = np.random.default_rng(3).random((12, 9, 10)).astype(np.float32)
    volume = Volume(data, Grid(data.shape, np.eye(4)))
    results = []
    for device in ("gpu", "cpu"):
        parameters = UpscaleParameters((2, 1, 3), "tricubic", device=device)
        results.append(run(TRICUBIC, volume, parameters, progress=Progress()))
    assert results[0].history["device"] == machine.name
    np.testing.assert_allclose(results[0].data, results[1].data, atol=1e-5)
