"""Slices of a scan: their direction, thickness and distance.

A header tells the distance between slices (the voxel size), not their thickness, which is less
if there are gaps. The thickness comes from the DICOM header, the BIDS sidecar or the user.
Otherwise it is assumed to equal the distance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_mrisr.core.scale import isotropic_scale
from napari_mrisr.core.volume import Grid, Origin, Volume
from napari_mrisr.errors import ParameterError, explain

MOST_OVERLAP = 1.5
"""Largest thickness, in slice distances. Overlapping slices are thicker than their distance."""

SIDECAR = "BIDS sidecar"
DICOM = "DICOM header"
GIVEN = "as given"
ASSUMED = "assumed"


@dataclass(frozen=True)
class SliceGeometry:
    """Slices of a scan.

    Attributes
    ----------
    axis : int
        RAS axis (0 = x) across the slices.
    thickness, distance : float
        In mm. The distance is between the centers of neighboring slices.
    source : str
        Origin of the thickness: :data:`SIDECAR`, :data:`DICOM`, :data:`GIVEN` or
        :data:`ASSUMED`.
    """

    axis: int
    thickness: float
    distance: float
    source: str

    @property
    def gap_label(self) -> str:
        """Gap or overlap of neighboring slices, as text."""
        gap = self.distance - self.thickness
        if abs(gap) < 0.005 * self.distance:
            return "no gap"
        return f"gap {gap:.3g} mm" if gap > 0 else f"overlap {-gap:.3g} mm"

    def __str__(self) -> str:
        if self.source == ASSUMED:
            return f"slices {self.thickness:.3g} mm thick (assumed from their distance)"
        sizes = f"{self.thickness:.3g} mm thick, {self.distance:.3g} mm apart"
        return f"slices {sizes} ({self.source})"


def slices_of(grid: Grid, origin: Origin | None) -> SliceGeometry | None:
    """Return the slices of a scan; None for nearly isotropic voxels of unknown thickness.

    Slices lie across the axis with the largest voxel size.
    """
    sizes = grid.voxel_size
    axis = max(range(3), key=lambda i: sizes[i])
    thickness = None if origin is None else origin.slice_thickness
    thin = max(isotropic_scale(sizes)) == 1
    if origin is None or thickness is None:
        return None if thin else SliceGeometry(axis, sizes[axis], sizes[axis], ASSUMED)
    if thin and origin.slice_source in (SIDECAR, DICOM):
        return None
    return SliceGeometry(axis, thickness, sizes[axis], origin.slice_source)


def relative_width(volume: Volume, axis: int) -> float | None:
    """Return the slice thickness divided by the slice distance.

    None if the thickness is unknown, or the slices do not lie across ``axis``.
    """
    slices = slices_of(volume.grid, volume.origin)
    if slices is None or slices.axis != axis or slices.source == ASSUMED:
        return None
    return slices.thickness / slices.distance


def with_slice_thickness(volume: Volume, thickness: float | None) -> Volume:
    """Return a volume whose slices have a thickness given by the user; None changes nothing.

    Raises
    ------
    ParameterError
        If the thickness is not positive or exceeds 1.5 slice distances.
    """
    if thickness is None:
        return volume
    check_thickness(volume.grid, thickness)
    origin = volume.origin or Origin("volume")
    return replace(volume, origin=given_thickness(origin, thickness))


def given_thickness(origin: Origin, thickness: float) -> Origin:
    """Return an origin with a slice thickness given by the user."""
    return replace(origin, slice_thickness=float(thickness), slice_source=GIVEN)


def check_thickness(grid: Grid, thickness: float) -> None:
    """Raise :class:`ParameterError` for a slice thickness that the grid's slices cannot have."""
    distance = max(grid.voxel_size)
    if not 0 < thickness <= MOST_OVERLAP * distance:
        found = f"{thickness:.4g} mm, but the slices are {distance:.4g} mm apart"
        mend = f"give mm, above 0 and at most {MOST_OVERLAP * distance:.3g}"
        raise ParameterError(explain("slice thickness", found, mend))
