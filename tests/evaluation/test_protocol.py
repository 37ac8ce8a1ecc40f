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


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("thick-slices", "thick-slices:4:boxcar:1"),
        ("thick-slices:3", "thick-slices:3:boxcar:1"),
        ("thick-slices:2:gaussian", "thick-slices:2:gaussian:1"),
        ("thick-slices:6:gaussian:1.2", "thick-slices:6:gaussian:1.2"),
        ("leave-out", "leave-out:2"),
    ],
)
def test_a_protocol_s_name_reads_back(typed, name):
    found = get_protocol(typed, axis="S-I")
    assert found.name == name
    assert get_protocol(name, axis="S-I") == found


def test_thick_slices_names_factor_profile_width_and_axis():
    found = get_protocol("thick-slices:3:gaussian:0.8", axis="R-L")
    assert "3 × as far apart along R–L" in found.describe()
    assert "gaussian profile, width 0.8 × slice distance (gaps)" in found.describe()
    assert found.degradation == Degradation("slice-profile", profile="gaussian", fwhm=0.8)
    assert found.as_dict()["axes"] == ["R-L"]
    assert get_protocol("thick-slices").axes == ("R-L", "A-P", "S-I")
    assert "along axis 2" in get_protocol("thick-slices", axis="2").describe()


def test_leave_out_says_that_slices_have_gaps():
    found = get_protocol("leave-out:2").describe()
    for part in ("2 × as far apart", "gaps", "0.5 × slice distance", "the thickest axis"):
        assert part in found


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ({"name": "thick-slices:1"}, "'1'"),
        ({"name": "thick-slices:9"}, "'9'"),
        ({"name": "thick-slices:2.5"}, "'2.5'"),
        ({"name": "thick-slices:gaussian"}, "'gaussian'"),
        ({"name": "thick-slices:4:square"}, "square"),
        ({"name": "thick-slices:4:boxcar:0"}, "thick-slices:4:boxcar:0"),
        ({"name": "leave-out:3"}, "'leave-out:3'"),
        ({"name": "thick-slices", "axis": "up"}, "'up'"),
        ({"name": "standard", "axis": "S-I"}, "--axis"),
        ({"name": "thick-slices", "degradation": "kspace"}, "--degradation"),
    ],
)
def test_what_does_not_fit_thick_slices_is_named(arguments, value):
    with pytest.raises(ParameterError) as caught:
        get_protocol(**arguments)
    assert value in str(caught.value)
