"""Parameters of a training, and the presets: stages and how they are solved."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field

from napari_mrisr.bank.descriptors import Descriptor
from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.bank.model import StageSpec
from napari_mrisr.core.axes import IN_ORDER, Axes
from napari_mrisr.core.scale import Scale, thick_axis, whole_scale
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.operators.gradients import Window

PRESET_SUMMARIES = {
    "default": "three stages; a minute or two for three volumes",
    "paper": "recipe of the 2021 paper: one stage, 8 GB, slow",
    "a-plus": "anchors of gradients (A+)",
    "anr": "anchors of gradients, filters of their neighborhoods (ANR)",
    "examples": "anchors of gradients, looked-up details",
    "phase": "anchors of the phase stretch transform (PhSAR)",
    "tensor": "anchors of structure tensors",
}
"""One line per preset, to show where a user picks one."""

PRESETS = tuple(PRESET_SUMMARIES)

# Gradient per voxel, in units of the 99.9th percentile: flatter voxels gain nothing from a filter.
_FLAT = 0.002

ISOTROPIC = 1.2
"""Ratio of voxel sizes below which a training volume counts as isotropic."""


@dataclass(frozen=True)
class TrainParameters:
    """Everything that determines a bank, except for the volumes.

    Attributes
    ----------
    scale : tuple of int
        Factor per axis (x, y, z; RAS+).
    preset : str
        One of :data:`PRESETS`.
    degradation : str
        Name of the degradation that makes the low-resolution volumes.
    licenses : mapping of str to str
        License per file name, for the provenance of the bank.
    license : str
        License of all other volumes.
    names : bool
        Write the names of volumes, which may identify patients, into the provenance;
        otherwise they are "volume 1" and so on.
    thin : tuple of (pattern, tuple of int)
        Keep only every n-th voxel along x, y, z of files whose name matches the
        pattern (``fnmatch``). This undoes an interpolation by the scanner, from which
        the filters would learn blur.
    thick_axes : tuple of (pattern, str)
        For a scale with one thick axis, such as 1x1x4: axes of a file (letters of ``xyz``,
        RAS+) along which it is degraded in turn. Files that match no pattern use all three
        if their voxels are isotropic within 20 %, else only the axis of the scale.
    sharpen : tuple of (float, float) or None
        Amount of an unsharp mask on the targets, at most 5, and sigma of its Gaussian, 0.3
        to 3 high-resolution voxels. None: the targets are the volumes.

    Raises
    ------
    ParameterError
        If the amount or sigma is out of range.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> sr.TrainParameters(scale=(1, 1, 3)).preset
    'default'
    """

    scale: Scale = (2, 2, 2)
    preset: str = "default"
    degradation: str = "standard"
    licenses: dict[str, str] = field(default_factory=dict)
    license: str = ""
    names: bool = True
    thin: tuple[tuple[str, Scale], ...] = ()
    thick_axes: tuple[tuple[str, str], ...] = ()
    sharpen: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        whole_scale(self.scale, "a filter bank")
        amount, sigma = self.sharpen or (1.0, 1.0)
        if not 0.0 < amount <= 5.0:
            mend = "give more than 0 and at most 5"
            raise ParameterError(explain("sharpen", f"amount {amount:g}", mend))
        if not 0.3 <= sigma <= 3.0:
            raise ParameterError(explain("sharpen", f"sigma {sigma:g}", "give 0.3 to 3 voxels"))

    def thinning(self, name: str) -> Scale:
        """Return the steps along x, y, z for a file of this name."""
        for pattern, step in self.thin:
            if fnmatch.fnmatch(name, pattern):
                return step
        return (1, 1, 1)

    def orders(self, name: str, voxel_size: tuple[float, float, float]) -> list[Axes]:
        """Return the orders of axes in which a file of this name is used."""
        thick = thick_axis(self.scale)
        if thick is None:
            return [IN_ORDER]
        step = self.thinning(name)
        sizes = [size * n for size, n in zip(voxel_size, step, strict=True)]
        chosen = "xyz" if max(sizes) < ISOTROPIC * min(sizes) else "xyz"[thick]
        for pattern, axes in self.thick_axes:
            if fnmatch.fnmatch(name, pattern):
                chosen = axes
                break
        orders = []
        for axis in sorted("xyz".index(letter) for letter in chosen):
            order = [other for other in range(3) if other != axis]
            order.insert(thick, axis)
            orders.append((order[0], order[1], order[2]))
        return orders


REGRESSORS = ("linear", "neighborhood", "constant")


@dataclass(frozen=True)
class AnchorPlan:
    """Anchors to be learned for a stage.

    Attributes
    ----------
    descriptor : Descriptor
    count : int
        Number of anchors.
    dimensions : int
        Principal components that are kept.
    """

    descriptor: Descriptor
    count: int
    dimensions: int = 24


@dataclass(frozen=True)
class StagePlan:
    """Specification of a stage and of its training.

    Attributes
    ----------
    spec : StageSpec
        Contains the fixed cuts.
    terciles : tuple of str
        Features cut at the terciles of a sample of the training volumes.
    ridge : float or None
        Weight of the common filter in samples; None for plain least squares by
        conjugate gradients.
    samples : int or None
        Maximum number of samples per volume and thick axis; None for all.
    single : bool
        Accumulate in float32 instead of float64, because buckets × taps² is large.
    anchors : AnchorPlan or None
        Anchors, learned from a sample of the training volumes.
    regressor : str
        One of :data:`REGRESSORS`: filters by ridge regression from the samples of a bucket, or
        of an anchor's neighborhood, or a detail that is looked up and scaled by the contrast
        (:meth:`~napari_mrisr.training.normal_equations.NormalEquations.solve_examples`).
    """

    spec: StageSpec
    terciles: tuple[str, ...] = ()
    ridge: float | None = 500.0
    samples: int | None = None
    single: bool = False
    anchors: AnchorPlan | None = None
    regressor: str = "linear"

    @property
    def bucket_count(self) -> int:
        """Buckets with a filter, also of cuts and anchors that are still open."""
        spec = self.spec.hash
        open_cuts = [name for name in self.terciles if name not in spec.cuts]
        anchors = 1 if self.anchors is None or spec.anchors else self.anchors.count
        return int(spec.filter_count * anchors * 3 ** len(open_cuts))


@dataclass(frozen=True)
class Preset:
    """A start image and the stages after it."""

    name: str
    start: str
    stages: tuple[StagePlan, ...]


def get_preset(name: str, scale: Scale, degradation: str = "standard") -> Preset:
    """Return a preset for a scale and degradation.

    Raises
    ------
    ParameterError
        If there is no such preset.
    """
    start = "quadratic" if degradation == "paper-2021" else "tricubic"
    if name == "paper":
        return Preset(name, start, (_paper_stage(),))
    if name == "default":
        if degradation == "paper-2021":
            # Its voxels drift against the low-resolution ones, so phases have no meaning.
            # Its blur is wide: each stage sees a wider neighborhood.
            stages = [_voxel_stage(scale, sigma, (1, 1, 1), 7) for sigma in (0.55, 0.55, 0.8)]
            return Preset(name, start, tuple(stages))
        if thick_axis(scale) == 2:
            return Preset(name, start, _thick_stages(scale[2]))
        # One bucket per phase helps at 2x; at larger scales there would be too many.
        phases = scale if scale == (2, 2, 2) else (1, 1, 1)
        fine, wide = (_voxel_stage(scale, sigma, phases) for sigma in (0.55, 0.8))
        return Preset(name, start, (_cell_stage(scale), fine, wide))
    if name in _ANCHORED:
        grid = "voxel" if degradation == "paper-2021" else "cell"
        return Preset(name, start, (_anchored_stage(scale, grid, *_ANCHORED[name]),))
    raise ParameterError(explain("preset", repr(name), f"choose from {', '.join(PRESETS)}"))


# Features and regressor.
_ANCHORED = {
    "a-plus": ("gradients", "linear"),
    "anr": ("gradients", "neighborhood"),
    "examples": ("gradients", "constant"),
    "phase": ("phase", "linear"),
    "tensor": ("tensor", "linear"),
}


def _anchored_stage(scale: Scale, grid: str, features: str, regressor: str) -> StagePlan:
    """Return a stage with anchors."""
    thick = thick_axis(scale) == 2
    shape = (5, 5, 3) if thick else (5, 5, 5)
    symmetry = "plane" if thick else _symmetry(scale)
    spec = StageSpec(grid, HashSpec(Window(0.9, 2), {}, symmetry, flat=_FLAT), shape)
    descriptor = Descriptor(features, (1, 1, 1) if features == "tensor" else (3, 3, 3))
    # Fewer at large scales, where each has many filters and few samples.
    count = min(256, max(32, 4096 // spec.outputs(scale)))
    anchors = AnchorPlan(descriptor, count)
    return StagePlan(spec, ridge=500.0, anchors=anchors, regressor=regressor)


def _paper_stage() -> StagePlan:
    """Return the stage of the paper: 8 × 8 × 3 × 3 buckets, 9³ window, 11³ filters."""
    eighths = tuple(180.0 * i / 8.0 for i in range(1, 8))
    spec = HashSpec(Window(2.0, 4), {"elevation": eighths, "azimuth": eighths})
    return StagePlan(
        StageSpec("voxel", spec, 11, residual=False),
        terciles=("strength", "coherence"),
        ridge=None,
        samples=1_000_000,
        single=True,
    )


def _thick_stages(factor: int) -> tuple[StagePlan, ...]:
    """Return the stages for slices along z, ``factor`` times as thick as their pixels."""
    cuts = {
        "elevation": (20.0, 40.0, 60.0, 75.0),
        "azimuth": (22.5,),
        "coherence": (-0.05, 0.15),
        "asymmetry": (0.12, 0.30),
        "curvature": (-0.15, 0.15),
    }
    window = Window((1.5, 1.5, 0.7), (3, 3, 2))
    spec = HashSpec(window, cuts, "plane", flat=_FLAT)
    stages = [StagePlan(StageSpec("cell", spec, (7, 7, 3)), ridge=500.0, samples=250_000)]
    for sigma in (1.1, 1.6):
        cuts = {
            "elevation": (20.0, 45.0, 70.0),
            "azimuth": (22.5,),
            "coherence": (-0.1, 0.03, 0.18),
            "curvature": (-0.3, -0.1, 0.1, 0.3),
        }
        radius = round(2.5 * sigma)
        window = Window((sigma, sigma, sigma * 1.5), (radius, radius, round(1.5 * radius)))
        spec = HashSpec(window, cuts, "plane", (1, 1, factor), flat=_FLAT)
        stages.append(StagePlan(StageSpec("voxel", spec, (5, 5, 7)), ridge=200.0, samples=500_000))
    return tuple(stages)


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
    """Return a stage that hashes and filters the upsampled voxels.

    ``sigma`` is in low-resolution voxels, so that the window covers the same
    anatomy at every scale; if the factors differ, it is that of 2x.
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
    # More than a million patches of 7³ would cost time and gain little.
    return StagePlan(
        StageSpec("voxel", spec, width), ridge=200.0, samples=1_500_000 if width == 5 else 800_000
    )
