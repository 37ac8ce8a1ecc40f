"""Protocols and their switches."""

from __future__ import annotations

import pytest

from napari_mrisr.errors import ParameterError
from napari_mrisr.evaluation.protocol import get_protocol
from napari_mrisr.operators.degrade import Degradation


def test_standard_takes_nothing_from_the_truth():
    found = get_protocol("standard").as_dict()
    assert found.pop("settings").startswith("degradation standard; no leak")
    assert found == {
        "name": "standard",
        "degradation": "standard",
        "tricubic": "tricubic",
        "leak": False,
        "data_range": 1.0,
        "ssim_range": 1.0,
        "ssim_window": "gaussian",
    }


def test_paper_2021_is_as_the_figures_came_to_be():
    found = get_protocol("paper-2021").as_dict()
    words = found.pop("settings")
    assert found == {
        "name": "paper-2021",
        "degradation": "paper-2021",
        "tricubic": "quadratic",
        "leak": True,
        "data_range": 1.0,
        "ssim_range": 2.0,
        "ssim_window": "uniform",
    }
    for part in ("quadratic", "zeroed", "SSIM range 2", "uniform 7³"):
        assert part in words


def test_a_switch_shows_in_the_name():
    found = get_protocol("paper-2021", leak=False, ssim_range=1.0)
    assert found.name == "paper-2021 (no leak, SSIM range 1)"
    assert not found.leak
    assert found.metrics.ssim_range == 1.0
    assert found.metrics.ssim_window == "uniform"
    other = get_protocol("standard", degradation="kspace:hann", leak=True)
    assert other.name == "standard (degradation kspace:hann, leak)"
    assert other.degradation == Degradation("kspace", apodization="hann")


def test_a_switch_that_changes_nothing_leaves_the_name():
    same = get_protocol("standard", degradation="standard", leak=False, ssim_range=1.0)
    assert same == get_protocol("standard")


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ({"name": "paper-2022"}, "'paper-2022'"),
        ({"name": "standard", "degradation": "blur"}, "blur"),
        ({"name": "standard", "ssim_range": -1.0}, "-1.0"),
    ],
)
def test_what_does_not_exist_is_named(arguments, value):
    with pytest.raises(ParameterError) as caught:
        get_protocol(**arguments)
    assert value in str(caught.value)
