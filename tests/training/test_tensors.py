"""Our reading and writing of large safetensors files is the library's."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from napari_mrisr.training.tensors import read_tensors, write_tensors


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


def test_damage_is_told(tmp_path, tensors):
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
