"""Readers of single values: planted elements, and values that are missing or no number."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset

from napari_mrisr.io.dicom import values


@pytest.fixture
def data():
    found = Dataset()
    found.Modality = " MR "
    found.ImageType = ["ORIGINAL", "", "PRIMARY"]
    found.PixelSpacing = [0.5, 0.75]
    found.EchoTime = None
    found.InstanceNumber = 7
    return found


def test_texts_are_stripped_and_joined(data):
    assert values.text_of(data, "Modality") == "MR"
    assert values.strings_of(data, "ImageType") == ("ORIGINAL", "PRIMARY")
    assert values.text_of(data, "SeriesDescription") == ""


def test_numbers_are_the_first_or_as_many_as_asked_for(data):
    assert values.number_of(data, "PixelSpacing") == 0.5
    assert values.numbers_of(data, "PixelSpacing", 2) == (0.5, 0.75)
    assert values.numbers_of(data, "PixelSpacing", 3) is None
    assert values.integer_of(data, "InstanceNumber") == 7
    for keyword in ("EchoTime", "FlipAngle", "Modality"):
        assert values.number_of(data, keyword) is None
    assert values.integer_of(data, "EchoTime") is None


@pytest.mark.parametrize("stored", [[0.6, -0.8, 0.0], np.array([0.6, -0.8, 0.0]).tobytes()])
def test_a_private_direction_is_read_as_numbers_or_as_bytes(data, stored):
    kind = "UN" if isinstance(stored, bytes) else "FD"
    data.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0E, kind, stored)
    assert values.direction_of(data) == (0.6, -0.8, 0.0)
    assert values.b_value_of(data) is None
    data.DiffusionGradientOrientation = [0.0, 0.0, 1.0]
    assert values.direction_of(data) == (0.0, 0.0, 1.0)


def test_a_private_b_value_needs_its_creator(data):
    block = data.private_block(0x0043, "GEMS_PARM_01", create=True)
    block.add_new(0x39, "IS", [100_000 + 800, 3])  # the vendor's offset
    assert values.b_value_of(data) == 800
    data[0x0043, 0x10].value = "ANOTHER VENDOR"
    assert values.b_value_of(data) is None
    data.DiffusionBValue = 0.0
    assert values.b_value_of(data) == 0.0


def test_numbers_that_are_not_finite_are_none(data):
    data.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(3, "FL", np.inf)
    assert values.private_numbers(data, 0x2001, "Philips Imaging DD 001", 3) is None
