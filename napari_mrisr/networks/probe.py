"""Find out by trials what a foreign network needs where nothing declares it.

- *Extents*: the smallest multiple of voxels that the network accepts.
- *Scale and margin*: from the shapes of two results.
- *Halo*: how far a change of the input reaches in the result.
- *Normalization and output*: a smooth image must come back as itself, interpolated; the
  candidate with the smallest error is taken.

A network of real and imaginary part is tried with images of one phase. Trials have fixed seeds,
so a network is always found to be the same.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from napari_mrisr.core.volume import FloatArray, Grid, IntensityWindow, Volume
from napari_mrisr.errors import BankError, explain
from napari_mrisr.networks.foreign import ForeignNetwork
from napari_mrisr.networks.needs import NetworkNeeds, Normalization
from napari_mrisr.operators import interpolate

_MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
_LEAST = 24
_REACH = {2: 64, 3: 32}
# Change of the result, relative to the largest, that counts as no influence.
_NO_INFLUENCE = 1e-3
_CANDIDATES = ("window", "symmetric", "z-score", "bytes")
# A candidate must be this much better than an earlier one.
_BETTER = 0.5
_MOST_ERROR = 0.3
# Phase of the trials of a complex network, so that both parts change.
_TURN = np.complex64(0.8 + 0.6j)


@dataclass(frozen=True)
class Fit:
    """Geometry of a network's images.

    Attributes
    ----------
    scale : tuple of int
        Factors along the network's axes.
    margin : tuple of int
        Voxels of the input that the network cuts off per side.
    """

    scale: tuple[int, ...]
    margin: tuple[int, ...]


def probed(network: ForeignNetwork) -> tuple[NetworkNeeds, Fit, float]:
    """Complete what a network declares.

    Returns
    -------
    needs : NetworkNeeds
        With every need but ``axes``, ``tile`` and ``degradation``.
    fit : Fit
    error : float
        Error for a smooth image, relative to its standard deviation.

    Raises
    ------
    BankError
        If the network cannot be used, or contradicts what it declares.
    """
    needs = network.needs
    multiple, fit = _geometry(network, needs.multiple)
    if needs.scale is not None:
        wanted = _per_axis(network, needs.scale, "scale")
        if wanted != fit.scale:
            found = f"declares the scale {wanted}, but has the scale {fit.scale}"
            raise BankError(explain(network.name, found, "correct the declaration"))
    needs = needs.completed("found by probing", multiple=multiple, scale=fit.scale)
    kind = "low-resolution" if max(fit.scale) > 1 else "interpolated"
    if needs.input == "low-resolution" and kind == "interpolated":
        found = "declares a low-resolution input, but returns as many voxels as it is given"
        raise BankError(explain(network.name, found, "declare input interpolated"))
    needs = needs.completed("found by probing", input=kind)
    if needs.input == "interpolated" and kind != needs.input:
        found = f"declares an interpolated input, but has the scale {fit.scale}"
        raise BankError(explain(network.name, found, "declare input low-resolution"))
    normalization, output, error = _values(network, needs, multiple, fit)
    needs = needs.completed("found by probing", normalization=normalization, output=output)
    if needs.halo is None:
        halo = tuple(_halo(network, axis, multiple, fit) for axis in range(network.dimensions))
        needs = needs.completed("found by probing", halo=halo)
    else:
        needs = _with_halo(needs, _per_axis(network, needs.halo, "halo"), fit)
    return needs, fit, error


def _with_halo(needs: NetworkNeeds, halo: tuple[int, ...], fit: Fit) -> NetworkNeeds:
    return replace(needs, halo=tuple(map(max, halo, fit.margin)))


def _per_axis(network: ForeignNetwork, values: tuple[int, ...], name: str) -> tuple[int, ...]:
    if len(values) == 1:
        return values * network.dimensions
    if len(values) != network.dimensions:
        found = f"declares {name} {values} for {network.dimensions} axes"
        raise BankError(explain(network.name, found, f"give one or {network.dimensions} numbers"))
    return values


def extents_for(network: ForeignNetwork, least: int, multiple: int) -> tuple[int, ...]:
    """Return extents of at least ``least`` voxels that the network accepts."""
    some = -(-least // multiple) * multiple
    return tuple(some if extent is None else extent for extent in network.extents)


def _geometry(network: ForeignNetwork, declared: int | None) -> tuple[int, Fit]:
    """Return the multiple that extents need, and the geometry."""
    reason: BankError | None = None
    for multiple in _MULTIPLES if declared is None else (declared,):
        # No multiple of twice as much, so that it is the smallest that serves.
        least = -(-_LEAST // multiple) | 1
        try:
            first = extents_for(network, least * multiple, multiple)
            second = extents_for(network, (least + 1) * multiple, multiple)
            before = network.run(np.zeros(first, np.float32)).shape
            after = network.run(np.zeros(second, np.float32)).shape
        except BankError as error:
            reason = reason or error
            continue
        fits = [_line(*sizes) for sizes in zip(first, second, before, after, strict=True)]
        if all(fit is not None for fit in fits):
            scale, margin = zip(*(fit for fit in fits if fit is not None), strict=True)
            return multiple, Fit(scale, margin)
    if reason is not None:
        raise reason
    found = "returns images whose size does not follow from the input's"
    raise BankError(explain(network.name, found, "export it with a fixed scale"))


def _line(first: int, second: int, before: int, after: int) -> tuple[int, int] | None:
    """Return factor and margin of ``size out = factor (size in − 2 margin)``."""
    # For a fixed extent the margin is taken as none if the factor is whole.
    if first != second:
        scale, rest = divmod(after - before, second - first)
    else:
        scale = -(-before // first)
        rest = 0
    if rest or not 1 <= scale <= 8:
        return None
    margin, rest = divmod(scale * first - before, 2 * scale)
    return None if rest or margin < 0 else (scale, margin)


def _halo(network: ForeignNetwork, axis: int, multiple: int, fit: Fit) -> int:
    """Return how far along an axis a change of the input reaches."""
    reach = _REACH[network.dimensions]
    short = extents_for(network, 8 + 2 * max(fit.margin), multiple)
    long = extents_for(network, 2 * reach + 1 + 2 * max(fit.margin), multiple)
    shape = tuple(long[a] if a == axis else short[a] for a in range(network.dimensions))
    rng = np.random.default_rng(0)
    turn = _TURN if network.is_complex else np.float32(1.0)
    image = turn * rng.random(shape, dtype=np.float32)
    plain = network.run(image)
    scale, margin = fit.scale[axis], fit.margin[axis]
    found = 0
    middle = shape[axis] // 2
    for place in {middle, middle + multiple // 2}:
        changed = image.copy()
        index = [slice(None)] * network.dimensions
        index[axis] = slice(place, place + 1)
        noise = rng.normal(0, 0.2, changed[tuple(index)].shape).astype(np.float32)
        changed[tuple(index)] += turn * noise
        others = tuple(a for a in range(network.dimensions) if a != axis)
        change = np.abs(network.run(changed) - plain).max(axis=others)
        reached = np.flatnonzero(change > _NO_INFLUENCE * max(float(change.max()), 1e-12))
        if reached.size:
            voxels = reached // scale + margin
            found = max(found, int(np.abs(voxels - place).max()))
    return max(found, margin)


def _values(
    network: ForeignNetwork, needs: NetworkNeeds, multiple: int, fit: Fit
) -> tuple[Normalization, str, float]:
    """Return the normalization and output that give a smooth image back, and the error."""
    shape = extents_for(network, 32 + 2 * max(fit.margin), multiple)
    noise = np.random.default_rng(0).random(shape)
    smooth = ndimage.gaussian_filter(noise, 5.0, mode="nearest")
    # From 0.1 to 0.9 where errors are counted.
    inside = smooth[tuple(slice(n // 4, n - n // 4) for n in shape)]
    smooth = np.clip((smooth - inside.min()) / np.ptp(inside) * 0.8 + 0.1, 0, 1).astype(np.float32)
    expected = _interpolated(smooth, fit.scale)
    inner = []
    for margin, scale, n in zip(fit.margin, fit.scale, expected.shape, strict=True):
        inner.append(slice(margin * scale, n - margin * scale))
    expected = expected[tuple(inner)]
    rim = tuple(slice(n // 6, n - n // 6) for n in expected.shape)
    volume = _as_volume(smooth)
    turn = _TURN if network.is_complex else np.float32(1.0)
    given = [str(needs.normalization)] if needs.normalization else _CANDIDATES
    outputs = [needs.output] if needs.output else ["image", "correction"]
    best: tuple[Normalization, str, float] | None = None
    for text, output in itertools.product(given, outputs):
        if output == "correction" and text == "bytes" and needs.normalization is None:
            continue  # anything from 0 to 1 would be a small correction
        normalization = Normalization.parse(text)
        gain, offset = normalization.line(volume)
        offset = 0.0 if network.is_complex else offset
        result = network.run(turn * (gain * smooth) + offset) / turn
        image = expected + result / gain if output == "correction" else (result - offset) / gain
        wrong = np.abs(image - expected)[rim]
        error = float(np.sqrt(np.mean(wrong**2)) / expected[rim].std())
        if best is None or error < _BETTER * best[2]:
            best = normalization, output, error
    assert best is not None
    if best[2] > _MOST_ERROR and not (needs.normalization and needs.output):
        found = f"returns a smooth image with an error of {100 * best[2]:.0f} %"
        remedy = "declare normalization and output if it is a network for super-resolution"
        raise BankError(explain(network.name, found, remedy))
    return best


def _interpolated(image: FloatArray, scale: tuple[int, ...]) -> FloatArray:
    """Return a cubic interpolation along the network's axes."""
    full = image.reshape(image.shape if image.ndim == 3 else (1, *image.shape))
    factors = scale if len(scale) == 3 else (1, *scale)
    up = interpolate.tricubic(full, (factors[0], factors[1], factors[2]))
    return up if image.ndim == 3 else up[0]


def _as_volume(image: FloatArray) -> Volume:
    """Return a trial image as a volume in engine units."""
    data = image if image.ndim == 3 else image[None]
    shape = (data.shape[0], data.shape[1], data.shape[2])
    # A scan's intensities are mostly hundreds.
    return Volume(data, Grid(shape, np.eye(4)), IntensityWindow(0.0, 500.0))
