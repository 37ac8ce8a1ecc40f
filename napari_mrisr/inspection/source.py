"""Input image of a stage, and block-wise computing on its grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.model import FilterBank, Stage
from napari_mrisr.core.memory import require_memory
from napari_mrisr.core.progress import Progress, message_after
from napari_mrisr.core.scale import RealScale, Scale
from napari_mrisr.core.threads import ThreadPool, processors
from napari_mrisr.core.volume import FloatArray, Grid, Region, Shape, Volume
from napari_mrisr.errors import GeometryError, ParameterError, explain
from napari_mrisr.methods.hashed import Hashed, grown
from napari_mrisr.run.blocks import block_regions
from napari_mrisr.run.upscale import compiling_message
from napari_mrisr.scan.masks import head_mask

_COMPILING_AFTER_S = 2.0


@dataclass(frozen=True, eq=False)
class StageInput:
    """A stage of a bank and its input image.

    Attributes
    ----------
    bank : FilterBank
    number : int
        Stage, from 0.
    image : ndarray of float32
        Image that the stage hashes and filters, engine units: the low-resolution
        volume for a cell stage, the output of the previous stage for a voxel stage.
    grid : Grid
        Grid of ``image``.
    lr : Volume
        Normalized low-resolution volume.
    """

    bank: FilterBank
    number: int
    image: FloatArray
    grid: Grid
    lr: Volume

    @property
    def stage(self) -> Stage:
        """Stage of the bank."""
        return self.bank.stages[self.number]

    @property
    def shape(self) -> Shape:
        """Voxels of the stage's grid along x, y, z."""
        return self.grid.shape

    _head_cache: list[NDArray[np.bool_]] = field(default_factory=list, init=False, repr=False)

    def head(self, progress: Progress | None = None) -> NDArray[np.bool_]:
        """Return the head mask on the stage's grid; computed once."""
        if not self._head_cache:
            progress = progress or Progress()
            mask = head_mask(self.lr.data, progress)
            for axis, (n, m) in enumerate(zip(self.shape, mask.shape, strict=True)):
                progress.token.check()
                mask = np.repeat(mask, n // m, axis=axis)
            self._head_cache.append(mask)
        return self._head_cache[0]

    def crop_for(self, region: Region) -> tuple[FloatArray, Shape]:
        """Return the part of ``image`` that hashing a region reads, and its first index."""
        reach = self.stage.spec.hash.reach
        box = grown(region, reach, self.shape)
        return self.image[box.slices], box.start


def check_stage(bank: FilterBank, number: int) -> Stage:
    """Return a stage by number (from 0); raise :class:`ParameterError` if it does not exist."""
    if not 0 <= number < len(bank.stages):
        found, remedy = f"stage {number + 1}", f"give 1 to {len(bank.stages)}"
        raise ParameterError(explain(f"bank {bank.name}", found, remedy))
    return bank.stages[number]


def check_reference(reference: Grid, lr: Grid, scale: RealScale) -> None:
    """Raise :class:`GeometryError` if a reference does not lie on the upsampled grid."""
    grid = lr.upsampled(scale)
    if reference.shape != grid.shape or not np.allclose(reference.affine, grid.affine, atol=1e-2):
        found = f"grid {reference.shape} differs from the upsampled grid {grid.shape}"
        if reference.shape == grid.shape:
            found = "its position differs from that of the upsampled grid"
        remedy = "choose the volume from which the low-resolution scan was made, or none"
        raise GeometryError(explain("reference", found, remedy))


def stage_input(
    volume: Volume,
    bank: FilterBank,
    number: int,
    *,
    earlier: StageInput | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> StageInput:
    """Compute the input image of a stage.

    Parameters
    ----------
    volume : Volume
        Low resolution.
    bank : FilterBank
    number : int
        Stage, from 0.
    earlier : StageInput, optional
        Earlier result to continue from; used if its bank and all its voxels are equal.
    threads : int, optional
        Number of threads; by default one per CPU.
    progress : Progress, optional
        Advances per block and stage; cancels between blocks.

    Returns
    -------
    StageInput
        Its image equals the one inside a run of ``hashed`` bit for bit.

    Raises
    ------
    ParameterError
        If the bank has no such stage.
    MemoryEstimateError
        If image and map do not fit into memory.
    Cancelled
        If the user cancels.
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
    image, done = _reusable(earlier, bank, number, lr)
    method = Hashed(bank)
    for step in range(done, number + 1):
        previous, image = image, np.empty(grid.shape, np.float32)

        def compute(region: Region, step: int = step) -> None:
            # The loop continues only after all blocks are done.
            image[region.slices] = method.compute_pass(step, lr, previous, region)  # noqa: B023

        text = "interpolating" if step == 0 else f"stage {step} of {len(bank.stages)}"
        over_blocks(grid, bank.scale, compute, text, threads, progress)
    return StageInput(bank, number, image, grid, lr)


def _reusable(
    earlier: StageInput | None, bank: FilterBank, number: int, lr: Volume
) -> tuple[FloatArray, int]:
    """Return an image to continue from, and the number of passes that made it."""
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
    """Run a task on every block of a grid in a thread pool; check for cancellation.

    Parameters
    ----------
    grid : Grid
        Grid to cut into blocks.
    scale : tuple of int
        Voxels per cell; a block holds whole cells.
    task : callable
        Called with a :class:`Region`; writes its own part of a result.
    text : str
        Name of the work, for the progress display.
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
    """Raise :class:`MemoryEstimateError` if a stage's input and map do not fit into memory."""
    # Two passes of float32, and a map of at most 32 bits.
    need = 12 * int(np.prod(grid.shape, dtype=np.int64))
    require_memory(need, "inspecting this stage needs", "crop the volume or choose stage 1")
