"""bioimage.io models: descriptions of both formats, as files and as archives."""

from __future__ import annotations

import copy
import hashlib
import zipfile

import numpy as np
import pytest
import yaml
from helpers.networks import copy_model

from napari_mrisr.errors import BankError
from napari_mrisr.networks.foreign import load_foreign

WEIGHTS = copy_model(2, 2, 2).SerializeToString()
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()

OLD = {
    "type": "model",
    "format_version": "0.4.10",
    "inputs": [
        {
            "name": "raw",
            "axes": "bczyx",
            "data_type": "float32",
            "shape": {"min": [1, 1, 16, 32, 32], "step": [0, 0, 4, 8, 8]},
            "preprocessing": [
                {"name": "zero_mean_unit_variance", "kwargs": {"mode": "per_sample", "axes": "zyx"}}
            ],
        }
    ],
    "outputs": [
        {
            "name": "fine",
            "axes": "bczyx",
            "halo": [0, 0, 7, 16, 16],
            "shape": {"reference_tensor": "raw", "scale": [1, 1, 2, 2, 2], "offset": [0] * 5},
        }
    ],
    "weights": {"onnx": {"source": "weights.onnx", "sha256": SHA256}},
}


def space(name, **more):
    return {"type": "space", "id": name, **more}


NEW = {
    "type": "model",
    "format_version": "0.5.3",
    "inputs": [
        {
            "id": "raw",
            "axes": [
                {"type": "batch"},
                {"type": "channel", "channel_names": ["a"]},
                *(space(name, size={"min": 16, "step": 4}, scale=2.0) for name in "zyx"),
            ],
            "preprocessing": [
                {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
                {"id": "scale_range", "kwargs": {"min_percentile": 1, "max_percentile": 99.8}},
            ],
        }
    ],
    "outputs": [
        {
            "id": "fine",
            "axes": [
                {"type": "batch"},
                {"type": "channel", "channel_names": ["a"]},
                *(
                    space(name, size={"tensor_id": "raw", "axis_id": name}, scale=1.0, halo=6)
                    for name in "zyx"
                ),
            ],
        }
    ],
    "weights": {"onnx": {"source": "weights.onnx", "sha256": SHA256}},
}


@pytest.fixture(params=["folder", "zip"])
def saved(request, tmp_path):
    """Function that saves a description with its weights, both ways."""

    def save(document, weights=WEIGHTS):
        text = document if isinstance(document, str) else yaml.safe_dump(document)
        if request.param == "folder":
            (tmp_path / "weights.onnx").write_bytes(weights)
            path = tmp_path / "rdf.yaml"
            path.write_text(text, "utf-8")
            return str(path)
        path = tmp_path / "model.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("rdf.yaml", text)
            archive.writestr("weights.onnx", weights)
        return str(path)

    return save


def changed(document, path, value):
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return document


def test_format_0_4(saved):
    network = load_foreign(saved(OLD))
    needs = network.needs
    assert (needs.multiple, needs.halo, str(needs.normalization)) == (8, (4, 8, 8), "z-score")
    assert set(needs.sources.values()) == {"bioimage.io"}
    image = np.ones((8, 9, 10), np.float32)
    assert network.run(image).shape == (16, 18, 20)


def test_format_0_5(saved):
    needs = load_foreign(saved(NEW)).needs
    assert (needs.multiple, needs.halo) == (4, (3, 3, 3))
    assert str(needs.normalization) == "percentiles 1 99.8"


PREPROCESSING = {
    "none": ([], "scan"),
    "linear": (
        [{"name": "scale_linear", "kwargs": {"gain": 0.01, "offset": -1}}],
        "linear 0.01 -1",
    ),
    "lists": ([{"name": "scale_linear", "kwargs": {"gain": [0.5], "offset": [0]}}], "linear 0.5 0"),
    "fixed": (
        [{"id": "fixed_zero_mean_unit_variance", "kwargs": {"mean": 50, "std": 20}}],
        "linear 0.05 -2.5",
    ),
}


@pytest.mark.parametrize("kind", PREPROCESSING)
def test_preprocessing_becomes_a_normalization(saved, kind):
    steps, expected = PREPROCESSING[kind]
    path = saved(changed(OLD, ["inputs", 0, "preprocessing"], steps))
    assert str(load_foreign(path).needs.normalization) == expected


def test_the_inverse_as_postprocessing_is_accepted(saved):
    steps, _ = PREPROCESSING["linear"]
    document = changed(OLD, ["inputs", 0, "preprocessing"], steps)
    back = [{"name": "scale_linear", "kwargs": {"gain": 100, "offset": 100}}]
    assert load_foreign(saved(changed(document, ["outputs", 0, "postprocessing"], back)))


def test_a_given_normalization_replaces_the_steps(saved):
    steps = [{"name": "clip", "kwargs": {"min": 0, "max": 1}}]
    path = saved(changed(OLD, ["inputs", 0, "preprocessing"], steps))
    assert str(load_foreign(f"{path}:normalization=minmax").needs.normalization) == "minmax"


REFUSED = {
    "clip": (["inputs", 0, "preprocessing"], [{"name": "clip", "kwargs": {}}], "preprocessing"),
    "sigmoid": (["outputs", 0, "postprocessing"], [{"name": "sigmoid"}], "postprocessing"),
    "axes": (["inputs", 0, "axes"], "bzyxc", "axes"),
    "time": (["inputs", 0, "axes"], "btcyx", "axes"),
    "two inputs": (["inputs"], OLD["inputs"] * 2, "2 inputs"),
    "no onnx": (["weights"], {"pytorch_state_dict": {}}, "not for ONNX"),
    "url": (["weights", "onnx", "source"], "https://example.org/w.onnx", "download"),
    "above": (["weights", "onnx", "source"], "../weights.onnx", "keeps its weights"),
    "absolute": (["weights", "onnx", "source"], "/etc/passwd", "keeps its weights"),
    "missing": (["weights", "onnx", "source"], "other.onnx", "other|cannot be read"),
    "external": (["weights", "onnx", "external_data"], {"source": "x"}, "another file"),
    "checksum": (["weights", "onnx", "sha256"], "0" * 64, "checksum"),
    "version": (["format_version"], "0.3.6", "format version 0.3.6"),
    "type": (["type"], "dataset", "no description of a model"),
    "shape": (["inputs", 0, "shape"], {"min": [1], "step": "many"}, "understood"),
    "weights": (["weights"], 3, "understood"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_used_is_refused_by_name(saved, kind):
    path, value, match = REFUSED[kind]
    with pytest.raises(BankError, match=rf"(rdf\.yaml|model\.zip).*({match})"):
        load_foreign(saved(changed(OLD, path, value)))


@pytest.mark.parametrize(
    "text", ["", "[1, 2]", "a: &a [x]\nb: [*a, *a]", "!!python/name:os.system", "{"]
)
def test_hostile_descriptions_are_refused(saved, text):
    with pytest.raises(BankError, match=r"rdf\.yaml|model\.zip"):
        load_foreign(saved(text))


def test_an_archive_without_a_description_is_refused(tmp_path):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights.onnx", WEIGHTS)
    with pytest.raises(BankError, match=r"model\.zip.*rdf\.yaml"):
        load_foreign(str(path))
    path.write_bytes(b"PK nothing")
    with pytest.raises(BankError, match=r"model\.zip"):
        load_foreign(str(path))


def test_weights_that_unpack_to_too_much_are_refused(tmp_path, monkeypatch):
    from napari_mrisr.networks import foreign

    monkeypatch.setattr(foreign, "MAX_BYTES", 1000)
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rdf.yaml", yaml.safe_dump(OLD))
        archive.writestr("weights.onnx", b"\0" * 10_000_000)
    with pytest.raises(BankError, match="more than"):
        load_foreign(str(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BankError, match=r"none\.zip.*cannot be read"):
        load_foreign(str(tmp_path / "none.zip"))
