"""What a stage of a bank hashes: the scan itself, or what the stages before make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.model import FilterBank, Stage
from napari_mrisr.core.memory import require_memory
from napari_mrisr.core.progress import Progress, message_after
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.threads import ThreadPool, processors
from napari_mrisr.core.volume import FloatArray, Grid, Region, Shape, Volume
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.run.upscale import block_regions, compiling_message
from napari_mrisr.scan.masks import head_mask

_COMPILING_AFTER_S = 2.0


@dataclass(frozen=True, eq=False)
class StageInput:
    """A stage of a bank and what it looks at.

    Attributes
    ----------
    bank : FilterBank
    number : int
        Which stage, from 0.
    image : ndarray of float32
        What the stage hashes and filters, engine units: the low-resolution volume
        for a stage of cells, what the stages before make of it for one of voxels.
    grid : Grid
        Where the voxels of ``image`` are.
    lr : Volume
        The low-resolution volume, normalized.
    """

    bank: FilterBank
    number: int
    image: FloatArray
    grid: Grid
    lr: Volume

    @property
    def stage(self) -> Stage:
        """The stage."""
        return self.bank.stages[self.number]

    @property
    def shape(self) -> Shape:
        """Voxels along x, y, z of the stage's grid."""
        return self.grid.shape

    _heads: list[NDArray[np.bool_]] = field(default_factory=list, init=False, repr=False)

    def head(self, progress: Progress | None = None) -> NDArray[np.bool_]:
        """The head, on the stage's grid: where training samples would come from; found once."""
        if not self._heads:
            progress = progress or Progress()
            mask = head_mask(self.lr.data, progress)
            for axis, (n, m) in enumerate(zip(self.shape, mask.shape, strict=True)):
                progress.token.check()
                mask = np.repeat(mask, n // m, axis=axis)
            self._heads.append(mask)
        return self._heads[0]

    def around(self, region: Region) -> tuple[FloatArray, Shape]:
        """The part of ``image`` that hashing a region reads, and its first voxel's index."""
        reach = self.stage.spec.hash.window.reach
        ends = list(zip(region.start, region.stop, self.shape, strict=True))
        x, y, z = (max(0, a - reach) for a, _, _ in ends)
        box = tuple(slice(max(0, a - reach), min(n, b + reach)) for a, b, n in ends)
        return self.image[box], (x, y, z)


def check_stage(bank: FilterBank, number: int) -> Stage:
    """The stage of that number (from 0), or :class:`ParameterError` where there is none."""
    if not 0 <= number < len(bank.stages):
        found, mend = f"stage {number + 1}", f"give 1 to {len(bank.stages)}"
        raise ParameterError(explain(f"bank {bank.name}", found, mend))
    return bank.stages[number]


def stage_input(
    volume: Volume,
    bank: FilterBank,
    number: int,
    *,
    earlier: StageInput | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> StageInput:
    """What a stage looks at in a volume.

    Parameters
    ----------
    volume : Volume
        Low resolution.
    bank : FilterBank
    number : int
        Which stage, from 0.
    earlier : StageInput, optional
        Taken up where it is of the same bank and, voxel for voxel, the same volume.
    threads : int, optional
        By default one a processor.
    progress : Progress, optional
        One step a block and stage; cancels between blocks.

    Returns
    -------
    StageInput
        Its image has the same bits as inside a whole run of ``hashed``.

    Raises
    ------
    ParameterError
        When the bank has no such stage.
    MemoryEstimateError
        When the maps would not fit into memory.
    Cancelled
        When asked to stop.
    """
    stage = check_stage(bank, number)
    progress = progress or Progress()
    if stage.spec.grid == "cell":
        lr = volume.normalized(check=progress.token.check)
        progress.token.check()
        return StageInput(bank, number, lr.data, lr.grid, lr)
    grid = volume.grid.upsampled(bank.scale)
    _check_memory(grid)
    lr = volume.normalized(check=progress.token.check)
    image, done = _taken_up(earlier, bank, number, lr)
    method = Hashed(bank)
    for step in range(done, number + 1):
        previous, image = image, np.empty(grid.shape, np.float32)

        def compute(region: Region, step: int = step) -> None:
            # Bound now: the loop goes on only after all blocks are done.
            image[region.slices] = method.compute_pass(step, lr, previous, region)  # noqa: B023

        text = "interpolating" if step == 0 else f"stage {step} of {len(bank.stages)}"
        over_blocks(grid, bank.scale, compute, text, threads, progress)
    return StageInput(bank, number, image, grid, lr)


def _taken_up(
    earlier: StageInput | None, bank: FilterBank, number: int, lr: Volume
) -> tuple[FloatArray, int]:
    """An image to go on from, and how many passes have made it."""
    if (
        earlier is not None
        and earlier.bank is bank
        and earlier.number <= number
        and earlier.stage.spec.grid == "voxel"
        and earlier.lr.window == lr.window
        and np.array_equal(earlier.lr.data, lr.data)
    ):
        return earlier.image, earlier.number + 1
    return np.empty(0, np.float32), 0


def over_blocks(
    grid: Grid,
    scale: Scale,
    task: Callable[[Region], None],
    text: str,
    threads: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Run a task on every block of a grid, in threads; ask for cancelling meanwhile.

    Parameters
    ----------
    grid : Grid
        What is cut into blocks.
    scale : tuple of int
        Blocks hold whole cells of so many voxels.
    task : callable
        Given a :class:`Region`; writes its own part of a result.
    text : str
        What is being done, for a person.
    threads, progress
        As :func:`stage_input`.
    """
    progress = progress or Progress()
    blocks = block_regions(grid, scale)
    progress.begin(text, len(blocks))
    pool = ThreadPool(threads or processors(), progress.token)
    with message_after(_COMPILING_AFTER_S, progress.message, compiling_message()) as timer:

        def ended(count: int) -> None:
            timer.cancel()
            progress.advance(count)

        pool.each(task, blocks, ended)


def _check_memory(grid: Grid) -> None:
    """Raise :class:`MemoryEstimateError` where a stage's input and map would not fit."""
    # Two passes of float32, and a map of at most 32 bits.
    need = 12 * int(np.prod(grid.shape, dtype=np.int64))
    require_memory(need, "inspecting this stage needs", "crop the volume or choose stage 1")
