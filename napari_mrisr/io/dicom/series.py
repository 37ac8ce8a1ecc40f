"""Series in folders, ZIP files and DICOMDIRs: what there is, and the volumes of each."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import transform

from napari_mrisr.core.notice import Caution
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.slices import DICOM, MOST_OVERLAP
from napari_mrisr.core.threads import ThreadPool, processors
from napari_mrisr.core.volume import Grid, IntensityWindow, Origin
from napari_mrisr.errors import MrisrError, ParameterError, VolumeError, explain
from napari_mrisr.io.dicom.derivation import NOT_FOR_DIAGNOSIS
from napari_mrisr.io.dicom.headers import FileHeader, quiet_pydicom, read_file_header
from napari_mrisr.io.dicom.pixels import Stored, read_images, same_pixels
from napari_mrisr.io.dicom.sources import archive_of, archives_of, files_in, is_place
from napari_mrisr.io.dicom.stacks import Stack, make_stacks
from napari_mrisr.io.formats import PathLike
from napari_mrisr.io.geometry import axis_codes, grid_in_ras
from napari_mrisr.io.header import check_thickness, checked_affine
from napari_mrisr.io.loading import printable

# scikit-image's functions carry no types.
_resize: Any = transform.resize

_POSITIONS = {
    "HF": "head first", "FF": "feet first", "LF": "left first", "RF": "right first",
    "AF": "anterior first", "PF": "posterior first",
}  # fmt: skip
_SIDES = {"S": "supine", "P": "prone", "DR": "on the right side", "DL": "on the left side"}
_LOCALIZER = re.compile(r"locali[sz]er|\bscout\b|\bsurvey\b|3[ -]?plane", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class DicomSeries:
    """A DICOM series: its files and the volumes that they hold.

    Attributes
    ----------
    root : Path
        The folder, ZIP file or DICOMDIR that holds it.
    label : str
        Series number and description as one word. Unique in ``root``.
    path : Path
        Names the series in :func:`~napari_mrisr.io.read_volume`: ``root`` followed by the
        label, as if it were a file.
    headers : tuple of FileHeader
        One per file, sorted by path.
    damaged : tuple of str
        Names of DICOM files in ``root`` that cannot be read; they may belong to the series.
    """

    root: Path
    label: str
    path: Path
    headers: tuple[FileHeader, ...]
    damaged: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """Series description."""
        return self.headers[0].description or "no description"

    @property
    def number(self) -> int | None:
        """Series number."""
        return self.headers[0].series_number

    @property
    def history(self) -> dict[str, str]:
        """History of a series that this program made; empty for others."""
        return self.headers[0].history

    @property
    def is_result(self) -> bool:
        """True for results of this program and their maps."""
        return NOT_FOR_DIAGNOSIS in self.headers[0].description

    @property
    def modality(self) -> str:
        """Modality, such as ``MR``."""
        return self.headers[0].modality

    @property
    def files(self) -> list[Path]:
        """All files, sorted by path. Those in a ZIP file have its path in front."""
        return [header.path for header in self.headers]

    def files_of(self, frame: int = 0) -> list[Path]:
        """Return the files of one volume in the order of its slices, none twice."""
        return list(dict.fromkeys(image.file for image in self.stacks[frame].images))

    @cached_property
    def _outcome(self) -> tuple[Stack, ...] | VolumeError:
        try:
            with quiet_pydicom():
                return self._make_stacks()
        except VolumeError as error:
            return error

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """Volumes of the series.

        Raises
        ------
        VolumeError
            When the series is no volume, or its images do not fit together.
        """
        if isinstance(self._outcome, VolumeError):
            raise self._outcome
        return self._outcome

    @property
    def problem(self) -> str:
        """Reason why the series cannot be read, in one line; empty if it can."""
        return str(self._outcome) if isinstance(self._outcome, VolumeError) else ""

    @property
    def is_scan(self) -> bool:
        """False for what is no volume by intention: localizers, reports, screenshots."""
        if not self.problem:
            return True
        if _LOCALIZER.search(self.description):
            return False
        return not all(header.problem for header in self.headers)

    @property
    def frames(self) -> tuple[str, ...]:
        """Names of the volumes, such as ``echo 2, phase``; one empty name for a single volume."""
        return tuple(stack.name for stack in self.stacks)

    @property
    def on_one_grid(self) -> bool:
        """True if all volumes lie on one grid."""
        first, *others = self.stacks
        return all(
            stack.shape == first.shape and np.allclose(stack.affine, first.affine, atol=1e-3)
            for stack in others
        )

    def thumbnail(self, size: int) -> NDArray[np.uint8]:
        """Return the middle slice of the first volume, indexed (row, column).

        Gray levels 0 to 255 over the contrast of the header, at most ``size`` pixels along
        its longer edge, square pixels.
        """
        stack = self.stacks[0]
        image = stack.images[len(stack.images) // 2]
        headers = {header.path: header for header in self.headers}
        stored = read_images([image], headers, Progress())
        plane = stored.voxels[..., 0].T * stored.slope + stored.intercept
        window = stack.window or IntensityWindow(float(plane.min()), float(plane.max()))
        gray = np.clip((plane - window.low) / max(window.high - window.low, 1e-30), 0, 1)
        edges = np.array(plane.shape) * image.spacing
        rows, columns = np.maximum(1, np.round(edges * size / edges.max())).astype(int)
        small = _resize(gray, (rows, columns), order=1, anti_aliasing=True)
        return np.asarray(255 * small).astype(np.uint8)

    def _make_stacks(self) -> tuple[Stack, ...]:
        problems = {header.problem for header in self.headers}
        if problems - {""}:
            found = min(problems - {""})
            if "" in problems:
                count = sum(bool(header.problem) for header in self.headers)
                found = f"{count} of {len(self.headers)} files cannot be slices: one {found}"
            raise VolumeError(explain(self.path, found, "choose a series of slices"))
        images = [image for header in self.headers for image in header.images]
        syntaxes = {image.file: header for header in self.headers for image in header.images}
        return make_stacks(
            self.path, images, lambda a, b: same_pixels(a, syntaxes[a.file], b, syntaxes[b.file])
        )

    def stack(self, frame: int | None) -> Stack:
        """Return one volume; ``frame`` may be None if there is only one."""
        stacks = self.stacks
        if frame is None and len(stacks) == 1:
            return stacks[0]
        listed = ", ".join(f"{i}: {stack.name}" for i, stack in enumerate(stacks[:12]))
        listed += ", …" if len(stacks) > 12 else ""
        if frame is None:
            found = f"holds {len(stacks)} volumes ({listed})"
            raise VolumeError(explain(self.path, found, "choose one with --frame"))
        if not 0 <= frame < len(stacks):
            found = f"{frame}, but there are {len(stacks)} volumes"
            raise ParameterError(explain("--frame", found, f"give 0 to {len(stacks) - 1}"))
        return stacks[frame]

    def read(self, stack: Stack, progress: Progress) -> Stored:
        """Read the voxels of a volume, indexed (column, row, slice)."""
        headers = {header.path: header for header in self.headers}
        return read_images(stack.images, headers, progress)

    def grid(self, stack: Stack) -> Grid:
        """Return the grid of a volume, RAS+."""
        check_thickness(self.path, stack.shape, (0, 1, 2))
        affine = checked_affine(self.path, stack.affine, "export it again")
        return grid_in_ras(stack.shape, affine)

    def origin(self, stack: Stack) -> Origin:
        """Return the description of a volume, without anything about the patient."""
        distance = stack.spacing[2]
        thickness = stack.thickness
        if thickness is not None and not 0 < thickness <= MOST_OVERLAP * distance:
            thickness = None
        return Origin(
            printable(self.description),
            axis_codes(stack.affine),
            stack,  # its files, which `write_dicom` refers to
            ".dcm",
            tuple(self._cautions(stack)),
            thickness,
            DICOM if thickness else "",
            window=stack.window,
            acquisition=tuple(self._acquisition(stack)),
        )

    def _cautions(self, stack: Stack) -> Iterable[Caution]:
        if self.damaged:
            shown = ", ".join(self.damaged[:3])
            text = (
                f"{len(self.damaged)} DICOM files beside the series cannot be read ({shown}). "
                "If they belong to it, slices are missing at its end."
            )
            yield Caution("damaged files", text)
        promised = self._header(stack).facts.get("slices", 0)
        if promised > len(stack.images):
            text = (
                f"The header says that there are {promised:.0f} slices, but there are only "
                f"{len(stack.images)}. Slices may be missing at an end."
            )
            yield Caution("missing slices", text)
        if any(header.lossy for header in self.headers):
            text = "Its pixels were compressed with loss. Detail is lost and block edges may show."
            yield Caution("lossy compression", text)
        thickness, distance = stack.thickness, stack.spacing[2]
        if thickness is not None and thickness > MOST_OVERLAP * distance:
            text = (
                f"The header says that slices are {thickness:.3g} mm thick, but they are only "
                f"{distance:.3g} mm apart. The thickness is ignored."
            )
            yield Caution("slice thickness", text)

    def _header(self, stack: Stack) -> FileHeader:
        """Return the header of the first slice of a volume."""
        return next(h for h in self.headers if h.path == stack.images[0].file)

    def _acquisition(self, stack: Stack) -> Iterable[str]:
        """Yield facts about the acquisition, for display."""
        header = self._header(stack)
        echo = stack.images[0].traits.get("echo")
        if isinstance(echo, int | float) and echo > 0:
            yield f"echo time {echo:.4g} ms"
        if repetition := header.facts.get("repetition time"):
            yield f"repetition time {repetition:.4g} ms"
        if strength := header.facts.get("field"):
            yield f"{strength:.3g} T"
        position = header.patient_position
        if position[:2] in _POSITIONS:
            side = _SIDES.get(position[2:], "")
            yield " ".join(filter(None, (_POSITIONS[position[:2]], side)))
        if scale := header.facts.get("philips scale"):
            slope = stack.images[0].slope
            yield f"Philips scale slope {scale:.4g}: divide by {scale * slope:.4g} for raw values"


def list_all(
    paths: PathLike | Iterable[PathLike], progress: Progress | None = None
) -> list[DicomSeries]:
    """List the series that paths stand for; see :func:`~napari_mrisr.io.list_series`."""
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found: dict[Path, DicomSeries] = {}
    for entry in map(Path, given):
        for series in _series_at(entry, progress or Progress()):
            found.setdefault(series.path, series)
    return list(found.values())


def find_series(path: Path, progress: Progress | None = None) -> DicomSeries:
    """Return the series that a path names.

    Parameters
    ----------
    path : Path
        A file of the series; a folder, ZIP file or DICOMDIR with one series; or one of them
        followed by the label of a series.
    progress : Progress, optional
        Receives one step per file whose header is read.

    Raises
    ------
    VolumeError
        When there is none, or several.
    """
    listed = _series_at(path, progress or Progress())
    scans = [series for series in listed if series.is_scan]
    if len(scans) == 1:
        return scans[0]
    if not listed:
        what = "a folder" if path.is_dir() else "a file"
        found = f"is {what} without a DICOM series"
        raise VolumeError(explain(path, found, "give an image file, or a folder with a series"))
    if len(listed) == 1 or not scans:
        return listed[0]
    labels = ", ".join(series.label for series in scans[:12])
    labels += ", …" if len(scans) > 12 else ""
    remedy = f"name one, as in {scans[0].path}"
    raise VolumeError(explain(path, f"holds {len(scans)} series ({labels})", remedy))


def _series_at(path: Path, progress: Progress) -> list[DicomSeries]:
    """Return the series that a path stands for."""
    if is_place(path):
        return _listing(path, files_in(path), progress)
    if path.is_file():
        listed = _listing(path.parent, files_in(path.parent), progress)
        found = [series for series in listed if path in series.files]
        if not found:
            raise VolumeError(explain(path, "is no DICOM image", "give a file of a series"))
        return found
    place = path.parent if is_place(path.parent) else archive_of(path)
    if place is not None:
        for series in _listing(place, files_in(place), progress):
            if series.label == path.name or path in series.files:
                return [series]
    raise VolumeError(explain(path, "no such file, folder or series", "check the name"))


_listings: dict[object, list[DicomSeries]] = {}
_MOST_LISTINGS = 4


def _listing(root: Path, files: Sequence[Path], progress: Progress) -> list[DicomSeries]:
    """Return the series of files; the last few listings are kept while the files stay as is."""
    key = (root, tuple(_stamp(file) for file in files))
    if key not in _listings:
        found = _group(root, _read_headers(files, progress))
        while len(_listings) >= _MOST_LISTINGS:
            _listings.pop(next(iter(_listings)))
        _listings[key] = found
    return _listings[key]


def _stamp(file: Path) -> tuple[Path, int, int]:
    status = (archive_of(file) or file).stat()
    return file, status.st_size, status.st_mtime_ns


def _read_headers(files: Sequence[Path], progress: Progress) -> tuple[list[FileHeader], list[str]]:
    """Read the headers of files; return them and the names of damaged DICOM files."""
    headers: list[FileHeader] = []
    damaged: list[str] = []

    def read(file: Path) -> None:
        try:
            header = read_file_header(file)
        except MrisrError:
            damaged.append(file.name)
            return
        if header is not None:
            headers.append(header)

    progress.begin("reading DICOM headers", len(files))
    with quiet_pydicom(), archives_of(files):
        pool = ThreadPool(min(4, processors()), progress.token)
        pool.each(read, files, progress.advance)
    return sorted(headers, key=lambda header: header.path), sorted(damaged)


def _group(root: Path, found: tuple[list[FileHeader], list[str]]) -> list[DicomSeries]:
    """Group files by series, and name each series."""
    headers, damaged = found
    groups: dict[Any, list[FileHeader]] = defaultdict(list)
    for header in headers:
        groups[header.series_uid or (header.path.parent, header.series_number)].append(header)
    ordered = sorted(
        groups.values(), key=lambda group: (_sort_number(group[0]), str(group[0].path))
    )
    taken: dict[str, int] = defaultdict(int)
    series = []
    for group in ordered:
        label = _label(group[0])
        taken[label] += 1
        label += f"-{taken[label]}" if taken[label] > 1 else ""
        label += "-series" if (root / label).exists() else ""
        series.append(DicomSeries(root, label, root / label, tuple(group), tuple(damaged)))
    return series


def _sort_number(header: FileHeader) -> float:
    return float("inf") if header.series_number is None else header.series_number


def _label(header: FileHeader) -> str:
    words = re.sub(r"[^\w+=-]+", "-", header.description).strip("-")
    number = "series" if header.series_number is None else str(abs(header.series_number))
    return "_".join(filter(None, (number, words)))[:80]
