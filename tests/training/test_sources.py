"""Training volumes in files and in memory, and their entries in the bank."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from napari_mrisr import training
from napari_mrisr.bank.model import load_bank
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import VolumeError
from napari_mrisr.io import read_volume
from napari_mrisr.training import train
from napari_mrisr.training.presets import TrainParameters
from napari_mrisr.training.sources import TrainingFile, VolumeSource, voxel_digest


def in_memory(path, name):
    return VolumeSource(name, lambda: read_volume(path))


def test_digest_depends_on_shape_and_voxels():
    data = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    volume = Volume(data, Grid((2, 3, 4), np.eye(4)))
    expected = hashlib.sha256(b"(2, 3, 4)" + data.tobytes()).hexdigest()
    assert voxel_digest(volume) == expected
    turned = Volume(data.reshape(4, 3, 2), Grid((4, 3, 2), np.eye(4)))
    assert voxel_digest(turned) != expected


def test_volume_in_memory_is_made_late_and_once():
    made = []

    def make():
        made.append(Volume(np.zeros((2, 3, 4), np.float32), Grid((2, 3, 4), np.eye(4))))
        return made[-1]

    source = VolumeSource("late", make)
    assert made == []
    source.digest()
    assert source.volume() is source.volume() is made[0]
    assert len(made) == 1


def test_voxels_in_memory_train_like_their_file(scans, tmp_path):
    a, b = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    train(scans[:2], a, TrainParameters())
    train([in_memory(scans[0], "one"), in_memory(scans[1], "two")], b, TrainParameters())
    for ours, theirs in zip(load_bank(a).stages, load_bank(b).stages, strict=True):
        np.testing.assert_array_equal(ours.weights, theirs.weights)
    names = [v["name"] for v in load_bank(b).provenance["volumes"]]
    assert names == ["one", "two"]


def test_names_can_be_left_out_and_one_license_holds_for_all(scans, tmp_path):
    out = tmp_path / "a.safetensors"
    parameters = TrainParameters(
        names=False, license="unknown", licenses={"sub-2_T1w.nii.gz": "CC0"}
    )
    sources = [in_memory(scans[0], "Jane Doe"), scans[1]]
    bank = train(sources, out, parameters).bank
    found = [(v["name"], v["license"]) for v in bank.provenance["volumes"]]
    assert found == [("volume 1", "unknown"), ("volume 2", "CC0")]
    assert b"Doe" not in out.read_bytes()
    assert b"sub-2" not in out.read_bytes()
    # Numbers go on.
    bank = train([*sources, in_memory(scans[2], "x")], out, parameters, resume=True).bank
    assert bank.provenance["volumes"][2]["name"] == "volume 3"


def test_later_stages_need_voxels_in_memory_again(scans, tmp_path):
    out, once = tmp_path / "a.safetensors", tmp_path / "once.safetensors"
    one, two = in_memory(scans[0], "one"), in_memory(scans[1], "two")
    train([one], out, TrainParameters())
    with pytest.raises(VolumeError, match=r"one: later stages need .*; add it again, or train"):
        train([two], out, TrainParameters(), resume=True)
    train([two, one], out, TrainParameters(), resume=True)
    train([one, two], once, TrainParameters())
    for ours, theirs in zip(load_bank(out).stages, load_bank(once).stages, strict=True):
        np.testing.assert_array_equal(ours.support, theirs.support)
        np.testing.assert_allclose(ours.weights, theirs.weights, atol=1e-5)


def test_a_file_that_moved_is_found_where_it_is_given(scans, tmp_path):
    here, there = tmp_path / "here.nii.gz", tmp_path / "there.nii.gz"
    here.write_bytes(scans[0].read_bytes())
    out = tmp_path / "a.safetensors"
    train([here], out, TrainParameters())
    here.rename(there)
    bank = train([there, scans[1]], out, TrainParameters(), resume=True).bank
    assert len(bank.provenance["volumes"]) == 2


def test_voxels_that_change_during_the_training_are_refused(scans, tmp_path):
    source = in_memory(scans[0], "one")
    out = tmp_path / "a.safetensors"

    def spoil(event):
        source.volume().data[20, 20, 20] += 1.0

    with pytest.raises(VolumeError, match="one: has changed"):
        train([source], out, TrainParameters(), watch=training.Watch(spoil))


def test_unreadable_file_is_refused(tmp_path):
    with pytest.raises(VolumeError, match=r"no\.nii: cannot be read \(No such file"):
        TrainingFile(tmp_path / "no.nii").digest()
