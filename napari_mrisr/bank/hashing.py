"""Hashing: from a patch to its bucket.

Each voxel's structure tensor gives eigenvalues λ1 ≥ λ2 ≥ λ3 ≥ 0 and a first
eigenvector v. From these come six features, each cut into bins; a bucket id is
the mixed-radix number of the bins, in the order of :data:`FEATURES`.

==========  ====================================================================
elevation   angle of v to z (paper: arccos v_z), or, for canonical directions,
            to the nearest axis; degrees
azimuth     angle of v in the x-y plane, 0 to 180 (a line has no sign), or, for
            canonical directions, of the two smaller components, 0 to 45; degrees
strength    √λ1, engine units per voxel
coherence   (√λ1 − √λ2 − √λ3) / (√λ1 + √λ2 + √λ3) (paper, equation 5), −1/3 to 1
asymmetry   slope of the gradient energy along v over the energy, per voxel: the
            distance of the voxel from the middle of an edge
curvature   second derivatives across v over the root of the energy, signed so that
            swapping bright and dark changes nothing: the bend of the edge's surface
==========  ====================================================================

**Canonical patches.** With the symmetry ``cube``, v is pointed to where the
gradient energy grows (a choice that does not depend on contrast), its
components are made positive and sorted by size. The same one of the cube's 48
symmetries is applied to the patch, so rotated and reflected copies of a patch share a
bucket and its filter. Sub-voxel phases (the position of an output voxel in its
low-resolution voxel) turn with the patch. ``plane`` sorts the components along x and y only,
for thick slices along z; ``flips`` does not sort, for factors that differ between all axes.

**Anchors.** A spec with :class:`~napari_mrisr.bank.anchors.Anchors` also assigns each voxel to
its nearest anchor, which is then the first digit of the bucket. Bundled ones use no cuts.

Flat voxels, whose tensor's trace is below ``flat²``, share the last bucket, which has
no filter. Without a direction (equal eigenvalues) v is x.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.anchors import Anchors
from napari_mrisr.bank.symmetries import phase_table
from napari_mrisr.core.scale import MAX_SCALE, Scale
from napari_mrisr.core.volume import FloatArray, Region, Shape
from napari_mrisr.errors import BankError, ParameterError, explain
from napari_mrisr.kernels import cpu_hash
from napari_mrisr.kernels.hash_tables import HashTables
from napari_mrisr.operators.gradients import Window, tensor_box

FEATURES = ("elevation", "azimuth", "strength", "coherence", "asymmetry", "curvature")

_RANGES = {
    "elevation": (0.0, 180.0),
    "azimuth": (0.0, 180.0),
    "strength": (0.0, np.inf),
    "coherence": (-1.0 / 3.0, 1.0),
    "asymmetry": (0.0, np.inf),
    "curvature": (-np.inf, np.inf),
}
_CANONICAL_RANGES = {
    "none": {},
    "flips": {"elevation": (0.0, 90.0), "azimuth": (0.0, 90.0)},
    "cube": {"elevation": (0.0, 54.735610317245346), "azimuth": (0.0, 45.0)},
    "plane": {"elevation": (0.0, 90.0), "azimuth": (0.0, 45.0)},
}
SYMMETRIES = tuple(_CANONICAL_RANGES)

Cuts = tuple[float, ...]

_SHORT = 4  # swap the axes if y-lines are at least 4 times longer


@dataclass(frozen=True)
class HashSpec:
    """Features of a bucket and their cuts.

    Attributes
    ----------
    window : Window
        Window of the structure tensor, in voxels of the hashed grid.
    cuts : mapping of str to tuple of float
        Ascending cuts of each feature (degrees for angles); a feature without cuts is
        not used.
    symmetry : str
        Symmetry that makes patches canonical: ``none``, ``flips``, ``plane`` (flips, and x
        and y swapped) or ``cube``.
    phases : tuple of int
        Sub-voxel phases per axis that have their own buckets; (1, 1, 1) for none.
    flat : float
        Root of the tensor's trace (engine units per voxel) below which a voxel
        is flat; 0 for no such bucket.
    anchors : Anchors or None
        Anchors to assign voxels to.
    """

    window: Window = Window(sigma=2.0, radius=4)  # noqa: RUF009 (frozen)
    cuts: dict[str, Cuts] = field(default_factory=dict)
    symmetry: str = "none"
    phases: Scale = (1, 1, 1)
    flat: float = 0.0
    anchors: Anchors | None = None

    def __post_init__(self) -> None:
        if self.symmetry not in SYMMETRIES:
            mend = f"choose from {', '.join(SYMMETRIES)}"
            raise ParameterError(explain("hash spec", f"unknown symmetry {self.symmetry!r}", mend))
        for name, cuts in self.cuts.items():
            if name not in FEATURES:
                mend = f"choose from {', '.join(FEATURES)}"
                raise ParameterError(explain("hash spec", f"unknown feature {name!r}", mend))
            low, high = self.range_of(name)
            if list(cuts) != sorted(set(cuts)) or not all(low <= c <= high for c in cuts):
                found = f"cuts {cuts} of {name}"
                raise ParameterError(explain("hash spec", found, f"ascend within {low} to {high}"))
        if not all(1 <= p <= MAX_SCALE for p in self.phases):
            found = f"phases {self.phases}"
            raise ParameterError(explain("hash spec", found, f"give 1 to {MAX_SCALE} an axis"))
        if not 0.0 <= self.flat < np.inf:
            raise ParameterError(explain("hash spec", f"flat {self.flat}", "give 0 or more"))
        if not self.allows(self.phases):
            found = f"phases {self.phases} with the symmetry {self.symmetry}"
            raise ParameterError(explain("hash spec", found, "use flips"))
        if not all(self.allows(numbers) for numbers in zip(*self.window.axes, strict=True)):
            found = f"window {self.window} with the symmetry {self.symmetry}"
            raise ParameterError(explain("hash spec", found, "use flips"))
        if self.anchors is not None and not self.allows(self.anchors.descriptor.shape):
            found = f"anchors of a patch {self.anchors.descriptor.shape}, {self.symmetry}"
            raise ParameterError(explain("hash spec", found, "use flips"))

    def allows(self, numbers: tuple[Any, ...]) -> bool:
        """Return True if the symmetry swaps only axes whose numbers (sizes, factors) agree."""
        swapped = {"cube": 3, "plane": 2}.get(self.symmetry, 1)
        return len(set(numbers[:swapped])) == 1

    @property
    def radices(self) -> tuple[int, ...]:
        """Bins of each feature, then the phases."""
        bins = [len(self.cuts.get(name, ())) + 1 for name in FEATURES]
        return (*bins, int(np.prod(self.phases)))

    @property
    def filter_count(self) -> int:
        """Buckets that have a filter."""
        anchors = 1 if self.anchors is None else self.anchors.count
        return anchors * int(np.prod(self.radices))

    @property
    def bucket_count(self) -> int:
        """Buckets in all, the flat one included."""
        return self.filter_count + (1 if self.flat > 0.0 else 0)

    @property
    def reach(self) -> Shape:
        """Voxels needed around a voxel."""
        reach = self.window.reach
        if self.anchors is not None:
            pairs = zip(reach, self.anchors.descriptor.reach, strict=True)
            reach = tuple(max(pair) for pair in pairs)  # type: ignore[assignment]
        return reach

    def range_of(self, name: str) -> tuple[float, float]:
        """Return the range of a feature."""
        return _CANONICAL_RANGES[self.symmetry].get(name, _RANGES[name])

    def decode(self, bucket: int) -> dict[str, tuple[float, float]]:
        """Return the range of each feature in a bucket.

        Parameters
        ----------
        bucket : int
            A bucket id.

        Returns
        -------
        dict of str to (low, high)
            One entry per feature with cuts, low end included; ``phase`` holds the
            canonical phase twice, and ``anchor`` the anchor; the flat bucket has ``flat``
            alone.

        Raises
        ------
        ParameterError
            If there is no such bucket.
        """
        if not 0 <= bucket < self.bucket_count:
            mend = f"give 0 to {self.bucket_count - 1}"
            raise ParameterError(explain("bucket", str(bucket), mend))
        if bucket == self.filter_count:
            return {"flat": (0.0, self.flat)}
        digits = []
        for radix in reversed(self.radices):
            bucket, digit = divmod(bucket, radix)
            digits.append(digit)
        digits.reverse()
        ranges: dict[str, tuple[float, float]] = {}
        for name, digit in zip(FEATURES, digits, strict=False):
            if cuts := self.cuts.get(name):
                low, high = self.range_of(name)
                edges = (low, *cuts, high)
                ranges[name] = (edges[digit], edges[digit + 1])
        if self.radices[-1] > 1:
            ranges["phase"] = (float(digits[-1]), float(digits[-1]))
        if self.anchors is not None:
            ranges["anchor"] = (float(bucket), float(bucket))
        return ranges

    @cached_property
    def code(self) -> HashTables:
        """Tables for the kernels."""
        rows = [np.asarray(self.cuts.get(name, ()), dtype=np.float64) for name in FEATURES]
        rows[0] = -np.cos(np.radians(rows[0]))
        rows[1] = np.radians(rows[1])
        if self.symmetry != "none":
            rows[1] = np.tan(rows[1])
        table = np.full((6, max(1, *(r.size for r in rows))), np.inf)
        for row, cuts in zip(table, rows, strict=True):
            row[: cuts.size] = cuts
        counts = np.array([r.size for r in rows], dtype=np.int64)
        return HashTables(
            table,
            counts,
            SYMMETRIES.index(self.symmetry),
            self.flat**2,
            self.phases,
            phase_table(self.phases),
        )

    def hash_box(
        self, source: FloatArray, corner: Shape, shape: Shape, region: Region
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Compute buckets and symmetries of a region's voxels.

        Parameters
        ----------
        source, corner, shape, region
            As :func:`napari_mrisr.operators.gradients.tensor_box`.

        Returns
        -------
        bucket : ndarray of int32, shape ``region.shape``
            Bucket ids.
        element : ndarray of uint8, shape ``region.shape``
            Index into :data:`ELEMENTS` of the symmetry that makes the patch
            canonical; 0 (the identity) without symmetry.
        """
        # The kernels work on lines: along y if those along z are short, with the same bits.
        swapped = _SHORT * region.shape[2] < region.shape[1]
        tensor, smooth = tensor_box(source, corner, shape, region, self.window, swapped)
        bucket, element = cpu_hash.hash_voxels(tensor, smooth, region.start, self.code, swapped)
        if swapped:
            bucket, element = bucket.transpose(0, 2, 1).copy(), element.transpose(0, 2, 1).copy()
        if self.anchors is not None:
            digits = int(np.prod(self.radices))
            flat = bucket.reshape(-1)
            chosen = np.flatnonzero(flat < digits)
            box = (source, corner, shape)
            anchor = self.anchors.assign(box, region, self.window, element, chosen)
            flat[flat == digits] = self.filter_count
            flat[chosen] += np.int32(digits) * anchor
        return bucket, element

    def with_cuts(self, **cuts: Cuts) -> HashSpec:
        """Return the spec with other cuts of some features."""
        return replace(self, cuts={**self.cuts, **cuts})

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON; inverse of :meth:`from_json`."""
        data = asdict(replace(self, anchors=None))
        del data["anchors"]
        return data if self.anchors is None else data | {"anchors": self.anchors.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any], anchors: Anchors | None = None) -> HashSpec:
        """Read what :meth:`to_json` wrote; raise :class:`BankError` for anything else."""
        try:
            sigma, radius = (data["window"][name] for name in ("sigma", "radius"))
            window = Window(one_or_three(float, sigma), one_or_three(int, radius))
            cuts = {str(k): tuple(float(c) for c in v) for k, v in data["cuts"].items()}
            x, y, z = (int(p) for p in data["phases"])
            symmetry, flat = str(data["symmetry"]), float(data["flat"])
            return cls(window, cuts, symmetry, (x, y, z), flat, anchors)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            message = explain("hash spec", f"cannot be read ({error})", "train the bank again")
            raise BankError(message) from error


def one_or_three(kind: Any, value: Any) -> Any:
    """Convert one number of a file, or three."""
    if isinstance(value, list | tuple):
        x, y, z = value
        return kind(x), kind(y), kind(z)
    return kind(value)
