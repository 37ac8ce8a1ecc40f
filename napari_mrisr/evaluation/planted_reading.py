"""Find the planted lesion: a blinded reading whose truth is known.

A lesion is planted in a scan, the scan is degraded and super-resolved by each method, and the
reader marks the lesion in each result. Every case has one lesion.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from napari_mrisr.comparison.blinded.plan import (
    LESION,
    LETTERS,
    TOLERANCE_MM,
    Case,
    Point,
    ReadingPlan,
)
from napari_mrisr.core.progress import InnerProgress, Progress
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Grid, IntensityWindow, Volume
from napari_mrisr.errors import ParameterError, VolumeError, explain
from napari_mrisr.evaluation.experiment import EvaluateParameters
from napari_mrisr.evaluation.one_scan import protocol_of
from napari_mrisr.evaluation.simulate import clipped, simulate
from napari_mrisr.evaluation.tasks.planting import CONTRASTS, RADII, Lesion, place_lesions, planted
from napari_mrisr.run.upscale import check_labels, check_memory, check_parameters, upscale
from napari_mrisr.scan.masks import head_mask

_ROUNDS = 8  # of places, each with other random numbers


@dataclass(frozen=True)
class PlantedParameters:
    """Parameters of a reading of planted lesions.

    Attributes
    ----------
    methods : tuple of str
        Two to four.
    scale : Scale
        Of the degradation, in RAS order; thick slices if it is along one axis.
    cases : int
    radius : int
        Of a sphere of the lesion's volume, in voxels.
    contrast : float
        Part of the intensity window; bright and dark lesions occur.
    seed : int
        Of the lesions' places and the order of the columns.
    """

    methods: tuple[str, ...] = ("tricubic", "hashed", "network")
    scale: Scale = (2, 2, 2)
    cases: int = 8
    radius: int = 3
    contrast: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= len(self.methods) <= len(LETTERS):
            found = f"{len(self.methods)} methods"
            raise ParameterError(explain("planted lesions", found, f"choose 2 to {len(LETTERS)}"))
        if self.radius not in RADII or self.contrast not in CONTRASTS:
            found = f"radius {self.radius}, contrast {self.contrast:g}"
            mend = f"choose a radius of {RADII} voxels and a contrast of {CONTRASTS}"
            raise ParameterError(explain("planted lesions", found, mend))

    @property
    def evaluation(self) -> EvaluateParameters:
        """Methods and protocol of an evaluation."""
        return EvaluateParameters(methods=self.methods, protocol=protocol_of(self.scale))

    def check(self, grid: Grid) -> None:
        """Raise the error of a run for a truth on this grid: unknown bank, not enough memory."""
        low = grid.degraded(self.scale)
        for method in self.methods:
            check_parameters(self.evaluation.upscaling(method, self.scale))
            check_memory(low, self.evaluation.upscaling(method, self.scale))

    @property
    def question(self) -> str:
        """Question for each case: the lesion to be found."""
        percent = f"{100 * self.contrast:g} % brighter or darker"
        return f"Mark the lesion: one per image, about {2 * self.radius} voxels wide, {percent}."


def plan_of_planted(
    volume: Volume, parameters: PlantedParameters, *, progress: Progress | None = None
) -> ReadingPlan:
    """Choose the places of the lesions, and return the plan of their reading.

    Parameters
    ----------
    volume : Volume
        Truth, of a head, in the scan's intensities.
    parameters : PlantedParameters
    progress : Progress, optional
        Cancels.

    Returns
    -------
    ReadingPlan
        Of kind ``lesion``. Its images are computed when their turn has come. The reference
        point of each case is the lesion's center, a hit lies within the lesion's largest
        semi-axis plus :data:`~napari_mrisr.comparison.blinded.plan.TOLERANCE_MM`.

    Raises
    ------
    VolumeError
        If the volume has labels, or too few places for lesions.
    ScaleError, BankError, ParameterError, MemoryEstimateError
        If a method does not fit.
    Cancelled
        If the user cancels.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> from napari_mrisr.evaluation.planted_reading import PlantedParameters, plan_of_planted
    >>> from napari_mrisr.io.samples import phantom
    >>> plan = plan_of_planted(phantom(), PlantedParameters(("nearest", "tricubic"), cases=2))
    >>> [case.name for case in plan.cases]
    ['lesion 1', 'lesion 2']
    """
    progress = progress or Progress()
    for method in parameters.methods:
        check_labels(volume, parameters.evaluation.upscaling(method, parameters.scale))
    truth, window = clipped(volume, parameters.scale)
    parameters.check(truth.grid)
    progress.begin("placing the lesions", _ROUNDS)
    lesions = _lesions(truth, window, parameters, progress)
    if len(lesions) < parameters.cases:
        name = truth.origin.name if truth.origin else "volume"
        found = f"has places for {len(lesions)} of {parameters.cases} lesions"
        raise VolumeError(explain(name, found, "choose fewer or smaller lesions, or a whole head"))
    cases = []
    for number, lesion in enumerate(lesions, 1):
        images = {
            method: functools.partial(_result, truth, window, lesion, parameters, method)
            for method in parameters.methods
        }
        x, y, z, _ = truth.grid.affine @ (*lesion.center, 1.0)
        target: Point = (float(x), float(y), float(z))
        hit = lesion.kind.extent * max(truth.grid.voxel_size) + TOLERANCE_MM
        cases.append(Case(f"lesion {number}", images, (target,), hit))
    of_reading = (parameters.seed, parameters.question, LESION)
    return ReadingPlan(tuple(cases), parameters.methods, *of_reading)


def _lesions(
    truth: Volume, window: IntensityWindow, parameters: PlantedParameters, progress: Progress
) -> Sequence[Lesion]:
    """Return lesions of the radius and contrast, as many as there are cases if they fit."""
    unit = window.to_unit(truth.data)
    head = head_mask(unit, InnerProgress(progress))
    found: list[Lesion] = []
    for number in range(_ROUNDS):
        found += [
            lesion
            for lesion in place_lesions(unit, head, parameters.seed * _ROUNDS + number)
            if lesion.kind.radius == parameters.radius
            and math.isclose(abs(lesion.kind.contrast), parameters.contrast)
        ]
        progress.advance()
        if len(found) >= parameters.cases:
            break
    return found[: parameters.cases]


def _result(
    truth: Volume,
    window: IntensityWindow,
    lesion: Lesion,
    parameters: PlantedParameters,
    method: str,
    progress: Progress,
) -> Volume:
    """Return one method's result for the truth with one lesion."""
    image = planted(window.to_unit(truth.data), [lesion])
    with_lesion = replace(truth, data=window.from_unit(image))
    protocol, scale = parameters.evaluation.protocol, parameters.scale
    low = simulate(with_lesion, scale, protocol, InnerProgress(progress))
    return upscale(low, parameters.evaluation.upscaling(method, scale), progress=progress)
