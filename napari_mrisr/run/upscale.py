"""Run a method over a volume: checks, device, blocks, threads, progress, cancel.

The output is cut into blocks along x. Methods are region-addressable, so blocks
are independent: threads compute several at once, progress counts them, and
cancel takes effect between them.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np

from napari_mrisr.core.memory import memory_errors_explained, require_memory
from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.core.progress import Progress, message_after
from napari_mrisr.core.scale import Scale, format_scale, scale_label
from napari_mrisr.core.threads import ThreadPool, call_in_thread, processors
from napari_mrisr.core.volume import FloatArray, Grid, Region, Volume
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.kernels.machine import Machine
from napari_mrisr.methods import Method, MultiPass, get_method, on_device
from napari_mrisr.methods.devices import DEVICES, choose, say_fallen_back

# Large enough that a block's halo costs little, small enough for a smooth progress
# and for its temporaries to stay in a cache.
BLOCK_VOXELS = 250_000
_BLOCKS_AT_LEAST = 20

# Arrays of the output's size, and of a block's size a thread, that a run holds at its
# peak; see benchmarks/memory.py. Other methods are taken to be as hungry as hashed.
_HOLDS = {"nearest": (1, 4), "tricubic": (1, 4), "quadratic": (1, 4)}
_HOLDS_AT_MOST = (2, 18)
_MEMORY_MEND = "use a smaller scale or crop the input"


@dataclass(frozen=True)
class UpscaleParameters:
    """Everything that decides a result.

    Attributes
    ----------
    scale : tuple of int
        Factor of each axis (x, y, z of the RAS+ volume).
    method : str
        Name of a method.
    bank : str or None
        For ``hashed``: path or name of a filter bank; None for the bundled one.
    device : str
        ``auto``, ``cpu`` or ``gpu``; see :mod:`napari_mrisr.methods.devices`.
    threads : int or None
        Threads; None for one a processor.
    """

    scale: Scale = (2, 2, 2)
    method: str = "hashed"
    bank: str | None = None
    device: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise ParameterError(
                explain("--device", repr(self.device), f"choose from {', '.join(DEVICES)}")
            )
        if self.threads is not None and self.threads < 1:
            raise ParameterError(explain("--threads", str(self.threads), "give 1 or more"))

    @property
    def thread_count(self) -> int:
        """Threads to use."""
        return self.threads or processors()


def upscale(
    volume: Volume, parameters: UpscaleParameters, *, progress: Progress | None = None
) -> Volume:
    """Super-resolve a volume.

    Parameters
    ----------
    volume : Volume
        Low resolution, in the scan's intensities.
    parameters : UpscaleParameters
        Scale, method, bank, device, threads.
    progress : Progress, optional
        Reports every block, and cancels between blocks.

    Returns
    -------
    Volume
        In the scan's intensities, over the same field of view.

    Raises
    ------
    ScaleError, BankError, ParameterError
        When the parameters cannot be met.
    MemoryEstimateError
        When the result would not fit into memory.
    Cancelled
        When asked to stop; nothing is left behind.
    """
    progress = progress or Progress()
    method = check_parameters(parameters)
    check_memory(volume.grid, parameters)
    with memory_errors_explained(_MEMORY_MEND):
        return run(method, volume, parameters, progress=progress)


def check_parameters(parameters: UpscaleParameters) -> Method:
    """The method for the parameters, or the error that a run would meet at once."""
    return get_method(parameters.method, parameters.scale, parameters.bank)


def run(
    method: Method, volume: Volume, parameters: UpscaleParameters, *, progress: Progress
) -> Volume:
    """Run a method on the device and threads of ``parameters``; see :func:`upscale`."""
    machine = _choose(method, parameters.device, progress)
    if machine is not None:
        try:
            out = on_device.run(method, volume, machine, progress)
            return as_result(method, volume, out, device=machine.name)
        except machine.failures as error:
            say_fallen_back(machine, error, progress.message)
    return run_method(method, volume, threads=parameters.thread_count, progress=progress)


def _choose(method: Method, wanted: str, progress: Progress) -> Machine | None:
    """Return the device that passes its trial, None for the CPU; the trial may compile kernels."""
    trial = functools.partial(on_device.try_out, method)
    task = functools.partial(choose, wanted, trial, progress.message)
    return call_in_thread(task, progress.token.check)


def run_method(
    method: Method, volume: Volume, *, threads: int = 1, progress: Progress | None = None
) -> Volume:
    """Run a method over a whole volume on the CPU, in blocks; see :func:`upscale`."""
    progress = progress or Progress()
    pool = ThreadPool(threads, progress.token)
    compile_kernels(method, progress)
    lr = volume.normalized(check=pool.check)
    grid = lr.grid.upsampled(method.scale)
    blocks = block_regions(grid, method.scale)
    passes = method.passes if isinstance(method, MultiPass) else 1
    progress.begin(f"{method.name} {scale_label(method.scale)}", passes * len(blocks))
    out = np.empty(grid.shape, np.float32)
    for number in range(passes):
        previous, out = out, (np.empty(grid.shape, np.float32) if number else out)
        task = functools.partial(_compute_block, method, lr, number, passes, previous, out)
        # A cancelled run does not wait for running blocks; they end within a fraction of a second.
        pool.each(task, blocks, progress.advance, wait_for_running=False)
    return as_result(method, volume, out)


def as_result(method: Method, volume: Volume, out: FloatArray, **more: str) -> Volume:
    """The result with what a saved file should say of it."""
    # In the file's own axis order, as on the command line.
    scale = volume.origin.from_ras(method.scale) if volume.origin else method.scale
    history = {
        **volume.history,
        **method.provenance(),
        **more,
        "scale": format_scale(scale),
        "note": RESEARCH_USE,
    }
    grid = volume.grid.upsampled(method.scale)
    return Volume(out, grid, origin=volume.origin, history=history)


def _compute_block(
    method: Method,
    lr: Volume,
    number: int,
    passes: int,
    previous: FloatArray,
    out: FloatArray,
    block: Region,
) -> None:
    """One block of one pass into ``out``; the last pass in the scan's intensities."""
    if isinstance(method, MultiPass):
        image = method.compute_pass(number, lr, previous, block)
    else:
        image = method.compute(lr, block)
    if number == passes - 1:
        lr.window.from_unit(image, out[block.slices])
    else:
        out[block.slices] = image


def block_regions(grid: Grid, scale: Scale) -> list[Region]:
    """The output cut along x and y into blocks of whole low-resolution voxels.

    Along z they are whole, since the kernels work on lines along z.
    """
    x, y, z = grid.shape
    side = math.sqrt(_block_voxels(x * y * z) / z)
    # Longer along y, where the kernels reuse what they have for the row before.
    x_edges, y_edges = _edges(x, scale[0], side / 1.4), _edges(y, scale[1], side * 1.4)
    return [
        Region((a, c, 0), (b, d, z))
        for a, b in itertools.pairwise(x_edges)
        for c, d in itertools.pairwise(y_edges)
    ]


def _edges(size: int, cell: int, thick: float) -> list[int]:
    """Edges of about equal pieces of whole cells, about so thick."""
    cells = -(-size // cell)
    pieces = min(cells, max(1, round(size / thick)))
    return [min(size, cells * n // pieces * cell) for n in range(pieces + 1)]


def _block_voxels(output: int) -> int:
    return max(1, min(BLOCK_VOXELS, output // _BLOCKS_AT_LEAST))


def estimate_memory(grid: Grid, parameters: UpscaleParameters) -> int:
    """Bytes that :func:`upscale` needs at its peak for an input on ``grid``."""
    voxels = int(np.prod(grid.shape, dtype=np.int64))
    output = voxels * int(np.prod(parameters.scale))
    whole, blocks = _HOLDS.get(parameters.method, _HOLDS_AT_MOST)
    held = blocks * _block_voxels(output) * parameters.thread_count
    return 4 * (whole * output + 2 * voxels + held)


def check_memory(grid: Grid, parameters: UpscaleParameters) -> None:
    """Raise :class:`MemoryEstimateError` when :func:`upscale` would not fit."""
    shape = " × ".join(str(n) for n in grid.upsampled(parameters.scale).shape)
    found = f"an output of {shape} voxels needs"
    require_memory(estimate_memory(grid, parameters), found, _MEMORY_MEND)


def compile_kernels(method: Method, progress: Progress) -> None:
    """Compile the method's kernels or load them from the cache; a cancel does not wait."""
    x, y, z = method.scale
    shape = (4, 5, 6)
    tiny = Volume(np.linspace(0, 1, 120, dtype=np.float32).reshape(shape), Grid(shape, np.eye(4)))
    region = Region((0, 0, 0), (4 * x, 5 * y, 6 * z))

    def compute() -> None:
        with message_after(1.0, progress.message, compiling_message()):
            method.compute(tiny.normalized(), region)

    call_in_thread(compute, progress.token.check)


def compiling_message() -> str:
    """Return the text to show while kernels are compiled."""
    from napari_mrisr.kernels.jit import cache_folder

    if cache_folder() is None:
        return (
            "compiling the kernels (about 10 s in every run, because no cache folder is"
            " writable; set NUMBA_CACHE_DIR to a writable folder)"
        )
    return "compiling the kernels for this machine (once, about 10 s)"
