"""Single values of DICOM headers: which elements are read, and readers that accept any value.

Elements about the patient are not read.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

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
GE_COMPONENT = (0x0043, "GEMS_PARM_01", 0x2F)
PHILIPS_SCALE = (0x2005, "Philips MR Imaging DD 001", 0x0E)
#: Slices of a volume.
SLICES = (
    (0x0021, "GEMS_RELA_01", 0x4F),
    (0x2001, "Philips Imaging DD 001", 0x18),
)
_XA_IMAGE_TYPE = (0x0021, "SIEMENS MR SDI 02", 0x75)


def _tags() -> list[BaseTag]:
    private = [(group, element) for group, _, element in (*_B_VALUES, *SLICES, GE_COMPONENT)]
    private += [(group, element) for group, _, several in _DIRECTIONS for element in several]
    private += [(PHILIPS_SCALE[0], PHILIPS_SCALE[2]), (_XA_IMAGE_TYPE[0], _XA_IMAGE_TYPE[2])]
    tags = [Tag(group, 0x1000 + element) for group, element in private]
    tags += [Tag(group, 0x10) for group in (0x0019, 0x0021, 0x0043, 0x2001, 0x2005)]
    return tags + [Tag(keyword) for keyword in _KEYWORDS]


TAGS = _tags()
WANTED = frozenset(map(int, TAGS))


def xa_image_type(data: Dataset) -> tuple[str, ...]:
    """Return the image type that Siemens XA writes into a private element."""
    group, creator, element = _XA_IMAGE_TYPE
    if _creator(data, group) != creator:
        return ()
    item = data.get(Tag(group, 0x1000 + element))
    return () if item is None else _parts(item.value)


def b_value_of(data: Dataset) -> float | None:
    """Return the b-value of a classic image, or that of a vendor's private element."""
    b_value = number_of(data, "DiffusionBValue")
    if b_value is None:
        found = (private_numbers(data, *where) for where in _B_VALUES)
        b_value = next((values[0] % 1e5 for values in found if values), None)
    return b_value


def direction_of(data: Dataset) -> tuple[float, ...] | None:
    """Return the diffusion gradient of a classic image, or that of private elements."""
    direction = numbers_of(data, "DiffusionGradientOrientation", 3)
    for place, creator, elements in _DIRECTIONS:
        parts = [x for e in elements for x in private_numbers(data, place, creator, e) or ()]
        direction = direction or (tuple(parts) if len(parts) == 3 else None)
    return direction


def _creator(data: Dataset, group: int) -> str:
    item = data.get(Tag(group, 0x10))
    return "" if item is None else str(item.value).strip()


def private_numbers(
    data: Dataset, group: int, creator: str, element: int
) -> tuple[float, ...] | None:
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


def value_of(data: Dataset, keyword: str) -> Any:
    """Return the value of an element; None if it is missing. Faster than by attribute."""
    tag = _tag(keyword)
    return data[tag].value if tag in data else None


def numbers_of(data: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return the numbers of an element; None if it is missing, empty or has another count."""
    value = value_of(data, keyword)
    if value is None or value == "":
        return None
    numbers = _finite(value)
    return numbers if len(numbers) == count else None


def number_of(data: Dataset, keyword: str) -> float | None:
    """Return the first number of an element; None if it is missing, empty or no number."""
    value = value_of(data, keyword)
    if value is None or value == "":
        return None
    try:
        numbers = _finite(value)
    except (TypeError, ValueError):
        return None
    return numbers[0] if numbers else None


def integer_of(data: Dataset, keyword: str) -> int | None:
    """Return the first number of an element as an integer; None as for :func:`number_of`."""
    number = number_of(data, keyword)
    return None if number is None else int(number)


def text_of(data: Dataset, keyword: str) -> str:
    """Return the texts of an element, joined by spaces; empty if it is missing."""
    return " ".join(strings_of(data, keyword))


def strings_of(data: Dataset, keyword: str) -> tuple[str, ...]:
    """Return the texts of an element; empty ones are left out."""
    return _parts(value_of(data, keyword))


def _parts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    parts = value if several else [value]
    return tuple(text for text in (str(part).strip() for part in parts) if text)
