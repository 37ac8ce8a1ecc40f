"""De-identification of written series, by a subset of the Basic Profile of PS3.15 annex E.

A derived series holds only the attributes that :mod:`~napari_mrisr.io.dicom.attributes` lists.
Of these the ones that may identify a person are removed or replaced, UIDs are replaced, and dates
are shifted by the same number of days per patient. Faces in the voxels are not removed.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import secrets
from typing import Any

from pydicom.dataset import Dataset

from napari_mrisr.io.dicom.attributes import PERSONAL, PERSONAL_GROUPS

METHOD = "PS3.15 Basic Profile (subset of napari-mrisr), dates shifted"

_STANDARD_UIDS = "1.2.840.10008."
_NO_DATE = "19000101"
_LEAST_DAYS, _MORE_DAYS = 365, 3285
_SHIFTED = ("StudyDate", "StudyTime")  # must not be missing

# Attributes that must have a value, or may be empty but not missing.
_REPLACED = {
    "PatientBirthDate": "",
    "PatientSex": "",
    "StudyID": "",
    "AccessionNumber": "",
    "ReferringPhysicianName": "",
    "DeviceSerialNumber": "0",
    "ContrastBolusAgent": "contrast agent",
}


class Anonymizer:
    """Removes persons from datasets.

    The same UID or patient gets the same replacement from one instance, so that series written
    by it still belong together. The secret is random and not stored, so nothing leads back.

    Parameters
    ----------
    secret : bytes, optional
        Key of the replacements.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secret or secrets.token_bytes(32)

    def uid(self, uid: str) -> str:
        """Return the replacement of a UID; those that the standard defines are kept."""
        if str(uid).startswith(_STANDARD_UIDS):
            return str(uid)
        return f"2.25.{int.from_bytes(self._digest('uid', uid)[:16], 'big')}"

    def applied(self, dataset: Dataset) -> Dataset:
        """Return a de-identified copy of the dataset of a derived series."""
        names = ("PatientID", "PatientName", "PatientBirthDate")
        digest = self._digest("patient", "\0".join(str(dataset.get(name, "")) for name in names))
        days = _LEAST_DAYS + int.from_bytes(digest[:4], "big") % _MORE_DAYS
        out = self._cleaned(dataset, days)
        for element in list(out):
            personal = element.keyword in PERSONAL and element.keyword not in _SHIFTED
            if personal or element.tag.group in PERSONAL_GROUPS:
                del out[element.tag]
        for name, value in _REPLACED.items():
            if name in dataset:
                setattr(out, name, value)
        pseudonym = digest[4:8].hex().upper()
        out.PatientName, out.PatientID = f"Anonymous^{pseudonym}", pseudonym
        out.PatientIdentityRemoved = "YES"
        out.DeidentificationMethod = METHOD
        out.LongitudinalTemporalInformationModified = "MODIFIED"
        return out

    def _cleaned(self, dataset: Dataset, days: int) -> Dataset:
        """Return a copy with new UIDs, shifted dates and no private attributes, at any depth."""
        out = Dataset()
        for element in dataset:
            if element.tag.is_private:
                continue
            value = element.value
            if element.VR == "SQ":
                value = [self._cleaned(item, days) for item in value]
            elif element.VR == "UI":
                value = _each(value, self.uid)
            elif element.VR in ("DA", "DT"):
                value = _each(value, lambda text: shifted(str(text), days))
            else:
                out.add(element)
                continue
            out.add_new(element.tag, element.VR, value)
        return out

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.digest(self._secret, f"{kind}\0{text}".encode(), hashlib.sha256)


def shifted(text: str, days: int) -> str:
    """Return a DICOM date (and time) a number of days earlier; 1900 for a damaged one."""
    if not text:
        return ""
    try:
        date = datetime.datetime.strptime(text[:8], "%Y%m%d").date()
        return f"{date - datetime.timedelta(days):%Y%m%d}{text[8:]}"
    except (ValueError, OverflowError):
        return _NO_DATE


def _each(value: Any, change: Any) -> Any:
    """Apply a change to a value, or to each of several."""
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return change(value) if value else value
    return [change(one) for one in value]
