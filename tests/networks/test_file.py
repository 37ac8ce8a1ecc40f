"""Network files: what is read, and what is refused before anything runs."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from helpers.networks import convolution_model, described, save_model
from onnx import helper

from napari_mrisr.errors import BankError
from napari_mrisr.methods.network import bundled_network
from napari_mrisr.networks import file
from napari_mrisr.networks.file import KEY, load_network, parse_network


@pytest.fixture
def model() -> onnx.ModelProto:
    return convolution_model(np.ones((2, 1, 3, 3, 3)))


def refused(model: onnx.ModelProto, match: str) -> None:
    with pytest.raises(BankError, match=match):
        parse_network(model.SerializeToString(), "mine")


def test_a_file_brings_its_description(model, tmp_path):
    found = load_network(save_model(model, tmp_path / "mine.onnx"))
    assert (found.name, found.halo, found.order) == ("mine", 1, 2)
    assert (found.factors, found.widths) == ((1.5, 9.0), (0.7, 1.3))


def test_the_bundled_network_states_its_training():
    found = bundled_network()
    assert found.provenance["volumes"]
    assert all(volume["license"] for volume in found.provenance["volumes"])
    assert len(found.content) < 1_500_000


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BankError, match=r"none\.onnx.*cannot be read"):
        load_network(tmp_path / "none.onnx")


def test_a_file_that_is_too_large_is_not_read(model, tmp_path, monkeypatch):
    monkeypatch.setattr(file, "MAX_BYTES", 100)
    with pytest.raises(BankError, match=r"big\.onnx.*MB"):
        load_network(save_model(model, tmp_path / "big.onnx"))


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x08" * 200])
def test_bytes_that_are_no_network_are_refused(content):
    with pytest.raises(BankError, match="mine"):
        parse_network(content, "mine")


def test_every_truncation_is_refused(model):
    content = model.SerializeToString()
    for end in range(0, len(content) - 1, 7):
        with pytest.raises(BankError):
            parse_network(content[:end], "mine")


def test_any_damaged_weight_is_refused(model):
    kernel = model.graph.initializer[0]
    kernel.raw_data = b"\x01" + kernel.raw_data[1:]
    refused(model, "checksum")


def test_foreign_metadata_is_refused(model):
    del model.metadata_props[:]
    refused(model, "no metadata")


@pytest.mark.parametrize(
    "change",
    [
        {"halo": 1000},
        {"order": "many"},
        {"factors": [5]},
        {"factors": [1, 1e308]},
        {"widths": None},
        {"blocks": 0},
        {"blocks": 17},
        {"blocks": "few"},
    ],
)
def test_metadata_out_of_range_is_refused(model, change):
    described(model, **{"halo": 1, "order": 2, **change})
    refused(model, "metadata cannot be understood")


def test_a_later_version_is_named(model):
    described(model, halo=1, order=2, format_version=99)
    refused(model, "format version 99.*update")


def test_metadata_of_another_kind_is_refused(model):
    helper.set_model_props(model, {KEY: json.dumps([1, 2])})
    refused(model, "metadata cannot be understood")


def test_weights_in_another_file_are_refused(model):
    kernel = model.graph.initializer[0]
    kernel.data_location = onnx.TensorProto.EXTERNAL
    entry = kernel.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    refused(model, "weights in another file")


def test_weights_of_impossible_shape_are_refused(model):
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([1 << 20, 1 << 20, 1 << 20])
    refused(model, "impossible")


def test_loops_are_refused(model):
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["a", "b"], ["c"], body=body))
    refused(model, "operator Loop")


def test_subgraphs_of_allowed_operators_are_refused(model):
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Add", ["a", "b"], ["c"], body=body))
    refused(model, "subgraph")


def test_operators_of_another_domain_are_refused(model):
    model.graph.node.append(helper.make_node("Add", ["a", "b"], ["c"], domain="com.custom"))
    refused(model, "another domain")


def test_functions_of_its_own_are_refused(model):
    model.functions.add().name = "mine"
    refused(model, "functions")


def test_too_many_operations_are_refused(model, monkeypatch):
    monkeypatch.setattr(file, "_MAX_NODES", 0)
    refused(model, "1 operations")


@pytest.mark.parametrize(
    ("kind", "order", "channels", "reason"),
    [
        ("denoiser", 1, 2, "2 input channels, not 1"),
        ("denoiser", 2, 1, "a denoiser of 2 output channels"),
        ("unrolled", 3, 1, "1 input channels, not 5"),
        ("unrolled", 3, 4, "4 input channels, not 5"),
    ],
)
def test_a_network_of_an_iterative_method_has_its_channels(kind, order, channels, reason):
    refused(convolution_model(np.ones((order, channels, 3, 3, 3)), kind=kind), reason)


@pytest.mark.parametrize(("kind", "channels"), [("denoiser", 1), ("unrolled", 3)])
def test_an_input_without_channels_is_refused(kind, channels):
    model = convolution_model(np.ones((1, channels, 3, 3, 3)), kind=kind)
    model.graph.input[0].type.tensor_type.ClearField("shape")
    described(model, halo=1, order=1, kind=kind)
    refused(model, "0 input channels")
    del model.graph.input[:]
    described(model, halo=1, order=1, kind=kind)
    refused(model, "0 input channels")


def test_an_unrolled_network_states_its_blocks():
    model = convolution_model(np.ones((2, 4, 3, 3, 3)), kind="unrolled", blocks=3)
    found = parse_network(model.SerializeToString(), "mine")
    assert (found.kind, found.blocks) == ("unrolled", 3)
