"""Named recipes for training: what the stages look at and how they are solved."""

from __future__ import annotations

from dataclasses import dataclass

from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.filterbank import StageSpec
from napari_mrisr.gradients import Window
from napari_mrisr.hashing import HashSpec
from napari_mrisr.scale import Scale

PRESETS = ("default", "paper")


@dataclass(frozen=True)
class StagePlan:
    """How a stage is trained.

    Attributes
    ----------
    spec : StageSpec
        With the cuts that are fixed.
    terciles : tuple of str
        Features cut at the terciles of a sample of the training volumes.
    ridge : float or None
        Samples' worth of evidence that the common filter counts for; None for
        plain least squares by conjugate gradients.
    samples : int or None
        At most so many samples of a volume; None for all.
    single : bool
        Accumulate in float32 instead of float64, where buckets × taps² is large.
    """

    spec: StageSpec
    terciles: tuple[str, ...] = ()
    ridge: float | None = 500.0
    samples: int | None = None
    single: bool = False


@dataclass(frozen=True)
class Preset:
    """A start and the stages after it."""

    name: str
    start: str
    stages: tuple[StagePlan, ...]


def get_preset(name: str, scale: Scale, degradation: str = "standard") -> Preset:
    """A preset for a scale and degradation.

    Raises
    ------
    ParameterError
        When there is no such preset.
    """
    start = "quadratic" if degradation == "paper-2021" else "tricubic"
    if name == "paper":
        return Preset(name, start, (_paper_stage(),))
    if name == "default":
        if degradation == "paper-2021":
            # Its voxels drift against the low-resolution ones, so phases mean nothing.
            return Preset(name, start, (_voxel_stage((1, 1, 1), "cube", width=7),))
        return Preset(name, start, (_cell_stage(scale), _refining_stage(scale)))
    raise ParameterError(explain("--preset", repr(name), f"choose from {', '.join(PRESETS)}"))


def _paper_stage() -> StagePlan:
    """The paper's: 8 × 8 × 3 × 3 buckets, 9³ window, 11³ filters."""
    eighths = tuple(180.0 * i / 8.0 for i in range(1, 8))
    spec = HashSpec(Window(2.0, 4), {"elevation": eighths, "azimuth": eighths})
    return StagePlan(
        StageSpec("voxel", spec, 11, residual=False),
        terciles=("strength", "coherence"),
        ridge=None,
        samples=None,
        single=True,
    )


def _symmetry(scale: Scale) -> str:
    return "cube" if len(set(scale)) == 1 else "flips"


def _cell_stage(scale: Scale) -> StagePlan:
    cuts = {
        "elevation": (15.0, 30.0),
        "azimuth": (22.5,),
        "coherence": (-0.05, 0.15),
        "asymmetry": (0.12, 0.30),
        "curvature": (-0.15, 0.15),
    }
    spec = HashSpec(Window(0.9, 2), cuts, _symmetry(scale), flat=_FLAT)
    return StagePlan(StageSpec("cell", spec, 5), ridge=500.0)


def _refining_stage(scale: Scale) -> StagePlan:
    phases = scale if len(set(scale)) == 1 and max(scale) == 2 else (1, 1, 1)
    return _voxel_stage(phases, _symmetry(scale), width=5)


def _voxel_stage(phases: Scale, symmetry: str, width: int) -> StagePlan:
    cuts = {
        "elevation": (20.0,),
        "azimuth": (22.5,),
        "coherence": (-0.05, 0.15),
        "curvature": (-0.15, 0.15),
    }
    spec = HashSpec(Window(1.1, 3), cuts, symmetry, phases, flat=_FLAT)
    return StagePlan(StageSpec("voxel", spec, width), ridge=200.0, samples=1_500_000)


_FLAT = 0.002
