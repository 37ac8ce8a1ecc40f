"""The methods on a device: equal to the reference, any region, memory, cancel."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from helpers.banks import KINDS
from helpers.host_machine import COMPILER, HostMachine
from scipy import ndimage

from napari_mrisr.bank.symmetries import element_offsets, phase_offsets
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import Cancelled, DeviceError
from napari_mrisr.kernels import reference
from napari_mrisr.methods import get_method, on_device
from napari_mrisr.methods.consistent import Consistent
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.methods.on_device import Resident, block_regions, run, try_out
from napari_mrisr.operators import interpolate
from napari_mrisr.run.upscale import run_method

MANY = 2**30

ON_DEVICE = [kind for kind in KINDS if "anchors" not in kind]

needs_compiler = pytest.mark.skipif(
    COMPILER is None, reason="no C++ compiler to try the CUDA kernels with"
)


def volume_of(shape, seed=0, high=1.0):
    data = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 0.7, mode="mirror")
    data -= data.min()
    return Volume((high * data / data.max()).astype(np.float32), Grid(shape, np.eye(4)))


def fine(method, volume):
    return Region.whole(volume.grid.upsampled(method.scale).shape)


def computed(method, machine, volume, region=None):
    there = on_device.on_device(method, machine)
    resident = Resident.of(volume, machine)
    return machine.get(there.compute(resident, region or fine(method, volume)))


def mirrored(array, by):
    return np.pad(array, by, mode="reflect")


def tensor_by_the_reference(source, window):
    """Structure tensor and smoothed intensities with a border of one."""
    fields = []
    for field in (*reference.gradient_products(mirrored(source, 1)), source):
        smooth = field
        for axis, n in enumerate(source.shape):
            by = [(r,) * 2 if a == axis else (0, 0) for a, (_, r) in enumerate(window.axes)]
            taps = np.tile(window.taps(axis), (n, 1))
            smooth = reference.apply_rows(mirrored(smooth, by), np.arange(n), taps, axis)
        fields.append(mirrored(smooth, 1))
    return np.stack(fields[:6]), fields[6]


def by_the_reference(bank, lr):
    """The whole result of a bank, every kernel the reference's."""
    upsample = interpolate.tricubic if bank.start == "tricubic" else interpolate.quadratic
    start = upsample(lr.data, bank.scale, None, reference.apply_rows).clip(*lr.extrema)
    image = start
    for stage in bank.stages:
        spec, cells = stage.spec, stage.spec.grid == "cell"
        seen = lr.data if cells else image
        fields = tensor_by_the_reference(seen, spec.hash.window)
        buckets = reference.hash_voxels(*fields, (0, 0, 0), spec.hash.code)
        source = mirrored(seen, [(width // 2,) * 2 for width in spec.shape])
        strides = source.shape[1] * source.shape[2], source.shape[2], 1
        offsets = element_offsets(spec.shape, strides)
        if cells:
            places = phase_offsets(bank.scale) @ [image[0].size, image.shape[2], 1]
            arguments = source, *buckets, offsets, places, stage.weights, bank.scale
            image = image.copy()
            reference.filter_cells(*arguments, image)
        else:
            weights = stage.weights[:, :, 0]
            found = reference.filter_voxels(source, *buckets, offsets, weights, spec.residual)
            image = found + image if spec.residual else found
        image = np.maximum(image, lr.extrema[0])
    return np.where(start > 1.0, np.maximum(image, start), image)


def assert_equal_but_for_cuts(found, expected, at_most):
    """Within 1e-4, but for so many voxels whose bucket rounding may have changed."""
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    assert (~(np.abs(found - expected) <= 1e-4)).sum() <= at_most


def away_from_corners(method, shape):
    """Voxels that no corner of the volume reaches.

    There the mirrored energy has no slope at all, and a direction's sign is nobody's.
    """
    near = []
    for n, s in zip(shape, method.scale, strict=True):
        at = np.arange(n)
        reach = max(method.bank.stages[0].spec.hash.window.reach)
        near.append(np.minimum(at, n - 1 - at) < s + reach)
    return ~(near[0][:, None, None] & near[1][:, None] & near[2])


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("cube 2x", (7, 8, 6)),
        ("flips 1x1x4", (12, 11, 4)),
        ("plane 1x1x4", (11, 12, 6)),
        ("paper", (8, 9, 7)),
    ],
)
def test_equals_the_reference(machine, make_bank, kind, shape):
    method, volume = Hashed(make_bank(**KINDS[kind])), volume_of(shape, 3, 1.2)
    found = computed(method, machine, volume)
    expected = by_the_reference(method.bank, volume)
    inside = away_from_corners(method, found.shape)
    assert inside.sum() > 500
    assert_equal_but_for_cuts(found[inside], expected[inside], 0.001 * found.size)
    assert np.ptp(found) > 0.5


@pytest.mark.parametrize("kind", ON_DEVICE)
def test_equals_the_cpu_corners_and_bright_voxels_included(machine, make_bank, kind):
    method = Hashed(make_bank(**KINDS[kind]))
    volume = volume_of((5, 7, 4), 3, 1.6)
    found = computed(method, machine, volume)
    expected = method.compute(volume, fine(method, volume))
    assert_equal_but_for_cuts(found, expected, 0.001 * found.size)


@pytest.mark.parametrize("name", ["default-2x", "default-3x", "default-4x", "paper-2x"])
def test_bundled_banks_equal_the_cpu(machine, name):
    scale = int(name[-2])
    method = get_method("hashed", (scale, scale, scale), name)
    assert isinstance(method, Consistent)
    method, volume = method.method, volume_of((8, 6, 9), 1)
    expected = method.compute(volume, fine(method, volume))
    assert_equal_but_for_cuts(computed(method, machine, volume), expected, 0.002 * expected.size)


def test_1x1x4_and_flat_volumes(machine, make_bank):
    method = Hashed(make_bank(**KINDS["flips 1x1x4"]))
    for value in (0.0, 0.7):
        flat = Volume(np.full((4, 5, 3), value, np.float32), Grid((4, 5, 3), np.eye(4)))
        np.testing.assert_allclose(computed(method, machine, flat), value, atol=1e-6)


@pytest.mark.parametrize("name", ["nearest", "linear", "tricubic", "quadratic", "zero-fill"])
def test_interpolations(machine, name):
    method, volume = get_method(name, (2, 1, 3)), volume_of((9, 14, 5))
    expected = method.compute(volume, fine(method, volume))
    np.testing.assert_allclose(computed(method, machine, volume), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ON_DEVICE)
def test_region_is_the_whole_bit_for_bit(machine, make_bank, kind, rng):
    method = Hashed(make_bank(**KINDS[kind]))
    volume = volume_of((9, 8, 7), 2, 1.3)
    whole = computed(method, machine, volume)
    for _ in range(4):
        start = [int(rng.integers(0, n)) for n in whole.shape]
        stop = [int(rng.integers(a + 1, n + 1)) for a, n in zip(start, whole.shape, strict=True)]
        region = Region(tuple(start), tuple(stop))
        part = computed(method, machine, volume, region)
        np.testing.assert_array_equal(part, whole[region.slices])


def test_the_least_value_is_the_floor(machine, make_bank):
    method = Hashed(make_bank((2, 2, 2), ("cell",), size=3.0))
    volume = volume_of((6, 5, 7))
    found = computed(method, machine, volume)
    assert found.min() == volume.extrema[0]
    assert found.max() > 1.5  # so the filters do reach beyond the range


# Runs


class Watch(Progress):
    def __init__(self, cancel_at=None):
        super().__init__()
        self.seen, self.cancel_at = [], cancel_at

    def show(self, state):
        self.seen.append((state.task, state.done, state.total))
        if state.done == self.cancel_at:
            self.token.cancel()


def wait_for_the_end(seconds=5.0):
    """No thread of a run is left."""
    deadline = time.monotonic() + seconds
    while [t for t in threading.enumerate() if t.name.startswith("mrisr-device")]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_run_is_in_the_scans_intensities(machine, make_bank):
    method = Hashed(make_bank())
    scan = volume_of((8, 5, 6))
    scan = Volume(1500.0 * scan.data - 40.0, scan.grid)
    lr = scan.normalized()
    watch = Watch()
    found = run(method, scan, machine, watch)
    expected = lr.window.from_unit(computed(method, machine, lr))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    task = f"hashed 2x on {machine.name}"
    assert watch.seen == [(task, 0, 1), (task, 1, 1)]
    wait_for_the_end()


@needs_compiler
def test_little_memory_means_blocks_with_the_same_bits(make_bank, monkeypatch):
    method, volume = Hashed(make_bank()), volume_of((20, 9, 8))
    machine = HostMachine()
    expected = run(method, volume, machine, Progress())
    voxels = expected.size
    machine.free = 100 * voxels  # for 1.25 × voxels, less what is around a block
    watch = Watch()
    np.testing.assert_array_equal(run(method, volume, machine, watch), expected)
    assert watch.seen[0][2] == 1
    machine.free = 80 * voxels
    watch = Watch()
    np.testing.assert_array_equal(run(method, volume, machine, watch), expected)
    assert watch.seen[0][2] > 1
    monkeypatch.setattr(on_device, "MOST_VOXELS", 4 * 18 * 16)
    watch = Watch()
    machine.free = MANY
    np.testing.assert_array_equal(run(method, volume, machine, watch), expected)
    assert watch.seen[0][2] == 10
    wait_for_the_end()


@needs_compiler
def test_blocks_are_halved_when_memory_runs_out(make_bank):
    method, volume = Hashed(make_bank()), volume_of((16, 5, 6))
    machine = HostMachine()
    expected = run(method, volume, machine, Progress())
    machine.refuse_above = expected.size // 2
    watch = Watch()
    np.testing.assert_array_equal(run(method, volume, machine, watch), expected)
    totals = [total for _, done, total in watch.seen if done == 0]
    assert totals[:2] == [1, 2]
    assert machine.released > 0


@needs_compiler
def test_no_memory_at_all_is_an_error(make_bank):
    machine = HostMachine()
    machine.refuse_above = 0
    with pytest.raises(MemoryError):
        run(Hashed(make_bank()), volume_of((6, 5, 4)), machine, Progress())
    wait_for_the_end()
    assert machine.released > 0


class Slow(HostMachine):
    """A device whose kernels take their time."""

    def launch(self, *arguments, **more):
        time.sleep(0.05)
        super().launch(*arguments, **more)


@needs_compiler
def test_cancel_within_a_block_waits_for_nothing(make_bank):
    """Seven products of a stage and more: a block takes over a second here."""
    watch, machine = Watch(), Slow()
    timer = threading.Timer(0.1, watch.token.cancel)
    start = time.monotonic()
    timer.start()
    with pytest.raises(Cancelled):
        run(Hashed(make_bank()), volume_of((6, 5, 4)), machine, watch)
    assert time.monotonic() - start < 0.1 + 0.5
    wait_for_the_end()
    assert machine.released > 0


@needs_compiler
def test_cancel_between_blocks(make_bank, monkeypatch):
    monkeypatch.setattr(on_device, "MOST_VOXELS", 1)
    watch = Watch(cancel_at=2)
    with pytest.raises(Cancelled):
        run(Hashed(make_bank()), volume_of((6, 5, 4)), HostMachine(), watch)
    assert watch.seen[-1][1:] == (2, 6)
    wait_for_the_end()


@pytest.mark.parametrize(
    ("shape", "cell", "voxels", "thick"),
    [
        ((12, 5, 7), 2, 10**9, [12]),
        ((12, 5, 7), 2, 6 * 35, [6, 6]),
        ((12, 5, 7), 2, 5 * 35, [4, 4, 4]),
        ((10, 5, 7), 2, 1, [2] * 5),
        ((21, 5, 7), 3, 9 * 35, [9, 9, 3]),
        ((21, 5, 7), 3, -5, [3] * 7),
    ],
)
def test_blocks_cover_the_output(shape, cell, voxels, thick):
    blocks = block_regions(shape, cell, voxels)
    assert [block.shape for block in blocks] == [(t, *shape[1:]) for t in thick]
    assert [block.start[0] for block in blocks] == list(np.cumsum([0, *thick[:-1]]))


# Which methods


class Mine(Hashed):
    """Somebody's own, which computes otherwise."""


def test_only_known_methods_have_kernels(make_bank):
    assert on_device.on_device(Mine(make_bank()), HostMachine()) is None


@needs_compiler
def test_trial_compares_with_the_cpu(make_bank, monkeypatch):
    bank = make_bank()
    machine = HostMachine()
    try_out(Hashed(bank), machine)
    assert {"filter.filter_cells", "filter.filter_voxels"} <= set(machine.launched)
    get = machine.get
    monkeypatch.setattr(machine, "get", lambda array: get(array) + np.float32(3e-4))
    with pytest.raises(DeviceError, match="100 % of a trial's voxels are wrong"):
        try_out(Hashed(bank), machine)
    with pytest.raises(NotImplementedError, match="method hashed has no kernels"):
        try_out(Mine(bank), machine)


@pytest.mark.parametrize("name", ["nearest", "tricubic"])
def test_factors_that_are_not_whole_equal_the_cpu(name):
    method, volume = get_method(name, (1.4, 1, 4.8)), volume_of((11, 9, 13))
    machine = HostMachine()
    try_out(method, machine)
    found = run(method, volume, machine, Progress())
    np.testing.assert_array_equal(found, run_method(method, volume).data)
