"""Companions of a derived series: maps as Parametric Map, the report as Encapsulated PDF.

They take patient, study and frame of reference from the files of the derived series, so that they
are anonymous if it is.
"""

from __future__ import annotations

from pathlib import Path

import highdicom
import numpy as np
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import EncapsulatedPDFStorage, generate_uid

from napari_mrisr._version import __version__
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Volume
from napari_mrisr.io.dicom.attributes import PERSONAL, PERSONAL_GROUPS
from napari_mrisr.io.dicom.derivation import NOT_FOR_DIAGNOSIS, PROGRAM
from napari_mrisr.io.dicom.derived import complete, in_groups, take_over
from napari_mrisr.io.dicom.headers import SliceImage, quiet_pydicom, read_file_header
from napari_mrisr.io.dicom.planes import SourceImages, cut
from napari_mrisr.io.dicom.write import write_series
from napari_mrisr.io.formats import PathLike

_MADE = ("SeriesDate", "SeriesTime", "ContentDate", "ContentTime")


def write_dicom_map(
    volume: Volume,
    folder: PathLike,
    series: PathLike,
    title: str,
    *,
    place: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Save a map of a result as a DICOM Parametric Map (float32) in a folder of its own.

    Parameters
    ----------
    volume : Volume
        The map, in the frame of reference of the result.
    folder : str or path
        The folder to make.
    series : str or path
        The folder of the result, as :func:`~napari_mrisr.io.dicom.write.write_dicom` wrote it.
    title : str
        The quantity, such as ``expected error``.
    place : int
        Added to the series number of the result.
    overwrite : bool
        Replace a folder that this program wrote.
    progress : Progress, optional
        Reports progress.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    progress = progress or Progress()
    with quiet_pydicom():
        source = _derived_series(Path(series), progress)
        stack = cut(volume, source)
        low, high = (float(limit) for limit in volume.extrema)
        mapping = RealWorldValueMapping(
            lut_label=title[:16],
            lut_explanation=title[:64],
            unit=codes.UCUM.NoUnits,
            value_range=(low, high),
            slope=1.0,
            intercept=0.0,
        )
        window = highdicom.VOILUTTransformation(
            window_center=(low + high) / 2,
            window_width=max(high - low, 1e-6),
            voi_lut_function="LINEAR_EXACT",  # allows widths below 1
        )
        image = ParametricMap(
            list(source.headers.values()),
            highdicom.Volume(
                np.ascontiguousarray(stack.data),
                stack.affine[:, [2, 1, 0, 3]],
                "PATIENT",
                str(source.first.FrameOfReferenceUID),
            ),
            series_instance_uid=generate_uid(prefix=None),
            series_number=int(source.first.SeriesNumber) + place,
            sop_instance_uid=generate_uid(prefix=None),
            instance_number=1,
            manufacturer=f"{PROGRAM} developers",
            manufacturer_model_name=PROGRAM,
            software_versions=__version__,
            device_serial_number="0",
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[mapping],
            voi_lut_transformations=[window],
            content_description=f"{title}, {NOT_FOR_DIAGNOSIS}"[:64],
            content_label="MAP",
            series_description=f"{title} {NOT_FOR_DIAGNOSIS}"[:64],
        )
        take_over(image, source.first, (*_MADE, "BodyPartExamined", "PatientPosition"))
        complete(image)
        write_series([image], Path(folder), count=1, overwrite=overwrite, progress=progress)


def write_dicom_report(
    pdf: bytes,
    folder: PathLike,
    series: PathLike,
    title: str,
    *,
    place: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Save a PDF page about a result as a DICOM Encapsulated PDF in a folder of its own.

    Parameters
    ----------
    pdf : bytes
        The document.
    folder : str or path
        The folder to make.
    series : str or path
        The folder of the result, as :func:`~napari_mrisr.io.dicom.write.write_dicom` wrote it.
    title : str
        Title of the document.
    place : int
        Added to the series number of the result.
    overwrite : bool
        Replace a folder that this program wrote.
    progress : Progress, optional
        Reports progress.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    progress = progress or Progress()
    with quiet_pydicom():
        source = _derived_series(Path(series), progress)
        first, out = source.first, Dataset()
        take_over(out, first, (*PERSONAL, "StudyInstanceUID", "SpecificCharacterSet", *_MADE))
        take_over(out, first, in_groups(first, PERSONAL_GROUPS))
        take_over(out, first, ("InstanceCreationDate", "InstanceCreationTime"))
        instance = Dataset()
        instance.ReferencedSOPClassUID = first.SOPClassUID
        instance.ReferencedSOPInstanceUID = first.SOPInstanceUID
        values = {
            "SOPClassUID": EncapsulatedPDFStorage,
            "SOPInstanceUID": generate_uid(prefix=None),
            "SeriesInstanceUID": generate_uid(prefix=None),
            "SeriesNumber": int(first.SeriesNumber) + place,
            "SeriesDescription": f"{title} {NOT_FOR_DIAGNOSIS}"[:64],
            "Modality": "DOC",
            "InstanceNumber": 1,
            "AcquisitionDateTime": "",
            "Manufacturer": f"{PROGRAM} developers",
            "ManufacturerModelName": PROGRAM,
            "SoftwareVersions": __version__,
            "ConversionType": "WSD",
            "BurnedInAnnotation": "NO",
            "DocumentTitle": title,
            "ConceptNameCodeSequence": [],
            "SourceInstanceSequence": [instance],
            "MIMETypeOfEncapsulatedDocument": "application/pdf",
            "EncapsulatedDocumentLength": len(pdf),
            "EncapsulatedDocument": pdf + b"\0" * (len(pdf) % 2),
        }
        for name, value in values.items():
            setattr(out, name, value)
        complete(out)
        write_series([out], Path(folder), count=1, overwrite=overwrite, progress=progress)


def _derived_series(folder: Path, progress: Progress) -> SourceImages:
    """Return the images of a series that this program wrote, in the order of slices."""
    images: list[SliceImage] = []
    for path in sorted(folder.glob("*.dcm")):
        header = read_file_header(path)
        images += header.images if header is not None else ()
    return SourceImages.read(images, progress.token.check)
