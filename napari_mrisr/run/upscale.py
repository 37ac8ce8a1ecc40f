"""Super-resolve: input, checks, device, blocks, threads, progress, cancel.

The output is cut into blocks along x and y. Methods compute any region, so blocks are
independent: threads compute several at once, progress counts them, and a cancel takes effect
between them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from napari_mrisr.core.complex_volume import ComplexVolume, Part
from napari_mrisr.core.memory import memory_errors_explained, require_memory
from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.core.progress import Progress, message_after
from napari_mrisr.core.scale import (
    RealScale,
    ScaleLike,
    format_scale,
    isotropic_scale,
    parse_scale,
    scale_for_spacing,
)
from napari_mrisr.core.slices import slices_of, with_slice_thickness
from napari_mrisr.core.threads import ThreadPool, call_in_thread, processors
from napari_mrisr.core.volume import FloatArray, Grid, Origin, Region, Shape, Volume, scale_text
from napari_mrisr.errors import DeviceError, ParameterError, ScaleError, VolumeError, explain
from napari_mrisr.io.convert import as_volume
from napari_mrisr.io.read import Fill
from napari_mrisr.kernels.machine import Machine
from napari_mrisr.methods import (
    METHOD_SUMMARIES,
    Method,
    MultiPass,
    WholeVolume,
    base_name,
    default_method,
    get_method,
    network,
    on_device,
)
from napari_mrisr.methods.consistent import Consistent
from napari_mrisr.methods.devices import DEVICES, choose, say_fallen_back
from napari_mrisr.methods.resampled import Resampled
from napari_mrisr.run.blocks import BLOCK_VOXELS, block_regions, block_voxels, far_apart
from napari_mrisr.scan.labels import labels_found_in

# Of a part of a complex scan, whose blocks compute their halos in every stage.
_PART_BLOCK_VOXELS = 1_000_000

# Arrays of the output's size, and of a block's size per thread, at the peak of a run; see
# benchmarks/tracking/engine.py. Other methods are assumed to need as much as hashed.
_HOLDS = dict.fromkeys(("nearest", "linear", "tricubic", "quadratic", "lanczos"), (1, 4))
_HOLDS |= {"zero-fill": (1, 12), "back-projection": (4, 0), "tv": (14, 0)}
_HOLDS |= {"plug-and-play": (10, 560), "unrolled": (18, 360)}
_HOLDS_AT_MOST = (2, 18)
_MEMORY_MEND = "use a smaller scale or crop the input"


@dataclass(frozen=True)
class UpscaleParameters:
    """Parameters that determine a result.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> sr.UpscaleParameters((1, 1, 2), "tricubic").scale
    (1, 1, 2)


    Attributes
    ----------
    scale : tuple of int or float
        Factor of each axis (x, y, z of the RAS+ volume), 1 to 10.
    method : str
        Name of a method.
    bank : str or None
        For ``hashed``: path or name of a filter bank; for ``network``: path of a network file,
        which options may follow. None for the bundled one.
    device : str
        ``auto``, ``cpu`` or ``gpu``; see :mod:`napari_mrisr.methods.devices`.
    threads : int or None
        Number of threads; None for one per CPU.
    slice_thickness : float or None
        In mm; None for that of the sidecar, else the distance between slices.
    """

    scale: RealScale = (2, 2, 2)
    method: str = "hashed"
    bank: str | None = None
    device: str = "auto"
    threads: int | None = None
    slice_thickness: float | None = None

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise ParameterError(
                explain("device", repr(self.device), f"choose from {', '.join(DEVICES)}")
            )
        if self.threads is not None and self.threads < 1:
            raise ParameterError(explain("threads", str(self.threads), "give 1 or more"))

    @property
    def thread_count(self) -> int:
        """Number of threads to use."""
        return self.threads or processors()


@overload
def upscale(
    image: Volume, scale: UpscaleParameters, *, progress: Progress | None = None
) -> Volume: ...


@overload
def upscale(
    image: Any,
    scale: ScaleLike | None = None,
    *,
    spacing: float | Sequence[float] | None = None,
    isotropic: bool = False,
    slice_thickness: float | None = None,
    method: str | None = None,
    bank: str | Path | None = None,
    model: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    voxel_size: float | Sequence[float] | None = None,
    affine: Any = None,
    frame: int | None = None,
    fill_nonfinite: Fill | None = None,
    progress: Progress | None = None,
) -> Any: ...


def upscale(
    image: Any,
    scale: ScaleLike | UpscaleParameters | None = None,
    *,
    spacing: float | Sequence[float] | None = None,
    isotropic: bool = False,
    slice_thickness: float | None = None,
    method: str | None = None,
    bank: str | Path | None = None,
    model: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    voxel_size: float | Sequence[float] | None = None,
    affine: Any = None,
    frame: int | None = None,
    fill_nonfinite: Fill | None = None,
    progress: Progress | None = None,
) -> Any:
    """Super-resolve a 3D image.

    Parameters
    ----------
    image : Volume, nibabel image, path or (nx, ny, nz) array
        Low-resolution scan of any intensities. An array is taken as 1 mm voxels with axes
        to R, A, S unless ``voxel_size`` or ``affine`` is given.
    scale : float, tuple, list, str or UpscaleParameters
        Factor of each axis, 1 to 10: ``2``, ``(1, 1, 4.8)`` or ``"1x1x4.8"``. An axis of n
        voxels gets ``round(n * factor)`` over the same field of view. The factors count the
        axes as they are stored in the array, the nibabel image or the file, and R, A, S for
        a :class:`Volume`. :class:`UpscaleParameters` replace scale, method, bank, device,
        threads and slice thickness; their scale counts R, A, S.
    spacing : float or sequence of float, optional
        Voxel size of the result, in mm, in place of ``scale``. Axes that are finer already
        are kept.
    isotropic : bool
        In place of ``scale``: bring coarse axes to the finest one, at most 8 times finer.
    slice_thickness : float, optional
        In mm, at most 1.5 slice distances. By default that of the BIDS sidecar, else the
        distance between slices. The result's history states it.
    method : str, optional
        ``hashed`` (learned filters), ``network`` (for thick slices), ``tricubic`` (cubic
        B-spline), ``nearest``, ``quadratic`` (baseline of the 2021 paper), or a method of
        another package. By default ``network`` if one axis becomes finer, else ``hashed``.
    bank : str or path, optional
        Filter bank for ``hashed``: a name of :func:`list_banks` or a file. By default the
        bundled bank for the scale.
    model : str or path, optional
        Network file for ``network``: an ``.onnx`` file of any program, or a bioimage.io model.
        Options may follow the path, such as ``:plane=coronal``; see
        ``docs/how-to/own-network.md``. By default the bundled network for thick slices.
    device : str
        ``auto``, ``cpu`` or ``gpu``.
    threads : int, optional
        One per CPU by default.
    voxel_size : float or sequence of float, optional
        For an array only: its own voxel size, in mm, along its axes.
    affine : (4, 4) array_like, optional
        For an array only: voxel index to world, in mm, RAS+ (as in nibabel).
    frame : int, optional
        For a 4D nibabel image or file: the volume to take, from 0.
    fill_nonfinite : float or "mean", optional
        Replaces NaN and infinite voxels, which are refused otherwise.
    progress : Progress, optional
        Reports blocks; its token cancels within 200 ms.

    Returns
    -------
    Volume, nibabel image or array
        Float32, in the scan's intensities, over the same field of view, of the kind and in
        the axis order of ``image``. A path gives a :class:`Volume`.

    Raises
    ------
    VolumeError, GeometryError
        If the image cannot be used: NaN voxels, a label volume, a singular affine.
    ScaleError, BankError, ParameterError
        If the parameters cannot be met.
    MemoryEstimateError
        If the result would not fit into memory.
    Cancelled
        If the token was set; nothing is left behind.

    Notes
    -----
    Label volumes and masks are refused by every built-in method but ``nearest``, because
    interpolation would mix their values; see :mod:`napari_mrisr.scan.labels`.

    Method ``hashed`` follows "MRI image super-resolution through filter learning based on
    surrounding gradient information in 3D space" (2021, doi 10.9717/kmms.2020.24.2.178); see
    ``docs/explanation/method.md``.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_mrisr as sr
    >>> scan = np.random.default_rng(0).random((12, 10, 8))
    >>> sr.upscale(scan, 2).shape
    (24, 20, 16)
    >>> thick = sr.upscale(scan, scale=(1, 1, 4), method="tricubic", voxel_size=(1, 1, 4))
    >>> thick.shape
    (12, 10, 32)
    >>> sr.upscale(scan, spacing=1.5, method="tricubic", voxel_size=(1, 1, 4)).shape
    (12, 10, 21)
    >>> sr.upscale(scan, isotropic=True, method="tricubic", voxel_size=(1, 1, 4)).shape
    (12, 10, 32)
    """
    volume, back = as_volume(
        image, voxel_size=voxel_size, affine=affine, frame=frame, fill_nonfinite=fill_nonfinite
    )
    if isinstance(scale, UpscaleParameters):
        parameters = scale
    else:
        factors = _scale_of(image, volume, scale, spacing, isotropic)
        name = _file_of(bank, model)
        method = method or default_method(factors, name)
        parameters = UpscaleParameters(factors, method, name, device, threads, slice_thickness)
    chosen = check_parameters(parameters)
    check_labels(volume, parameters)
    check_memory(volume.grid, parameters)
    with memory_errors_explained(_MEMORY_MEND):
        return back(run(chosen, volume, parameters, progress=progress or Progress()))


def _file_of(bank: str | Path | None, model: str | Path | None) -> str | None:
    """Return the filter bank or network file to use."""
    if bank is not None and model is not None:
        raise ParameterError(explain("model", f"{model} and bank {bank}", "give one of the two"))
    file = bank if model is None else model
    return None if file is None else str(file)


def _scale_of(
    image: Any,
    volume: Volume,
    scale: ScaleLike | None,
    spacing: float | Sequence[float] | None,
    isotropic: bool,
) -> RealScale:
    """Return the factors along R, A, S."""
    given = [scale is not None, spacing is not None, isotropic]
    if sum(given) != 1:
        found = "several are given" if any(given) else "none is given"
        mend = "pass one, such as scale=2, spacing=1.0 or isotropic=True"
        raise ScaleError(explain("scale, spacing or isotropic", found, mend))
    if isotropic:
        return isotropic_scale_of(volume.grid)
    # The factors count stored axes, except for a volume, whose axes are R, A, S.
    origin = None if isinstance(image, Volume) else volume.origin
    factors: RealScale
    if scale is not None:
        factors = parse_scale(scale)
    else:
        assert spacing is not None
        x, y, z = volume.grid.voxel_size
        a, b, c = origin.ras_axis if origin is not None else (0, 1, 2)
        stored = ((x, y, z)[a], (x, y, z)[b], (x, y, z)[c])
        factors = scale_for_spacing(stored, spacing)
    return origin.to_ras(factors) if origin is not None else factors


def isotropic_scale_of(grid: Grid) -> RealScale:
    """Return the factors along R, A, S that make a scan isotropic.

    Raises
    ------
    ScaleError
        If its voxels are nearly isotropic.
    """
    scale = isotropic_scale(grid.voxel_size)
    if max(scale) == 1:
        sizes = " × ".join(f"{mm:.3g}" for mm in grid.voxel_size)
        found = f"voxels of {sizes} mm (R–L, A–P, S–I) are isotropic within 20 %"
        raise ScaleError(explain("isotropic", found, "give a scale or a spacing"))
    return scale


def check_labels(volume: Volume, parameters: UpscaleParameters) -> None:
    """Raise :class:`VolumeError` if a method would mix the values of a label volume."""
    if base_name(parameters.method) not in METHOD_SUMMARIES or parameters.method == "nearest":
        return
    if reason := labels_found_in(volume):
        name = volume.origin.name if volume.origin is not None else "volume"
        found = f"holds labels ({reason}), which {parameters.method} would mix"
        raise VolumeError(explain(name, found, "use method nearest"))


def check_parameters(parameters: UpscaleParameters) -> Method:
    """Return the method for the parameters, or raise the error of a run."""
    return get_method(parameters.method, parameters.scale, parameters.bank)


def run(
    method: Method, volume: Volume, parameters: UpscaleParameters, *, progress: Progress
) -> Volume:
    """Run a method on the device and threads of ``parameters``; see :func:`upscale`."""
    volume = with_slice_thickness(volume, parameters.slice_thickness)
    threads = parameters.thread_count
    task = functools.partial(network.on_device, method, parameters.device, progress.message)
    placed = call_in_thread(task, progress.token.check)
    if placed is not None:
        try:
            return run_method(placed, volume, threads=threads, progress=progress)
        except DeviceError as error:
            if parameters.device == "gpu":
                raise
            progress.message(f"{error}; computing on the CPU")
            return run_method(method, volume, threads=threads, progress=progress)
    machine = None
    if not isinstance(volume, Part):  # whose filters the GPU would choose from its own values
        machine = _choose(method, parameters.device, progress)
    if machine is not None:
        try:
            out = on_device.run(method, volume, machine, progress)
            return as_result(method, volume, out, device=machine.name)
        except machine.failures as error:
            say_fallen_back(machine, error, progress.message)
    return run_method(method, volume, threads=threads, progress=progress)


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
    compile_kernels(method, progress, part=isinstance(volume, Part))
    lr = volume.normalized(check=pool.check)
    if isinstance(method, WholeVolume):
        whole = functools.partial(method.compute_whole, lr, progress, threads)
        found = call_in_thread(whole, pool.check)
        return as_result(method, volume, lr.window.from_unit(found))
    steps = _steps(method, lr)
    size = _PART_BLOCK_VOXELS if isinstance(lr, Part) else BLOCK_VOXELS
    blocks = [block_regions(lr.grid.upsampled(scale), scale, size) for scale, _ in steps]
    task = f"{method.name} {scale_text(method.scale, volume.origin)}"
    progress.begin(task, sum(map(len, blocks)))
    out = np.empty((0, 0, 0), np.float32)
    for number, (scale, step) in enumerate(steps, 1):
        previous, out = out, np.empty(lr.grid.upsampled(scale).shape, np.float32)
        last = number == len(steps)
        compute = functools.partial(_compute_block, lr, step, last, previous, out)
        # A cancelled run does not wait for running blocks; they end within a fraction of a second.
        order = far_apart(blocks[number - 1], threads)
        pool.each(compute, order, progress.advance, wait_for_running=False)
    return as_result(method, volume, out)


Step = Callable[[FloatArray, Region], FloatArray]
"""Computes a region from the whole image before it."""


def _steps(method: Method, lr: Volume) -> list[tuple[RealScale, Step]]:
    """Return the scale and function of each image that a whole run makes."""
    if isinstance(lr, Part):  # each step needs the magnitude's image too
        return [(method.scale, lambda _, region: method.compute(lr, region))]
    if isinstance(method, Resampled | Consistent):
        change = method.resample if isinstance(method, Resampled) else method.correct
        step = functools.partial(_from_whole, change, lr)
        return [*_steps(method.method, lr), (method.scale, step)]
    if isinstance(method, MultiPass):
        numbers = range(method.passes)
        return [(method.scale, functools.partial(method.compute_pass, n, lr)) for n in numbers]
    return [(method.scale, lambda _, region: method.compute(lr, region))]


def as_result(method: Method, volume: Volume, out: FloatArray, **more: str) -> Volume:
    """Return the result with the history for saved files."""
    made = history_of(method, volume.grid, volume.origin, **more)
    history = {**history_of_scan(volume.history), **made}
    origin = volume.origin
    if origin is not None and origin.slice_thickness is not None:
        origin = replace(origin, slice_thickness=None, slice_source="")
    return Volume(out, volume.grid.upsampled(method.scale), origin=origin, history=history)


def history_of_scan(history: Mapping[str, str]) -> dict[str, str]:
    """Return what a result's history takes from its input, without the notes of another method."""
    if "method" not in history:
        return dict(history)
    kept = ("degradation", "degraded_by", "source")
    return {key: history[key] for key in kept if key in history}


def history_of(method: Method, grid: Grid, origin: Origin | None, **more: str) -> dict[str, str]:
    """Return what a saved result states: method, scale, and the slices that were assumed."""
    # In the file's axis order, as on the command line.
    scale = origin.from_ras(method.scale) if origin else method.scale
    history = {**method.provenance(), **more, "scale": format_scale(scale)}
    slices = slices_of(grid, origin)
    if slices is not None and method.scale[slices.axis] > 1:
        history["slices"] = str(slices)
    return {**history, "note": RESEARCH_USE}


def _from_whole(
    change: Callable[[Volume, FloatArray, Shape, Region], FloatArray],
    lr: Volume,
    image: FloatArray,
    region: Region,
) -> FloatArray:
    return change(lr, image, (0, 0, 0), region)


def _compute_block(
    lr: Volume, step: Step, last: bool, previous: FloatArray, out: FloatArray, block: Region
) -> None:
    """Compute a block of a step into ``out``; the ``last`` one in the scan's intensities."""
    image = step(previous, block)
    if last:
        lr.window.from_unit(image, out[block.slices])
    else:
        out[block.slices] = image


def estimate_memory(grid: Grid, parameters: UpscaleParameters) -> int:
    """Return the peak memory of :func:`upscale` for an input on ``grid``, in bytes.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_mrisr as sr
    >>> grid = sr.Grid((256, 256, 180), np.eye(4))
    >>> need = sr.estimate_memory(grid, sr.UpscaleParameters((2, 2, 2), "tricubic", threads=2))
    >>> f"{need / 2**30:.1f} GB"
    '0.4 GB'
    """
    voxels = int(np.prod(grid.shape, dtype=np.int64))
    output = math.prod(grid.upsampled(parameters.scale).shape)
    whole, blocks = _HOLDS.get(base_name(parameters.method), _HOLDS_AT_MOST)
    held = blocks * block_voxels(output) * parameters.thread_count
    return 4 * (whole * output + 2 * voxels + held)


def check_memory(grid: Grid, parameters: UpscaleParameters) -> None:
    """Raise :class:`MemoryEstimateError` if :func:`upscale` would not fit."""
    shape = " × ".join(str(n) for n in grid.upsampled(parameters.scale).shape)
    found = f"an output of {shape} voxels needs"
    require_memory(estimate_memory(grid, parameters), found, _MEMORY_MEND)


def compile_kernels(method: Method, progress: Progress, *, part: bool = False) -> None:
    """Compile the method's kernels or load them from the cache; a cancel does not wait.

    With ``part`` those for a part of a complex scan.
    """
    shape = (4, 5, 6)
    tiny = Volume(np.linspace(0, 1, 120, dtype=np.float32).reshape(shape), Grid(shape, np.eye(4)))
    region = Region.whole(tiny.grid.upsampled(method.scale).shape)
    lr = ComplexVolume(tiny, tiny).parts()[0] if part else tiny.normalized()

    def compute() -> None:
        with message_after(1.0, progress.message, compiling_message()):
            method.compute(lr, region)

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
