"""Descriptions: the same for symmetric copies, known values, independent of the unit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, ndimage

from napari_mrisr.bank.descriptors import KINDS, Descriptor, log_tensor, phase_stretch
from napari_mrisr.bank.symmetries import ELEMENTS
from napari_mrisr.core.volume import Region
from napari_mrisr.errors import BankError
from napari_mrisr.operators.gradients import Window, tensor_box

WINDOW = Window(1.0, 2)
SIZE = 15
CENTER = SIZE // 2


def descriptor_of(kind):
    return Descriptor(kind, (1, 1, 1) if kind == "tensor" else (3, 3, 3))


def smooth_cube(seed=3):
    noise = np.random.default_rng(seed).normal(size=(SIZE,) * 3)
    return 0.5 + ndimage.gaussian_filter(noise, 1.2, mode="mirror").astype(np.float32)


def describe(descriptor, volume, region, element):
    image = descriptor.prepare(volume, (0, 0, 0), volume.shape, region, WINDOW)
    turn = np.full(region.shape, element, np.uint8)
    return descriptor.rows(image, turn, np.arange(turn.size))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("element", range(0, 48, 5))
def test_symmetric_copies_have_the_same_description(kind, element):
    volume, middle = smooth_cube(), Region((CENTER,) * 3, (CENTER + 1,) * 3)
    permutation, signs = ELEMENTS[element]
    turned = np.flip(np.transpose(volume, permutation), [a for a in range(3) if signs[a] < 0])
    expected = describe(descriptor_of(kind), np.ascontiguousarray(turned), middle, 0)
    found = describe(descriptor_of(kind), volume, middle, element)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.ptp(found) > 0.01


def test_gradients_are_differences_to_the_center():
    volume, at = smooth_cube(), (4, 7, 9)
    x, y, z = at
    row = describe(descriptor_of("gradients"), volume, Region(at, (5, 8, 10)), 0)[0]
    patch = volume[x - 1 : x + 2, y - 1 : y + 2, z - 1 : z + 2] - volume[at]
    np.testing.assert_array_equal(row, patch.ravel())


def test_tensors_are_logarithms_without_their_mean_eigenvalue():
    volume, at = smooth_cube(), (4, 7, 9)
    region = Region(at, (5, 8, 10))
    row = describe(descriptor_of("tensor"), volume, region, 0)[0]
    xx, xy, xz, yy, yz, zz = tensor_box(volume, (0, 0, 0), volume.shape, region, WINDOW)[0][
        :, 1, 1, 1
    ].astype(float)
    matrix = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    log = linalg.logm(matrix + 0.01 * np.trace(matrix) * np.eye(3))
    log -= np.trace(log) / 3.0 * np.eye(3)
    root = np.sqrt(2.0)
    expected = [log[0, 0], root * log[0, 1], root * log[0, 2], log[1, 1], root * log[1, 2]]
    np.testing.assert_allclose(row, [*expected, log[2, 2]], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(row), np.linalg.norm(log), rtol=1e-4)


def test_no_gradient_has_no_tensor_and_a_constant_has_no_phase():
    assert not log_tensor(np.zeros((6, 2, 1, 3), np.float32)).any()
    np.testing.assert_allclose(phase_stretch(np.full((5, 6, 7), 0.3, np.float32)), 0.0, atol=1e-6)


def test_the_phase_of_a_line_is_largest_on_it():
    volume = np.full((SIZE,) * 3, 0.4, np.float32)
    volume[:, 7, 7] = 0.8
    phase = np.abs(phase_stretch(volume))
    assert np.unravel_index(phase[5].argmax(), phase[5].shape) == (5, 5)
    assert phase[5, 5, 5] > 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_a_unit_changes_the_scale_of_gradients_and_nothing_else(kind):
    volume, region = smooth_cube(), Region((3, 4, 5), (6, 6, 6))
    one, four = (describe(descriptor_of(kind), f * volume, region, 9) for f in (1.0, 4.0))
    np.testing.assert_allclose(four, 4.0 * one if kind == "gradients" else one, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("colors", (3, 3, 3)), "unknown features 'colors'; choose from gradients, phase, tensor"),
        (("phase", (3, 4, 3)), r"patch \(3, 4, 3\); use odd widths of 1 to 15"),
        (("gradients", (3, 3, 17)), r"patch \(3, 3, 17\)"),
        (("tensor", (3, 3, 3)), r"tensor of a patch \(3, 3, 3\); use \(1, 1, 1\)"),
    ],
)
def test_impossible_descriptions_are_refused(arguments, message):
    with pytest.raises(BankError, match=message):
        Descriptor(*arguments)
