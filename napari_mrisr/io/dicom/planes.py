"""Slices of a derived series: its source images, planes and stored integers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import nibabel
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from napari_mrisr.core.volume import FloatArray, Volume
from napari_mrisr.errors import OutputError, VolumeError, explain
from napari_mrisr.io.dicom.headers import SliceImage, damaged
from napari_mrisr.io.dicom.sources import open_source
from napari_mrisr.io.geometry import SHEAR_TOLERANCE, shear

Affine = NDArray[np.float64]

_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

# nibabel's orientation functions carry no types.
_nib: Any = nibabel


@dataclass(frozen=True, eq=False)
class SourceImages:
    """Images that a volume was read from.

    Attributes
    ----------
    images : sequence of SliceImage
        In the order of slices.
    headers : mapping of Path to Dataset
        Header of each file, without pixels.
    title : str
        Beginning of the description of derived series.
    """

    images: Sequence[SliceImage]
    headers: Mapping[Path, Dataset]
    title: str = ""

    @classmethod
    def read(
        cls, images: Sequence[SliceImage], check: Callable[[], None], *, titled: bool = True
    ) -> SourceImages:
        """Read the headers of images.

        Parameters
        ----------
        images : sequence of SliceImage
            In the order of slices.
        check : callable
            Called per file; raises to stop.
        titled : bool
            Keep the description of the series.

        Raises
        ------
        VolumeError
            If a file is missing or damaged.
        """
        headers: dict[Path, Dataset] = {}
        for image in images:
            check()
            if image.file not in headers:
                headers[image.file] = read_whole_header(image.file)
        first = headers[images[0].file]
        return cls(images, headers, str(first.get("SeriesDescription", "")) if titled else "")

    @property
    def first(self) -> Dataset:
        """Header of the first slice."""
        return self.header(0)

    @property
    def enhanced(self) -> bool:
        """True for Enhanced MR."""
        return "PerFrameFunctionalGroupsSequence" in self.first

    @property
    def scale(self) -> tuple[float, float] | None:
        """Slope and intercept from stored values to intensities; None if slices differ."""
        scales = {(image.slope, image.intercept) for image in self.images}
        return scales.pop() if len(scales) == 1 else None

    def header(self, index: int) -> Dataset:
        """Return the header of a slice."""
        return self.headers[self.images[index].file]

    def group(self, name: str) -> Dataset:
        """Return a functional group of the first slice of Enhanced MR; empty if missing."""
        frames = self.first.get("PerFrameFunctionalGroupsSequence") or []
        shared = self.first.get("SharedFunctionalGroupsSequence") or []
        at = self.images[0].index
        for holder in (*frames[at : at + 1], *shared[:1]):
            items = holder.get(name)
            if items:
                return cast(Dataset, items[0])
        return Dataset()

    def along(self, normal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the position of each slice along a direction, mm."""
        places = np.array([image.position for image in self.images], np.float64)
        return np.asarray(places @ normal)


@dataclass(frozen=True, eq=False)
class SliceStack:
    """A volume cut into slices in the orientation of its source images.

    Attributes
    ----------
    data : (slice, row, column) ndarray
        A view of the volume.
    affine : (4, 4) ndarray
        Index of column, row, slice to the patient's left, posterior, superior, mm.
    """

    data: FloatArray
    affine: Affine

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance of columns, rows and slices, mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def axes(self) -> Affine:
        """Unit vectors along columns' index, rows' index and slices, as columns."""
        axes: Affine = self.affine[:3, :3] / np.array(self.spacing)
        return axes

    @property
    def orientation(self) -> list[DSfloat]:
        """Image Orientation (Patient)."""
        return decimals(self.axes[:, :2].T.ravel())

    def position(self, index: int) -> list[DSfloat]:
        """Return Image Position (Patient) of a slice."""
        return decimals(self.affine[:3, 3] + index * self.affine[:3, 2])

    def along(self, index: int) -> float:
        """Return the position of a slice along its normal, mm."""
        return float((self.affine[:3, 3] + index * self.affine[:3, 2]) @ self.axes[:, 2])


def read_whole_header(path: Path) -> Dataset:
    """Read all attributes of a file but the pixels."""
    try:
        with open_source(path) as file:
            return pydicom.dcmread(file, stop_before_pixels=True, force=True)
    except VolumeError:
        raise
    except OSError as error:
        found = f"cannot be read ({error.strerror or type(error).__name__})"
        raise VolumeError(
            explain(path, found, "keep the source until the result is saved")
        ) from error
    except Exception as error:  # pydicom raises whatever its parsing meets
        raise damaged(path, error) from error


def cut(volume: Volume, source: SourceImages) -> SliceStack:
    """Cut a volume into slices along those of its source.

    Raises
    ------
    OutputError
        If the axes of the volume are not perpendicular.
    """
    affine = _TO_LPS @ volume.grid.affine
    if shear(affine) > SHEAR_TOLERANCE:
        found = "the axes of the volume are not perpendicular"
        raise OutputError(explain("DICOM", found, "save it as .nii.gz"))
    frame = np.eye(4)
    row, column = np.array(source.images[0].orientation, np.float64).reshape(2, 3)
    normal = np.cross(row, column)
    order = source.along(normal)
    up = -1.0 if order[-1] < order[0] else 1.0
    frame[:3, :3] = np.column_stack([row, column, up * normal])
    turn = _nib.io_orientation(np.linalg.inv(frame) @ affine)
    data = _nib.apply_orientation(volume.data, turn)
    stored = affine @ _nib.orientations.inv_ornt_aff(turn, volume.data.shape)
    return SliceStack(data.transpose(2, 1, 0), stored)


@dataclass(frozen=True, eq=False)
class StoredValues:
    """Intensities as integers of 16 bits.

    Attributes
    ----------
    slope, intercept : float
        From integers to intensities.
    signed : bool
        Two's complement.
    error : float
        Largest rounding error, in the units of the intensities.
    """

    slope: float
    intercept: float
    signed: bool
    error: float

    @classmethod
    def of(
        cls, data: FloatArray, scale: tuple[float, float] | None, check: Callable[[], None]
    ) -> StoredValues:
        """Choose the integers for intensities: those of the source's scale if they fit.

        ``check`` is called per slice; it raises to stop.
        """
        low, high = float(data.min()), float(data.max())
        for slope, intercept in (scale,) if scale is not None else ():
            first, last = (round((value - intercept) / slope) for value in (low, high))
            signed = min(first, last) < 0
            limit = 1 << 15 if signed else 1 << 16
            if -limit <= min(first, last) and max(first, last) < limit:
                return cls(slope, intercept, signed, _rounding(data, slope, intercept, check))
        # As decimal strings hold them.
        intercept = float(f"{(low + high) / 2:.9g}")
        reach = max(high - intercept, intercept - low)
        slope = float(f"{reach / 32766:.9g}") or 1.0
        return cls(slope, intercept, True, _rounding(data, slope, intercept, check))

    @property
    def note(self) -> str:
        """Note about the rounding."""
        if self.error == 0:
            return "stored as integers without rounding"
        return f"stored as integers, rounded by at most {self.error:.2g}"

    @property
    def plain(self) -> bool:
        """True if the integers are the intensities."""
        return (self.slope, self.intercept) == (1.0, 0.0)

    def describe(self, out: Dataset) -> None:
        """Write slope and intercept."""
        out.RescaleSlope, out.RescaleIntercept = decimals([self.slope, self.intercept], 40)
        out.RescaleType = "US"  # unspecified

    def encode(self, plane: FloatArray) -> bytes:
        """Return the bytes of intensities."""
        kind = "<i2" if self.signed else "<u2"
        return _integers(plane, self.slope, self.intercept).astype(kind).tobytes()


def decimals(values: Iterable[float], places: int = 9) -> list[DSfloat]:
    """Return numbers as decimal strings: rounded, in at most 16 characters."""
    return [DSfloat(round(float(value), places), auto_format=True) for value in values]


def _integers(values: FloatArray, slope: float, intercept: float) -> NDArray[np.float64]:
    stored: NDArray[np.float64] = np.rint((values.astype(np.float64) - intercept) / slope)
    return stored


def _rounding(data: FloatArray, slope: float, intercept: float, check: Callable[[], None]) -> float:
    """Return the largest rounding error, found slice by slice."""
    largest = 0.0
    for plane in data:
        check()
        back = _integers(plane, slope, intercept) * slope + intercept
        largest = max(largest, float(np.abs(back - plane).max()))
    return largest
