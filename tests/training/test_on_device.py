"""Samples added up on a device: the CPU's sums, all of a volume or nothing."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.host_machine import COMPILER, HostMachine
from helpers.scans import save_scans
from helpers.training import small_preset

from napari_mrisr import training
from napari_mrisr.bank.model import FilterBank
from napari_mrisr.core.progress import CancelToken
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.errors import Cancelled, DeviceError
from napari_mrisr.kernels import cpu_gram
from napari_mrisr.methods import devices
from napari_mrisr.training import on_device
from napari_mrisr.training.accumulate import add_samples
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.on_device import accumulator, add_samples_on, try_out
from napari_mrisr.training.sampling import TrainParameters, find_samples, prepare_pair

needs_compiler = pytest.mark.skipif(
    COMPILER is None, reason="no C++ compiler to try the CUDA kernels with"
)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return save_scans(tmp_path_factory.mktemp("scans"))


@pytest.fixture(scope="module")
def found(scans):
    """Samples of a cell and of a voxel stage."""
    preset, parameters = small_preset("default", (2, 2, 2)), TrainParameters((2, 2, 2))
    before = FilterBank((2, 2, 2), "standard", preset.start, ())
    pair = prepare_pair(scans[0], parameters)
    return [find_samples(pair, plan, before, parameters) for plan in preset.stages[:2]]


def empty(samples, dtype=np.float64):
    return NormalEquations.empty(len(samples.ends) - 1, samples.taps, samples.outputs, dtype)


def nothing(equations):
    return all(not tensor.any() for tensor in equations.tensors().values())


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sums_are_the_cpus(machine, found, number, dtype, monkeypatch):
    samples = found[number]
    # So that buckets are cut into batches.
    monkeypatch.setattr(on_device, "_BATCH", 100)
    assert np.diff(samples.ends).max() > 200
    ours, theirs = empty(samples, dtype), empty(samples, dtype)
    for _ in range(2):  # sums are added to what is there
        add_samples_on(machine, ours, samples, ThreadPool())
        add_samples(theirs, samples)
    np.testing.assert_array_equal(ours.count, theirs.count)
    for name, tensor in theirs.tensors().items():
        size = np.abs(tensor).max()
        assert ours.tensors()[name].dtype == tensor.dtype
        np.testing.assert_allclose(
            ours.tensors()[name] / size, tensor / size, atol=1e-5, err_msg=name
        )


class Failing(HostMachine):
    """A device that fails at its n-th kernel."""

    def __init__(self, at, error):
        super().__init__()
        self.left, self.error = at, error

    def launch(self, *arguments, **more):
        self.left -= 1
        if self.left == 0:
            raise self.error
        super().launch(*arguments, **more)


@needs_compiler
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "this processor: not enough memory; computing on the CPU"),
        (RuntimeError("fell off"), "this processor: fell off; computing on the CPU"),
    ],
)
def test_a_device_that_fails_leaves_the_volume_to_the_cpu(found, monkeypatch, error, said):
    samples, lines = found[0], []
    machine = Failing(20, error)
    monkeypatch.setattr(devices, "_find", lambda: (machine, ""))
    monkeypatch.setattr(on_device, "try_out", lambda machine: None)
    ours, theirs = empty(samples), empty(samples)
    accumulator("auto", lines.append)(ours, samples, ThreadPool())
    add_samples(theirs, samples)
    assert machine.left <= 0
    assert lines == [said]
    assert machine.released == 1
    for name, tensor in theirs.tensors().items():
        np.testing.assert_array_equal(ours.tensors()[name], tensor, err_msg=name)


@needs_compiler
def test_cancel_leaves_the_sums_as_they_were(found):
    samples, asked = found[0], []

    def check():
        asked.append(True)
        if len(asked) == 5:
            raise Cancelled

    equations, machine = empty(samples), HostMachine()
    with pytest.raises(Cancelled):
        add_samples_on(machine, equations, samples, ThreadPool(token=CancelToken(check)))
    assert nothing(equations)
    assert len(machine.launched) < 3 * 5


@needs_compiler
def test_trial_compares_with_the_cpu(monkeypatch):
    machine = HostMachine()
    try_out(machine)
    get = machine.get
    monkeypatch.setattr(machine, "get", lambda array: get(array) * 1.001)
    with pytest.raises(DeviceError, match="sums are wrong"):
        try_out(machine)


def test_without_a_device_it_is_the_cpus_own(monkeypatch):
    lines = []
    assert accumulator("cpu", lines.append) is add_samples
    assert accumulator("auto", lines.append) is add_samples
    assert lines == []
    assert accumulator("gpu", lines.append) is add_samples
    assert lines == ["--device gpu: hidden from this test; computing on the CPU"]


@needs_compiler
def test_the_bank_is_that_of_the_cpu(scans, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "get_preset", small_preset)
    monkeypatch.setattr(training, "measure_sgemm", lambda: 100.0)
    machine = HostMachine()
    monkeypatch.setattr(devices, "_find", lambda: (machine, ""))
    banks = []
    for device in ("gpu", "cpu"):
        parameters = TrainParameters((2, 2, 2))
        path = tmp_path / f"{device}.safetensors"
        banks.append(training.train(scans, path, parameters, device=device).bank)
    assert "filter.gather" in machine.launched
    for ours, theirs in zip(banks[0].stages, banks[1].stages, strict=True):
        np.testing.assert_array_equal(ours.support, theirs.support)
        np.testing.assert_allclose(ours.weights, theirs.weights, atol=1e-4)


def test_products_are_summed_alike():
    """Single precision for about as long as on the CPU."""
    assert cpu_gram.FLUSH <= on_device._BATCH <= 4 * cpu_gram.FLUSH
