"""Stops of the tour: volumes, texts, and what the viewer shows. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from napari_mrisr.bank.model import bank_for
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.threads import processors
from napari_mrisr.core.volume import Volume
from napari_mrisr.explain import Explanation, explain_voxel
from napari_mrisr.explain.edge import find_edge
from napari_mrisr.explain.steps import error_text, plain, signed, step_of, sum_rows
from napari_mrisr.io import samples
from napari_mrisr.methods import get_method
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.run.upscale import run_method
from napari_mrisr.scan.masks import head_mask
from napari_mrisr.viewer.explain.form import Draw, Slide, slide_of

SCALE: Scale = (2, 2, 2)

REFERENCE, LR = "tour: reference", "tour: scan"
TRICUBIC, RESULT = "tour: interpolation", "tour: result"
"""Names of the layers, the lowest first."""


@dataclass(frozen=True, eq=False)
class Material:
    """Volumes, explanation and errors that the tour shows.

    Attributes
    ----------
    volumes : dict of str to Volume
        Volume of each layer, by name.
    explanation : Explanation
        Explanation of the voxel at the end of the tour.
    errors : dict of str to float
        Root mean squared error in the head of :data:`TRICUBIC` and :data:`RESULT`,
        engine units.
    """

    volumes: dict[str, Volume]
    explanation: Explanation
    errors: dict[str, float]


def prepare(progress: Progress) -> Material:
    """Compute all volumes on the sample head, and explain a voxel on an edge."""
    truth = samples.phantom().cropped_to_multiple(SCALE)
    progress.token.check()
    lr = degrade(truth, SCALE)
    bank = bank_for(SCALE)
    threads = processors()
    guess = run_method(get_method("tricubic", SCALE), lr, threads=threads, progress=progress)
    result = run_method(Hashed(bank), lr, threads=threads, progress=progress)
    normalized = lr.normalized()
    unit = {
        name: normalized.window.to_unit(volume.data)
        for name, volume in ((REFERENCE, truth), (TRICUBIC, guess), (RESULT, result))
    }
    progress.token.check()
    voxel = find_edge(normalized, SCALE, unit[REFERENCE], unit[TRICUBIC], progress=progress)
    head = head_mask(truth.data, progress)
    progress.token.check()
    errors = {
        name: float(np.sqrt(np.mean((unit[name][head] - unit[REFERENCE][head]) ** 2)))
        for name in (TRICUBIC, RESULT)
    }
    return Material(
        {REFERENCE: truth, LR: lr, TRICUBIC: guess, RESULT: result},
        explain_voxel(normalized, bank, voxel, truth),
        errors,
    )


@dataclass(frozen=True, eq=False)
class Stop:
    """One stop of the tour.

    Attributes
    ----------
    slide : Slide
    layer : str
        Name of the only visible layer.
    near : bool
        True if the camera is close to the voxel.
    marked : bool
        True if the voxel is marked.
    """

    slide: Slide
    layer: str
    near: bool = True
    marked: bool = True


def stops_of(material: Material) -> tuple[Stop, ...]:
    """Return the eight stops, from the scan to the result and its error."""
    found = material.explanation
    stage = found.stages[0]
    return (
        Stop(Slide("1. A scan", _SCAN), REFERENCE, near=False, marked=False),
        Stop(Slide("2. The same head with an eighth of the voxels", _LOW), LR, near=False),
        Stop(_slide(found, "scan", "3. One voxel", _VOXEL), LR),
        Stop(
            _slide(found, "start", "4. First guess: interpolation", _interpolation(found)), TRICUBIC
        ),
        Stop(_slide(found, "gradients", "5. The neighbors", _NEIGHBORS), LR),
        Stop(
            _slide(found, "bucket", "6. The bucket", _bucket(stage.support)),
            LR,
        ),
        Stop(_slide(found, "filter", "7. The correction", _correction(found)), TRICUBIC),
        Stop(_last(material), RESULT),
    )


def _slide(found: Explanation, key: str, title: str, sentence: str) -> Slide:
    return Slide(title, sentence, (), "", _picture(found, key))


def _picture(found: Explanation, key: str) -> Draw | None:
    """Return the picture of a step without the equation."""
    return slide_of(found, replace(step_of(found, key, 0), equation="")).draw


_SCAN = (
    "This is a slice through a head. The patient's right (R) is at the left of the image, anterior "
    "(A) is on top. The image consists of small cubes, called voxels. A program drew this head, so "
    "the true value of every voxel is known. Press Next; the tour does all clicking."
)

_LOW = (
    "A faster scan measures fewer, larger voxels: here half as many along each direction. The "
    "image looks blocky. The orange ring marks a voxel at an edge. The next steps show how "
    "super-resolution computes it."
)

_VOXEL = (
    "The view is now close to the voxel. In the picture below, each square is one measured voxel "
    "with its brightness, from 0 (black) to 1 (white). We split the yellow voxel into eight. We "
    "want to know the orange one."
)

_NEIGHBORS = (
    "The program looks at the neighbors. Each arrow points toward increasing brightness; a long "
    "arrow means a fast change. If most arrows agree, there is an edge, and they show its "
    "direction."
)


def _interpolation(found: Explanation) -> str:
    return (
        "Interpolation fits a smooth curve to the measured values (tricubic). It gives "
        f"{plain(found.start_value)} for our voxel. The blocks are gone, but the edge is blurred."
    )


def _bucket(support: int) -> str:
    return (
        "A few numbers describe the arrows, and each falls into a range (orange). Voxels with the "
        f"same ranges share a bucket. In training, the program saw {support:,} voxels of this "
        "bucket in scans of other people. Their true values were known."
    )


def _correction(found: Explanation) -> str:
    later = ""
    if len(found.stages) > 1:
        rest = sum(part.change for part in found.stages[1:])
        later = f" Later stages look at finer arrows and add {signed(rest)}."
    return (
        "From these voxels the program learned weights. It multiplies each difference from the "
        "center by its weight and adds the products. This changes the first guess by "
        f"{signed(found.stages[0].change)}.{later}"
    )


def _last(material: Material) -> Slide:
    found = material.explanation
    assert found.truth is not None
    errors = error_text(found.output - found.truth, found.tricubic - found.truth)
    ratio = 1.0 - material.errors[RESULT] / material.errors[TRICUBIC]
    sentence = (
        f"The result is {plain(found.output)}. The true value (reference) is "
        f"{plain(found.truth)}. {errors} "
        f"Over the whole head, the error is {abs(ratio):.0%} "
        f"{'smaller' if ratio >= 0 else 'larger'} than with tricubic interpolation, but not zero: "
        "super-resolution estimates what the scan did not measure."
    )
    rows = (*sum_rows(found), ("reference", plain(found.truth)))
    picture = _picture(found, "output")
    return Slide("8. Result and error", sentence, rows, "", picture)
