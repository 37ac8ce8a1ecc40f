"""Anchors in a bank: the nearest one, buckets, files, damage."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.banks import KINDS, random_anchors
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from scipy import ndimage

from napari_mrisr.bank.anchors import Anchors
from napari_mrisr.bank.descriptors import Descriptor
from napari_mrisr.bank.file import checksum, read_bank_file
from napari_mrisr.bank.hashing import HashSpec
from napari_mrisr.bank.model import load_bank
from napari_mrisr.core.volume import Region
from napari_mrisr.errors import BankError, ParameterError
from napari_mrisr.operators.gradients import Window

WINDOW = Window(1.0, 2)
ANCHORED = [kind for kind in KINDS if kind.startswith("anchors")]


def smooth_volume(shape=(12, 9, 14)):
    noise = np.random.default_rng(8).normal(size=shape)
    return ndimage.gaussian_filter(noise, 1.3, mode="mirror").astype(np.float32)


def hash_whole(spec, volume):
    return spec.hash_box(volume, (0, 0, 0), volume.shape, Region.whole(volume.shape))


@pytest.mark.parametrize("kind", ["gradients", "tensor"])
def test_the_nearest_anchor_is_that_of_all_distances(kind, rng):
    anchors = random_anchors(kind, rng, 9)
    rows = rng.normal(size=(50, anchors.descriptor.inputs)).astype(np.float32)
    values = rows.astype(float) @ anchors.projection
    if kind == "tensor":
        distance = ((values[:, None] - anchors.points) ** 2).sum(axis=2)
    else:  # of length 1: the nearest of the anchors and their negatives
        scaled = values / np.linalg.norm(values, axis=1, keepdims=True)
        both = [((scaled[:, None] - s * anchors.points) ** 2).sum(axis=2) for s in (1, -1)]
        distance = np.minimum(*both)
    np.testing.assert_array_equal(anchors.nearest(rows), distance.argmin(axis=1))


def test_neighbors_begin_with_the_anchor_itself(rng):
    for kind in ("gradients", "tensor"):
        anchors = random_anchors(kind, rng, 7)
        found = anchors.neighbors(3)
        assert found.shape == (7, 3)
        np.testing.assert_array_equal(found[:, 0], np.arange(7))


def test_an_anchor_is_the_first_digit_of_the_bucket(rng):
    """Buckets of cuts and phases stay; flat voxels have the last bucket."""
    cuts = {"coherence": (0.0, 0.2)}
    plain = HashSpec(WINDOW, cuts, "cube", (2, 2, 2), flat=0.08)
    anchors = random_anchors("gradients", rng)
    spec = replace(plain, anchors=anchors)
    assert (spec.filter_count, spec.bucket_count) == (5 * 3 * 8, 5 * 3 * 8 + 1)
    volume = smooth_volume()
    bucket, element = hash_whole(plain, volume)
    found, turned = hash_whole(spec, volume)
    np.testing.assert_array_equal(turned, element)
    flat = bucket == 24
    assert 0 < flat.sum() < flat.size
    assert (found[flat] == 120).all()
    np.testing.assert_array_equal(found[~flat] % 24, bucket[~flat])
    assert set(np.unique(found[~flat] // 24)) == set(range(5))
    ranges = spec.decode(2 * 24 + 11)
    assert ranges == plain.decode(11) | {"anchor": (2.0, 2.0)}


@pytest.mark.parametrize("factor", [8.0, -1.0])
def test_contrast_changes_no_anchor(factor, rng):
    """Also swapping bright and dark, for the inner product."""
    spec = HashSpec(WINDOW, {}, "cube", anchors=random_anchors("gradients", rng))
    volume = smooth_volume()
    for one, other in zip(hash_whole(spec, volume), hash_whole(spec, factor * volume), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["phase", "tensor"])
def test_the_unit_changes_no_anchor(kind, rng):
    spec = HashSpec(WINDOW, {}, "cube", anchors=random_anchors(kind, rng))
    volume = 1.0 + smooth_volume()
    np.testing.assert_array_equal(hash_whole(spec, volume)[0], hash_whole(spec, 8.0 * volume)[0])


def test_anchors_of_an_uneven_patch_need_a_symmetry_that_keeps_it(rng):
    descriptor = Descriptor("gradients", (5, 5, 3))
    numbers = [rng.normal(size=shape).astype(np.float32) for shape in ((75, 2), (4, 2))]
    anchors = Anchors(descriptor, *numbers)
    assert HashSpec(WINDOW, {}, "plane", anchors=anchors).reach == WINDOW.reach
    with pytest.raises(ParameterError, match="use flips"):
        HashSpec(WINDOW, {}, "cube", anchors=anchors)


@pytest.fixture(params=ANCHORED)
def saved(request, make_bank, tmp_path):
    bank = make_bank(**KINDS[request.param])
    bank.save(tmp_path / "mine.safetensors")
    return bank, tmp_path / "mine.safetensors"


def test_round_trip(saved):
    bank, path = saved
    back = load_bank(path)
    assert back.anchored
    for ours, theirs in zip(back.stages, bank.stages, strict=True):
        assert ours.spec == theirs.spec
        assert ours.weights.dtype == np.float32
        np.testing.assert_array_equal(ours.weights, theirs.weights)
    assert read_bank_file(path)[0]["format_version"] == 3
    again = path.with_name("again.safetensors")
    back.save(again)
    assert again.read_bytes() == path.read_bytes()


def test_describe_counts_the_anchors(saved):
    bank, _ = saved
    kind = bank.stages[0].spec.hash.anchors.descriptor.kind
    assert f"5 anchors of {kind}" in bank.describe()


def rewrite(path, change):
    """Change document and tensors, with the checksum made right again."""
    document, tensors = read_bank_file(path)[0], load_tensors(path.read_bytes())
    change(document, tensors)
    document["sha256"] = checksum(tensors)
    path.write_bytes(save_tensors(tensors, {"napari_mrisr": json.dumps(document)}))


DAMAGE = {
    "points that are no numbers": lambda d, t: t["stage0.anchors.points"].fill(np.nan),
    "points of a huge length": lambda d, t: t["stage0.anchors.points"].fill(1e30),
    "no points": lambda d, t: t.update({"stage0.anchors.points": np.zeros((0, 4), np.float32)}),
    "points of another space": lambda d, t: t.update(
        {"stage0.anchors.points": np.zeros((5, 3), np.float32)}
    ),
    "a flat projection": lambda d, t: t.update(
        {"stage0.anchors.projection": np.zeros(4, np.float32)}
    ),
    "a projection of doubles": lambda d, t: t.update(
        {"stage0.anchors.projection": t["stage0.anchors.projection"].astype(np.float64)}
    ),
    "a missing tensor": lambda d, t: t.pop("stage0.anchors.points"),
    "other features": lambda d, t: d["stages"][0]["hash"]["anchors"].update(features="colors"),
    "a wide patch": lambda d, t: d["stages"][0]["hash"]["anchors"].update(patch=[10**9 + 1] * 3),
    "a patch of text": lambda d, t: d["stages"][0]["hash"]["anchors"].update(patch="wide"),
    "no description": lambda d, t: d["stages"][0]["hash"].update(anchors=None),
    "other features' inputs": lambda d, t: d["stages"][0]["hash"]["anchors"].update(
        features="phase", patch=[7, 7, 7]
    ),
    "single precision": lambda d, t: t.update(
        {"stage0.weights": t["stage0.weights"].astype(np.float32)}
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_hostile_anchors_are_refused_by_the_files_name(make_bank, tmp_path, damage):
    path = tmp_path / "mine.safetensors"
    make_bank(**KINDS["anchors of gradients"]).save(path)
    rewrite(path, DAMAGE[damage])
    with pytest.raises(BankError) as caught:
        load_bank(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
