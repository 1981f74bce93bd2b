"""verify --layers, and the unsplit reference where it is larger than a device may be."""

import onnx
import pytest
from onnx import TensorProto, helper

from .cleave import BACKEND, on_devices

MIB = 2**20
# What cuBLASLt may work in.
WORKSPACE_MIB = 32 if BACKEND == "cuda" else 0
LAYER = {"tensor", "layout", "op", "node", "passed", "max_abs", "max_rel", "failed", "elements"}

MODELS = [
    ("mlp", {"hidden": 520, "inner": 2081}, "x:3x520"),
    ("vit", {"hidden": 320, "heads": 5, "patches": 49}, "patches:2x49x48"),
    ("gpt2", {"size": "small", "layers": 1}, "input_ids:1x19"),
    ("llama", {"head_size": 64, "inner": 1536}, "input_ids:1x17,attention_mask:1x17"),
]


@pytest.mark.parametrize("devices", [2, 3])
@pytest.mark.parametrize(("name", "sizes", "shapes"), MODELS, ids=[case[0] for case in MODELS])
def test_every_layer_of_a_split_model_equals_the_unsplit_one(
    name, sizes, shapes, devices, cleave, models
):
    path, _ = models(name, **sizes)
    options = (on_devices(devices), f"--shapes={shapes}", "--layers")
    found = cleave("verify", path, *options, "--json", "-").json
    assert found["passed"] is True
    assert found["first_difference"] is None
    assert len(found["layers"]) >= 3
    assert all(LAYER <= layer.keys() for layer in found["layers"])
    assert all(layer["passed"] and layer["max_rel"] < 1e-4 for layer in found["layers"])
    # Most of what runs is compared, split or not; the model's outputs are.
    assert found["not_compared"] <= len(found["layers"]) // 4
    kinds = {layer["layout"].split("(")[0] for layer in found["layers"]}
    assert {"shard", "replicate"} <= kinds
    tensors = {layer["tensor"] for layer in found["layers"]}
    assert {output["name"] for output in found["outputs"]} <= tensors


def test_the_table_is_readable(cleave, models):
    path, _ = models("mlp", hidden=512, inner=2048)
    result = cleave("verify", path, on_devices(2), "--shapes=x:4x512", "--layers")
    assert all(len(line) <= 80 for line in result.stdout.splitlines()), result
    for text in ("tensor", "max abs", "max rel", "pass", "no tensor differs"):
        assert text in result.stdout, result


def test_the_first_tensor_that_differs_is_named(cleave, models):
    """With no tolerance at all the rounding of a split sum is a difference."""
    path, _ = models("mlp", hidden=512, inner=2048)
    shape = (on_devices(2), "--shapes=x:4x512")
    nodes = cleave("plan", path, *shape, "--json", "-").json["nodes"]
    last = [node["name"] for node in nodes if node["op"] == "matmul"][-1]
    exact = (*shape, "--rtol=0", "--atol=0", f"--pin={last}=k", "--layers")
    found = cleave("verify", path, *exact, "--json", "-", code=1).json
    first = next(layer for layer in found["layers"] if not layer["passed"])
    assert found["first_difference"] == first
    result = cleave("verify", path, *exact, code=1)
    assert f"first difference: tensor '{first['tensor']}'" in result.stdout
    assert first["node"] in result.stdout


def test_differences_inside_do_not_fail_equal_outputs(cleave, tmp_path):
    """The exit code follows the outputs: where the largest is found is the same for all that."""
    weight = helper.make_tensor(
        "w", TensorProto.FLOAT, [768, 512], [((i * 37) % 101) / 101 - 0.5 for i in range(768 * 512)]
    )
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["h"], name="product"),
            helper.make_node("ArgMax", ["h"], ["y"], name="largest", axis=1, keepdims=0),
        ],
        "argmax",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 768])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [4])],
        [weight],
    )
    path = tmp_path / "argmax.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    options = (on_devices(2), "--rtol=0", "--atol=0", "--pin", "product=k", "--layers")
    result = cleave("verify", path, *options, "--json", "-")
    assert result.json["passed"] is True
    assert result.json["first_difference"]["tensor"] == "h"
    assert "tensors inside differ" in result.stderr


@pytest.fixture(scope="module")
def layers_of_16_mib(models):
    """96 MiB of weights: six layers."""
    return models("big", gibibytes=6 * 16 / 1024, width=2048)[0]


@pytest.mark.parametrize("layers", [False, True], ids=["outputs", "layers"])
def test_a_model_larger_than_a_device_is_verified_layer_by_layer(cleave, layers_of_16_mib, layers):
    memory = f"--memory={64 + WORKSPACE_MIB}MiB"
    options = (on_devices(2), memory, "--shapes=x:2x2048", *["--layers"] * layers)
    result = cleave("verify", layers_of_16_mib, *options, "--json", "-")
    assert result.json["passed"] is True
    unsplit = result.json["unsplit"]
    assert unsplit["streamed"] is True
    assert unsplit["memory_bytes"] > 96 * MIB
    # One layer, and what it works on.
    assert 16 * MIB < unsplit["peak_memory_bytes"] < (20 + WORKSPACE_MIB) * MIB
    assert "its weights are streamed" in result.stderr
    if layers:
        assert result.json["first_difference"] is None


def test_a_model_that_fits_is_not_streamed(cleave, layers_of_16_mib):
    for memory in ([], [f"--memory={128 + WORKSPACE_MIB}MiB"]):
        options = (on_devices(2), *memory, "--shapes=x:2x2048", "--json", "-")
        result = cleave("verify", layers_of_16_mib, *options)
        assert result.json["unsplit"]["streamed"] is False
        assert result.json["unsplit"]["peak_memory_bytes"] > 96 * MIB
        assert "streamed" not in result.stderr


def test_a_layer_larger_than_a_device_runs_beyond_the_limit_with_a_warning(
    cleave, layers_of_16_mib
):
    options = (on_devices(8), "--memory=15MiB", "--shapes=x:2x2048", "--json", "-")
    result = cleave("verify", layers_of_16_mib, *options)
    assert result.json["passed"] is True
    assert result.json["unsplit"]["streamed"] is True
    assert "beyond --memory" in result.stderr
