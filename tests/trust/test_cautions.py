"""Cautions: what is unlike the training set is named, in one sentence; what is like it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_mrisr.core.slices import SliceGeometry
from napari_mrisr.networks.file import NetworkFile
from napari_mrisr.scan.traits import TraitRanges, Traits
from napari_mrisr.trust import cautions_for

LIKE = Traits((2.0, 2.2, 2.4), -0.2, 0.02, (1.0, 0.9, 0.95))
RANGES = TraitRanges((1.7, 2.7), (-0.4, 0.0), (0.012, 0.027))


@pytest.fixture
def bank(make_bank):
    return replace(make_bank(), provenance={"traits": RANGES.to_json()})


def kinds(traits, bank):
    return [caution.kind for caution in cautions_for(traits, bank)]


def test_a_volume_like_the_training_set_gives_none(bank):
    assert cautions_for(LIKE, bank) == ()


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"voxel_size": (0.6, 0.6, 0.6)}, "unusual voxel size", "0.6 × 0.6 × 0.6 mm"),
        ({"voxel_size": (2.0, 2.0, 3.6)}, "unusual voxel size", "0.85 to 2.7 mm"),
        ({"contrast": 0.6}, "unusual contrast", "T2-weighted"),
        ({"contrast": -0.7}, "unusual contrast", "mostly bright"),
        ({"contrast": np.nan}, "no head found", "without a head"),
        ({"noise": 0.05}, "more noise than in training", "sharpened like detail"),
        ({"noise": 0.003}, "less detail than in training", "smoothed, denoised or interpolated"),
        ({"band": (1.0, 0.9, 0.55)}, "interpolated axis", "55 % of the spectrum along S–I"),
        ({"band": (0.62, 0.9, 1.0)}, "interpolated axis", "along R–L"),
    ],
)
def test_each_difference_is_named(bank, change, kind, words):
    (caution,) = cautions_for(replace(LIKE, **change), bank)
    assert caution.kind == kind
    assert words in caution.text
    assert caution.text.endswith(".")
    assert "\n" not in caution.text


@pytest.mark.parametrize("size", [0.8, 1.0, 1.2])
def test_an_ordinary_scan_of_about_1_mm_gives_none(bank, size):
    assert cautions_for(replace(LIKE, voxel_size=(size, size, size)), bank) == ()


def test_thick_slices(bank):
    found = cautions_for(replace(LIKE, voxel_size=(1.8, 5.4, 1.8)), bank)
    assert [c.kind for c in found] == ["thick slices", "unusual voxel size"]
    assert "along A–P are 3.0 times" in found[0].text


def test_zero_filling_within_thick_slices_is_told_in_mm(bank):
    thick = replace(LIKE, voxel_size=(0.72, 0.72, 4.0), band=(0.64, 0.9, 1.0))
    text = next(c.text for c in cautions_for(thick, bank) if c.kind == "interpolated axis")
    assert "voxels of about 1.1 mm along R–L and filled them in to 0.72 mm" in text


def test_alternating_slices_are_told_in_percent(bank):
    (caution,) = cautions_for(replace(LIKE, alternation=0.0412), bank)
    assert caution.kind == "slices alternate in brightness (4 %)"
    assert "along S–I" in caution.text
    assert cautions_for(replace(LIKE, alternation=0.009), bank) == ()


def test_a_bank_that_does_not_know_its_training_set(make_bank):
    odd = Traits((1.0, 1.0, 5.0), 0.9, 0.2, (1.0, 0.5, np.nan))
    assert kinds(odd, make_bank()) == ["interpolated axis", "thick slices"]
    assert kinds(odd, None) == ["interpolated axis", "thick slices"]


def test_little_beyond_the_range_is_no_reason(bank):
    edge = Traits((0.7, 0.7, 1.2), 0.14, 0.039, (0.67, 0.9, np.nan))
    assert kinds(edge, bank) == []


def test_a_ct_is_called_a_ct_and_not_t2_weighted(bank):
    found = cautions_for(replace(LIKE, contrast=0.8, noise=0.3, ct=True), bank)
    assert [caution.kind for caution in found] == ["looks like CT"]
    assert "T2" not in found[0].text


THICK = Traits((0.9, 0.9, 3.6), -0.2, 0.02, (1.0, 0.9, 0.95))
SLICES = SliceGeometry(2, 3.6, 3.6, "assumed")


@pytest.fixture
def network():
    ranges = TraitRanges((0.8, 9.0), (-0.4, 0.0), (0.012, 0.027))
    return NetworkFile("mine", b"", 1, 1, (1.5, 9.0), (0.7, 1.3), {"traits": ranges.to_json()})


def test_thick_slices_are_what_a_network_is_made_for(network):
    assert cautions_for(THICK, network, SLICES) == ()
    (told,) = cautions_for(replace(THICK, contrast=0.6), network, SLICES)
    assert told.kind == "unusual contrast"


@pytest.mark.parametrize(
    ("thickness", "distance", "kind", "words"),
    [
        (9.9, 9.9, "unusual slice distance", "9.9 mm apart, 11.0 times the pixel size"),
        (1.0, 1.0, "unusual slice distance", "Training had 1.5 to 9 times"),
        (1.8, 3.6, "gaps between slices", "a ratio of 0.50. Training had 0.7 to 1.3"),
        (5.3, 3.6, "overlapping slices", "sharpened too little"),
    ],
)
def test_slices_unlike_those_of_training_are_told(network, thickness, distance, kind, words):
    scan = replace(THICK, voxel_size=(0.9, 0.9, distance))
    (caution,) = cautions_for(scan, network, SliceGeometry(2, thickness, distance, "as given"))
    assert caution.kind == kind
    assert words in caution.text


def test_a_bank_for_thick_slices_knows_its_factor_and_width(make_bank):
    bank = replace(make_bank((1, 1, 4)), degradation="slice-profile:boxcar:1")
    assert cautions_for(THICK, bank, SLICES) == ()
    (gap,) = cautions_for(THICK, bank, replace(SLICES, thickness=2.7))
    assert gap.kind == "gaps between slices"
    assert "Training had 1." in gap.text
    far = replace(SLICES, thickness=7.2, distance=7.2)
    (distance,) = cautions_for(replace(THICK, voxel_size=(0.9, 0.9, 7.2)), bank, far)
    assert "2.7 to 6 times" in distance.text


def test_an_unrolled_network_knows_its_slices(network):
    far = replace(SLICES, thickness=9.9, distance=9.9)
    found = cautions_for(THICK, replace(network, kind="unrolled"), far)
    assert [caution.kind for caution in found] == ["unusual slice distance"]


def test_a_denoiser_is_told_of_contrast_and_noise_but_not_of_voxel_size(network):
    """It sees the voxels of the result, of any scan."""
    denoiser = replace(network, kind="denoiser", factors=(1.0, 1.0), widths=(1.0, 1.0))
    thick = replace(THICK, voxel_size=(0.9, 0.9, 30.0))
    assert cautions_for(thick, denoiser, SLICES) == ()
    found = cautions_for(replace(thick, contrast=0.6, noise=0.2), denoiser, SLICES)
    assert [caution.kind for caution in found] == [
        "unusual contrast",
        "more noise than in training",
    ]
