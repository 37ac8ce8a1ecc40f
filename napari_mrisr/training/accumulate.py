"""Add the samples of a volume to the sums of their buckets, on the CPU or a GPU.

On the CPU, the BLAS multiplies gathered patches, one thread per bucket. Batches depend
on the number of samples alone, so the sums are the same for any number of threads.

On a GPU, the sums of one volume are copied back at its end. If the device fails before,
no sum has changed, and the CPU adds the volume.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.symmetries import element_offsets
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.errors import DeviceError
from napari_mrisr.kernels import cpu_samples, gpu_kernels
from napari_mrisr.kernels.machine import Machine
from napari_mrisr.methods.devices import Say, choose, say_fallen_back
from napari_mrisr.training.cost import BATCH
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.sampling import ONE_THREAD, Samples

Accumulate = Callable[[NormalEquations, Samples, ThreadPool], None]

# A GPU needs larger products.
_GPU_BATCH = 4096
# More tasks than threads, so that all threads end at about the same time.
_TASKS_PER_THREAD = 8
# Relative to the largest sum of the trial.
_TOLERANCE = 1e-4


def accumulator(device: str, say: Say) -> Accumulate:
    """Return the function that adds samples on a device: ``auto``, ``cpu`` or ``gpu``."""
    machine = choose(device, try_out, say)
    if machine is None:
        return add_samples

    def add(equations: NormalEquations, samples: Samples, pool: ThreadPool) -> None:
        try:
            add_samples_on(machine, equations, samples, pool)
        except machine.failures as error:
            say_fallen_back(machine, error, say)
            add_samples(equations, samples, pool)
        finally:
            machine.release()

    return add


def add_samples(
    equations: NormalEquations, samples: Samples, pool: ThreadPool = ONE_THREAD
) -> None:
    """Add samples to the sums of their buckets.

    Parameters
    ----------
    equations : NormalEquations
        Has as many buckets, taps and outputs as the samples.
    samples : Samples
    pool : ThreadPool
        Its threads share the buckets. If its check raises, only some of the samples
        were added.
    """
    ends, taps, outputs = samples.ends, samples.taps, samples.outputs

    def add(buckets: tuple[int, int]) -> None:
        patches = np.empty((BATCH, taps), np.float32)
        targets = np.empty((BATCH, outputs), np.float32)
        for bucket in range(*buckets):
            for rows in _batches(int(ends[bucket]), int(ends[bucket + 1]), BATCH):
                pool.check()
                a, b = (out[: rows.stop - rows.start] for out in (patches, targets))
                turn = samples.element[rows]
                cpu_samples.gather(
                    samples.source, samples.base[rows], turn, samples.offsets, samples.centered, a
                )
                cpu_samples.gather(
                    samples.target, samples.goal[rows], turn, samples.places, False, b
                )
                equations.add(bucket, a, b)

    pool.each(add, bucket_ranges(ends, _TASKS_PER_THREAD * pool.threads))


def bucket_ranges(ends: NDArray[np.int64], count: int) -> list[tuple[int, int]]:
    """Split the buckets into about ``count`` ranges of equally many samples, largest first."""
    cuts = np.searchsorted(ends, np.linspace(0, ends[-1], count + 1)[1:-1])
    ranges = list(itertools.pairwise(np.unique([0, *cuts, len(ends) - 1]).tolist()))
    return sorted(ranges, key=lambda buckets: ends[buckets[0]] - ends[buckets[1]])


def add_samples_on(
    machine: Machine, equations: NormalEquations, samples: Samples, pool: ThreadPool
) -> None:
    """Add samples on a GPU, as :func:`add_samples` does; checks the pool before each bucket."""
    xp = machine.xp
    gram = xp.zeros(equations.gram.shape, equations.gram.dtype)
    cross = xp.zeros(equations.cross.shape, equations.cross.dtype)
    energy = xp.zeros(equations.energy.shape, np.float64)
    source, target = xp.asarray(samples.source), xp.asarray(samples.target)
    offsets, places = (
        xp.asarray(table.astype(np.int32)) for table in (samples.offsets, samples.places)
    )
    base, goal, element = (
        xp.asarray(array) for array in (samples.base, samples.goal, samples.element)
    )
    for bucket, (first, end) in enumerate(itertools.pairwise(samples.ends.tolist())):
        pool.check()
        for rows in _batches(first, end, _GPU_BATCH):
            turn = element[rows]
            patches = gpu_kernels.gather(
                machine, source, base[rows], turn, offsets, samples.centered
            )
            targets = gpu_kernels.gather(machine, target, goal[rows], turn, places, False)
            gram[bucket] += patches.T @ patches
            cross[bucket] += patches.T @ targets
            energy[bucket] += xp.sum(targets * targets, dtype=np.float64)
    pool.check()
    sums = [machine.get(part) for part in (gram, cross, energy)]
    equations.gram += sums[0]
    equations.cross += sums[1]
    equations.energy += sums[2]
    equations.count += np.diff(samples.ends)


def try_out(machine: Machine) -> None:
    """Compare the sums of a few samples on a device with those of the CPU.

    Raises
    ------
    DeviceError
        If they differ.
    """
    found, expected = (NormalEquations.empty(3, 27, 2) for _ in range(2))
    samples = _trial_samples()
    add_samples_on(machine, found, samples, ONE_THREAD)
    add_samples(expected, samples)
    for name in ("gram", "cross", "energy"):
        a, b = getattr(found, name), getattr(expected, name)
        if not np.abs(a - b).max() <= _TOLERANCE * np.abs(b).max():
            raise DeviceError("a trial's sums are wrong")


def _trial_samples() -> Samples:
    rng = np.random.default_rng(1)
    volume = rng.random((9, 10, 11), dtype=np.float32)
    offsets = element_offsets((3, 3, 3), (110, 11, 1))
    x, y, z = rng.integers(1, 8, (3, 40))
    at = (x * 10 + y) * 11 + z
    element = rng.integers(0, len(offsets), 40).astype(np.uint8)
    ends, places = np.array([0, 25, 25, 40]), np.tile([0, 1], (len(offsets), 1))
    return Samples(volume, volume, at, at, element, ends, offsets, places, True)


def _batches(first: int, end: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, end)) for start in range(first, end, size)]
