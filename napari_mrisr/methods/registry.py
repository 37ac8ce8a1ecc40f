"""Interface of a method, and the registry of methods by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib import metadata
from typing import Protocol, runtime_checkable

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import RealScale, Scale, orders_of, thick_axis
from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.networks.foreign import SUFFIXES, split_spec

ENTRY_POINT_GROUP = "napari_mrisr.methods"


class Method(Protocol):
    """Computes any region of a super-resolved volume from the low-resolution volume.

    Attributes
    ----------
    name : str
        Name for tables and layers.
    scale : tuple of float
        Factor of each axis; see :data:`~napari_mrisr.core.scale.RealScale`.
    halo : tuple of int or None
        Low-resolution voxels needed around a region along each axis; None if a voxel's
        result depends on the whole volume.
    """

    @property
    def name(self) -> str:
        """See the class."""
        ...

    @property
    def scale(self) -> RealScale:
        """See the class."""
        ...

    @property
    def halo(self) -> Shape | None:
        """See the class."""
        ...

    def compute(self, lr: Volume, region: Region) -> FloatArray:
        """Compute the region's voxels, bit for bit as in the whole run.

        Parameters
        ----------
        lr : Volume
            The whole low-resolution volume, normalized.
        region : Region
            Box of output voxels.

        Returns
        -------
        ndarray of float32, shape ``region.shape``, in engine units
        """
        ...

    def provenance(self) -> dict[str, str]:
        """Return what a saved file states about how it was made."""
        ...


@runtime_checkable
class MultiPass(Protocol):
    """A method that runs faster in passes over the whole volume.

    Each pass computes any region from the whole result of the pass before, so that
    neighboring regions do not compute their common halo twice. The last pass gives the same
    bits as ``compute``.
    """

    @property
    def passes(self) -> int:
        """Number of passes."""
        ...

    def compute_pass(
        self, number: int, lr: Volume, previous: FloatArray, region: Region
    ) -> FloatArray:
        """Compute a region's voxels after pass ``number`` (from 0).

        ``previous`` is the output after the pass before: the whole, or with the same
        indices a box that holds the region of :meth:`needs`. The first pass must not read
        it.
        """
        ...

    def needs(self, number: int, region: Region, shape: Shape) -> Region:
        """Return the box of the image before that pass ``number`` (from 1) reads.

        ``shape`` is that of the whole output.
        """
        ...


def passes_of(method: Method) -> int:
    """Return the number of passes of the whole run; 1 for a method without passes."""
    return method.passes if isinstance(method, MultiPass) else 1


def pass_regions(
    method: Method, region: Region, shape: Shape, passes: int | None = None
) -> list[Region]:
    """Return the region needed after each pass for a region of the output, which is the last.

    ``shape`` is that of the whole output. With ``passes``, the region is one of the image
    after that number of passes.
    """
    regions = [region]
    if isinstance(method, MultiPass):
        for number in range((passes or method.passes) - 1, 0, -1):
            regions.insert(0, method.needs(number, regions[0], shape))
    return regions


@runtime_checkable
class WholeVolume(Protocol):
    """A method that computes the whole volume at once, such as an iterative one."""

    def compute_whole(self, lr: Volume, progress: Progress, threads: int = 1) -> FloatArray:
        """Return the whole result in engine units; ``progress`` reports and cancels."""
        ...


MethodFactory = Callable[[RealScale, str | None], Method]
"""Makes a method from a scale and the name or path of a filter bank."""

METHOD_SUMMARIES = {
    "nearest": "copy of the nearest voxel",
    "linear": "linear interpolation",
    "tricubic": "cubic B-spline interpolation",
    "quadratic": "quadratic spline (baseline of the 2021 paper)",
    "lanczos": "windowed sinc",
    "zero-fill": "zero filling of k-space, as scanners do",
    "back-projection": "tricubic, made consistent with the scan",
    "tv": "total variation",
    "plug-and-play": "denoising network, consistent with the scan",
    "unrolled": "network in blocks, for thick slices",
    "hashed": "learned filters",
    "anchored": "learned filters, chosen by anchors",
    "network": "for thick slices",
}
"""One line per built-in method, to show where a user picks one."""

ONE_PER_FAMILY = ("tricubic", "tv", "hashed", "network")
"""A method of each family: interpolation, iterative, learned filters, network."""

_BUILT_IN = {
    "nearest": "napari_mrisr.methods.interpolation:make_nearest",
    "linear": "napari_mrisr.methods.interpolation:make_linear",
    "tricubic": "napari_mrisr.methods.interpolation:make_tricubic",
    "quadratic": "napari_mrisr.methods.interpolation:make_quadratic",
    "lanczos": "napari_mrisr.methods.interpolation:make_lanczos",
    "zero-fill": "napari_mrisr.methods.interpolation:make_zero_fill",
    "back-projection": "napari_mrisr.methods.iterative:make_back_projection",
    "tv": "napari_mrisr.methods.iterative:make_tv",
    "plug-and-play": "napari_mrisr.methods.iterative:make_plug_and_play",
    "unrolled": "napari_mrisr.methods.unrolled:make_unrolled",
    "hashed": "napari_mrisr.methods.resampled:make_hashed",
    "anchored": "napari_mrisr.methods.resampled:make_anchored",
    "network": "napari_mrisr.methods.network:make_network",
}


_WITH_OPTION = ("zero-fill", "back-projection", "tv", "plug-and-play", "hashed", "anchored")


def base_name(name: str) -> str:
    """Return a method's name without its option."""
    return name.partition(":")[0]


def available_methods() -> list[str]:
    """Names of all methods, built-in ones first."""
    others = {point.name for point in metadata.entry_points(group=ENTRY_POINT_GROUP)}
    return [*_BUILT_IN, *sorted(others - set(_BUILT_IN))]


def method_summary(name: str) -> str:
    """Return one line about a method; for methods of other packages, of its factory."""
    if name in METHOD_SUMMARIES:
        return METHOD_SUMMARIES[name]
    for point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        if point.name == name:
            lines = (point.load().__doc__ or "").strip().splitlines()
            return lines[0].rstrip(".") if lines else ""
    return ""


def get_method(name: str, scale: RealScale, bank: str | None = None) -> Method:
    """Return a method, ready to compute.

    Parameters
    ----------
    name : str
        One of :func:`available_methods`. An option may follow a colon: a window of
        ``zero-fill`` such as ``zero-fill:hann``, the forward model of
        ``back-projection``, ``tv`` and ``plug-and-play`` such as
        ``tv:slice-profile:gaussian:1.2``, or ``blend`` for census blending of ``hashed`` and
        ``anchored``.
    scale : tuple of float
        Factor of each axis, 1 to 10; ``quadratic`` takes whole factors only.
    bank : str, optional
        For ``hashed`` and ``anchored``: path of a filter bank or name of a bundled one; by
        default the bundled one for the scale. Along one axis, a bank of the next whole
        factor serves too. For ``network``: path of a network file, which options may follow.
        For ``unrolled`` and ``plug-and-play``: path of a network file of their kind.

    Raises
    ------
    ParameterError
        If there is no such method.
    ScaleError, BankError
        If no bank fits.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> sr.get_method("hashed", (2, 2, 2)).provenance()["bank"]
    'default-2x'
    """
    base, _, option = name.partition(":")
    if base in _BUILT_IN and (not option or base in _WITH_OPTION):
        module, function = _BUILT_IN[base].split(":")
        factory: Callable[..., Method] = getattr(importlib.import_module(module), function)
        return factory(scale, bank, option) if option else factory(scale, bank)
    for point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        if point.name == name:
            factory = point.load()
            return factory(scale, bank)
    raise ParameterError(
        explain("method", repr(name), f"choose from {', '.join(available_methods())}")
    )


def default_method(scale: RealScale, bank: str | None = None) -> str:
    """Return the method to use where the user chose none.

    ``network`` for thick slices, that is, one axis to be made finer; ``hashed`` otherwise. A
    bank decides by its kind.
    """
    if bank is not None:
        suffix = split_spec(bank)[0].suffix.lower()
        return "network" if suffix in SUFFIXES else "hashed"
    return "hashed" if thick_axis(scale) is None else "network"


def available_scales(name: str) -> list[Scale] | None:
    """Return the scales of a method's bundled banks; None for a method without banks.

    Thick slices of any factor are served by the bank of the next whole factor, if there is
    one along a single axis.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> {(2, 2, 2), (1, 1, 4), (4, 1, 1)} <= set(sr.available_scales("hashed"))
    True
    >>> sr.available_scales("tricubic") is None
    True
    """
    thick = sorted(order for f in range(2, 9) for order in orders_of((1, 1, f)))
    if name == "unrolled":
        return thick
    if name == "network":
        alike: list[Scale] = [(2, 2, 2), (3, 3, 3), (4, 4, 4)]
        return sorted([*alike, *thick])
    if name not in ("hashed", "anchored"):
        return None
    from napari_mrisr.bank.model import bundled_scales

    scales = bundled_scales("a-plus" if name == "anchored" else "default")
    return sorted(order for scale in scales for order in orders_of(scale))
