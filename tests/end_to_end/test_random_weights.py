"""Weights whose files are absent, made on the devices: engines without their bytes, the same values
wherever they are."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from .cleave import BACKEND, device_counts, on_devices

SIZE = 768
WEIGHT_BYTES = 2 * SIZE * SIZE * 4


@pytest.fixture(scope="module")
def absent(tmp_path_factory):
    """y = x · W · Vᵀ; w = s + W, v = s + Vᵀ show the weights themselves. No file holds them."""
    path = tmp_path_factory.mktemp("absent") / "absent.onnx"
    weights = []
    for number, name in enumerate("WV"):
        weight = TensorProto(name=name, dims=[SIZE, SIZE], data_type=TensorProto.FLOAT)
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value="absent.data")
        weight.external_data.add(key="offset", value=str(number * SIZE * SIZE * 4))
        weights.append(weight)
    nodes = [
        helper.make_node("Transpose", ["V"], ["Vt"], name="transposed"),
        helper.make_node("MatMul", ["x", "W"], ["h"], name="first"),
        helper.make_node("MatMul", ["h", "Vt"], ["y"], name="second"),
        helper.make_node("Add", ["s", "W"], ["w"], name="show_w"),
        helper.make_node("Add", ["s", "Vt"], ["v"], name="show_v"),
    ]
    values = {"x": [1, SIZE], "s": [SIZE, SIZE], "y": [1, SIZE]}
    values |= {"w": [SIZE, SIZE], "v": [SIZE, SIZE]}
    infos = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in values.items()
    }
    graph = helper.make_graph(
        nodes, "absent", [infos["x"], infos["s"]], [infos[n] for n in "ywv"], weights
    )
    imports = [helper.make_opsetid("", 17)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=imports, ir_version=8).SerializeToString()
    )
    return path


def inputs() -> dict[str, np.ndarray]:
    x = np.random.default_rng(0).standard_normal((1, SIZE), dtype=np.float32)
    return {"x": x, "s": np.zeros((SIZE, SIZE), np.float32)}


def run(cleave, absent, folder, devices: str, *options) -> dict[str, np.ndarray]:
    return cleave.outputs(absent, inputs(), folder, devices, "--randomWeights", *options)


def test_an_engine_holds_what_makes_them(cleave, absent, tmp_path):
    engine = tmp_path / "absent.cleave"
    cleave("build", absent, "-o", engine, on_devices(2), "--randomWeights")
    assert engine.stat().st_size < 100_000
    cleave("inspect", engine, "--check")
    held = cleave("inspect", engine, "--json", "-").json["weights_bytes"]
    assert sum(held) >= WEIGHT_BYTES
    found = cleave("bench", engine, on_devices(2), "--iterations=1", "--json", "-").json
    loads = found["weight_loads"]
    assert [load["bytes"] for load in loads] == [load["noise_bytes"] for load in loads]
    assert [load["bytes"] for load in loads] >= held
    assert all(load["seconds"] > 0 for load in loads)
    got = cleave.outputs(engine, inputs(), tmp_path, on_devices(2))
    np.testing.assert_array_equal(got["w"], run(cleave, absent, tmp_path, on_devices(1))["w"])


@pytest.mark.parametrize("precision", [(), ("--fp16",)], ids=["float32", "float16"])
def test_values_are_the_same_on_all_devices(precision, cleave, absent, tmp_path):
    one = run(cleave, absent, tmp_path, "--devices=cpu:0", *precision)
    assert 0.03 < np.std(one["w"]) < 0.05  # uniform, of the scale that keeps sizes
    assert np.std(one["v"]) > 0.03
    assert not np.array_equal(one["w"], one["v"])
    product = inputs()["x"].astype(np.float64) @ one["w"] @ one["v"]
    tolerance = 2e-3 if precision else 1e-5
    for count in device_counts(1, 2, 3):
        got = run(cleave, absent, tmp_path, on_devices(count), *precision)
        np.testing.assert_array_equal(got["w"], one["w"])
        np.testing.assert_array_equal(got["v"], one["v"])
        assert np.max(np.abs(got["y"] - product)) <= tolerance * np.max(np.abs(product))


def test_the_seed_decides(cleave, absent, tmp_path):
    one, again, other = (
        run(cleave, absent, tmp_path, f"--devices={BACKEND}:0", f"--seed={seed}")["w"]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
