"""``napari-mrisr warm``: compile all kernels before the first run.

Numba compiles a kernel for the types of its arguments, so no list of kernels would do:
a tiny scan runs through every command. A test checks that no kernel is left out and
that a later run compiles none.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mrisr.cli import options
from napari_mrisr.cli.session import EXIT_GOOD, Session
from napari_mrisr.core.progress import Progress, format_seconds

if TYPE_CHECKING:
    from napari_mrisr.core.volume import Volume

_EXAMPLE = """\
examples:
  napari-mrisr warm --quiet
  NUMBA_CACHE_DIR=/scratch/kernels napari-mrisr warm
"""
_SHAPE = (34, 30, 26)

Step = Callable[[], object]


def add_parser(commands: options.Commands) -> None:
    """Add the command."""
    summary = "Compile all kernels now instead of in the first run (30 s, once)."
    options.new_command(commands, "warm", run, summary, _EXAMPLE)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Run the command."""
    from napari_mrisr.kernels.jit import KERNELS, cache_folder

    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="napari-mrisr-") as folder:
        steps = list(_steps(Path(folder), Progress(session.token)))
        session.progress.begin("compiling the kernels for this machine", len(steps))
        for step in steps:
            step()
            session.progress.advance()
    compiled = sum(sum(kernel.stats.cache_misses.values()) for kernel in KERNELS)
    took = format_seconds(time.monotonic() - start)
    where = cache_folder()
    if where is None:
        session.say(
            "Compiled kernels cannot be stored: no cache folder is writable. Every run compiles "
            "them again, in about 10 s. Set NUMBA_CACHE_DIR to a writable folder."
        )
    else:
        what = f"{compiled} compiled in {took}" if compiled else "all compiled before"
        session.say(f"{len(KERNELS)} kernels ready ({what}), stored in {where}")
    return EXIT_GOOD


def _steps(folder: Path, progress: Progress) -> Iterator[Step]:
    """Yield the steps to run, in order; ``progress`` is silent and can cancel."""
    from napari_mrisr.bank.model import bundled_banks
    from napari_mrisr.evaluation.experiment import EvaluateParameters, evaluate
    from napari_mrisr.methods import available_methods
    from napari_mrisr.run.upscale import UpscaleParameters, upscale
    from napari_mrisr.training import train
    from napari_mrisr.training.presets import TrainParameters

    path = folder / "tiny.nii.gz"
    volume = _tiny_scan(path)
    for method in available_methods():
        scale = (1, 1, 2) if method in ("network", "unrolled") else (2, 2, 2)
        yield partial(upscale, volume, UpscaleParameters(scale, method), progress=progress)
    # Banks of other scales, and of the other degradation, run the same kernels.
    for bank in (name for name in bundled_banks() if "-2x" in name):
        yield partial(_judged, volume, bank, progress)
    yield partial(_previewed, volume)
    bank_path = folder / "bank.safetensors"
    yield partial(train, [path], bank_path, TrainParameters(), progress=progress)
    yield partial(_trained_in_single, path, folder / "single.safetensors", progress)
    yield partial(evaluate, [path], EvaluateParameters(), progress=progress)
    yield partial(_inspected, volume, progress)
    yield partial(_compared, volume, progress)


def _tiny_scan(path: Path) -> Volume:
    """Write a ball of noise and read it, so that its array is laid out like a real scan's."""
    import numpy as np

    from napari_mrisr.core.volume import Grid, Volume
    from napari_mrisr.io import read_volume, write_volume

    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in _SHAPE], indexing="ij")
    noise = np.random.default_rng(0).uniform(200, 300, _SHAPE)
    data = np.where(x**2 + y**2 + z**2 < 0.7, noise, 0).astype(np.float32)
    write_volume(Volume(data, Grid(_SHAPE, np.eye(4))), path)
    return read_volume(path)


def _previewed(volume: Volume) -> None:
    """Compute one axial slice, whose lines along z are short."""
    from napari_mrisr.core.volume import Region
    from napari_mrisr.methods import get_method

    x, y, z = (2 * n for n in _SHAPE)
    get_method("hashed", (2, 2, 2)).compute(volume.normalized(), Region((0, 0, z - 1), (x, y, z)))


def _trained_in_single(path: Path, out: Path, progress: Progress) -> None:
    """Train the preset ``paper``, which sums in single precision, with small filters."""
    from napari_mrisr.core.threads import ThreadPool
    from napari_mrisr.training.events import ignore
    from napari_mrisr.training.presets import TrainParameters, get_preset
    from napari_mrisr.training.run import TrainingRun
    from napari_mrisr.training.sources import TrainingFile

    parameters = TrainParameters(preset="paper")
    paper = get_preset(parameters.preset, parameters.scale)
    stages = [replace(plan, spec=replace(plan.spec, width=3)) for plan in paper.stages]
    training = TrainingRun(
        parameters, replace(paper, stages=tuple(stages)), out, ThreadPool(), ignore
    )
    training.add([TrainingFile(path)])
    training.finish(progress)


def _judged(volume: Volume, name: str, progress: Progress) -> None:
    """Compute the result of a bank and its trust maps."""
    from napari_mrisr.bank.model import load_bank
    from napari_mrisr.run.upscale import UpscaleParameters, upscale
    from napari_mrisr.trust import trust_maps

    bank = load_bank(name)
    result = upscale(volume, UpscaleParameters(bank.scale, bank=name), progress=progress)
    trust_maps(volume, result, bank, progress=progress)


def _inspected(volume: Volume, progress: Progress) -> None:
    """Compute the maps of the bucket inspector, and an explained voxel."""
    from napari_mrisr.bank.model import load_bank
    from napari_mrisr.explain import explain_voxel
    from napari_mrisr.inspection.maps import bucket_map, orientation_map
    from napari_mrisr.inspection.source import stage_input

    bank = load_bank("default-2x")
    for number in range(len(bank.stages)):
        source = stage_input(volume, bank, number, progress=progress)
        bucket_map(source, progress=progress)
        orientation_map(source, progress=progress)
    explain_voxel(volume, bank, (30, 31, 25))


def _compared(volume: Volume, progress: Progress) -> None:
    """Compute the numbers, slices and pixels of a comparison."""
    import numpy as np

    from napari_mrisr.comparison.readouts import NumberBook
    from napari_mrisr.comparison.slices import cut, sample
    from napari_mrisr.core.frames import AXIAL, Frame
    from napari_mrisr.kernels.pixels import paint_pixels

    NumberBook({"truth": volume, "other": volume}, ("other",), "truth").prepare(progress)
    frame = Frame.of(volume.grid)
    middle = float(volume.grid.shape[2] / 2)
    shown = cut(volume, frame, AXIAL, middle)
    assert shown is not None, "the plane through the middle"
    for order in (0, 1):
        sample(volume, frame, AXIAL, middle, shown, order)
    place, picture = np.arange(4.0), np.zeros((4, 4), np.uint32)
    values, rects = np.ascontiguousarray(shown.values), np.array([[0, 0, 4, 4]])
    limits = (0.0, 1.0, 0.0)
    paint_pixels(values, rects, (0, 0), place, place, limits, picture[0], picture)
