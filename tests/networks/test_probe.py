"""Probing: needs of tiny networks that are known by construction."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.networks import copy_model, filter_model, plain_model, save_model
from onnx import helper

from napari_mrisr.errors import BankError
from napari_mrisr.networks.foreign import load_foreign
from napari_mrisr.networks.probe import Fit, probed


@pytest.fixture
def found(tmp_path):
    """Function that saves a network and returns what probing finds."""
    return lambda model, options="": probed(
        load_foreign(str(save_model(model, tmp_path / "mine.onnx")) + options)
    )


def unit(*sizes: int) -> np.ndarray:
    """A kernel that keeps half a voxel and takes the rest from the farthest ones."""
    kernel = np.zeros(sizes)
    kernel[tuple(n // 2 for n in sizes)] = 0.5
    kernel.flat[0] = kernel.flat[-1] = 0.25
    return kernel


@pytest.mark.parametrize("factors", [(2, 2), (4, 1, 1), (1, 1, 3), (1, 1)])
def test_scale_and_input(found, factors):
    needs, fit, error = found(copy_model(*factors))
    assert fit == Fit(factors, (0,) * len(factors))
    assert needs.input == ("interpolated" if max(factors) == 1 else "low-resolution")
    assert (str(needs.normalization), needs.output, needs.multiple) == ("window", "image", 1)
    assert error < 0.2


def test_halo_is_what_a_voxel_depends_on(found):
    needs, fit, _ = found(filter_model(unit(3, 9, 5)))
    assert needs.halo == (1, 4, 2)
    assert fit.margin == (0, 0, 0)


def test_margins_that_the_network_cuts_off(found):
    needs, fit, _ = found(filter_model(unit(3, 9, 5), valid=True))
    assert fit.margin == needs.halo == (1, 4, 2)


def pyramid(multiple: int):
    """The image and a little of its pooled copy; other extents do not fit."""
    size = [multiple] * 2
    nodes = [
        helper.make_node("AveragePool", ["image"], ["low"], kernel_shape=size, strides=size),
        helper.make_node("Resize", ["low", "", "factors"], ["up"], mode="nearest"),
        helper.make_node("Mul", ["up", "little"], ["part"]),
        helper.make_node("Add", ["image", "part"], ["result"]),
    ]
    weights = {"factors": np.array([1.0, 1, *size]), "little": np.array(0.1)}
    return plain_model(nodes, weights, (1, 1, "h", "w"))


@pytest.mark.parametrize("multiple", [2, 8])
def test_multiples_of_voxels(found, multiple):
    assert found(pyramid(multiple))[0].multiple == multiple


def test_fixed_extents(found):
    needs, fit, _ = found(copy_model(2, 2, shape=(1, 1, 24, 32)))
    assert (fit.scale, needs.halo) == ((2, 2), (0, 0))


@pytest.mark.parametrize(
    ("gain", "offset", "expected"),
    [(1.0, 0.0, "window"), (255.0, 0.0, "bytes")],
)
def test_normalization_by_a_saturating_network(found, gain, offset, expected):
    """It keeps values in its own range and bends others, as training makes a network do."""
    low, high = offset, gain + offset
    nodes = [
        helper.make_node("Clip", ["image", "low", "high"], ["inside"]),
        helper.make_node("Sub", ["image", "inside"], ["outside"]),
        helper.make_node("Sub", ["inside", "center"], ["shifted"]),
        helper.make_node("Mul", ["shifted", "small"], ["squeezed"]),
        helper.make_node("Div", ["squeezed", "span"], ["relative"]),
        helper.make_node("Tanh", ["relative"], ["bent"]),
        helper.make_node("Mul", ["bent", "span"], ["scaled"]),
        helper.make_node("Div", ["scaled", "small"], ["back"]),
        helper.make_node("Add", ["back", "center"], ["result"]),
    ]
    weights = {
        "low": np.array(low),
        "high": np.array(high),
        "center": np.array((low + high) / 2),
        "span": np.array(gain),
        "small": np.array(0.1),
    }
    needs, _, error = found(plain_model(nodes, weights, (1, 1, "h", "w")))
    assert str(needs.normalization) == expected
    assert error < 0.1


def test_a_correction_is_told_from_an_image(found):
    assert found(filter_model(np.zeros((3, 3))))[0].output == "correction"
    assert found(filter_model(unit(3, 3)))[0].output == "image"


def test_a_network_for_something_else_is_refused(found):
    """A segmentation returns no image."""
    nodes = [
        helper.make_node("Greater", ["image", "level"], ["above"]),
        helper.make_node("Cast", ["above"], ["result"], to=1),
    ]
    model = plain_model(nodes, {"level": np.array(0.5)}, (1, 1, "h", "w"))
    with pytest.raises(BankError, match=r"mine\.onnx.*smooth image"):
        found(model)


def test_a_network_that_makes_images_smaller_is_refused(found):
    node = helper.make_node(
        "AveragePool", ["image"], ["result"], kernel_shape=[2, 2], strides=[2, 2]
    )
    with pytest.raises(BankError, match=r"mine\.onnx.*size"):
        found(plain_model([node], shape=(1, 1, "h", "w")))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (":scale=3", "scale"),
        (":input=interpolated", "interpolated"),
        (":halo=1x1x1", "2 axes"),
    ],
)
def test_contradictions_are_refused(found, options, match):
    with pytest.raises(BankError, match=match):
        found(copy_model(2, 2), options)


def test_what_is_declared_is_kept(found):
    needs, _, _ = found(copy_model(2, 2), ":halo=5:normalization=z-score:multiple=4")
    assert (needs.halo, str(needs.normalization), needs.multiple) == ((5, 5), "z-score", 4)
    assert needs.sources["halo"] == "option"
    assert needs.sources["output"] == "found by probing"
