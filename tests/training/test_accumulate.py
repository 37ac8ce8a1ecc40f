"""Samples into sums: on the CPU for any number of threads, and on a GPU."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.host_machine import COMPILER, HostMachine
from helpers.scans import save_scans
from helpers.training import batches, prepare_pair, small_preset
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_mrisr.bank.model import FilterBank
from napari_mrisr.core.progress import CancelToken
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.errors import Cancelled, DeviceError
from napari_mrisr.methods import devices
from napari_mrisr.training import accumulate, train
from napari_mrisr.training.accumulate import accumulator, add_samples, add_samples_on, try_out
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.presets import TrainParameters
from napari_mrisr.training.sampling import find_samples

SCALES = [(2, 2, 2), (1, 1, 2)]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Samples of both stages and both scales."""
    (path,) = save_scans(tmp_path_factory.mktemp("scans"))[:1]
    samples = {}
    for scale in SCALES:
        preset, parameters = small_preset("default", scale), TrainParameters(scale)
        before = FilterBank(scale, "standard", preset.start, ())
        pair = prepare_pair(path, parameters)
        for number, plan in enumerate(preset.stages):
            samples[scale, number] = find_samples(pair, plan, before, parameters)
    return samples


def empty(samples, dtype=np.float64):
    return NormalEquations.empty(len(samples.ends) - 1, samples.taps, samples.outputs, dtype)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sums_equal_products_of_plain_indexing(found, scale, number, dtype):
    samples = found[scale, number]
    ours, theirs = empty(samples, dtype), empty(samples)
    add_samples(ours, samples)
    for batch in batches(samples):
        theirs.add(*batch)
    assert ours.count.sum() == samples.count > 1000
    assert ours.gram.dtype == dtype
    np.testing.assert_array_equal(ours.count, theirs.count)
    for name, tensor in theirs.tensors().items():
        scale_of = np.abs(tensor).max()
        np.testing.assert_allclose(
            ours.tensors()[name] / scale_of, tensor / scale_of, atol=5e-6, err_msg=name
        )


def test_the_sums_do_not_depend_on_threads(found, monkeypatch):
    samples = found[(2, 2, 2), 1]
    for size in (accumulate.BATCH, 50):
        monkeypatch.setattr(accumulate, "BATCH", size)
        sums = []
        for threads in (1, 2, 3):
            sums.append(empty(samples))
            add_samples(sums[-1], samples, ThreadPool(threads))
        for name, tensor in sums[0].tensors().items():
            for other in sums[1:]:
                np.testing.assert_array_equal(other.tensors()[name], tensor, err_msg=name)


def test_a_cancel_stops_between_batches(found):
    samples, checks = found[(2, 2, 2), 1], []

    def check():
        checks.append(1)
        if len(checks) == 5:
            raise Cancelled

    equations = empty(samples)
    with pytest.raises(Cancelled):
        add_samples(equations, samples, ThreadPool(1, CancelToken(check)))
    assert 0 < equations.count.sum() < samples.count


@settings(deadline=None, max_examples=100)
@given(counts=st.lists(st.integers(0, 30), min_size=1, max_size=12), count=st.integers(1, 6))
def test_ranges_contain_every_bucket_once(counts, count):
    ends = np.concatenate([[0], np.cumsum(counts)])
    ranges = accumulate.bucket_ranges(ends, count)
    assert len(ranges) <= count
    assert sorted(b for first, last in ranges for b in range(first, last)) == list(
        range(len(counts))
    )
    sizes = [ends[last] - ends[first] for first, last in ranges]
    assert sizes == sorted(sizes, reverse=True)


needs_compiler = pytest.mark.skipif(
    COMPILER is None, reason="no C++ compiler to try the CUDA kernels with"
)


@pytest.fixture(scope="module")
def device_samples(scans):
    """Samples of a cell and of a voxel stage."""
    preset, parameters = small_preset("default", (2, 2, 2)), TrainParameters((2, 2, 2))
    before = FilterBank((2, 2, 2), "standard", preset.start, ())
    pair = prepare_pair(scans[0], parameters)
    return [find_samples(pair, plan, before, parameters) for plan in preset.stages[:2]]


def nothing(equations):
    return all(not tensor.any() for tensor in equations.tensors().values())


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gpu_sums_equal_those_of_the_cpu(machine, device_samples, number, dtype, monkeypatch):
    samples = device_samples[number]
    # So that buckets are cut into batches.
    monkeypatch.setattr(accumulate, "_GPU_BATCH", 100)
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
    """A device that fails at its n-th kernel launch."""

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
    ("error", "message"),
    [
        (MemoryError(), "this processor: not enough memory; computing on the CPU"),
        (RuntimeError("fell off"), "this processor: fell off; computing on the CPU"),
    ],
)
def test_a_device_that_fails_leaves_the_volume_to_the_cpu(
    device_samples, monkeypatch, error, message
):
    samples, lines = device_samples[0], []
    machine = Failing(20, error)
    monkeypatch.setattr(devices, "_find", lambda: (machine, ""))
    monkeypatch.setattr(accumulate, "try_out", lambda machine: None)
    ours, theirs = empty(samples), empty(samples)
    accumulator("auto", lines.append)(ours, samples, ThreadPool())
    add_samples(theirs, samples)
    assert machine.left <= 0
    assert lines == [message]
    assert machine.released == 1
    for name, tensor in theirs.tensors().items():
        np.testing.assert_array_equal(ours.tensors()[name], tensor, err_msg=name)


@needs_compiler
def test_cancel_on_a_gpu_changes_no_sum(device_samples):
    samples, checks = device_samples[0], []

    def check():
        checks.append(True)
        if len(checks) == 5:
            raise Cancelled

    equations, machine = empty(samples), HostMachine()
    with pytest.raises(Cancelled):
        add_samples_on(machine, equations, samples, ThreadPool(token=CancelToken(check)))
    assert nothing(equations)
    assert len(machine.launched) < 3 * 5


@needs_compiler
def test_trial_compares_the_device_with_the_cpu(monkeypatch):
    machine = HostMachine()
    try_out(machine)
    get = machine.get
    monkeypatch.setattr(machine, "get", lambda array: get(array) * 1.001)
    with pytest.raises(DeviceError, match="sums are wrong"):
        try_out(machine)


def test_without_a_device_the_cpu_adds(monkeypatch):
    lines = []
    assert accumulator("cpu", lines.append) is add_samples
    assert accumulator("auto", lines.append) is add_samples
    assert lines == []
    assert accumulator("gpu", lines.append) is add_samples
    assert lines == ["device gpu: hidden from this test; computing on the CPU"]


@needs_compiler
def test_gpu_trains_the_bank_of_the_cpu(scans, tmp_path, monkeypatch):
    machine = HostMachine()
    monkeypatch.setattr(devices, "_find", lambda: (machine, ""))
    banks = []
    for device in ("gpu", "cpu"):
        parameters = TrainParameters((2, 2, 2))
        path = tmp_path / f"{device}.safetensors"
        banks.append(train(scans, path, parameters, device=device).bank)
    assert "filter.gather" in machine.launched
    for ours, theirs in zip(banks[0].stages, banks[1].stages, strict=True):
        np.testing.assert_array_equal(ours.support, theirs.support)
        np.testing.assert_allclose(ours.weights, theirs.weights, atol=1e-4)
