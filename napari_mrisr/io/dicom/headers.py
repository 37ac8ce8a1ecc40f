"""Headers of DICOM files: one record per 2D image, whatever kind of file holds it.

Elements about the patient are not read.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, MediaStorageDirectoryStorage

from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.io.dicom.derivation import read_derivation
from napari_mrisr.io.dicom.elements import cut_out
from napari_mrisr.io.dicom.mosaic import mosaic_tiles
from napari_mrisr.io.dicom.sources import open_source

Vector = tuple[float, float, float]
Trait = str | float | tuple[float, ...]

COMPONENTS = ("magnitude", "phase", "real", "imaginary")

_KEYWORDS = [
    "SpecificCharacterSet",
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "Manufacturer",
    "SeriesDescription",
    "ComplexImageComponent",
    "ScanningSequence",
    "SliceThickness",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "SpacingBetweenSlices",
    "MagneticFieldStrength",
    "TriggerTime",
    "GantryDetectorTilt",
    "PatientPosition",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "FlipAngle",
    "SeriesInstanceUID",
    "SeriesNumber",
    "AcquisitionNumber",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "TemporalPositionIdentifier",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "WindowCenter",
    "WindowWidth",
    "RescaleIntercept",
    "RescaleSlope",
    "ModalityLUTSequence",
    "LossyImageCompression",
    "DerivationDescription",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]
#: Private elements: group, creator, element.
_B_VALUES = (
    (0x0019, "SIEMENS MR HEADER", 0x0C),
    (0x0043, "GEMS_PARM_01", 0x39),
    (0x2001, "Philips Imaging DD 001", 0x03),
)
_DIRECTIONS = (
    (0x0019, "SIEMENS MR HEADER", (0x0E,)),
    (0x0019, "GEMS_ACQU_01", (0xBB, 0xBC, 0xBD)),
    (0x2005, "Philips MR Imaging DD 001", (0xB0, 0xB1, 0xB2)),
)
_GE_COMPONENT = (0x0043, "GEMS_PARM_01", 0x2F)
_PHILIPS_SCALE = (0x2005, "Philips MR Imaging DD 001", 0x0E)
#: Slices of a volume.
_SLICES = (
    (0x0021, "GEMS_RELA_01", 0x4F),
    (0x2001, "Philips Imaging DD 001", 0x18),
)
_XA_IMAGE_TYPE = (0x0021, "SIEMENS MR SDI 02", 0x75)


def _tags() -> list[BaseTag]:
    private = [(group, element) for group, _, element in (*_B_VALUES, *_SLICES, _GE_COMPONENT)]
    private += [(group, element) for group, _, several in _DIRECTIONS for element in several]
    private += [(_PHILIPS_SCALE[0], _PHILIPS_SCALE[2]), (_XA_IMAGE_TYPE[0], _XA_IMAGE_TYPE[2])]
    tags = [Tag(group, 0x1000 + element) for group, element in private]
    tags += [Tag(group, 0x10) for group in (0x0019, 0x0021, 0x0043, 0x2001, 0x2005)]
    return tags + [Tag(keyword) for keyword in _KEYWORDS]


_TAGS = _tags()
_WANTED = frozenset(map(int, _TAGS))

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
            source = cut_out(file, _WANTED)
            if source is None:
                file.seek(0)
                source = file
            data = pydicom.dcmread(
                source, stop_before_pixels=True, specific_tags=_TAGS, force=prefix == "bare"
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
        str(_value(data, "SOPInstanceUID") or ""),
        str(_value(data, "SeriesInstanceUID") or ""),
        UID(str(_value(data, "SOPClassUID"))),
        UID(str(meta.get("TransferSyntaxUID", "") if meta else "")),
        _text(data, "Modality"),
        _text(data, "SeriesDescription"),
        _integer(data, "SeriesNumber"),
        _text(data, "PatientPosition"),
        read_derivation(_text(data, "DerivationDescription")),
    )
    problem = _problem(data, has_pixels)
    if problem:
        return _replaced(header, problem=problem)
    lossy = _text(data, "LossyImageCompression") == "01"
    tiles, timing = 0, data
    if "PerFrameFunctionalGroupsSequence" in data:
        images = _enhanced(path, data)
        timing = _shared(data, "MRTimingAndRelatedParametersSequence")
    elif "MOSAIC" in (*_strings(data, "ImageType"), *_xa_image_type(data)):
        images = _mosaic(path, data)
        tiles = len(images)
    elif (_integer(data, "NumberOfFrames") or 1) > 1:
        return _replaced(header, problem="is a multi-frame file without positions")
    else:
        images = _classic(path, data)
    if not images:
        return _replaced(
            header, problem="has images without position, orientation or pixel spacing"
        )
    return _replaced(
        header, images=images, tiles=tiles, facts=_facts(data, timing, images), lossy=lossy
    )


def _replaced(header: FileHeader, **changes: Any) -> FileHeader:
    from dataclasses import replace

    return replace(header, **changes)


def _problem(data: Dataset, has_pixels: bool) -> str:
    """Return the reason why the file can hold no slice of a volume."""
    name = UID(str(_value(data, "SOPClassUID"))).name
    if not has_pixels or not _value(data, "Rows"):
        return f"has no pixel data ({name})"
    if _text(data, "Modality") == "SEG":
        return "is a segmentation"
    if (_integer(data, "SamplesPerPixel") or 1) > 1 or "MONO" not in _photometric(data):
        return f"is color ({_photometric(data) or 'unknown'})"
    if "Secondary Capture" in name:
        return "is a secondary capture, such as a screenshot"
    if "LOCALIZER" in _strings(data, "ImageType"):
        return "is a localizer"
    if "ModalityLUTSequence" in data:
        return "has values by a lookup table instead of slope and intercept"
    return ""


def _photometric(data: Dataset) -> str:
    return _text(data, "PhotometricInterpretation").upper()


def _classic(path: Path, data: Dataset) -> tuple[SliceImage, ...]:
    image = _image(path, 0, data, lambda _: data, _traits(data))
    return () if image is None else (image,)


def _enhanced(path: Path, data: Dataset) -> tuple[SliceImage, ...]:
    """Return the frames of an enhanced file."""
    frames = data.PerFrameFunctionalGroupsSequence
    shared = [*data.get("SharedFunctionalGroupsSequence", [])][:1]
    promised = _integer(data, "NumberOfFrames") or 1
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
    distance = _number(data, "SpacingBetweenSlices") or _number(data, "SliceThickness")
    if whole is None or not distance:
        return ()
    from dataclasses import replace

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
    position = _numbers(group("PlanePositionSequence"), "ImagePositionPatient", 3)
    orientation = _numbers(group("PlaneOrientationSequence"), "ImageOrientationPatient", 6)
    measures = group("PixelMeasuresSequence")
    spacing = _numbers(measures, "PixelSpacing", 2)
    if position is None or orientation is None or spacing is None:
        return None
    values = group("PixelValueTransformationSequence")
    slope, intercept = _number(values, "RescaleSlope"), _number(values, "RescaleIntercept")
    window = _window(group("FrameVOILUTSequence"))
    return SliceImage(
        path,
        index,
        (position[0], position[1], position[2]),
        orientation,
        (int(data.Rows), int(data.Columns)),
        (spacing[0], spacing[1]),
        _number(measures, "SliceThickness"),
        1.0 if slope is None else slope,
        intercept or 0.0,
        window,
        _integer(data, "InstanceNumber") or 0,
        traits,
    )


def _traits(data: Dataset) -> dict[str, Trait]:
    """Return what may tell apart the images at one position of a classic series."""
    types = _strings(data, "ImageType")
    component = _component(_text(data, "ComplexImageComponent"), types)
    ge = _private(data, *_GE_COMPONENT)
    if ge and 0 <= ge[0] < 4 and ge[0] == int(ge[0]):
        component = COMPONENTS[int(ge[0])]
    b_value = _number(data, "DiffusionBValue")
    if b_value is None:
        found = (_private(data, *where) for where in _B_VALUES)
        b_value = next((values[0] % 1e5 for values in found if values), None)
    direction = _numbers(data, "DiffusionGradientOrientation", 3)
    for place, creator, elements in _DIRECTIONS:
        parts = [x for e in elements for x in _private(data, place, creator, e) or ()]
        direction = direction or (tuple(parts) if len(parts) == 3 else None)
    return _known(
        component=component,
        echo=_number(data, "EchoTime"),
        inversion=_number(data, "InversionTime"),
        flip=_number(data, "FlipAngle"),
        b=b_value,
        direction=direction,
        time=_integer(data, "TemporalPositionIdentifier"),
        trigger=_number(data, "TriggerTime"),
        acquisition=_integer(data, "AcquisitionNumber"),
        type="\\".join(types),
    )


def _frame_traits(data: Dataset, group: Callable[[str], Dataset]) -> dict[str, Trait]:
    """Return what may tell apart the frames at one position of an enhanced file."""
    kind = group("MRImageFrameTypeSequence")
    types = _strings(kind, "FrameType")
    content, diffusion = group("FrameContentSequence"), group("MRDiffusionSequence")
    gradients = [*diffusion.get("DiffusionGradientDirectionSequence", [])]
    direction = (
        _numbers(gradients[0], "DiffusionGradientOrientation", 3) if len(gradients) == 1 else None
    )
    trigger = group("CardiacSynchronizationSequence")
    timing = group("MRTimingAndRelatedParametersSequence")
    component = _component(_text(kind, "ComplexImageComponent"), types)
    return _known(
        component=component,
        echo=_number(group("MREchoSequence"), "EffectiveEchoTime"),
        inversion=_number(group("MRModifierSequence"), "InversionTimes"),
        flip=_number(timing, "FlipAngle"),
        b=_number(diffusion, "DiffusionBValue"),
        direction=direction,
        time=_integer(content, "TemporalPositionIndex"),
        trigger=_number(trigger, "NominalCardiacTriggerDelayTime"),
        acquisition=_integer(content, "FrameAcquisitionNumber")
        or _integer(data, "AcquisitionNumber"),
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
        "repetition time": _number(timing, "RepetitionTime"),
        "field": _number(data, "MagneticFieldStrength"),
        "tilt": _number(data, "GantryDetectorTilt"),
    }
    if scale := _private(data, *_PHILIPS_SCALE):
        facts["philips scale"] = scale[0]
    for where in _SLICES:
        if count := _private(data, *where):
            facts["slices"] = count[0]
    return {name: value for name, value in facts.items() if value}


def _window(data: Dataset) -> tuple[float, float] | None:
    center, width = _number(data, "WindowCenter"), _number(data, "WindowWidth")
    return None if center is None or not width or width <= 0 else (center, width)


def _xa_image_type(data: Dataset) -> tuple[str, ...]:
    group, creator, element = _XA_IMAGE_TYPE
    if _creator(data, group) != creator:
        return ()
    item = data.get(Tag(group, 0x1000 + element))
    return () if item is None else _parts(item.value)


def _creator(data: Dataset, group: int) -> str:
    item = data.get(Tag(group, 0x10))
    return "" if item is None else str(item.value).strip()


def _private(data: Dataset, group: int, creator: str, element: int) -> tuple[float, ...] | None:
    """Return the numbers of a private element; None if it is missing or no number."""
    tag = _private_tag(group, element)
    if tag not in data or _creator(data, group) != creator:
        return None
    binary = group == 0x0019 and element != 0x0C
    try:
        return _finite(_of_unknown_type(data[tag].value, binary))
    except (TypeError, ValueError):
        return None


def _of_unknown_type(value: Any, binary: bool) -> Any:
    """Return the numbers of an element that an archive stored as bytes."""
    if not isinstance(value, bytes):
        return value
    if binary and len(value) in (8, 24):
        return np.frombuffer(value, "<f8").tolist()
    return value.decode("ascii", "replace").strip(" \0").split("\\")


def _finite(value: Any) -> tuple[float, ...]:
    several = not isinstance(value, str | float | int) and isinstance(value, Sequence)
    numbers = tuple(map(float, value if several else [value]))
    if not all(map(math.isfinite, numbers)):
        raise ValueError("not finite")
    return numbers


@functools.cache
def _private_tag(group: int, element: int) -> BaseTag:
    return Tag(group, 0x1000 + element)


@functools.cache
def _tag(keyword: str) -> BaseTag:
    return Tag(keyword)


def _value(data: Dataset, keyword: str) -> Any:
    """Return the value of an element; None if it is missing. Faster than by attribute."""
    tag = _tag(keyword)
    return data[tag].value if tag in data else None


def _numbers(data: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    value = _value(data, keyword)
    if value is None or value == "":
        return None
    numbers = _finite(value)
    return numbers if len(numbers) == count else None


def _number(data: Dataset, keyword: str) -> float | None:
    """Return the first number of an element; None if it is missing, empty or no number."""
    value = _value(data, keyword)
    if value is None or value == "":
        return None
    try:
        numbers = _finite(value)
    except (TypeError, ValueError):
        return None
    return numbers[0] if numbers else None


def _integer(data: Dataset, keyword: str) -> int | None:
    number = _number(data, keyword)
    return None if number is None else int(number)


def _text(data: Dataset, keyword: str) -> str:
    return " ".join(_strings(data, keyword))


def _strings(data: Dataset, keyword: str) -> tuple[str, ...]:
    return _parts(_value(data, keyword))


def _parts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    parts = value if several else [value]
    return tuple(text for text in (str(part).strip() for part in parts) if text)
