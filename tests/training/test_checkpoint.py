"""Checkpoints: safetensors files as the library reads them; damaged or foreign ones refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.training import checkpoint_document, small_preset
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from napari_mrisr.errors import MrisrError
from napari_mrisr.operators.gradients import Window
from napari_mrisr.training import run, train
from napari_mrisr.training.checkpoint import read_tensors, write_tensors
from napari_mrisr.training.presets import TrainParameters


@pytest.fixture
def tensors(rng):
    return {
        "b": rng.random((3, 5, 2)).astype(np.float32),
        "a": rng.random((4, 1, 7)),
        "count": rng.integers(0, 9, 11),
        "none": np.zeros((0, 4), np.float32),
        "turned": rng.random((5, 6)).T,
    }


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        np.testing.assert_array_equal(found[name], tensor)


def test_the_library_reads_what_we_write(tmp_path, tensors):
    path = tmp_path / "x.safetensors"
    write_tensors(path, tensors, {"key": "ä\n"})
    assert_same(load_file(path), tensors)
    with safe_open(path, framework="numpy") as file:
        assert file.metadata() == {"key": "ä\n"}


def test_we_read_what_the_library_writes(tmp_path, tensors):
    path = tmp_path / "x.safetensors"
    tensors["turned"] = np.ascontiguousarray(tensors["turned"])
    save_file(tensors, path, {"key": "value"})
    metadata, found = read_tensors(path)
    assert metadata == {"key": "value"}
    assert_same(found, tensors)
    found["a"][0] = 1.0  # writable: sums go on growing


def test_damaged_files_are_refused(tmp_path, tensors):
    path = tmp_path / "x.safetensors"
    write_tensors(path, tensors, {})
    raw = path.read_bytes()
    for wrong in (b"", raw[:5], raw[:60], raw[:-1], raw + b"x", b"\xff" * 8 + raw[8:]):
        path.write_bytes(wrong)
        with pytest.raises((SafetensorError, OSError)):
            read_tensors(path)
    save_file({"a": np.zeros(3, np.float16)}, path)
    with pytest.raises(KeyError):
        read_tensors(path)


@pytest.fixture
def checkpoint(scans, tmp_path):
    train(scans[:1], tmp_path / "a.safetensors", TrainParameters())
    return tmp_path / "a.safetensors.equations.safetensors"


def refusal(scans, checkpoint, parameters=TrainParameters()):  # noqa: B008
    before = checkpoint.read_bytes()
    with pytest.raises(MrisrError) as caught:
        train(scans[1:2], checkpoint.with_name("a.safetensors"), parameters, resume=True)
    message = str(caught.value)
    assert message.startswith(f"{checkpoint}: ")
    assert "\n" not in message
    assert checkpoint.read_bytes() == before
    return message


def test_truncated_checkpoint_is_refused(scans, checkpoint):
    raw = checkpoint.read_bytes()
    for size in (0, 100, len(raw) - 7):
        checkpoint.write_bytes(raw[:size])
        assert "cannot be read" in refusal(scans, checkpoint)


def test_flipped_bit_is_refused(scans, checkpoint):
    raw = bytearray(checkpoint.read_bytes())
    raw[-1000] ^= 4
    checkpoint.write_bytes(raw)
    assert "checksum mismatch; delete it and train from the start" in refusal(scans, checkpoint)


@pytest.mark.parametrize("text", ["{}", "[]", "null", "{", None])
def test_unreadable_description_is_refused(scans, checkpoint, text):
    metadata = None if text is None else {"napari_mrisr_training": text}
    save_file(load_file(checkpoint), checkpoint, metadata)
    assert "delete it and train from the start" in refusal(scans, checkpoint)


@pytest.mark.parametrize("key", ["files", "done", "paths", "cuts", "crc32", "parameters"])
def test_missing_entry_is_refused(scans, checkpoint, key):
    text = checkpoint_document(checkpoint.with_name("a.safetensors"))
    del text[key]
    save_file(load_file(checkpoint), checkpoint, {"napari_mrisr_training": json.dumps(text)})
    refusal(scans, checkpoint)


@pytest.mark.parametrize(
    "parameters",
    [
        TrainParameters((1, 1, 2)),
        TrainParameters(preset="paper"),
        TrainParameters(degradation="kspace"),
        TrainParameters(thin=(("*", (1, 1, 2)),)),
        TrainParameters(sharpen=(0.5, 1.0)),
    ],
)
def test_sums_of_other_options_are_refused(scans, checkpoint, parameters):
    assert "; resume with the same options" in refusal(scans, checkpoint, parameters)


def test_sums_of_another_version_of_the_preset_are_refused(scans, checkpoint, monkeypatch):
    def changed(name, scale, degradation="standard"):
        preset = small_preset(name, scale, degradation)
        plan = preset.stages[0]
        spec = replace(plan.spec, hash=replace(plan.spec.hash, window=Window(1.1, 2)))
        return replace(preset, stages=(replace(plan, spec=spec), *preset.stages[1:]))

    monkeypatch.setattr(run, "get_preset", changed)
    assert "; resume with the same options" in refusal(scans, checkpoint)
