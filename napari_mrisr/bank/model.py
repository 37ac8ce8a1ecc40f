"""Filter bank: stages, filters and their provenance; the list of banks.

A bank is a cascade of stages. Each hashes its source, filters a patch of it and
adds the result to the volume made so far:

- a ``cell`` stage looks at low-resolution voxels: one hash, one patch, and one
  output for each sub-voxel phase;
- a ``voxel`` stage looks at the upsampled volume, as the paper does.

In its file (:mod:`napari_mrisr.bank.file`) the tensors are ``stage<i>.weights``,
``.support``, ``.error`` and ``.start_error``; everything else is JSON: preset,
scale, degradation, start, each stage's spec, the training volumes with licenses
and hashes. Stages with anchors add ``.anchors.projection`` and ``.anchors.points``, and store
their weights in half precision. The expected error is optional: the tensors
``calibration.<name>`` and the JSON entry ``calibration``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.anchors import Anchors
from napari_mrisr.bank.calibration import Calibration
from napari_mrisr.bank.file import read_bank_file, write_bank_file
from napari_mrisr.bank.folder import user_banks
from napari_mrisr.bank.hashing import HashSpec, one_or_three
from napari_mrisr.core.scale import (
    RealScale,
    Scale,
    format_scale,
    parse_scale,
    scale_label,
    thick_axis,
    whole_scale,
)
from napari_mrisr.core.volume import FloatArray, Shape
from napari_mrisr.errors import BankError, MrisrError, ScaleError, explain
from napari_mrisr.kernels.hash_tables import LANES
from napari_mrisr.operators.degrade import get_degradation

STARTS = ("tricubic", "quadratic")
GRIDS = ("cell", "voxel")

MOST_WEIGHT = 1e6
"""Largest magnitude of a filter weight; trained ones are far below 100."""


@dataclass(frozen=True)
class StageSpec:
    """Grid, hash and patch of a stage.

    Attributes
    ----------
    grid : str
        ``cell`` (low-resolution voxels) or ``voxel`` (upsampled voxels).
    hash : HashSpec
        Maps patches to buckets.
    width : int or tuple of three int
        Width of the patch along all axes or each, odd, in voxels of its grid.
    residual : bool
        True: filters see differences to the patch's center and their result is
        added (a flat patch changes nothing). False: filters see the patch and
        their result replaces the voxel, as in the paper.
    """

    grid: str
    hash: HashSpec
    width: int | Shape
    residual: bool = True

    def __post_init__(self) -> None:
        if self.grid not in GRIDS or any(w < 1 or w % 2 == 0 for w in self.shape):
            found = f"grid {self.grid!r}, width {self.width}"
            raise BankError(explain("stage", found, "use cell or voxel and an odd width"))
        if self.grid == "cell" and not self.residual:
            raise BankError(explain("stage", "a cell stage without residual", "set residual"))
        if self.hash.flat > 0.0 and not self.residual:
            # Flat voxels have no filter, so nothing could replace them.
            raise BankError(explain("stage", "flat voxels without residual", "set residual"))
        if not self.hash.allows(self.shape):
            found = f"patch {self.shape} with the symmetry {self.hash.symmetry}"
            raise BankError(explain("stage", found, "use flips"))

    @property
    def shape(self) -> Shape:
        """Voxels of a canonical patch along each axis."""
        return self.width if isinstance(self.width, tuple) else (self.width,) * 3

    @property
    def taps(self) -> int:
        """Values in a patch."""
        x, y, z = self.shape
        return x * y * z

    @property
    def reach(self) -> Shape:
        """Voxels of the stage's grid needed around a voxel."""
        x, y, z = (max(w // 2, r) for w, r in zip(self.shape, self.hash.reach, strict=True))
        return x, y, z

    @property
    def cubic(self) -> bool:
        """True if the stage treats all axes alike, or only flips them."""
        numbers = (self.width, self.hash.window.sigma, self.hash.window.radius)
        return self.hash.symmetry != "plane" and not any(isinstance(n, tuple) for n in numbers)

    def outputs(self, scale: Scale) -> int:
        """Return the number of values per patch."""
        return int(np.prod(scale)) if self.grid == "cell" else 1


def patch_text(spec: StageSpec) -> str:
    """Return the size of a stage's patch: ``5³`` or ``7×7×3``."""
    shape = spec.shape
    return f"{shape[0]}³" if len(set(shape)) == 1 else "×".join(map(str, shape))


@dataclass(frozen=True, eq=False)
class Stage:
    """Filters of a stage and their statistics.

    Attributes
    ----------
    spec : StageSpec
    weights : (filters, taps, outputs) ndarray of float32
    support : (buckets,) ndarray of int64
        Training samples of each bucket.
    error, start_error : (buckets,) ndarray of float32
        Root mean squared error (engine units) over the training samples after
        and before the stage; NaN for a bucket without any.
    """

    spec: StageSpec
    weights: FloatArray
    support: NDArray[np.int64]
    error: FloatArray
    start_error: FloatArray

    @functools.cached_property
    def rows(self) -> FloatArray:
        """Filters of a voxel stage in the layout of the kernel."""
        from napari_mrisr.kernels.cpu import filter_rows

        return filter_rows(self.weights[:, :, 0], self.spec.shape)

    @functools.cached_property
    def padded_weights(self) -> FloatArray:
        """Weights with outputs padded by zeros to a multiple of eight, for the kernel."""
        rest = -self.weights.shape[2] % LANES
        return np.pad(self.weights, ((0, 0), (0, 0), (0, rest)))


@dataclass(frozen=True, eq=False)
class FilterBank:
    """Stages with their provenance.

    Attributes
    ----------
    scale : tuple of int
        Factor of each axis.
    degradation : str
        The forward model it was trained for.
    start : str
        Interpolation the first stage starts from, one of :data:`STARTS`.
    stages : tuple of Stage
    provenance : mapping
        Preset, training volumes (name, license, SHA-256), date, version.
    name : str
        For tables and file headers.
    calibration : Calibration or None
        Expected error; None for a bank that was trained without it.
    """

    scale: Scale
    degradation: str
    start: str
    stages: tuple[Stage, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    name: str = "bank"
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        for stage in self.stages:
            spec = stage.spec
            if spec.grid == "cell" and not spec.hash.allows(self.scale):
                found = f"symmetry {spec.hash.symmetry} at scale {format_scale(self.scale)}"
                raise BankError(explain("stage", found, "use flips"))

    @property
    def preset(self) -> str:
        """Name of the preset it was trained with."""
        return str(self.provenance.get("preset", "custom"))

    @property
    def anchored(self) -> bool:
        """True if a stage chooses its filters by anchors."""
        return any(stage.spec.hash.anchors is not None for stage in self.stages)

    @property
    def _format_version(self) -> int:
        if self.anchored:
            return 3
        return 1 if all(stage.spec.cubic for stage in self.stages) else 2

    def save(self, path: Path | str, *, overwrite: bool = True) -> None:
        """Write the file atomically."""
        target = Path(path)
        if target.exists() and not overwrite:
            raise BankError(explain(target, "exists", "choose another name or pass --overwrite"))
        document: dict[str, Any] = {
            "format_version": self._format_version,
            "scale": format_scale(self.scale),
            "degradation": self.degradation,
            "start": self.start,
            "stages": [
                {
                    "grid": s.spec.grid,
                    "width": s.spec.width,
                    "residual": s.spec.residual,
                    "hash": s.spec.hash.to_json(),
                }
                for s in self.stages
            ],
            "provenance": dict(self.provenance),
        }
        if self.calibration is not None:
            document["calibration"] = self.calibration.to_json()
        write_bank_file(target, document, _tensors(self))

    def describe(self) -> str:
        """Return several lines that describe the bank."""
        lines = [
            f"{self.name}: scale {format_scale(self.scale)}, degradation {self.degradation}, "
            f"preset {self.preset}, start {self.start}"
        ]
        for number, stage in enumerate(self.stages, 1):
            spec, support = stage.spec, stage.support
            cuts = ", ".join(f"{name} {len(c) + 1}" for name, c in spec.hash.cuts.items() if len(c))
            if (anchors := spec.hash.anchors) is not None:
                cuts = f"{anchors.count} anchors of {anchors.descriptor.kind} {cuts}".strip()
            used = int((support > 0).sum())
            gain = _gain_db(stage)
            lines.append(
                f"  stage {number}: {spec.grid}s, patch {patch_text(spec)}, "
                f"bins: {cuts or 'none'}, "
                f"symmetry {spec.hash.symmetry}, {used} of {spec.hash.bucket_count} buckets used, "
                f"{int(support.sum()):,} samples, gain on them {gain:.2f} dB"
            )
        if stopped := self.provenance.get("stopped"):
            lines.append(f"  {stopped}")
        if sharpen := self.provenance.get("sharpen"):
            lines.append(f"  targets sharpened: {sharpen}")
        volumes = self.provenance.get("volumes", [])
        lines.append(f"  trained on {len(volumes)} volumes:")
        lines += [
            f"    {v['name']}  {v.get('license') or 'license not stated'}  {v['sha256'][:12]}…"
            for v in volumes
        ]
        return "\n".join(lines)


def load_bank(name: str | Path) -> FilterBank:
    """Read a bank by name or path.

    Parameters
    ----------
    name : str or Path
        One of :func:`list_banks`, or a file.

    Returns
    -------
    FilterBank

    Raises
    ------
    BankError
        If there is no such bank, or the file is damaged or from a later version.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> bank = sr.load_bank("default-2x")
    >>> bank.scale, len(bank.stages)
    ((2, 2, 2), 3)
    """
    if str(name) in bundled_banks():
        return _load_bundled(str(name))
    path = user_banks().get(str(name), Path(name))
    if not path.is_file():
        mend = f"give a .safetensors file or one of {', '.join(list_banks())}"
        raise BankError(explain(name, "there is no such filter bank", mend))
    return _read(path)


def list_banks() -> list[str]:
    """List the bundled banks, then the user's own; bundled names cannot be taken.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> "default-2x" in sr.list_banks()
    True
    """
    bundled = bundled_banks()
    return bundled + [name for name in user_banks() if name not in bundled]


def bundled_banks() -> list[str]:
    """List the bundled banks."""
    folder = resources.files("napari_mrisr") / "banks"
    names = [f.name for f in folder.iterdir()] if folder.is_dir() else []
    return sorted(n.removesuffix(".safetensors") for n in names if n.endswith(".safetensors"))


def bundled_name(scale: RealScale, preset: str = "default", degradation: str = "standard") -> str:
    """Return the name of the bundled bank for a scale; it may not exist."""
    if preset == "default" and thick_axis(scale) is not None:
        return f"thick-{max(scale)}x"
    suffix = "" if degradation == "standard" else f"-{degradation}"
    return f"{preset}-{format_scale(scale)}x{suffix}"


def bundled_scales(preset: str = "default") -> list[Scale]:
    """List the scales with a bundled bank of a preset, thick slices along z."""
    kinds = rf"{preset}|thick" if preset == "default" else preset
    found = [re.fullmatch(rf"({kinds})-(.*)x", name) for name in bundled_banks()]
    names = [(match[1], match[2]) for match in found if match]
    scales = (parse_scale(f"1x1x{s}" if kind == "thick" else s) for kind, s in names)
    return sorted(whole_scale(scale) for scale in scales)


def bank_for(
    scale: RealScale, name: str | Path | None = None, *, any_order: bool = False
) -> FilterBank:
    """Return the bank to use at a scale.

    Parameters
    ----------
    scale : tuple of int
    name : str or path, optional
        By default the bundled bank for the scale.
    any_order : bool
        Accept a bank for the same factors in another order of axes, such as 1x1x3 for
        3x1x1. The ``hashed`` method then permutes the volume's axes.

    Raises
    ------
    ScaleError
        If no bundled bank has the scale; the message lists their scales.
    BankError
        If the named bank is for another scale.
    """
    if name is None:
        have_scales = bundled_scales()
        if any_order:
            scale = next((s for s in have_scales if fits(s, scale)), scale)
        if tuple(scale) not in have_scales:
            have = ", ".join(scale_label(s) for s in have_scales) or "none"
            mend = f"use one of {have}, a bank for this scale, or method tricubic"
            raise ScaleError(explain("scale", f"no filter bank for {scale_label(scale)}", mend))
        return load_bank(bundled_name(scale))
    bank = load_bank(name)
    if not (fits(bank.scale, scale) if any_order else bank.scale == scale):
        found = f"made for scale {format_scale(bank.scale)}, not {format_scale(scale)}"
        mend = f"use scale {format_scale(bank.scale)} or another bank"
        raise BankError(explain(name, found, mend))
    return bank


def fits(made_for: Scale, scale: RealScale) -> bool:
    """Return True if two scales have the same factors in any order."""
    return sorted(made_for) == sorted(scale)


@functools.lru_cache(maxsize=8)
def _load_bundled(name: str) -> FilterBank:
    folder = resources.files("napari_mrisr") / "banks"
    with resources.as_file(folder / f"{name}.safetensors") as path:
        return _read(path)


def _read(path: Path) -> FilterBank:
    document, tensors = read_bank_file(path)
    try:
        return _build(path, document, tensors)
    except BankError as error:
        raise BankError(explain(path, str(error), "train it again")) from error
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError, MrisrError) as error:
        found = f"its description cannot be understood ({error})"
        raise BankError(explain(path, found, "train it again")) from error


def _build(path: Path, document: dict[str, Any], tensors: dict[str, Any]) -> FilterBank:
    scale = whole_scale(parse_scale(document["scale"]), "a filter bank")
    if document["start"] not in STARTS:
        raise BankError(f"unknown start {document['start']!r}")
    get_degradation(str(document["degradation"]))
    stages = []
    for number, entry in enumerate(document["stages"]):
        spec = StageSpec(
            entry["grid"],
            HashSpec.from_json(entry["hash"], _anchors(number, entry["hash"], tensors)),
            one_or_three(int, entry["width"]),
            bool(entry["residual"]),
        )
        stages.append(_stage(number, spec, scale, tensors))
    if not stages:
        raise BankError("no stages")
    for volume in document["provenance"].get("volumes", []):
        if not (isinstance(volume["name"], str) and isinstance(volume["sha256"], str)):
            raise TypeError(f"volume {volume!r}")
    return FilterBank(
        scale,
        document["degradation"],
        document["start"],
        tuple(stages),
        document["provenance"],
        path.name.removesuffix(".safetensors"),
        Calibration.read(document.get("calibration"), tensors, stages[-1].support.size),
    )


def _anchors(number: int, entry: dict[str, Any], tensors: dict[str, Any]) -> Anchors | None:
    if "anchors" not in entry:
        return None
    return Anchors.read(entry["anchors"], tensors, f"stage{number}.anchors.")


def _stage(number: int, spec: StageSpec, scale: Scale, tensors: dict[str, Any]) -> Stage:
    filters, buckets = spec.hash.filter_count, spec.hash.bucket_count
    stored = np.float32 if spec.hash.anchors is None else np.float16
    shapes = {
        "weights": ((filters, spec.taps, spec.outputs(scale)), stored),
        "support": ((buckets,), np.int64),
        "error": ((buckets,), np.float32),
        "start_error": ((buckets,), np.float32),
    }
    found = {}
    for name, (shape, dtype) in shapes.items():
        tensor = tensors[f"stage{number}.{name}"]
        if tensor.shape != shape or tensor.dtype != dtype:
            text = f"{name} of stage {number + 1} is {tensor.dtype} {tensor.shape}, not {shape}"
            raise BankError(text)
        found[name] = tensor
    found["weights"] = found["weights"].astype(np.float32)
    if not np.isfinite(found["weights"]).all():
        raise BankError(f"NaN or infinity among the weights of stage {number + 1}")
    largest = float(np.abs(found["weights"]).max(initial=0.0))
    if largest > MOST_WEIGHT:
        raise BankError(f"a weight of {largest:g} in stage {number + 1}")
    return Stage(spec, **found)


def _tensors(bank: FilterBank) -> dict[str, Any]:
    tensors = {
        f"stage{i}.{name}": getattr(stage, name)
        for i, stage in enumerate(bank.stages)
        for name in ("weights", "support", "error", "start_error")
    }
    for i, stage in enumerate(bank.stages):
        if (anchors := stage.spec.hash.anchors) is not None:
            named = anchors.tensors().items()
            tensors |= {f"stage{i}.anchors.{name}": tensor for name, tensor in named}
            tensors[f"stage{i}.weights"] = stage.weights.astype(np.float16)
    return tensors | (bank.calibration.tensors() if bank.calibration else {})


def _gain_db(stage: Stage) -> float:
    """Return the gain of a stage over the stage before, on its training samples."""
    n = stage.support
    before = np.nansum(stage.start_error.astype(np.float64) ** 2 * n)
    after = np.nansum(stage.error.astype(np.float64) ** 2 * n)
    return float(10.0 * np.log10(before / after)) if after > 0 and before > 0 else 0.0
