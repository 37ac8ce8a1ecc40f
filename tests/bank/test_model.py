"""Filter banks: what is saved comes back; what is damaged is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.banks import KINDS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from napari_mrisr.bank import file as bank_file
from napari_mrisr.bank import model as filterbank
from napari_mrisr.bank.file import read_bank_file
from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.bank.model import Stage, StageSpec, bank_for, list_banks, load_bank
from napari_mrisr.errors import BankError, MrisrError, ScaleError


@pytest.fixture
def bank(make_bank):
    return make_bank((1, 1, 3))


@pytest.fixture
def saved(bank, tmp_path):
    path = tmp_path / "mine.safetensors"
    bank.save(path)
    return path


def header_of(path):
    raw = path.read_bytes()
    return json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])


def document_of(path):
    return json.loads(header_of(path)["__metadata__"]["napari_mrisr"])


def rewrite(path, change_document=None, change_tensors=None, checksum=True):
    """Change a bank as its format allows, with the checksum made right again."""
    document, tensors = document_of(path), load_tensors(path.read_bytes())
    if change_document:
        change_document(document)
    if change_tensors:
        change_tensors(tensors)
    if checksum:
        document["sha256"] = bank_file.checksum(tensors)
    path.write_bytes(save_tensors(tensors, {"napari_mrisr": json.dumps(document)}))


def refusal(path):
    """The one line that a user sees: it names the file and what to do."""
    with pytest.raises(BankError) as caught:
        load_bank(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert len(message.rsplit("; ", 1)[1]) > 5
    return message.removeprefix(f"{path}: ")


def test_round_trip(bank, saved):
    back = load_bank(saved)
    assert back.name == "mine"
    for name in ("scale", "degradation", "start", "provenance", "preset"):
        assert getattr(back, name) == getattr(bank, name)
    assert len(back.stages) == 2
    for ours, theirs in zip(back.stages, bank.stages, strict=True):
        assert ours.spec == theirs.spec
        for name in ("weights", "support", "error", "start_error"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    # And again, to the same bytes.
    again = saved.with_name("again.safetensors")
    back.save(again)
    assert again.read_bytes() == saved.read_bytes()


def test_nan_errors_of_unused_buckets_are_kept(make_bank, tmp_path):
    bank = make_bank()
    bank.stages[0].error[3] = np.nan
    bank.save(tmp_path / "a.safetensors")
    assert np.isnan(load_bank(tmp_path / "a.safetensors").stages[0].error[3])


def test_an_existing_file_is_replaced_only_when_asked(bank, saved):
    before = saved.read_bytes()
    with pytest.raises(BankError, match="exists; choose another name or pass --overwrite"):
        bank.save(saved, overwrite=False)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == ["mine.safetensors"]


def test_no_such_bank_names_those_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr(filterbank, "bundled_banks", lambda: ["default-2x", "default-1x1x4x"])
    with pytest.raises(BankError) as caught:
        load_bank("nonsense")
    assert str(caught.value) == (
        "nonsense: there is no such filter bank; "
        "give a .safetensors file or one of default-2x, default-1x1x4x"
    )
    with pytest.raises(BankError, match="there is no such filter bank"):
        load_bank(tmp_path)  # a folder


# Damage


def test_wrong_shape_names_both_shapes(saved):
    def change(tensors):
        tensors["stage1.weights"] = tensors["stage1.weights"][:, :-1].copy()

    rewrite(saved, change_tensors=change)
    assert "weights of stage 2 is float32 (48, 26, 1), not (48, 27, 1)" in refusal(saved)


def test_wrong_type(saved):
    def change(tensors):
        tensors["stage0.support"] = tensors["stage0.support"].astype(np.int32)

    rewrite(saved, change_tensors=change)
    assert "support of stage 1 is int32 (17,)" in refusal(saved)


def test_a_huge_weight_is_refused_by_name(saved):
    rewrite(saved, change_tensors=lambda t: t["stage0.weights"].__setitem__((0, 0, 0), 1e20))
    with pytest.raises(
        BankError, match=r"mine\.safetensors: a weight of 1e\+20 in stage 1; train it"
    ):
        load_bank(saved)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_among_the_weights(saved, value):
    def change(tensors):
        tensors["stage0.weights"][3, 4, 1] = value

    rewrite(saved, change_tensors=change)
    assert "NaN or infinity among the weights of stage 1" in refusal(saved)


def test_missing_tensor(saved):
    rewrite(saved, change_tensors=lambda t: t.pop("stage1.error"))
    assert "stage1.error" in refusal(saved)


CHANGES = {
    "start": ["nearest", None, 3],
    "scale": ["2.5", "9", "", None, [2, 2]],
    "degradation": ["blur", None, 7, "kspace:unheard"],
    "stages": [[], None, {}, "two", [{"grid": "cell"}], [None]],
    "provenance": [None, [], "by hand", {"volumes": 3}, {"volumes": [{}]}, {"volumes": [None]}],
}


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, vs in CHANGES.items() for v in vs])
def test_descriptions_that_make_no_sense(saved, key, value):
    rewrite(saved, lambda d: d.update({key: value}))
    refusal(saved)


@pytest.mark.parametrize("key", ["start", "scale", "degradation", "stages", "provenance", "sha256"])
def test_missing_entries(saved, key):
    rewrite(saved, lambda d: d.pop(key), checksum=key != "sha256")
    refusal(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"grid": "face"},
        {"width": 4},
        {"width": -1},
        {"width": 10**9 + 1},
        {"width": "wide"},
        {"residual": False},
        {"hash": {}},
    ],
)
def test_stages_that_make_no_sense(saved, change):
    rewrite(saved, lambda d: d["stages"][0].update(change))
    refusal(saved)


def test_cube_symmetry_needs_equal_factors(make_bank, tmp_path):
    """Else outputs would be put where they do not belong."""
    with pytest.raises(BankError, match="symmetry cube at scale 1x1x3; use flips"):
        make_bank((1, 1, 3), ("cell",), symmetry="cube")
    path = tmp_path / "a.safetensors"
    make_bank((2, 2, 2), ("cell",)).save(path)
    rewrite(path, lambda d: d.update(scale="1x1x8"))  # as many outputs
    assert "symmetry cube at scale 1x1x8" in refusal(path)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_damage_anywhere_is_refused_cleanly(saved, data):
    """Up to three bytes of the header or the rest: an error of ours, or the same bank."""
    raw = bytearray(saved.read_bytes())
    size = 8 + int.from_bytes(raw[:8], "little")
    ends = data.draw(st.sampled_from([9, size, len(raw)]))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, ends - 1))] = data.draw(st.integers(0, 255))
    damaged = saved.with_name("damaged.safetensors")
    damaged.write_bytes(raw)
    try:
        bank = load_bank(damaged)
    except MrisrError as error:
        assert "\n" not in str(error)
        assert str(damaged) in str(error)
    else:
        assert len(bank.stages) == 2
        assert np.isfinite(bank.stages[0].weights).all()
        bank.describe()


# Specs of stages


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("face", HashSpec(), 3), "grid 'face', width 3; use cell or voxel and an odd width"),
        (("cell", HashSpec(), 4), "grid 'cell', width 4"),
        (("cell", HashSpec(), 3, False), "a cell stage without residual"),
        (("voxel", HashSpec(flat=0.1), 3, False), "flat voxels without residual"),
    ],
)
def test_stage_specs(arguments, message):
    with pytest.raises(BankError) as caught:
        StageSpec(*arguments)
    assert message in str(caught.value)


def test_reach_and_outputs():
    spec = StageSpec("cell", HashSpec(), 5)  # window of radius 4, border, difference
    assert (spec.taps, spec.reach, spec.outputs((2, 3, 4))) == (125, (6, 6, 6), 24)
    assert StageSpec("voxel", HashSpec(), 15).reach == (7, 7, 7)
    assert StageSpec("voxel", HashSpec(), 5).outputs((2, 3, 4)) == 1


def test_weights_are_padded_with_zeros(make_bank):
    stage = make_bank((3, 3, 3), ("cell",)).stages[0]
    assert stage.padded_weights.shape == (16, 27, 32)
    np.testing.assert_array_equal(stage.padded_weights[..., :27], stage.weights)
    assert not stage.padded_weights[..., 27:].any()


def test_patches_that_follow_the_voxels_need_version_2(make_bank, tmp_path):
    bank = make_bank(**KINDS["plane 1x1x4"])
    for kind, version in (("plane 1x1x4", 2), ("flips 1x1x4", 1)):
        bank = make_bank(**KINDS[kind])
        bank.save(tmp_path / "bank.safetensors")
        document, _ = read_bank_file(tmp_path / "bank.safetensors")
        assert document["format_version"] == version
        found = load_bank(tmp_path / "bank.safetensors")
        for a, b in zip(found.stages, bank.stages, strict=True):
            assert a.spec == b.spec
            np.testing.assert_array_equal(a.weights, b.weights)
    with pytest.raises(BankError, match=r"patch \(5, 3, 3\) with the symmetry plane"):
        replace(bank.stages[0].spec, width=(5, 3, 3), hash=HashSpec(symmetry="plane"))


# Which bank


def test_bank_of_another_scale(saved):
    assert bank_for((1, 1, 3), str(saved)).scale == (1, 1, 3)
    with pytest.raises(BankError) as caught:
        bank_for((2, 2, 2), str(saved))
    assert str(caught.value) == (
        f"{saved}: made for scale 1x1x3, not 2; use scale 1x1x3 or another bank"
    )


def test_no_bank_for_a_scale_names_those_there_are(monkeypatch):
    monkeypatch.setattr(
        filterbank, "bundled_banks", lambda: ["default-2x", "default-1x1x4x", "paper-3x"]
    )
    with pytest.raises(ScaleError) as caught:
        bank_for((3, 3, 3))
    assert str(caught.value) == (
        "scale: no filter bank for 3x; use one of 1x1x4, 2x, a bank for this scale, "
        "or method tricubic"
    )
    assert filterbank.bundled_scales() == [(1, 1, 4), (2, 2, 2)]


def test_bundled_banks_load_by_their_names():
    for name in list_banks():
        bank = load_bank(name)
        assert bank.name == name
        assert bank.provenance["volumes"]
        assert name in bank.describe()
    for scale in filterbank.bundled_scales():
        assert bank_for(scale).scale == scale


def test_names_of_bundled_banks():
    assert filterbank.bundled_name((2, 2, 2)) == "default-2x"
    assert filterbank.bundled_name((1, 4, 1)) == "thick-4x"
    assert filterbank.bundled_name((1, 2, 4), "paper") == "paper-1x2x4x"
    assert filterbank.bundled_name((3, 3, 3), "default", "paper-2021") == "default-3x-paper-2021"


# For a person


def test_describe(bank):
    lines = bank.describe().splitlines()
    assert lines[0] == "random: scale 1x1x3, degradation standard, preset default, start tricubic"
    used = int((bank.stages[0].support > 0).sum())
    samples = int(bank.stages[0].support.sum())
    assert lines[1].startswith(
        "  stage 1: cells, patch 3³, bins: elevation 2, azimuth 2, coherence 2, curvature 2, "
        f"symmetry flips, {used} of 17 buckets used, {samples:,} samples, gain on them "
    )
    assert lines[3] == "  trained on 1 volumes:"
    assert lines[4] == "    a.nii.gz  CC0  0123456789ab…"


def test_gain_is_that_of_all_samples():
    """Two buckets: errors weigh by their samples; an empty one by nothing."""
    stage = Stage(
        StageSpec("voxel", HashSpec(cuts={"elevation": (60.0, 120.0)}), 1),
        np.zeros((3, 1, 1), np.float32),
        np.array([100, 300, 0]),
        np.array([0.1, 0.2, np.nan], np.float32),
        np.array([0.2, 0.3, np.nan], np.float32),
    )
    before, after = 100 * 0.04 + 300 * 0.09, 100 * 0.01 + 300 * 0.04
    np.testing.assert_allclose(filterbank._gain_db(stage), 10 * np.log10(before / after), rtol=1e-6)
