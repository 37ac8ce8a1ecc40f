"""Datasets of a derived series, classic MR or Enhanced MR, from a volume and its source images."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage, generate_uid

from napari_mrisr._version import __version__
from napari_mrisr.core.volume import Volume
from napari_mrisr.io.dicom.attributes import (
    ACQUISITION,
    ENHANCED,
    FUNCTIONAL_GROUPS,
    PERSONAL,
    PERSONAL_GROUPS,
    SERIES,
    UIDS,
)
from napari_mrisr.io.dicom.derivation import (
    NOT_FOR_DIAGNOSIS,
    PROGRAM,
    derivation_text,
    plain,
)
from napari_mrisr.io.dicom.planes import SliceStack, SourceImages, StoredValues, decimals

_LONG_STRING = 64  # characters of an LO
_SAME_MM = 1e-3


def common_attributes(
    volume: Volume, source: SourceImages, stored: StoredValues, shape: tuple[int, int, int]
) -> Dataset:
    """Return what all instances of a derived series share."""
    out, first = Dataset(), source.first
    take_over(out, first, (*PERSONAL, *UIDS, *SERIES, "SpecificCharacterSet"))
    take_over(out, first, in_groups(first, PERSONAL_GROUPS))
    now = datetime.datetime.now()
    number = int(first.get("SeriesNumber") or 0)
    values = {
        "Modality": "MR",
        "SeriesInstanceUID": generate_uid(prefix=None),
        "SeriesNumber": 100 * number + 1 if 0 <= number < 10_000_000 else 1,
        "SeriesDescription": series_description(source.title, volume),
        "ContributingEquipmentSequence": [equipment(now)],
        "DerivationDescription": derivation_text(volume.history),
        **moments(now),
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": shape[1],
        "Columns": shape[2],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": int(stored.signed),
    }
    for name, value in values.items():
        setattr(out, name, value)
    defaults = {
        "StudyInstanceUID": generate_uid(prefix=None),
        "FrameOfReferenceUID": generate_uid(prefix=None),
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "PatientPosition": "",
    }
    add_missing(
        out, {**defaults, **dict.fromkeys(("Manufacturer", "PositionReferenceIndicator"), "")}
    )
    complete(out)
    return out


def complete(out: Dataset) -> None:
    """Add empty attributes of patient, study and series that must not be missing."""
    add_missing(out, dict.fromkeys(_MAY_BE_EMPTY, ""))
    if out.get("BodyPartExamined") not in ("BRAIN", "HEAD"):  # parts that have no side
        add_missing(out, {"Laterality": ""})


_MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip


def classic_images(
    volume: Volume, source: SourceImages, stack: SliceStack, stored: StoredValues
) -> Iterator[Dataset]:
    """Yield one MR image per slice of a volume."""
    common = common_attributes(volume, source, stored, stack.data.shape)
    nearest = _Nearest(stack, source)
    center, width = _window(source, volume)
    common.SOPClassUID = MRImageStorage
    common.ImageType = _image_type(source.first)
    common.DerivationCodeSequence = [code(codes.DCM.SpatialResampling)]
    common.ImageOrientationPatient = stack.orientation
    _measures(common, stack, source)
    common.WindowCenter, common.WindowWidth = decimals([center, width])
    if not stored.plain:
        stored.describe(common)
    for index, plane in enumerate(stack.data):
        out = Dataset()
        out.update(common)
        sources = nearest.to(index)
        take_over(out, source.header(sources[0]), ACQUISITION)
        out.SOPInstanceUID = generate_uid(prefix=None)
        out.InstanceNumber = index + 1
        out.ImagePositionPatient = stack.position(index)
        out.SourceImageSequence = [_reference(source, i) for i in sources]
        instances = [_instance(source.header(i)) for i in sources]
        out.ReferencedSeriesSequence = [_referenced_series(source, instances)]
        add_missing(out, {"ScanningSequence": "RM", "SequenceVariant": "NONE"})
        add_missing(out, dict.fromkeys(_CLASSIC_MAY_BE_EMPTY, ""))
        out.PixelData = stored.encode(plane)
        yield out


_CLASSIC_MAY_BE_EMPTY = (
    "ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength",
)  # fmt: skip


def enhanced_image(
    volume: Volume, source: SourceImages, stack: SliceStack, stored: StoredValues
) -> Dataset:
    """Return a volume as one Enhanced MR image."""
    out = common_attributes(volume, source, stored, stack.data.shape)
    nearest = _Nearest(stack, source)
    frame_type = source.group("MRImageFrameTypeSequence")
    kind = _enhanced_type(frame_type, source.first)
    take_over(out, source.first, ENHANCED)
    out.SOPClassUID = EnhancedMRImageStorage
    out.SOPInstanceUID = generate_uid(prefix=None)
    out.InstanceNumber = 1
    out.NumberOfFrames = len(stack.data)
    for name, value in kind.items():
        setattr(out, name if name != "FrameType" else "ImageType", value)
    out.ContentQualification = "RESEARCH"
    out.PresentationLUTShape = "IDENTITY"
    out.AcquisitionContextSequence = []
    assumed = {"AcquisitionNumber": 1, "ResonantNucleus": "1H"}
    add_missing(out, {**assumed, "ApplicableSafetyStandardAgency": "IEC"})
    unknown = "unknown"
    for name in ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"):
        if not out.get(name):
            setattr(out, name, unknown)
    out.pop("Laterality", None)  # of each frame
    _dimensions(out)

    shared = Dataset()
    measures, orientation, window, values = (Dataset() for _ in range(4))
    _measures(measures, stack, source)
    orientation.ImageOrientationPatient = stack.orientation
    window.WindowCenter, window.WindowWidth = decimals(_window(source, volume))
    stored.describe(values)
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    shared.FrameVOILUTSequence = [window]
    shared.PixelValueTransformationSequence = [values]
    shared.MRImageFrameTypeSequence = [_dataset(kind)]
    for name, kept in FUNCTIONAL_GROUPS.items():
        item = Dataset()
        take_over(item, source.group(name), kept)
        if item:
            setattr(shared, name, [item])
    body = Code("38266002", "SCT", "Entire body")
    anatomy = _dataset({"AnatomicRegionSequence": [code(body)], "FrameLaterality": "U"})
    add_missing(shared, {"FrameAnatomySequence": [anatomy]})
    out.SharedFunctionalGroupsSequence = [shared]

    out.PerFrameFunctionalGroupsSequence = [
        _frame(source, stack, index, nearest.to(index)) for index in range(len(stack.data))
    ]
    instance = _instance(source.first)
    out.ReferencedSeriesSequence = [_referenced_series(source, [instance])]
    evidence = _dataset({"SeriesInstanceUID": source.first.SeriesInstanceUID})
    evidence.ReferencedSOPSequence = [instance]
    study = _dataset({"StudyInstanceUID": out.StudyInstanceUID})
    study.ReferencedSeriesSequence = [evidence]
    out.SourceImageEvidenceSequence = [study]
    out.PixelData = b"".join(stored.encode(plane) for plane in stack.data)
    return out


def _frame(source: SourceImages, stack: SliceStack, index: int, sources: Sequence[int]) -> Dataset:
    """Return the functional groups of one frame."""
    out, content, place, derivation = (Dataset() for _ in range(4))
    content.StackID, content.InStackPositionNumber = "1", index + 1
    content.DimensionIndexValues = [1, index + 1]
    place.ImagePositionPatient = stack.position(index)
    reference = _reference(source, sources[0])
    reference.ReferencedFrameNumber = sorted(source.images[i].index + 1 for i in sources)
    derivation.DerivationCodeSequence = [code(codes.DCM.SpatialResampling)]
    derivation.SourceImageSequence = [reference]
    out.FrameContentSequence, out.PlanePositionSequence = [content], [place]
    out.DerivationImageSequence = [derivation]
    return out


def take_over(out: Dataset, source: Dataset, names: Iterable[str]) -> None:
    """Copy the named attributes that have a value and can be decoded."""
    for name in names:
        if name not in source:
            continue
        with contextlib.suppress(Exception):  # pydicom raises what it likes for a damaged value
            element = source[name]
            if not element.is_empty:
                out.add(element)


def add_missing(out: Dataset, values: Mapping[str, Any]) -> None:
    """Set the attributes that are missing."""
    for name, value in values.items():
        if name not in out:
            setattr(out, name, value)


def code(concept: Any) -> Dataset:
    """Return a code sequence item."""
    return _dataset(
        {
            "CodeValue": concept.value,
            "CodingSchemeDesignator": concept.scheme_designator,
            "CodeMeaning": concept.meaning,
        }
    )


def equipment(now: datetime.datetime) -> Dataset:
    """Return this program as contributing equipment."""
    return _dataset(
        {
            "PurposeOfReferenceCodeSequence": [code(codes.DCM.ModifyingEquipment)],
            "Manufacturer": f"{PROGRAM} developers",
            "ManufacturerModelName": PROGRAM,
            "SoftwareVersions": __version__,
            "ContributionDateTime": f"{now:%Y%m%d%H%M%S}",
            "ContributionDescription": f"super-resolution, {NOT_FOR_DIAGNOSIS}",
        }
    )


def moments(now: datetime.datetime) -> dict[str, str]:
    """Return the attributes that say when a series was made."""
    kinds = ("Series", "Content", "InstanceCreation")
    dates = {f"{kind}Date": f"{now:%Y%m%d}" for kind in kinds}
    return {**dates, **{f"{kind}Time": f"{now:%H%M%S}" for kind in kinds}}


def series_description(source: str, volume: Volume) -> str:
    """Return the description of a derived series, which names the method; at most 64 characters."""
    method = plain(volume.history.get("method", "")) or "processed"
    scale = _scale_of(volume.history)
    end = " ".join(word for word in (method[:24], scale, NOT_FOR_DIAGNOSIS) if word)[:_LONG_STRING]
    room = _LONG_STRING - len(end) - 1
    return f"{source.strip()[:room]} {end}".strip() if room > 0 else end


class _Nearest:
    """Finds the source slices on both sides of a slice."""

    def __init__(self, stack: SliceStack, source: SourceImages) -> None:
        self._stack = stack
        self._along = source.along(stack.axes[:, 2])

    def to(self, index: int) -> list[int]:
        """Return the indices of the nearest source slice and of that on the other side."""
        away = np.abs(self._along - self._stack.along(index))
        order = [int(i) for i in np.argsort(away, kind="stable")[:2]]
        if len(order) == 1 or away[order[0]] < _SAME_MM:
            return order[:1]
        step = abs(float(self._along[order[1]] - self._along[order[0]]))
        return order if away[order[1]] < step else order[:1]


def _measures(out: Dataset, stack: SliceStack, source: SourceImages) -> None:
    """Write spacing and thickness; slices that did not become finer keep their thickness."""
    columns, rows, slices = stack.spacing
    thickness = slices
    old = np.diff(np.sort(source.along(stack.axes[:, 2])))
    stated = source.images[0].thickness
    if stated and old.size and abs(float(np.median(old)) - slices) < _SAME_MM:
        thickness = stated
    out.PixelSpacing = decimals([rows, columns])
    out.SliceThickness, out.SpacingBetweenSlices = decimals([thickness, slices])


def _window(source: SourceImages, volume: Volume) -> tuple[float, float]:
    found = source.images[0].window
    if found is not None and found[1] >= 1:
        return found
    low, high = (float(v) for v in np.percentile(volume.data[::2, ::2, ::2], (0.5, 99.5)))
    return (low + high) / 2, max(1.0, high - low)


def _image_type(header: Dataset) -> list[str]:
    """Return Image Type of a derived image; a mosaic is none any more."""
    old = [str(value) for value in header.get("ImageType") or []][2:]
    kept = [value for value in old if value not in ("MOSAIC", "RESAMPLED")]
    return ["DERIVED", "SECONDARY", *(kept or ["OTHER"]), "RESAMPLED"]


def _enhanced_type(frame_type: Dataset, header: Dataset) -> dict[str, Any]:
    """Return the attributes of the MR Image Frame Type macro."""
    old = [str(v) for v in frame_type.get("FrameType") or header.get("ImageType") or []]
    names = ("ComplexImageComponent", "AcquisitionContrast")
    unknown = {"ComplexImageComponent": "MAGNITUDE", "AcquisitionContrast": "UNKNOWN"}
    found = {name: frame_type.get(name) or header.get(name) or unknown[name] for name in names}
    return {
        "FrameType": ["DERIVED", "PRIMARY", old[2] if len(old) > 2 else "VOLUME", "RESAMPLED"],
        "PixelPresentation": "MONOCHROME",
        "VolumetricProperties": "VOLUME",
        "VolumeBasedCalculationTechnique": "NONE",
        **found,
    }


def _dimensions(out: Dataset) -> None:
    """Add the Multi-frame Dimension module: stack, then position in the stack."""
    uid = generate_uid(prefix=None)
    indices = []
    for name in ("StackID", "InStackPositionNumber"):
        item = Dataset()
        item.DimensionOrganizationUID = uid
        item.DimensionIndexPointer = Tag(name)
        item.FunctionalGroupPointer = Tag("FrameContentSequence")
        item.DimensionDescriptionLabel = name
        indices.append(item)
    out.DimensionOrganizationSequence = [_dataset({"DimensionOrganizationUID": uid})]
    out.DimensionIndexSequence = indices


def _instance(header: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return item


def _reference(source: SourceImages, index: int) -> Dataset:
    """Return an item of Source Image Sequence."""
    item = _instance(source.header(index))
    item.PurposeOfReferenceCodeSequence = [code(codes.DCM.SourceImageForImageProcessingOperation)]
    return item


def _referenced_series(source: SourceImages, instances: Sequence[Dataset]) -> Dataset:
    out = _dataset({"SeriesInstanceUID": source.first.SeriesInstanceUID})
    out.ReferencedInstanceSequence = list(instances)
    return out


def in_groups(header: Dataset, groups: Sequence[int]) -> list[str]:
    """Return the names of the standard attributes of groups."""
    return [
        keyword
        for tag in header.keys()  # noqa: SIM118, iterating would decode all values
        if tag.group in groups
        if (keyword := keyword_for_tag(tag))
    ]


def _dataset(values: Mapping[str, Any]) -> Dataset:
    out = Dataset()
    for name, value in values.items():
        setattr(out, name, value)
    return out


def _scale_of(history: Mapping[str, str]) -> str:
    scale = plain(history.get("scale", ""))
    return f"{scale}x" if scale and "x" not in scale else scale
