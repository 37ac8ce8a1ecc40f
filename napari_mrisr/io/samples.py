"""Sample volumes: the bundled phantom, and real scans on request."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import MrisrError, VolumeError, explain, install
from napari_mrisr.io import read_volume

PHANTOM = "phantom_T1w.nii.gz"
PHANTOM_LESION = "phantom_lesion.nii.gz"

# One defaced T1w of "Classification learning and tone-counting", PDDL.
DS000011_BASE = "https://s3.amazonaws.com/openneuro.org/ds000011/"
DS000011_FILE = "sub-11/anat/sub-11_T1w.nii.gz"
DS000011_SHA256 = "95fc239e8c48d4a6fe15c1fa4963afcefa6c3fff8c4e5ce7bec346351e00efb6"

CACHE_VARIABLE = "NAPARI_MRISR_CACHE"
"""Environment variable that names another folder for downloaded scans."""


def sample_path(name: str) -> Path:
    """Return the path of a sample file of the package.

    Parameters
    ----------
    name : str
        File name, such as ``phantom_T1w.nii.gz``.

    Returns
    -------
    Path
        Inside the package for a wheel, next to it for an editable install.

    Raises
    ------
    VolumeError
        When it is in neither folder.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "sample_data", package.parent / "sample_data"):
        if (folder / name).is_file():
            return folder / name
    raise VolumeError(explain(name, "not among the sample files", "install napari-mrisr again"))


def phantom() -> Volume:
    """Return the T1-weighted head phantom, computed by this project (CC0)."""
    return read_volume(sample_path(PHANTOM))


def phantom_lesion() -> Volume:
    """Return a mask of the phantom's lesion, on the phantom's grid."""
    return read_volume(sample_path(PHANTOM_LESION))


def openneuro_ds000011() -> Volume:
    """Return a T1-weighted scan of OpenNeuro ds000011, sub-11 (PDDL).

    Downloaded on first use (4 MB), checked by sha256 and kept in the user's
    cache folder, or in the one that ``NAPARI_MRISR_CACHE`` names.

    Raises
    ------
    MrisrError
        When it cannot be downloaded, or has another checksum.
    """
    import pooch

    store = pooch.create(
        path=pooch.os_cache("napari-mrisr"),
        base_url=DS000011_BASE,
        registry={DS000011_FILE: DS000011_SHA256},
        env=CACHE_VARIABLE,
        retry_if_failed=1,
    )
    url = store.get_url(DS000011_FILE)
    try:
        path = store.fetch(DS000011_FILE)
    except ValueError as error:  # another checksum
        found = "the download is damaged or another file"
        raise MrisrError(explain(url, found, "try again later")) from error
    except OSError as error:  # requests' exceptions are OSErrors
        found = f"cannot be fetched ({type(error).__name__})"
        remedy = (
            f"connect to the internet, or open the sample phantom; downloads go to {store.path}"
        )
        raise MrisrError(explain(url, found, remedy)) from error
    return read_volume(path)


def mni152() -> Volume:
    """Return the MNI152 template at 1 mm, which nilearn contains.

    Raises
    ------
    MrisrError
        When nilearn is not installed.
    """
    try:
        from nilearn.datasets import load_mni152_template
    except ImportError as error:
        found = "nilearn is not installed"
        raise MrisrError(explain("MNI152 template", found, install("templates"))) from error
    name = "mni152_T1w_1mm.nii.gz"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        load_mni152_template(resolution=1).to_filename(path)
        volume = read_volume(path)
    # Without this the history would not name the source.
    return replace(volume, history={**volume.history, "source": "MNI152 template of nilearn"})
