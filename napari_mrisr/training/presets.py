"""Named recipes for training: what the stages look at and how they are solved."""

from __future__ import annotations

from dataclasses import dataclass

from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.bank.model import StageSpec
from napari_mrisr.core.scale import Scale
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.operators.gradients import Window

PRESETS = ("default", "paper")

# In units of the 99.9th percentile a voxel: what is flatter gains nothing from a filter.
_FLAT = 0.002


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
            # Its blur is wide: each stage widens the view.
            stages = [_voxel_stage(scale, sigma, (1, 1, 1), 7) for sigma in (0.55, 0.55, 0.8)]
            return Preset(name, start, tuple(stages))
        # Buckets that tell phases apart are worth it at 2x; above, there are too many.
        phases = scale if scale == (2, 2, 2) else (1, 1, 1)
        fine, wide = (_voxel_stage(scale, sigma, phases) for sigma in (0.55, 0.8))
        return Preset(name, start, (_cell_stage(scale), fine, wide))
    raise ParameterError(explain("--preset", repr(name), f"choose from {', '.join(PRESETS)}"))


def _paper_stage() -> StagePlan:
    """The paper's: 8 × 8 × 3 × 3 buckets, 9³ window, 11³ filters."""
    eighths = tuple(180.0 * i / 8.0 for i in range(1, 8))
    spec = HashSpec(Window(2.0, 4), {"elevation": eighths, "azimuth": eighths})
    return StagePlan(
        StageSpec("voxel", spec, 11, residual=False),
        terciles=("strength", "coherence"),
        ridge=None,
        samples=1_000_000,
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


def _voxel_stage(scale: Scale, sigma: float, phases: Scale, width: int = 0) -> StagePlan:
    """Refine what is there: hash and filter the upsampled voxels.

    ``sigma`` is in low-resolution voxels, so that the window sees the same
    anatomy at every scale; where the factors differ it is that of 2x.
    ``width`` is 5 at 2x and 7 above, unless given.
    """
    factor = scale[0] if len(set(scale)) == 1 else 2
    cuts = {
        "elevation": (15.0, 30.0),
        "azimuth": (22.5,),
        "coherence": (-0.1, 0.03, 0.18),
        "curvature": (-0.3, -0.1, 0.1, 0.3),
    }
    window = Window(sigma * factor, round(2.5 * sigma * factor))
    spec = HashSpec(window, cuts, _symmetry(scale), phases, flat=_FLAT)
    width = width or (5 if factor == 2 else 7)
    # A million of 7³ patches tells as much of their filters as is worth the time.
    return StagePlan(
        StageSpec("voxel", spec, width), ridge=200.0, samples=1_500_000 if width == 5 else 800_000
    )
