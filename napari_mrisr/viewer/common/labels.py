"""Texts, scales and filter banks that several docks show. No Qt."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

from napari_mrisr.bank.folder import user_banks, user_networks
from napari_mrisr.core.frames import AXIS_NAMES
from napari_mrisr.core.progress import ProgressState, format_seconds
from napari_mrisr.core.scale import (
    RealScale,
    Scale,
    is_whole,
    isotropic_scale,
    orders_of,
    parse_scale,
)
from napari_mrisr.core.slices import ASSUMED, slices_of
from napari_mrisr.core.volume import Grid, Shape
from napari_mrisr.errors import BankError, MrisrError, ScaleError
from napari_mrisr.methods import available_scales, get_method
from napari_mrisr.methods.foreign import foreign_scales
from napari_mrisr.methods.network import bundled_networks, open_network
from napari_mrisr.methods.resampled import scale_of_bank
from napari_mrisr.networks.file import ISOTROPIC, load_network
from napari_mrisr.networks.foreign import is_foreign
from napari_mrisr.viewer.layers.convert import LayerSnapshot

COMMON_SCALES: tuple[Scale, ...] = ((2, 2, 2), (3, 3, 3), (4, 4, 4), (1, 1, 2), (1, 1, 4))
"""Scales listed for methods that take any scale."""

# Voxels this many times longer than wide count as thick slices.
_THICK = 1.5


def scale_label(scale: RealScale) -> str:
    """Return ``2×`` for equal factors, otherwise factors with axes: ``2× R–L, 4× S–I``."""
    if len(set(scale)) == 1:
        return f"{scale[0]:.4g}×"
    raised = [f"{n:.4g}× {name}" for n, name in zip(scale, AXIS_NAMES, strict=True) if n > 1]
    return ", ".join(raised)


def described(name: str, summary: str) -> str:
    """Return a name with its one-line description: ``hashed: learned filters``."""
    return f"{name}: {summary}" if summary else name


def grid_label(grid: Grid) -> str:
    """Return ``160 × 192 × 192 voxels`` and below it ``1 × 1.33 × 1.33 mm`` (x, y, z)."""
    voxel = " × ".join(f"{size:.3g}" for size in grid.voxel_size)
    return f"{shape_label(grid.shape)} voxels\n{voxel} mm"


def source_label(source: LayerSnapshot) -> str:
    """Return the size of a layer, the frame of a series, and how the scan was acquired."""
    lines = [grid_label(source.grid)]
    if source.frame is not None:
        lines.append(f"frame {source.frame} (on screen)")
    origin = source.record.origin if source.record else None
    slices = slices_of(source.grid, origin)
    facts: list[str] = []
    if slices is not None and slices.source != ASSUMED:
        facts = [f"slices {slices.thickness:.3g} mm thick, {slices.gap_label}"]
    facts += origin.acquisition if origin is not None else ()
    if facts:
        lines.append(", ".join(facts))
    return "\n".join(lines)


def made_label(source: LayerSnapshot) -> str:
    """Return a warning about an input that is a result: ``Already super-resolved (hashed 2×)``."""
    history, record = source.history, source.record
    if "map" in history:
        return "This is a trust map, not a scan."
    method = history.get("method", "none")
    if method == "none":
        return ""
    try:
        factors = parse_scale(history.get("scale", ""))
        if record is not None and record.origin is not None:
            factors = record.origin.to_ras(factors)  # the history counts the file's axes
        scale = f" {scale_label(factors)}"
    except ScaleError:
        scale = ""
    return f"Already super-resolved ({method}{scale})"


def shape_label(shape: Shape) -> str:
    """Return ``160 × 192 × 192``."""
    return " × ".join(str(n) for n in shape)


def bytes_label(count: int) -> str:
    """Return ``870 MB`` or ``1.2 GB``."""
    return f"{count / 1e6:.0f} MB" if count < 995_000_000 else f"{count / 1e9:.1f} GB"


def progress_label(state: ProgressState) -> str:
    """Return ``hashed 2x: 45 %, 8 s left``."""
    percent = f"{100 * state.done // max(1, state.total)} %"
    if state.eta_s is None or state.done == state.total:
        return f"{state.task}: {percent}"
    return f"{state.task}: {percent}, {format_seconds(state.eta_s)} left"


def duration_label(seconds: float) -> str:
    """Return ``0.8 s``, ``12 s``, ``2 min 05 s``."""
    return f"{seconds:.1f} s" if seconds < 9.95 else format_seconds(seconds)


def error_line(error: BaseException) -> str:
    """Return one line about any error."""
    if isinstance(error, MrisrError):
        return str(error)
    if isinstance(error, MemoryError):
        return "Not enough memory: close other layers or use a smaller scale"
    text = " ".join(str(error).split())
    return f"unexpected {type(error).__name__}: {text}; please report it"


def offered_scales(method: str) -> tuple[list[Scale], bool]:
    """Return the scales to list for a method, and True if any other scale works too."""
    scales = available_scales(method)
    if scales is None:
        return list(COMMON_SCALES), True
    if method == "network" and networks_of(ISOTROPIC):
        scales = [*COMMON_SCALES[:3], *scales]
    own = {_scale_of(path) for path in user_banks().values()} if method == "hashed" else set()
    orders = {order for scale in own if scale is not None for order in orders_of(scale)}
    return listed({*scales, *orders}), False


def listed(scales: Iterable[Scale]) -> list[Scale]:
    """Return scales in the order of a list: first those of one factor for all axes."""
    return sorted(set(scales), key=lambda scale: (len(set(scale)) > 1, max(scale), scale))


def isotropic_choice(
    grid: Grid, method: str, file: str | None = None
) -> tuple[str, RealScale] | None:
    """Return text and scale of *Make isotropic* for a thick-slice scan and a method.

    None if its slices are less than 1.5 times as thick as its pixels, or the method has no
    filter bank or network for it; ``file`` is a network of the user.
    """
    sizes = grid.voxel_size
    if max(sizes) < _THICK * sorted(sizes)[1]:
        return None
    scale = isotropic_scale(sizes)
    if not any(has_scale(method, scale, one) for one in {None, file}):
        return None
    return f"Make isotropic ({min(sizes):.2g} mm)", scale


def has_scale(method: str, scale: RealScale, file: str | None) -> bool:
    """Return True if a method with a file, None for a bundled one, meets a scale."""
    try:
        get_method(method, scale, file)
    except MrisrError:
        return False
    return True


def network_scales(path: str) -> list[Scale]:
    """Return the scales of a network file, none for any; it may take seconds to examine."""
    if is_foreign(path):
        return listed(foreign_scales(path) or [])
    if open_network(path).kind == ISOTROPIC:
        return list(COMMON_SCALES[:3])
    return [scale for scale in COMMON_SCALES if min(scale) == 1]


def fitting_banks(scale: RealScale, *, any_order: bool = False) -> list[str]:
    """Return the names of the filter banks for a scale: the bundled ones, then the user's.

    With ``any_order``, as for super-resolution, a bank for 1x1x3 also fits 3x1x1 and 1x1x2.7.
    """
    from napari_mrisr.bank.model import bundled_banks, fits, load_bank

    def fitting_scale(found: Scale | None) -> bool:
        if found is None or found == scale:
            return found is not None
        if is_whole(scale):
            return any_order and fits(found, scale)
        return any_order and scale_of_bank(scale, [found]) is not None

    bundled = bundled_banks()
    fitting = [name for name in bundled if fitting_scale(load_bank(name).scale)]
    own = [name for name, path in user_banks().items() if fitting_scale(_scale_of(path))]
    return fitting + [name for name in own if name not in bundled]


def networks_of(kind: str) -> list[str]:
    """Return the names of the networks of a kind: the bundled one, then the user's."""
    own = [name for name, path in user_networks().items() if network_kind(path) == kind]
    return ([kind] if kind in bundled_networks() else []) + own


def network_kind(path: Path) -> str | None:
    """Return what a network is for; None for a file of another program, or that is no network."""
    try:
        stat = path.stat()
        return _read_kind(path, stat.st_mtime_ns, stat.st_size)
    except (BankError, OSError):
        return None


@functools.lru_cache(maxsize=256)
def _read_kind(path: Path, changed_ns: int, size: int) -> str:
    return load_network(path).kind


def _scale_of(path: Path) -> Scale | None:
    """Return the scale of a user's bank; None for a file that is no bank."""
    try:
        stat = path.stat()
        return _read_scale(path, stat.st_mtime_ns, stat.st_size)
    except (BankError, OSError):
        return None


@functools.lru_cache(maxsize=256)
def _read_scale(path: Path, changed_ns: int, size: int) -> Scale:
    from napari_mrisr.bank.model import load_bank

    return load_bank(path).scale
