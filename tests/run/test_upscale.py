"""Runs over whole volumes: grid, intensities, threads, progress, cancel, memory, errors."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from scipy import ndimage
from skimage.transform import resize

from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.volume import Grid, IntensityWindow, Origin, Region, Volume
from napari_mrisr.errors import (
    BankError,
    Cancelled,
    MemoryEstimateError,
    ParameterError,
    ScaleError,
)
from napari_mrisr.kernels import jit
from napari_mrisr.methods import devices, get_method
from napari_mrisr.run.blocks import block_regions
from napari_mrisr.run.upscale import (
    UpscaleParameters,
    check_memory,
    check_parameters,
    estimate_memory,
    run_method,
    upscale,
)

OBLIQUE = np.array(
    [[1.1, -0.4, 0.2, -30], [0.3, 0.9, -0.5, 12], [-0.1, 0.35, 2.4, 7.5], [0, 0, 0, 1]]
)


@pytest.fixture
def volume(rng):
    """A scan whose intensities reach above 1000 and below 0."""
    data = ndimage.gaussian_filter(rng.random((23, 17, 12)), 0.8)
    data = 1500.0 * (data - data.min()) / np.ptp(data) - 20.0
    grid = Grid(data.shape, OBLIQUE)
    origin = Origin("scan.nii.gz", ("L", "P", "S"))
    return Volume(data.astype(np.float32), grid, origin=origin, history={"reader": "test"})


@pytest.fixture
def bank_file(make_bank, tmp_path):
    path = tmp_path / "bank.safetensors"
    make_bank((2, 2, 2), size=0.2).save(path)
    return str(path)


class Watch(Progress):
    """Remember what was shown; cancel after so many steps."""

    def __init__(self, cancel_at=None):
        super().__init__()
        self.seen, self.cancel_at = [], cancel_at
        self.said = []

    def show(self, state):
        self.seen.append((state.task, state.done, state.total))
        if self.cancel_at is not None and state.done >= self.cancel_at:
            self.token.cancel()

    def message(self, text):
        self.said.append(text)


def threads_of_ours():
    return [t for t in threading.enumerate() if t.name.startswith("mrisr")]


def wait_for_no_threads(seconds=5.0):
    end = time.monotonic() + seconds
    while threads_of_ours() and time.monotonic() < end:
        time.sleep(0.01)
    return not threads_of_ours()


@dataclass
class Slow:
    """A method of many small blocks that only takes time."""

    scale: tuple[int, int, int] = (2, 1, 1)
    name: str = "slow"
    halo: tuple[int, int, int] = (0, 0, 0)
    seconds: float = 0.02
    fail_at: int | None = None
    started: list[Region] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)

    def compute(self, lr, region):
        self.started.append(region)
        self.threads.add(threading.current_thread().name)
        if len(self.started) == self.fail_at:
            raise ValueError("broken on purpose")
        time.sleep(self.seconds)
        return np.full(region.shape, 0.5, np.float32)

    def provenance(self):
        return {"method": self.name}


# The result


@pytest.mark.parametrize("scale", [(2, 2, 2), (1, 3, 4)])
def test_tricubic_in_the_scans_intensities_over_its_field_of_view(volume, scale):
    result = upscale(volume, UpscaleParameters(scale, "tricubic", threads=2))
    expected = resize(
        volume.data.astype(np.float64),
        [n * s for n, s in zip(volume.data.shape, scale, strict=True)],
        order=3,
        anti_aliasing=False,
    )
    np.testing.assert_allclose(result.data, expected, atol=0.05)
    assert result.data.dtype == np.float32
    np.testing.assert_allclose(result.grid.corners(), volume.grid.corners(), atol=1e-9)
    np.testing.assert_allclose(
        result.grid.voxel_size, np.array(volume.grid.voxel_size) / scale, rtol=1e-12
    )
    assert result.window == IntensityWindow()
    assert result.origin is volume.origin


def test_history_says_how_it_was_made(volume, bank_file):
    result = upscale(volume, UpscaleParameters(bank=bank_file, threads=1))
    assert result.history == {
        "reader": "test",
        "method": "hashed",
        "bank": "bank",
        "bank_preset": "default",
        "degradation_assumed": "standard",
        "data_consistency": "with the measured voxels",
        "scale": "2",
        "slices": "slices 2.46 mm thick (assumed from their distance)",
        "note": "research use, not for diagnosis",
    }
    assert volume.history == {"reader": "test"}


def test_the_history_of_a_result_of_a_result_is_that_of_the_second_method(volume, bank_file):
    simulated = replace(volume, history={"degraded_by": "2", "degradation": "standard"})
    first = upscale(simulated, UpscaleParameters(bank=bank_file, threads=1))
    second = upscale(first, UpscaleParameters(method="tricubic", threads=1))
    assert second.history["method"] == "tricubic"
    assert second.history["degraded_by"] == "2"
    assert "bank" not in second.history


def test_blocks_are_the_methods_regions_bit_for_bit(volume, bank_file):
    parameters = UpscaleParameters(bank=bank_file, threads=2)
    result = upscale(volume, parameters)
    lr = volume.normalized()
    method = check_parameters(parameters)
    whole = method.compute(lr, Region.whole(result.grid.shape))
    np.testing.assert_array_equal(result.data, lr.window.from_unit(whole))


@pytest.mark.parametrize("method", ["tricubic", "hashed", "nearest"])
def test_threads_do_not_change_a_bit(volume, bank_file, method):
    bank = bank_file if method == "hashed" else None
    one = upscale(volume, UpscaleParameters(method=method, bank=bank, threads=1))
    four = upscale(volume, UpscaleParameters(method=method, bank=bank, threads=4))
    np.testing.assert_array_equal(one.data, four.data)


def test_the_input_is_not_touched(volume, bank_file):
    before = volume.data.copy()
    upscale(volume, UpscaleParameters(bank=bank_file, threads=2))
    np.testing.assert_array_equal(volume.data, before)


def test_normalized_input_gives_the_same(volume):
    parameters = UpscaleParameters(method="tricubic", threads=1)
    expected = upscale(volume, parameters)
    result = upscale(volume.normalized(), parameters)
    np.testing.assert_array_equal(result.data, expected.data)


@pytest.mark.parametrize("value", [0.0, -3.0, 250.0])
def test_a_constant_volume_stays_constant(bank_file, value):
    volume = Volume(np.full((5, 6, 7), value, np.float32), Grid((5, 6, 7), np.eye(4)))
    for method, bank in (("tricubic", None), ("hashed", bank_file)):
        result = upscale(volume, UpscaleParameters(method=method, bank=bank, threads=1))
        np.testing.assert_allclose(result.data, value, rtol=1e-5)


@pytest.mark.parametrize("shape", [(2, 3, 4), (4, 2, 2), (1, 2, 3)])
def test_tiny_volumes(bank_file, rng, shape):
    volume = Volume(rng.random(shape, np.float32), Grid(shape, np.eye(4)))
    result = upscale(volume, UpscaleParameters(bank=bank_file, threads=2))
    assert result.data.shape == tuple(2 * n for n in shape)
    assert np.isfinite(result.data).all()


# Progress, cancel, errors


@pytest.mark.parametrize("method", ["tricubic", "hashed", "tv", "unrolled"])
def test_progress_names_the_scale_by_the_axes_of_the_file(rng, method):
    """The file is stored as (A, S, L): its third axis is x."""
    grid = Grid((9, 12, 14), np.diag([4.0, 1.0, 1.0, 1.0]))
    data = rng.random(grid.shape, dtype=np.float32)
    scan = Volume(data, grid, origin=Origin("scan.nii", ("A", "S", "L")))
    watch = Watch()
    upscale(scan, UpscaleParameters((4, 1, 1), method, threads=1), progress=watch)
    assert {task for task, _, _ in watch.seen} == {f"{method} 1x1x4"}


def test_progress_counts_every_block(volume, bank_file):
    watch = Watch()
    result = upscale(volume, UpscaleParameters(bank=bank_file, threads=2), progress=watch)
    passes = get_method("hashed", (2, 2, 2), bank_file).passes
    assert passes >= 3
    total = passes * len(block_regions(result.grid, (2, 2, 2)))
    assert {(task, n) for task, _, n in watch.seen} == {("hashed 2x", total)}
    done = [done for _, done, _ in watch.seen]
    assert done[0] == 0
    assert done[-1] == total
    assert done == sorted(done)


def test_every_thread_works(volume):
    method = Slow(seconds=0.01)
    run_method(method, volume, threads=3)
    assert len(method.threads) == 3


@pytest.mark.parametrize("threads", [1, 3])
def test_cancel_takes_effect_within_200_ms_and_leaves_no_thread(volume, threads):
    method, token = Slow(seconds=0.05), CancelToken()
    asked = []

    def cancel():
        asked.append(time.monotonic())
        token.cancel()

    timer = threading.Timer(0.15, cancel)
    timer.start()
    with pytest.raises(Cancelled):
        run_method(method, volume, threads=threads, progress=Progress(token))
    assert time.monotonic() - asked[0] < 0.2
    assert wait_for_no_threads()
    blocks = block_regions(volume.grid.upsampled(method.scale), method.scale)
    assert 0 < len(method.started) < len(blocks)
    started = len(method.started)
    time.sleep(0.1)
    assert len(method.started) == started  # nothing goes on in the background


def test_cancel_does_not_wait_for_a_slow_block(volume):
    """One block may take long; the user need not."""
    method, token = Slow(seconds=1.0), CancelToken()
    threading.Timer(0.05, token.cancel).start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        run_method(method, volume, threads=2, progress=Progress(token))
    assert time.monotonic() - start < 0.4
    assert wait_for_no_threads()


def test_cancel_of_a_real_run(volume, bank_file):
    watch = Watch(cancel_at=1)
    with pytest.raises(Cancelled):
        upscale(volume, UpscaleParameters(bank=bank_file, threads=1), progress=watch)
    assert wait_for_no_threads()


def test_cancelled_before_the_start(volume):
    token = CancelToken()
    token.cancel()
    method = Slow()
    with pytest.raises(Cancelled):
        run_method(method, volume, progress=Progress(token))
    assert len(method.started) <= 1
    assert wait_for_no_threads()


def test_an_error_in_a_block_is_raised_and_ends_the_run(volume):
    method = Slow(fail_at=4)
    with pytest.raises(ValueError, match="broken on purpose"):
        run_method(method, volume, threads=2)
    assert wait_for_no_threads()
    assert len(method.started) < 10


def test_no_thread_is_left_after_a_run(volume):
    upscale(volume, UpscaleParameters(method="tricubic", threads=4))
    assert wait_for_no_threads()


@pytest.mark.parametrize(
    ("folder", "text"),
    [
        (Path("cache"), "compiling the kernels for this machine (once, about 10 s)"),
        (
            None,
            "compiling the kernels (about 10 s in every run, because no cache folder is writable;"
            " set NUMBA_CACHE_DIR to a writable folder)",
        ),
    ],
)
def test_compiling_is_said_only_when_it_takes_long(volume, monkeypatch, folder, text):
    monkeypatch.setattr(jit, "cache_folder", lambda: folder)
    method, said = Slow(seconds=0.001), []

    class Listen(Progress):
        def message(self, text):
            said.append(text)
            method.seconds = 0.0  # compiled

    run_method(method, volume, progress=Listen())
    assert said == []
    method.seconds = 1.2
    run_method(method, volume, progress=Listen())
    assert said == [text]


# Memory


def test_memory_error_names_what_is_needed_and_what_is_there(volume, monkeypatch):
    free = SimpleNamespace(available=int(0.6 * 2**30))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    grid = Grid((300, 320, 200), np.eye(4))
    parameters = UpscaleParameters((3, 2, 4), "tricubic", threads=2)
    need = estimate_memory(grid, parameters) / 2**30
    with pytest.raises(MemoryEstimateError) as caught:
        check_memory(grid, parameters)
    assert str(caught.value) == (
        f"not enough memory: an output of 900 × 640 × 800 voxels needs {need:.1f} GB, "
        "0.6 GB are free; use a smaller scale or crop the input"
    )
    check_memory(volume.grid, parameters)


def test_memory_is_checked_before_anything_is_computed(volume, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    watch = Watch()
    with pytest.raises(MemoryEstimateError):
        upscale(volume, UpscaleParameters(method="tricubic"), progress=watch)
    assert watch.seen == []


def test_estimate_holds_output_and_input_and_grows_with_threads():
    grid = Grid((100, 120, 80), np.eye(4))
    one = estimate_memory(grid, UpscaleParameters((2, 2, 2), threads=1))
    four = estimate_memory(grid, UpscaleParameters((2, 2, 2), threads=4))
    assert one > 4 * (8 + 1) * 100 * 120 * 80
    assert four > one
    huge = estimate_memory(Grid((4000, 4000, 4000), np.eye(4)), UpscaleParameters((8, 8, 8)))
    assert huge > 4 * 32000**3  # no overflow


# Parameters


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that is this processor."""
    from helpers.host_machine import COMPILER, HostMachine

    if COMPILER is None:
        pytest.skip("no C++ compiler to try the CUDA kernels with")
    machine = HostMachine()
    monkeypatch.setattr(devices, "_find", lambda: (machine, ""))
    return machine


@pytest.mark.parametrize("method", ["tricubic", "hashed"])
def test_auto_takes_the_gpu_and_says_so(volume, gpu, method):
    watch = Watch()
    result = upscale(volume, UpscaleParameters(method=method), progress=watch)
    expected = upscale(volume, UpscaleParameters(method=method, device="cpu"))
    assert watch.seen[0][0] == f"{method} 2x on {gpu.name}"
    assert {**expected.history, "device": gpu.name} == result.history
    high = expected.data.max()
    assert (np.abs(result.data - expected.data) > 1e-4 * high).mean() < 1e-3
    np.testing.assert_array_equal(result.grid.affine, expected.grid.affine)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("the device fell off")])
def test_a_gpu_that_fails_at_work_is_left(volume, gpu, monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("napari_mrisr.methods.on_device.run", fail)
    watch = Watch()
    result = upscale(volume, UpscaleParameters(method="tricubic"), progress=watch)
    found = "not enough memory" if isinstance(error, MemoryError) else "the device fell off"
    assert watch.said == [f"this processor: {found}; computing on the CPU"]
    expected = upscale(volume, UpscaleParameters(method="tricubic", device="cpu"))
    np.testing.assert_array_equal(result.data, expected.data)
    assert result.history == expected.history


def test_cancel_does_not_wait_for_a_trial(volume, gpu, monkeypatch):
    monkeypatch.setattr("napari_mrisr.methods.on_device.try_out", lambda *a: time.sleep(1.0))
    watch = Watch()
    threading.Timer(0.1, watch.token.cancel).start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        upscale(volume, UpscaleParameters(method="tricubic"), progress=watch)
    assert time.monotonic() - start < 0.1 + 0.5
    deadline = time.monotonic() + 5
    while threads_of_ours() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads_of_ours() == []


def test_cpu_asks_for_no_gpu(volume, monkeypatch):
    monkeypatch.setattr(devices, "_find", lambda: pytest.fail("asked"))
    upscale(volume, UpscaleParameters(method="nearest", device="cpu"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "device: 'tpu'; choose from auto, cpu, gpu"),
        ({"threads": 0}, "threads: 0; give 1 or more"),
        ({"threads": -2}, "threads: -2; give 1 or more"),
    ],
)
def test_impossible_parameters(options, message):
    with pytest.raises(ParameterError) as caught:
        UpscaleParameters(**options)
    assert str(caught.value) == message


def test_unknown_method_bank_and_scale(volume, tmp_path):
    with pytest.raises(ParameterError, match="method: 'magic'; choose from nearest, linear"):
        upscale(volume, UpscaleParameters(method="magic"))
    missing = tmp_path / "none.safetensors"
    with pytest.raises(BankError, match=r"none\.safetensors: there is no such filter bank"):
        upscale(volume, UpscaleParameters(bank=str(missing)))
    with pytest.raises(ScaleError, match=r"no filter bank for 7x"):
        upscale(volume, UpscaleParameters(scale=(7, 7, 7)))


def test_threads_default_to_the_processors():
    assert UpscaleParameters().thread_count >= 1
    assert UpscaleParameters(threads=3).thread_count == 3
