"""Label volumes and masks are recognized; scans, phantoms and small tests are not refused."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.core.volume import Grid, Origin, Volume
from napari_mrisr.scan.labels import labels_found_in, looks_like_labels


def labels(values=(0, 1, 2, 41), shape=(32, 32, 32)):
    data = np.full(shape, values[0], np.float32)
    for number, value in enumerate(values[1:], 1):
        data[4 * number : 28, 4:28, 6:26] = value
    return data


def scan():
    rng = np.random.default_rng(0)
    return np.round(rng.normal(100, 20, (32, 32, 32))).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_few_whole_numbers_in_large_areas_are_labels(dtype):
    found = looks_like_labels(labels().astype(dtype))
    assert found == "it holds 4 values only, all of them whole numbers"


def test_a_mask_is_found_by_its_values():
    assert "2 values" in looks_like_labels(labels((0, 1)))


@pytest.mark.parametrize(
    "name", ["sub-1_dseg.nii.gz", "sub-1_desc-brain_mask.nii", "aparc+aseg.mgz", "mask.nii"]
)
def test_the_name_tells(name):
    assert looks_like_labels(scan(), name).startswith("its name ends in ")
    assert looks_like_labels(None, name)
    assert looks_like_labels(scan() + 0.5, name) == ""  # probabilities, or a masked image


def test_the_intent_code_tells():
    assert "1002" in looks_like_labels(scan(), "scan.nii", 1002)


@pytest.mark.parametrize("name", ["", "sub-1_T1w.nii.gz", "brainmask.mgz", "unmasked.nii"])
def test_a_scan_is_no_label_volume(name):
    assert looks_like_labels(scan(), name) == ""
    assert looks_like_labels(np.round(scan() / 16), name) == ""  # eight values, but noise


def test_constant_and_small_volumes_are_no_label_volumes():
    assert looks_like_labels(np.ones((32, 32, 32), np.float32)) == ""
    assert looks_like_labels(labels(shape=(12, 12, 12))) == ""
    assert looks_like_labels(labels() * 0.3) == ""


def test_name_and_header_come_from_the_origin():
    class Header(dict):
        pass

    grid = Grid((32, 32, 32), np.eye(4))
    named = Volume(scan(), grid, origin=Origin("a_dseg.nii.gz"))
    assert labels_found_in(named) == "its name ends in dseg"
    intent = Volume(scan(), grid, origin=Origin("a.nii", header=Header(intent_code=1002)))
    assert "1002" in labels_found_in(intent)
    assert labels_found_in(Volume(scan(), grid, origin=Origin("a.nii", header=Header()))) == ""
