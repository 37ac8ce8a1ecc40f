"""Small synthetic DICOM series: classic, enhanced and mosaic. Every axis has another size."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

SHAPE = (14, 12, 10)
"""Columns, rows and slices."""

#: Directions of rows and columns (LPS) of each plane, as scanners store them.
AXIAL = (1, 0, 0, 0, 1, 0)
CORONAL = (1, 0, 0, 0, 0, -1)
SAGITTAL = (0, 1, 0, 0, 0, -1)
_A, _B = math.radians(20), math.radians(-13)
OBLIQUE = (
    math.cos(_A), math.sin(_A), 0.0,
    -math.sin(_A) * math.cos(_B), math.cos(_A) * math.cos(_B), math.sin(_B),
)  # fmt: skip
SPACING = (0.75, 0.5)
"""Distance of rows and of columns, mm."""
DISTANCE, THICKNESS = 3.5, 3.0
POSITION = (-31.0, 17.0, -8.0)

#: Planted values: none of them may come out in a log, a name or a result.
PATIENT = {
    "PatientName": "Planted^Person",
    "PatientID": "PLANTED-ID-7",
    "PatientBirthDate": "19331224",
    "PatientSex": "F",
    "PatientAge": "087Y",
    "AccessionNumber": "PLANTEDACC",
    "ReferringPhysicianName": "Planted^Referrer",
    "InstitutionName": "Planted Hospital",
    "StudyDate": "20010203",
    "StudyTime": "040506",
    "StudyID": "PLANTEDSTUDY",
}


def voxels(shape=SHAPE, seed=3):
    """Return int16 voxels indexed (column, row, slice): smooth, and in no way symmetric."""
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*[np.linspace(0, 1, n) for n in shape], indexing="ij")
    data = 200 + 900 * x + 400 * y**2 + 150 * z + rng.integers(0, 50, shape)
    data[:3, :2, :2] = 2000  # a marker at the first column, row and slice
    return data.astype(np.int16)


def positions(count, orientation=AXIAL, position=POSITION, distance=DISTANCE):
    """Return the positions of parallel slices, mm, LPS."""
    normal = np.cross(orientation[:3], orientation[3:])
    return [np.array(position) + k * distance * normal for k in range(count)]


def decimals(values):
    """Return numbers that fit the 16 characters of a decimal string."""
    return [float(f"{value:.10g}") for value in values]


def dataset(sop_class=MRImageStorage, description="T1w", number=2, series_uid=None, study_uid=None):
    """Return what all files have in common; no pixels yet."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SpecificCharacterSet = "ISO_IR 100"
    data.SOPClassUID = sop_class
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID = study_uid or generate_uid()
    data.SeriesInstanceUID = series_uid or generate_uid()
    data.FrameOfReferenceUID = generate_uid()
    data.Modality, data.Manufacturer = "MR", "Synthetic"
    data.SeriesDescription, data.SeriesNumber = description, number
    data.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    data.PatientPosition = "HFS"
    data.SeriesDate = data.AcquisitionDate = data.ContentDate = "20010203"
    data.SeriesTime = data.AcquisitionTime = data.ContentTime = "040506"
    data.MagneticFieldStrength, data.MRAcquisitionType = 3, "2D"
    data.ScanningSequence, data.SequenceVariant, data.ScanOptions = "SE", "NONE", ""
    data.PositionReferenceIndicator = ""
    data.RepetitionTime, data.EchoTime, data.EchoTrainLength = 500, 12.5, 1
    for keyword, value in PATIENT.items():
        setattr(data, keyword, value)
    return data


def set_pixels(data, plane):
    """Store voxels indexed (row, column), or (frame, row, column)."""
    data.Rows, data.Columns = plane.shape[-2:]
    if plane.ndim == 3:
        data.NumberOfFrames = len(plane)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation = int(plane.dtype.kind == "i")
    data.PixelData = np.ascontiguousarray(plane).astype(plane.dtype.newbyteorder("<")).tobytes()


def classic(
    data=None,
    *,
    orientation=AXIAL,
    position=POSITION,
    distance=DISTANCE,
    thickness=THICKNESS,
    spacing=SPACING,
    first=1,
    series_uid=None,
    study_uid=None,
    **common,
):
    """Return one dataset per slice of voxels indexed (column, row, slice)."""
    data = voxels() if data is None else data
    series_uid, study_uid = series_uid or generate_uid(), study_uid or generate_uid()
    frame_of_reference = generate_uid()
    slices = []
    for k, place in enumerate(positions(data.shape[2], orientation, position, distance)):
        one = dataset(series_uid=series_uid, study_uid=study_uid, **common)
        one.FrameOfReferenceUID = frame_of_reference
        one.InstanceNumber, one.AcquisitionNumber = first + k, 1
        one.ImagePositionPatient = decimals(place)
        one.ImageOrientationPatient = decimals(orientation)
        one.PixelSpacing = list(spacing)
        one.SliceThickness, one.SpacingBetweenSlices = thickness, distance
        one.WindowCenter, one.WindowWidth = 800 + k, 1200
        set_pixels(one, data[..., k].T)
        slices.append(one)
    return slices


def save(datasets, folder, order=None):
    """Write datasets to a folder; file names are in no order. Return the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    start = len(list(folder.iterdir()))
    count = len(datasets)
    for k, one in enumerate(datasets):
        name = f"IM{start + (k * 7) % count if count % 7 else start + count - k:04d}"
        one.save_as(folder / name, enforce_file_format=True)
    return folder


def series(folder, data=None, **kwargs):
    """Write a classic series and return its folder."""
    return save(classic(data, **kwargs), folder)


def with_phase(folder, magnitude):
    """Write a classic series that holds a magnitude and a phase of scanner units."""
    phase = ((magnitude.astype(int) * 37) % 8192 - 4096).astype(np.int16)
    phase[0, 0, :2] = -4096, 4095
    uids = {"series_uid": "1.2.3", "study_uid": "1.2"}
    series(folder, magnitude, **uids)
    second = classic(phase, first=50, **uids)
    for one in second:
        one.ImageType = ["ORIGINAL", "PRIMARY", "P"]
    return save(second, folder)


def enhanced(data=None, *, orientation=AXIAL, slopes=None, frames=None, **common):
    """Return one Enhanced MR dataset; ``frames`` lists changes per volume.

    ``data`` is indexed (column, row, slice) or (volume, column, row, slice).
    """
    data = voxels() if data is None else data
    several = data if data.ndim == 4 else data[None]
    one = dataset(EnhancedMRImageStorage, **common)
    for keyword in ("RepetitionTime", "EchoTime", "EchoTrainLength", "ScanningSequence"):
        delattr(one, keyword)
    one.InstanceNumber = 1
    shared = Dataset()
    measures = Dataset()
    measures.PixelSpacing = list(SPACING)
    measures.SliceThickness, measures.SpacingBetweenSlices = THICKNESS, DISTANCE
    shared.PixelMeasuresSequence = [measures]
    plane = Dataset()
    plane.ImageOrientationPatient = decimals(orientation)
    shared.PlaneOrientationSequence = [plane]
    one.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for v, volume in enumerate(several):
        for k, place in enumerate(positions(volume.shape[2], orientation)):
            group = Dataset()
            group.PlanePositionSequence = [Dataset()]
            group.PlanePositionSequence[0].ImagePositionPatient = decimals(place)
            group.FrameContentSequence = [Dataset()]
            group.FrameContentSequence[0].TemporalPositionIndex = 1
            group.FrameContentSequence[0].StackID = "1"
            group.FrameContentSequence[0].InStackPositionNumber = k + 1
            kind = Dataset()
            kind.FrameType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
            kind.ComplexImageComponent = "MAGNITUDE"
            group.MRImageFrameTypeSequence = [kind]
            group.MREchoSequence = [Dataset()]
            group.MREchoSequence[0].EffectiveEchoTime = 12.5
            value = Dataset()
            slope = 1.0 if slopes is None else slopes[k]
            value.RescaleIntercept, value.RescaleSlope, value.RescaleType = 0, slope, "US"
            group.PixelValueTransformationSequence = [value]
            window = Dataset()
            window.WindowCenter, window.WindowWidth = 700, 1300
            group.FrameVOILUTSequence = [window]
            if frames is not None:
                frames[v](group)
            groups.append(group)
    one.PerFrameFunctionalGroupsSequence = groups
    set_pixels(one, np.concatenate([volume.transpose(2, 1, 0) for volume in several]))
    return one


def csa(**items):
    """Return a Siemens CSA2 header with numbers, as a private element holds it."""
    out = b"SV10\x04\x03\x02\x01" + struct.pack("<2I", len(items), 77)
    for name, values in items.items():
        out += struct.pack("<64si4s3i", name.encode(), len(values), b"FD", 3, len(values), 77)
        for value in values:
            text = f"{value:.8f}".encode() + b"\0"
            out += struct.pack("<4i", len(text), len(text), 77, len(text))
            out += text + b"\0" * (-len(text) % 4)
    return out


def mosaic(data=None, *, orientation=AXIAL, distance=DISTANCE, downward=False, **common):
    """Return a Siemens mosaic of voxels indexed (column, row, slice)."""
    data = voxels() if data is None else data
    columns, rows, count = data.shape
    side = math.ceil(math.sqrt(count))
    whole = np.zeros((rows * side, columns * side), data.dtype)
    for k in range(count):
        row, column = (k // side) * rows, (k % side) * columns
        whole[row : row + rows, column : column + columns] = data[..., k].T
    one = dataset(**common)
    one.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    one.InstanceNumber = one.AcquisitionNumber = 1
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    # The header's position is that of an image as large as the mosaic, with the same center.
    corner = np.array(POSITION) - row * SPACING[1] * (columns * side - columns) / 2
    corner = corner - column * SPACING[0] * (rows * side - rows) / 2
    one.ImagePositionPatient = decimals(corner)
    one.ImageOrientationPatient = decimals(orientation)
    one.PixelSpacing = list(SPACING)
    one.SliceThickness, one.SpacingBetweenSlices = THICKNESS, distance
    normal = np.cross(row, column) * (-1 if downward else 1)
    block = one.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    header = csa(NumberOfImagesInMosaic=[count], SliceNormalVector=normal.tolist())
    block.add_new(0x10, "OB", header)
    set_pixels(one, whole)
    return one


def world(one, column, row):
    """Return the position of a voxel of a classic slice, mm, RAS (PS3.3 C.7.6.2.1.1)."""
    cosines = np.array(one.ImageOrientationPatient, float)
    place = np.array(one.ImagePositionPatient, float)
    place = place + cosines[:3] * float(one.PixelSpacing[1]) * column
    place = place + cosines[3:] * float(one.PixelSpacing[0]) * row
    return place * [-1, -1, 1]


def read(path):
    """Read a file with pydicom."""
    return pydicom.dcmread(path)
