"""Complex scans in and out: complex NIfTI, or a magnitude and its phase."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_mrisr.core.complex_volume import ComplexVolume
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import FloatArray, Volume
from napari_mrisr.errors import OutputError, VolumeError, explain
from napari_mrisr.io.dicom.sources import names_dicom
from napari_mrisr.io.formats import NIFTI, PAIR, PathLike, is_zarr, stem_of, suffix_of
from napari_mrisr.io.geometry import turn_to_ras
from napari_mrisr.io.header import open_scan
from napari_mrisr.io.nifti import read_note
from napari_mrisr.io.read import Fill, Intake, check_stream, need_dicom, read_volume, to_float32
from napari_mrisr.io.write import write_image

# Name, range, phase at its low end, and the share of the range that the voxels must cover: in air
# the phase is of any value. The first that fits decides.
_UNITS = (
    ("radians", -np.pi, np.pi, -np.pi, 0.0),
    ("radians", 0.0, 2 * np.pi, 0.0, 0.0),
    ("scanner units 0 to 4095", 0.0, 4096.0, -np.pi, 0.9),
    ("milliradians", -1000 * np.pi, 1000 * np.pi, -np.pi, 0.9),
    ("scanner units −4096 to 4095", -4096.0, 4096.0, -np.pi, 0.9),
)


def is_complex(path: PathLike) -> bool:
    """Return True for an image file of complex voxels."""
    path = Path(path)
    if is_zarr(path) or names_dicom(path):
        return False
    with open_scan(path, 0, complex_voxels=True) as scan:
        return scan.dtype.kind == "c"


def read_complex(
    path: PathLike,
    phase: PathLike | None = None,
    *,
    frame: int | None = None,
    phase_frame: int | None = None,
    fill_nonfinite: Fill | None = None,
    progress: Progress | None = None,
) -> ComplexVolume:
    """Read a complex scan.

    Parameters
    ----------
    path : str or path
        A complex NIfTI file; or, with ``phase``, the magnitude in any format.
    phase : str or path, optional
        The phase, in radians, milliradians or scanner units (−4096 to 4095, 0 to 4095). May be the
        DICOM series of the magnitude, if that holds both.
    frame, phase_frame : int, optional
        Volumes of 4D images or DICOM series, from 0. Of a series that holds magnitude and
        phase, those that belong together by default.
    fill_nonfinite : float or "mean", optional
        Replaces NaN and infinite voxels, which are refused otherwise.
    progress : Progress, optional
        Receives the unit of the phase as a message.

    Returns
    -------
    ComplexVolume

    Raises
    ------
    VolumeError
        For a file of real voxels without ``phase``, and for a phase whose unit is unclear.
    GeometryError
        When magnitude and phase lie on different grids.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> scan = sr.read_complex("complex.nii.gz")
    >>> scan.magnitude.data.shape == scan.phase.data.shape
    True
    """
    path, progress = Path(path), progress or Progress()
    if phase is None:
        return _read_file(path, frame, fill_nonfinite)
    phase = Path(phase)
    if is_same_series(path, phase):
        frame, phase_frame = find_pair(path, frame)
    elif phase_frame is None and not names_dicom(phase):
        phase_frame = frame
    magnitude = read_volume(path, frame=frame, fill_nonfinite=fill_nonfinite, progress=progress)
    stored = read_volume(phase, frame=phase_frame, fill_nonfinite=0.0, progress=progress)
    data, unit = to_radians(stored, phase)
    progress.message(f"{phase.name}: phase in {unit}")
    return ComplexVolume(magnitude, replace(stored, data=data))


def is_same_series(path: Path, phase: Path) -> bool:
    """Return True if two paths, such as a folder and a file in it, name one DICOM series."""
    if not (names_dicom(path) and names_dicom(phase)):
        return False
    find = need_dicom(path).find_series
    return path == phase or find(path).path == find(phase).path


def find_pair(path: Path, frame: int | None) -> tuple[int, int]:
    """Return the volumes of a DICOM series that are a magnitude and its phase."""
    series = need_dicom(path).find_series(path)
    names = list(series.frames)
    found = [pair for pair in pairs_of(names) if frame in (None, pair[0])]
    if len(found) != 1:
        listed = ", ".join(f"{number}: {name or 'volume'}" for number, name in enumerate(names))
        text = f"holds {len(found)} magnitudes with a phase ({listed})"
        remedy = "choose the magnitude with --frame" if found else "give the series of the phase"
        raise VolumeError(explain(path, text, remedy))
    return found[0]


def pairs_of(names: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of magnitudes and their phases among the volumes of a DICOM series."""
    return [
        (names.index(name), names.index(partner))
        for name in names
        if (partner := name.replace("magnitude", "phase")) != name and partner in names
    ]


def to_radians(phase: Volume, path: Path) -> tuple[FloatArray, str]:
    """Return a phase in radians from −π to π, and the unit in which it was given.

    Raises
    ------
    VolumeError
        If the values fit no unit, or do not cover enough of its range to tell.
    """
    low, high = (float(value) for value in phase.extrema)
    for name, least, most, start, share in _UNITS:
        width = most - least
        fits = low >= least - 1e-3 * width and high <= most + 1e-3 * width
        if fits and high - low >= share * width:
            angle = start + 2 * np.pi * (phase.data.astype(np.float64) - least) / width
            return np.angle(np.exp(1j * angle)).astype(np.float32), name
    found = f"phase from {low:g} to {high:g}, whose unit is unclear"
    raise VolumeError(explain(path, found, "convert it to radians"))


def _read_file(path: Path, frame: int | None, fill: Fill | None) -> ComplexVolume:
    with open_scan(path, frame, complex_voxels=True) as scan:
        if scan.dtype.kind != "c":
            raise VolumeError(explain(path, "holds real voxels", "give its phase too"))
        check_stream(scan)
        try:
            voxels = np.asarray(scan.image.dataobj[scan.index])
        except Exception as error:
            remedy = "copy or export it again"
            raise VolumeError(explain(path, "its voxels cannot be read", remedy)) from error
        with np.errstate(over="ignore", invalid="ignore"):
            size, angle = np.abs(voxels), np.nan_to_num(np.angle(voxels))
        data = to_float32(size, Intake(path, fill=fill))
        origin = scan.origin
        history = read_note(origin.header)
        turned = turn_to_ras(data, scan.affine)
        magnitude = Volume(turned, scan.grid, origin=origin, history=history)
        turned = turn_to_ras(angle.astype(np.float32), scan.affine)
    return ComplexVolume(magnitude, replace(magnitude, data=turned))


def phase_path(magnitude: PathLike) -> Path:
    """Return the file of the phase of a result.

    BIDS names ``sub-01_part-mag_T2starw.nii.gz`` and ``…part-phase…``; ``high.nii.gz`` gives
    ``high_phase.nii.gz``.
    """
    path = Path(magnitude)
    stem, suffix = stem_of(path), suffix_of(path)
    named, count = re.subn(r"(?<![A-Za-z0-9])part-mag(?![A-Za-z0-9])", "part-phase", stem)
    return path.with_name(f"{named if count else f'{stem}_phase'}{suffix}")


def check_complex(path: PathLike) -> None:
    """Raise :class:`OutputError` for a format without complex voxels."""
    if suffix_of(path) not in NIFTI + PAIR:
        found = f"{suffix_of(path)} cannot hold complex voxels"
        raise OutputError(explain(path, found, "choose .nii.gz"))


def write_complex(
    scan: ComplexVolume,
    path: PathLike,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Save a complex scan as complex64 NIfTI, atomically.

    Parameters
    ----------
    scan : ComplexVolume
    path : str or path
        ``.nii``, ``.nii.gz`` or ``.hdr``/``.img``. Use :func:`write_volume` for magnitude and phase
        in files of their own.
    overwrite, progress
        As in :func:`write_volume`.

    Raises
    ------
    OutputError
        As :func:`write_volume`, and for a format without complex voxels.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> scan = sr.read_complex("complex.nii.gz")
    >>> sr.write_complex(sr.upscale_complex(scan, 2, method="tricubic"), "high.nii.gz")
    """
    check_complex(path)
    write_image(scan.magnitude, scan.data, Path(path), overwrite=overwrite, progress=progress)
