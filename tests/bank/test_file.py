"""The file of a bank: what is written comes back; what is damaged is refused by name."""

from __future__ import annotations

import hashlib
import json
import pickle

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from napari_mrisr.bank.file import checksum, read_bank_file, write_bank_file
from napari_mrisr.errors import BankError

DOCUMENT = {"scale": "1x1x3", "provenance": {"volumes": ["ä"], "count": 2}}
TENSORS = {
    "b": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "a": np.array([[3], [-1]], np.int64),
}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "mine.safetensors"
    write_bank_file(path, DOCUMENT, TENSORS)
    return path


def by_hand(path, **change):
    """The file as its format says, with entries changed; None takes one away."""
    text = b"afloat64(2,)" + np.array([0.5, 2.0]).tobytes() + b"bint8(1,)\x07"
    document = {"format_version": 1, "x": "y", "sha256": hashlib.sha256(text).hexdigest()} | change
    document = {key: value for key, value in document.items() if value is not None}
    tensors = {"b": np.array([7], np.int8), "a": np.array([0.5, 2.0])}
    save_file(tensors, path, {"napari_mrisr": json.dumps(document)})
    return path


def refusal(path):
    """The one line that a user sees: it names the file and what to do."""
    with pytest.raises(BankError) as caught:
        read_bank_file(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert len(message.rsplit("; ", 1)[1]) > 5
    return message.removeprefix(f"{path}: ")


def test_round_trip(saved):
    document, tensors = read_bank_file(saved)
    assert document == {"format_version": 1, **DOCUMENT, "sha256": checksum(TENSORS)}
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(tensors[name], tensor, strict=True)


def test_tensors_in_any_memory_order_are_written_as_they_read(tmp_path):
    turned = {"t": np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1)[:, ::-1]}
    path = tmp_path / "turned.safetensors"
    write_bank_file(path, {}, turned)
    np.testing.assert_array_equal(read_bank_file(path)[1]["t"], turned["t"])
    np.testing.assert_array_equal(load_file(path)["t"], turned["t"])


def test_a_file_made_by_hand(tmp_path):
    document, tensors = read_bank_file(by_hand(tmp_path / "a.safetensors"))
    assert document["x"] == "y"
    assert (tensors["a"].tolist(), tensors["b"].tolist()) == ([0.5, 2.0], [7])


def test_a_write_that_fails_leaves_the_file_as_it_was(saved):
    before = saved.read_bytes()
    with pytest.raises(TypeError):
        write_bank_file(saved, {"no JSON": object()}, TENSORS)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["mine.safetensors"]


def test_future_version(tmp_path):
    path = by_hand(tmp_path / "a.safetensors", format_version=7)
    assert refusal(path) == "format version 7, this program knows up to 3; update napari-mrisr"


@pytest.mark.parametrize("version", [0, -1, "1", None, 1.5, True])
def test_impossible_version(tmp_path, version):
    path = by_hand(tmp_path / "a.safetensors", format_version=version)
    assert refusal(path).startswith(f"format version {version!r}")


@pytest.mark.parametrize("value", [None, "0" * 64, 5])
def test_another_checksum(tmp_path, value):
    path = by_hand(tmp_path / "a.safetensors", sha256=value)
    assert refusal(path) == "checksum mismatch; copy or train it again"


def test_flipped_byte_fails_the_checksum(saved):
    raw = bytearray(saved.read_bytes())
    raw[-10] ^= 0x10
    saved.write_bytes(raw)
    assert refusal(saved) == "checksum mismatch; copy or train it again"


def test_truncated(saved):
    raw = saved.read_bytes()
    for size in (0, 4, 100, len(raw) // 2, len(raw) - 1):
        saved.write_bytes(raw[:size])
        assert "cannot be read as safetensors" in refusal(saved)


def test_not_safetensors(tmp_path):
    for name, content in {
        "text.safetensors": b"hello, this is no bank" * 40,
        "image.nii": b"\x5c\x01\x00\x00" + bytes(400),
        "bank.pkl": pickle.dumps({"weights": [1.0, 2.0]}),
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert "cannot be read as safetensors" in refusal(path)


def test_a_pickle_is_never_loaded(tmp_path):
    """It would create the file."""

    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    path = tmp_path / "bank.safetensors"
    path.write_bytes(pickle.dumps(Evil()))
    refusal(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors_of_something_else(tmp_path, metadata):
    path = tmp_path / "model.safetensors"
    save_file({"w": np.ones(3, np.float32)}, path, metadata)
    assert refusal(path) == "no filter bank of napari-mrisr; choose another"


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "{", '"text"', "[" * 100_000])
def test_metadata_that_is_no_description(tmp_path, text):
    path = tmp_path / "odd.safetensors"
    save_file({"w": np.ones(3, np.float32)}, path, {"napari_mrisr": text})
    refusal(path)
