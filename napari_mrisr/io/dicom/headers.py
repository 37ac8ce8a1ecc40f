"""Headers of DICOM files: one record per 2D image, whatever kind of file holds it.

Elements about the patient are not read.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, MediaStorageDirectoryStorage

from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.io.dicom.derivation import read_derivation
from napari_mrisr.io.dicom.elements import cut_out
from napari_mrisr.io.dicom.mosaic import mosaic_tiles
from napari_mrisr.io.dicom.sources import open_source
from napari_mrisr.io.dicom.values import (
    GE_COMPONENT,
    PHILIPS_SCALE,
    SLICES,
    TAGS,
    WANTED,
    b_value_of,
    direction_of,
    integer_of,
    number_of,
    numbers_of,
    private_numbers,
    strings_of,
    text_of,
    value_of,
    xa_image_type,
)

Vector = tuple[float, float, float]
Trait = str | float | tuple[float, ...]

COMPONENTS = ("magnitude", "phase", "real", "imaginary")

#: pydicom unpacks such files as a whole, whatever their size then is.
_DEFLATED = b"1.2.840.10008.1.2.1.99"


@dataclass(frozen=True, slots=True)
class SliceImage:
    """One 2D image of a file: the file itself, a frame of it, or a tile of a mosaic.

    Attributes
    ----------
    file : Path
        The file.
    index : int
        Frame of a multi-frame file, or tile of a mosaic.
    position : tuple of float
        Center of the first voxel, mm, LPS as in DICOM.
    orientation : tuple of float
        Directions of a row and of a column, LPS.
    shape : tuple of int
        Rows and columns.
    spacing : tuple of float
        Distance of rows and of columns, mm.
    thickness : float or None
        Slice thickness, mm.
    slope, intercept : float
        Stored values to those of the scan.
    window : tuple of float or None
        Center and width, in values of the scan.
    number : int
        Instance number.
    traits : dict
        What may tell apart the volumes of a series, such as the echo time.
    """

    file: Path
    index: int
    position: Vector
    orientation: tuple[float, ...]
    shape: tuple[int, int]
    spacing: tuple[float, float]
    thickness: float | None
    slope: float
    intercept: float
    window: tuple[float, float] | None
    number: int
    traits: dict[str, Trait] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileHeader:
    """Header of a DICOM file.

    Attributes
    ----------
    path : Path
        The file; a member of a ZIP file has the path of that file in front.
    uid, series_uid : str
        SOP instance and series. Never shown.
    sop_class : UID
    syntax : UID
        Transfer syntax.
    modality, description : str
    series_number : int or None
    patient_position : str
        Such as ``HFS``.
    history : dict of str to str
        History of a file that this program made; empty for others.
    tiles : int
        Images of a mosaic; 0 for a file that is none.
    facts : dict of str to float
        Echo time and so on, for display.
    lossy : bool
        The pixel data were compressed with loss.
    problem : str
        Reason why the file holds no slice of a volume, such as ``is a localizer``; empty if it
        does.
    images : tuple of SliceImage
    """

    path: Path
    uid: str
    series_uid: str
    sop_class: UID
    syntax: UID
    modality: str = ""
    description: str = ""
    series_number: int | None = None
    patient_position: str = ""
    history: dict[str, str] = field(default_factory=dict)
    tiles: int = 0
    facts: dict[str, float] = field(default_factory=dict)
    lossy: bool = False
    problem: str = ""
    images: tuple[SliceImage, ...] = ()


@contextlib.contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Silence pydicom's log and warnings, which quote values of the file."""

    def drop(record: object) -> bool:
        return False

    logger = logging.getLogger("pydicom")
    logger.addFilter(drop)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeFilter(drop)


def read_file_header(path: Path) -> FileHeader | None:
    """Read the header of a file; None for a file that is not DICOM, or a DICOMDIR.

    Raises
    ------
    VolumeError
        For a DICOM file that is damaged.
    """
    try:
        with open_source(path) as file:
            start = file.read(4096)
            file.seek(0)
            if not (prefix := _starts_as_dicom(start)):
                return None
            if _DEFLATED in start:
                found = "is in the transfer syntax Deflated Explicit VR Little Endian"
                raise VolumeError(explain(path, found, "export it without deflate"))
            source = cut_out(file, WANTED)
            if source is None:
                file.seek(0)
                source = file
            data = pydicom.dcmread(
                source, stop_before_pixels=True, specific_tags=TAGS, force=prefix == "bare"
            )
            has_pixels = len(source.read(8)) == 8
            if "SOPClassUID" not in data:
                if prefix == "bare" or _is_dicomdir(data):
                    return None
                raise KeyError("SOPClassUID")
            if data.SOPClassUID == MediaStorageDirectoryStorage:
                return None
            return _header_of(path, data, has_pixels)
    except VolumeError:
        raise
    except OSError as error:
        found = f"cannot be read ({error.strerror or type(error).__name__})"
        raise VolumeError(explain(path, found, "check its permissions")) from error
    except Exception as error:  # pydicom raises whatever its parsing meets
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> VolumeError:
    """Return the error for a DICOM file that cannot be parsed; it quotes no value."""
    found = f"is damaged ({type(error).__name__} in its header)"
    return VolumeError(explain(path, found, "copy or export it again"))


def _starts_as_dicom(start: bytes) -> str:
    """Return ``full`` or ``bare`` (without preamble) for DICOM, else an empty text."""
    if start[128:132] == b"DICM":
        return "full"
    bare = start[:2] in (b"\x02\x00", b"\x08\x00") and start[3:4] == b"\x00" and len(start) > 131
    return "bare" if bare else ""


def _is_dicomdir(data: Dataset) -> bool:
    meta = getattr(data, "file_meta", Dataset())
    return bool(meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage)


def _header_of(path: Path, data: Dataset, has_pixels: bool) -> FileHeader:
    meta = getattr(data, "file_meta", None)
    header = FileHeader(
        path,
        str(value_of(data, "SOPInstanceUID") or ""),
        str(value_of(data, "SeriesInstanceUID") or ""),
        UID(str(value_of(data, "SOPClassUID"))),
        UID(str(meta.get("TransferSyntaxUID", "") if meta else "")),
        text_of(data, "Modality"),
        text_of(data, "SeriesDescription"),
        integer_of(data, "SeriesNumber"),
        text_of(data, "PatientPosition"),
        read_derivation(text_of(data, "DerivationDescription")),
    )
    problem = _problem(data, has_pixels)
    if problem:
        return replace(header, problem=problem)
    lossy = text_of(data, "LossyImageCompression") == "01"
    tiles, timing = 0, data
    if "PerFrameFunctionalGroupsSequence" in data:
        images = _enhanced(path, data)
        timing = _shared(data, "MRTimingAndRelatedParametersSequence")
    elif "MOSAIC" in (*strings_of(data, "ImageType"), *xa_image_type(data)):
        images = _mosaic(path, data)
        tiles = len(images)
    elif (integer_of(data, "NumberOfFrames") or 1) > 1:
        return replace(header, problem="is a multi-frame file without positions")
    else:
        images = _classic(path, data)
    if not images:
        return replace(header, problem="has images without position, orientation or pixel spacing")
    return replace(
        header, images=images, tiles=tiles, facts=_facts(data, timing, images), lossy=lossy
    )


def _problem(data: Dataset, has_pixels: bool) -> str:
    """Return the reason why the file can hold no slice of a volume."""
    name = UID(str(value_of(data, "SOPClassUID"))).name
    if not has_pixels or not value_of(data, "Rows"):
        return f"has no pixel data ({name})"
    if text_of(data, "Modality") == "SEG":
        return "is a segmentation"
    if (integer_of(data, "SamplesPerPixel") or 1) > 1 or "MONO" not in _photometric(data):
        return f"is color ({_photometric(data) or 'unknown'})"
    if "Secondary Capture" in name:
        return "is a secondary capture, such as a screenshot"
    if "LOCALIZER" in strings_of(data, "ImageType"):
        return "is a localizer"
    if "ModalityLUTSequence" in data:
        return "has values by a lookup table instead of slope and intercept"
    return ""


def _photometric(data: Dataset) -> str:
    return text_of(data, "PhotometricInterpretation").upper()


def _classic(path: Path, data: Dataset) -> tuple[SliceImage, ...]:
    image = _image(path, 0, data, lambda _: data, _traits(data))
    return () if image is None else (image,)


def _enhanced(path: Path, data: Dataset) -> tuple[SliceImage, ...]:
    """Return the frames of an enhanced file."""
    frames = data.PerFrameFunctionalGroupsSequence
    shared = [*data.get("SharedFunctionalGroupsSequence", [])][:1]
    promised = integer_of(data, "NumberOfFrames") or 1
    if promised != len(frames):
        found = f"header says {promised} frames but describes {len(frames)}"
        raise VolumeError(explain(path, found, "copy or export it again"))
    images = []
    for index, frame in enumerate(frames):

        def group(keyword: str, frame: Dataset = frame) -> Dataset:
            for groups in (frame, *shared):
                if items := groups.get(keyword):
                    return cast(Dataset, items[0])
            return Dataset()

        image = _image(path, index, data, group, _frame_traits(data, group))
        if image is None:
            return ()
        images.append(image)
    return tuple(images)


def _mosaic(path: Path, data: Dataset) -> tuple[SliceImage, ...]:
    """Return the tiles of a mosaic, each with its own position."""
    whole = _image(path, 0, data, lambda _: data, _traits(data))
    distance = number_of(data, "SpacingBetweenSlices") or number_of(data, "SliceThickness")
    if whole is None or not distance:
        return ()
    shape, positions = mosaic_tiles(
        path, whole.shape, whole.position, whole.orientation, whole.spacing, distance
    )
    return tuple(
        replace(whole, index=index, shape=shape, position=position)
        for index, position in enumerate(positions)
    )


def _image(
    path: Path,
    index: int,
    data: Dataset,
    group: Callable[[str], Dataset],
    traits: dict[str, Trait],
) -> SliceImage | None:
    """Return one image; ``group`` returns the dataset that holds a macro's elements."""
    position = numbers_of(group("PlanePositionSequence"), "ImagePositionPatient", 3)
    orientation = numbers_of(group("PlaneOrientationSequence"), "ImageOrientationPatient", 6)
    measures = group("PixelMeasuresSequence")
    spacing = numbers_of(measures, "PixelSpacing", 2)
    if position is None or orientation is None or spacing is None:
        return None
    values = group("PixelValueTransformationSequence")
    slope, intercept = number_of(values, "RescaleSlope"), number_of(values, "RescaleIntercept")
    window = _window(group("FrameVOILUTSequence"))
    return SliceImage(
        path,
        index,
        (position[0], position[1], position[2]),
        orientation,
        (int(data.Rows), int(data.Columns)),
        (spacing[0], spacing[1]),
        number_of(measures, "SliceThickness"),
        1.0 if slope is None else slope,
        intercept or 0.0,
        window,
        integer_of(data, "InstanceNumber") or 0,
        traits,
    )


def _traits(data: Dataset) -> dict[str, Trait]:
    """Return what may tell apart the images at one position of a classic series."""
    types = strings_of(data, "ImageType")
    component = _component(text_of(data, "ComplexImageComponent"), types)
    ge = private_numbers(data, *GE_COMPONENT)
    if ge and 0 <= ge[0] < 4 and ge[0] == int(ge[0]):
        component = COMPONENTS[int(ge[0])]
    return _known(
        component=component,
        echo=number_of(data, "EchoTime"),
        inversion=number_of(data, "InversionTime"),
        flip=number_of(data, "FlipAngle"),
        b=b_value_of(data),
        direction=direction_of(data),
        time=integer_of(data, "TemporalPositionIdentifier"),
        trigger=number_of(data, "TriggerTime"),
        acquisition=integer_of(data, "AcquisitionNumber"),
        type="\\".join(types),
    )


def _frame_traits(data: Dataset, group: Callable[[str], Dataset]) -> dict[str, Trait]:
    """Return what may tell apart the frames at one position of an enhanced file."""
    kind = group("MRImageFrameTypeSequence")
    types = strings_of(kind, "FrameType")
    content, diffusion = group("FrameContentSequence"), group("MRDiffusionSequence")
    gradients = [*diffusion.get("DiffusionGradientDirectionSequence", [])]
    direction = (
        numbers_of(gradients[0], "DiffusionGradientOrientation", 3) if len(gradients) == 1 else None
    )
    trigger = group("CardiacSynchronizationSequence")
    timing = group("MRTimingAndRelatedParametersSequence")
    component = _component(text_of(kind, "ComplexImageComponent"), types)
    return _known(
        component=component,
        echo=number_of(group("MREchoSequence"), "EffectiveEchoTime"),
        inversion=number_of(group("MRModifierSequence"), "InversionTimes"),
        flip=number_of(timing, "FlipAngle"),
        b=number_of(diffusion, "DiffusionBValue"),
        direction=direction,
        time=integer_of(content, "TemporalPositionIndex"),
        trigger=number_of(trigger, "NominalCardiacTriggerDelayTime"),
        acquisition=integer_of(content, "FrameAcquisitionNumber")
        or integer_of(data, "AcquisitionNumber"),
        type="\\".join(types),
    )


def _known(**traits: Trait | None) -> dict[str, Trait]:
    return {name: value for name, value in traits.items() if value not in (None, "")}


def _component(stated: str, types: Sequence[str]) -> str:
    """Return the kind of the values: a component of complex ones, or a map such as of the field."""
    maps = [name for name in types if "MAP" in name]
    if maps:
        return maps[0].replace("_", " ").lower()
    names = {"M": "magnitude", "P": "phase", "R": "real", "I": "imaginary"}
    names |= {name.upper(): name for name in COMPONENTS}
    if stated.upper() in names:
        return names[stated.upper()]
    return next((names[part] for part in types[2:] if part in names), "")


def _shared(data: Dataset, keyword: str) -> Dataset:
    """Return a functional group that all frames of an enhanced file share, or that of the first."""
    found = [data.get("SharedFunctionalGroupsSequence"), data.PerFrameFunctionalGroupsSequence]
    for groups in filter(None, found):
        if items := groups[0].get(keyword):
            return cast(Dataset, items[0])
    return Dataset()


def _facts(data: Dataset, timing: Dataset, images: Sequence[SliceImage]) -> dict[str, float]:
    """Return numbers about the acquisition."""
    echo = images[0].traits.get("echo")
    facts = {
        "echo time": echo if isinstance(echo, float) else None,
        "repetition time": number_of(timing, "RepetitionTime"),
        "field": number_of(data, "MagneticFieldStrength"),
        "tilt": number_of(data, "GantryDetectorTilt"),
    }
    if scale := private_numbers(data, *PHILIPS_SCALE):
        facts["philips scale"] = scale[0]
    for where in SLICES:
        if count := private_numbers(data, *where):
            facts["slices"] = count[0]
    return {name: value for name, value in facts.items() if value}


def _window(data: Dataset) -> tuple[float, float] | None:
    center, width = number_of(data, "WindowCenter"), number_of(data, "WindowWidth")
    return None if center is None or not width or width <= 0 else (center, width)
