"""A volume's samples into the sums on a GPU.

Patches are gathered and multiplied on the device, bucket by bucket, in float32
over some thousand samples, then added in the type of the sums. The sums of one
volume come back at its end; a device that fails before has changed nothing, and
the CPU does the volume over.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from napari_mrisr.bank.hashing import element_offsets
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.errors import DeviceError
from napari_mrisr.kernels import gpu_kernels
from napari_mrisr.kernels.machine import Machine
from napari_mrisr.methods.devices import Say, choose, say_fallen_back
from napari_mrisr.training.accumulate import add_samples
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.sampling import Samples

Accumulate = Callable[[NormalEquations, Samples, ThreadPool], None]

# Samples whose products are summed in float32, as kernels.cpu_gram does; of more than one
# batch a large bucket is made, so that their patches take little memory.
_BATCH = 4096

# Of a trial's largest sum.
_TOLERANCE = 1e-4


def accumulator(wanted: str, say: Say) -> Accumulate:
    """What adds samples on the device wanted, ``auto``, ``cpu`` or ``gpu``."""
    machine = choose(wanted, try_out, say)
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


def add_samples_on(
    machine: Machine, equations: NormalEquations, samples: Samples, pool: ThreadPool
) -> None:
    """See :func:`napari_mrisr.training.accumulate.add_samples`; the check is asked every bucket."""
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
        for start in range(first, end, _BATCH):
            rows = slice(start, min(start + _BATCH, end))
            turn = element[rows]
            patches = gpu_kernels.gather(
                machine, source, base[rows], turn, offsets, samples.centered
            )
            wanted = gpu_kernels.gather(machine, target, goal[rows], turn, places, False)
            gram[bucket] += patches.T @ patches
            cross[bucket] += patches.T @ wanted
            energy[bucket] += xp.sum(wanted * wanted, dtype=np.float64)
    pool.check()
    sums = [machine.get(part) for part in (gram, cross, energy)]
    equations.gram += sums[0]
    equations.cross += sums[1]
    equations.energy += sums[2]
    equations.count += np.diff(samples.ends)


def try_out(machine: Machine) -> None:
    """Have a few samples added on both.

    Raises
    ------
    DeviceError
        When the device's sums are not the CPU's.
    """
    found, expected = (NormalEquations.empty(3, 27, 2) for _ in range(2))
    samples = _some_samples()
    add_samples_on(machine, found, samples, ThreadPool())
    add_samples(expected, samples)
    for name in ("gram", "cross", "energy"):
        a, b = getattr(found, name), getattr(expected, name)
        if not np.abs(a - b).max() <= _TOLERANCE * np.abs(b).max():
            raise DeviceError("a trial's sums are wrong")


def _some_samples() -> Samples:
    rng = np.random.default_rng(1)
    volume = rng.random((9, 10, 11), dtype=np.float32)
    offsets = element_offsets(3, (110, 11, 1))
    x, y, z = rng.integers(1, 8, (3, 40))
    at = (x * 10 + y) * 11 + z
    element = rng.integers(0, len(offsets), 40).astype(np.uint8)
    ends, places = np.array([0, 25, 25, 40]), np.tile([0, 1], (len(offsets), 1))
    return Samples(volume, volume, at, at, element, ends, offsets, places, True)
