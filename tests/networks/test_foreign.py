"""Foreign network files: what is read, and what is refused before anything runs."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from helpers.networks import convolution_model, copy_model, filter_model, plain_model, save_model
from onnx import helper, numpy_helper

from napari_mrisr.errors import BankError
from napari_mrisr.networks import foreign
from napari_mrisr.networks.foreign import is_foreign, load_foreign, split_spec


@pytest.fixture
def model() -> onnx.ModelProto:
    return copy_model(2, 2, 2)


@pytest.fixture
def load(tmp_path):
    """Function that saves a network and loads it, with options."""

    def save_and_load(model, options=""):
        return load_foreign(str(save_model(model, tmp_path / "mine.onnx")) + options)

    return save_and_load


@pytest.fixture
def refused(load):
    """Function that checks the message of a refusal, which names the file."""

    def check(model, match):
        with pytest.raises(BankError, match=rf"mine\.onnx.*{match}"):
            load(model).run(np.zeros((16, 16, 16), np.float32))

    return check


def add_node(model, *arguments, **keywords):
    model.graph.node.append(helper.make_node(*arguments, **keywords))
    return model


def test_a_network_runs(load, rng):
    image = rng.random((9, 8, 7), dtype=np.float32)
    found = load(copy_model(2, 1, 3)).run(image)
    np.testing.assert_array_equal(found, image.repeat(2, 0).repeat(3, 2))


def test_a_color_network_gets_the_image_three_times(load, rng):
    """It adds 1 to red and 2 to blue, so the mean rises by 1."""
    nodes = [helper.make_node("Add", ["image", "more"], ["result"])]
    more = np.array([1.0, 0.0, 2.0]).reshape(1, 3, 1, 1)
    image = rng.random((9, 8), dtype=np.float32)
    found = load(plain_model(nodes, {"more": more}, (1, 3, "h", "w"))).run(image)
    np.testing.assert_allclose(found, image + 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("a/b.onnx", {}),
        ("C:\\a.onnx:plane=coronal", {"plane": "coronal"}),
        ("m.zip:halo=4x8x8:tile=96", {"halo": "4x8x8", "tile": "96"}),
        (
            "rdf.yaml:degradation=slice-profile:boxcar:1:consistency=off",
            {"degradation": "slice-profile:boxcar:1", "consistency": "off"},
        ),
    ],
)
def test_options_follow_the_path(spec, options):
    path, found = split_spec(spec)
    assert (str(path), found) == (spec.partition(":" + next(iter(options), "?"))[0], options)


@pytest.mark.parametrize("options", [":coronal", ":plane:coronal"])
def test_an_option_without_a_value_is_refused(options):
    with pytest.raises(BankError, match="NAME=VALUE"):
        split_spec(f"mine.onnx{options}")


def test_own_networks_are_told_apart(tmp_path):
    own = save_model(convolution_model(np.ones((2, 1, 3, 3, 3))), tmp_path / "own.onnx")
    other = save_model(copy_model(2, 2), tmp_path / "other.onnx")
    assert [is_foreign(str(path)) for path in (own, other)] == [False, True]
    assert is_foreign("model.zip")
    assert not is_foreign("default-2x")
    with pytest.raises(BankError, match=r"none\.onnx.*cannot be read"):
        load_foreign(str(tmp_path / "none.onnx"))


def test_options_outrank_the_sidecar_and_it_the_metadata(load, tmp_path):
    declared = {"halo": 1, "tile": 64, "multiple": 2}
    (tmp_path / "mine.json").write_text(json.dumps({"tile": 96, "multiple": 4}), "utf-8")
    needs = load(copy_model(2, 2, metadata=declared), ":multiple=8").needs
    assert (needs.halo, needs.tile, needs.multiple) == ((1,), 96, 8)
    assert needs.sources == {"halo": "metadata", "tile": "sidecar", "multiple": "option"}


@pytest.mark.parametrize("text", ["[1]", "{", '{"speed": 3}', '{"halo": "many"}'])
def test_a_wrong_sidecar_is_named(load, tmp_path, text):
    (tmp_path / "mine.json").write_text(text, "utf-8")
    with pytest.raises(BankError, match=r"mine\.json"):
        load(copy_model(2, 2))


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x08" * 200])
def test_bytes_that_are_no_network_are_refused(tmp_path, content):
    path = tmp_path / "mine.onnx"
    path.write_bytes(content)
    with pytest.raises(BankError, match=r"mine\.onnx"):
        load_foreign(str(path))


def test_no_truncation_runs(model, tmp_path):
    content = model.SerializeToString()
    path = tmp_path / "mine.onnx"
    for end in range(0, len(content) - 1, 11):
        path.write_bytes(content[:end])
        with pytest.raises(BankError):
            load_foreign(str(path)).run(np.zeros((8, 8, 8), np.float32))


def test_a_file_that_is_too_large_is_not_read(model, refused, monkeypatch):
    monkeypatch.setattr(foreign, "MAX_BYTES", 10)
    monkeypatch.setattr(foreign._read, "__defaults__", (10,))
    refused(model, "MB")


def test_weights_in_another_file_are_refused(model, refused):
    kernel = model.graph.initializer[0]
    kernel.data_location = onnx.TensorProto.EXTERNAL
    entry = kernel.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    refused(model, "weights in another file")


def test_weights_of_impossible_shape_are_refused(model, refused):
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([1 << 20, 1 << 20, 1 << 20])
    refused(model, "impossible")


@pytest.mark.parametrize("name", ["Loop", "If", "Scan", "RandomNormal", "NonZero", "StringConcat"])
def test_operators_outside_the_list_are_refused(model, refused, name):
    refused(add_node(model, name, ["result"], ["more"]), f"operator {name}, which is not allowed")


def test_subgraphs_of_allowed_operators_are_refused(model, refused):
    body = helper.make_graph([], "body", [], [])
    refused(add_node(model, "Add", ["image", "image"], ["more"], body=body), "subgraph")


def test_operators_of_another_domain_are_refused(model, refused):
    refused(add_node(model, "Add", ["image"], ["more"], domain="com.custom"), "another domain")


def test_functions_of_its_own_are_refused(model, refused):
    model.functions.add().name = "mine"
    refused(model, "functions")


def test_an_image_of_impossible_size_is_refused(refused):
    """Some bytes of weights may ask for any amount of memory."""
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
        helper.make_node("ReduceMean", ["huge"], ["mean"], keepdims=0),
        helper.make_node("Add", ["image", "mean"], ["result"]),
    ]
    refused(plain_model(nodes, {"shape": np.array([4096, 4096, 4096])}), "image of 6.9e")


def test_memory_is_limited_where_the_size_is_not_known_before(load, monkeypatch):
    """The shape comes from the voxels, so that only the run shows it."""
    nodes = [
        helper.make_node("ReduceMax", ["image"], ["top"], keepdims=0),
        helper.make_node("Reshape", ["top", "one"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["shape"], to=onnx.TensorProto.INT64),
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
        helper.make_node("ReduceMean", ["huge"], ["mean"], keepdims=0),
        helper.make_node("Add", ["image", "mean"], ["result"]),
    ]
    network = load(plain_model(nodes, {"one": np.array([1])}))
    with pytest.raises(BankError, match=r"mine\.onnx.*cannot be run"):
        network.run(np.full((8, 8, 8), 2e12, np.float32))


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ((1, 2, "d", "h", "w"), "2 channels"),
        ((4, 1, "d", "h", "w"), "batch of 4"),
        ((1, "h", "w"), "3 axes"),
        ((1, 1, 4096, 4096), "4096 × 4096"),
    ],
)
def test_inputs_that_are_no_single_image_are_refused(refused, shape, match):
    node = helper.make_node("Identity", ["image"], ["result"])
    refused(plain_model([node], shape=shape), match)


def test_a_second_input_is_refused(refused, model):
    more = helper.make_tensor_value_info("told", onnx.TensorProto.FLOAT, [1, 3])
    model.graph.input.append(more)
    refused(model, "2 inputs")


def test_another_number_type_is_refused(refused, model):
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    refused(model, "float16")


def test_a_graph_that_contradicts_itself_is_refused(refused):
    nodes = [helper.make_node("Add", ["image", "other"], ["result"])]
    refused(plain_model(nodes, {"other": np.ones((1, 1, 3, 5, 7))}), "")


def test_values_that_are_not_finite_are_refused(refused):
    nodes = [helper.make_node("Div", ["image", "image"], ["result"])]
    refused(plain_model(nodes), "not finite")


def test_weights_are_stored_inside(load):
    """A kernel as a Constant node, as some programs export it."""
    node = helper.make_node(
        "Constant", [], ["kernel"], value=numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32))
    )
    model = filter_model(np.ones((1, 1)))
    del model.graph.initializer[:]
    model.graph.node.insert(0, node)
    image = np.ones((8, 9), np.float32)
    np.testing.assert_array_equal(load(model).run(image), image)


def test_two_channels_must_be_declared_as_real_and_imaginary_part(load, refused):
    weights = {"kernel": np.eye(2)[:, :, None, None]}

    def model(channels, declared=None):
        node = helper.make_node("Conv", ["image", "kernel"], ["result"])
        return plain_model([node], weights, (1, channels, "h", "w"), declared)

    declared = {"channels": "complex"}
    refused(model(2), "2 channels; declare channels complex")
    refused(model(1, declared), "1 channels, but declares channels complex")
    network = load(model("c", declared))
    image = np.full((9, 8), 2 - 3j, np.complex64)
    np.testing.assert_array_equal(network.run(image), image)
