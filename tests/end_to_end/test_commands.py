"""The commands' results: the fixed keys of their JSON, and the forms of inputs and outputs."""

import json
import re

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file

from ..models.inputs import make_inputs
from .cleave import BACKEND, largest_difference, on_devices, shapes


@pytest.fixture(scope="module")
def model(models):
    return models("mlp", hidden=512, inner=2048)


@pytest.fixture(scope="module")
def engine(cleave, model, tmp_path_factory):
    path = tmp_path_factory.mktemp("commands") / "mlp.cleave"
    cleave("build", model[0], "-o", path, on_devices(2), "--shapes=x:4x512")
    return path


def test_plan_json(cleave, model, tmp_path):
    plan = cleave("plan", model[0], on_devices(2), "--shapes=x:4x512", "--json", "-").json
    assert plan["devices"] == 2
    assert plan["optimal"] is True
    assert plan["cost_us"] == pytest.approx(plan["bound_us"])
    assert 0 < plan["cost_us"] < plan["unsplit_us"]
    assert len(plan["memory_bytes"]) == 2
    assert {"mesh", "planning_seconds", "warnings"} <= plan.keys()
    for node in plan["nodes"]:
        assert {
            "name",
            "op",
            "strategy",
            "time_us",
            "unsplit_us",
            "communication_us",
            "reason",
        } <= (node.keys())
    cleave("plan", model[0], on_devices(2), "--shapes=x:4x512", "--json", tmp_path / "plan.json")
    assert (tmp_path / "plan.json").stat().st_size > 100


def test_plan_table_is_readable(cleave, model):
    """The table on standard output, in 80 columns, with what a reader looks for."""
    result = cleave("plan", model[0], on_devices(2), "--shapes=x:4x512")
    assert all(len(line) <= 80 for line in result.stdout.splitlines()), result
    for word in ("MatMul", "optimal"):
        assert word.lower() in result.stdout.lower(), result


def test_a_dynamic_size_that_nothing_fixes_is_one_with_a_warning(cleave, model, tmp_path):
    got = tmp_path / "out.safetensors"
    result = cleave("run", model[0], on_devices(2), "--outputs", got)
    assert load_file(got)["y"].shape == (1, 512)
    assert "--shapes=x:1x512" in result.stderr


def test_verify(cleave, model, onnx_runtime, tmp_path):
    path, proto = model
    inputs = make_inputs(proto, {"rows": 3})
    given, expected = tmp_path / "x.safetensors", tmp_path / "y.safetensors"
    save_file(inputs, given)
    wanted = onnx_runtime(path, inputs)
    save_file(wanted, expected)
    common = ("verify", path, on_devices(2), "--inputs", given)
    verified = cleave(*common, "--expect", expected, "--json", "-").json
    assert verified["passed"] is True
    (output,) = verified["outputs"]
    assert output["name"] == "y" and 0 <= output["max_rel"] < 1e-5

    save_file({"y": wanted["y"] + 0.01}, expected)
    failed = cleave(*common, "--expect", expected, "--json", "-", code=1).json
    assert failed["passed"] is False
    assert failed["outputs"][0]["max_abs"] == pytest.approx(0.01, rel=0.01)
    cleave(*common, "--expect", expected, "--atol=0.02")


def test_bench_json(cleave, model, engine):
    for target in (engine, model[0]):
        options = [] if target == engine else ["--shapes=x:4x512"]
        bench = cleave(
            "bench", target, on_devices(2), *options, "--iterations=5", "--json", "-"
        ).json
        assert bench["devices"] == 2
        latency = bench["latency_us"]
        order = [latency[key] for key in ("min", "p10", "median", "p99", "max")]
        assert order == sorted(order) and order[0] > 0
        assert bench["throughput_per_s"] > 0
        assert len(bench["peak_memory_bytes"]) == 2
        assert bench["communication_us"] >= 0
        assert bench["cpu_us"] > 0
        assert bench["predicted_us"] > 0


def test_bench_unsplit_is_the_model_whole_on_one_of_the_devices(cleave, model):
    options = (on_devices(2), "--shapes=x:4x512", "--iterations=5", "--json", "-")
    bench = cleave("bench", model[0], "--unsplit", *options).json
    assert bench["communication_us"] == 0
    assert bench["latency_us"]["median"] > 0


def test_inspect_json(cleave, engine):
    found = cleave("inspect", engine, "--json", "-").json
    assert found["inputs"] == [{**found["inputs"][0], "name": "x", "type": "float32"}]
    assert found["outputs"][0]["name"] == "y"
    assert found["outputs"][0]["shape"] == [4, 512]
    assert found["devices"] == 2
    assert len(found["weights_bytes"]) == 2
    assert found["instructions"]
    assert len(found["memory_bytes"]) == 2 and min(found["memory_bytes"]) > 0
    layouts = [result for each in found["instructions"] for result in each["results"]]
    assert {"tensor": "y", "layout": "replicate"} in layouts
    assert any(result["layout"].startswith("partial(sum)") for result in layouts)
    assert any(weight["layout"].startswith("shard(1, ") for weight in found["weights"])
    text = cleave("inspect", engine).stdout
    for weight in found["weights"]:
        assert f"{weight['tensor']}  {weight['layout']}" in text
    assert "y  replicate  from all_reduce" in text
    assert sum(found["collectives"].values()) >= 1


def test_numpy_inputs(cleave, model, engine, onnx_runtime, tmp_path):
    inputs = make_inputs(model[1], {"rows": 4})
    np.save(tmp_path / "x.npy", inputs["x"])
    got = tmp_path / "y.safetensors"
    cleave("run", engine, on_devices(2), "--inputs", f"x={tmp_path / 'x.npy'}", "--outputs", got)
    wanted = onnx_runtime(model[0], inputs)["y"]
    assert largest_difference(load_file(got)["y"], wanted)[1] < 1e-5


def test_onnx_test_data(cleave, model, onnx_runtime, tmp_path):
    folder = tmp_path / "test_data_set_0"
    folder.mkdir()
    inputs = make_inputs(model[1], {"rows": 2})
    wanted = onnx_runtime(model[0], inputs)["y"]
    for name, array in (("input_0", inputs["x"]), ("output_0", wanted)):
        tensor = numpy_helper.from_array(array, "x" if name == "input_0" else "y")
        onnx.save_tensor(tensor, folder / f"{name}.pb")
    verified = cleave(
        "verify", model[0], on_devices(2), "--inputs", folder, "--expect", folder, "--json", "-"
    ).json
    assert verified["passed"] is True


@pytest.mark.parametrize("fill", ["zeros", "ones", "iota", "uniform:-1:1"])
def test_fill(fill, cleave, engine, tmp_path):
    outputs = [tmp_path / name for name in ("a.safetensors", "b.safetensors")]
    for path in outputs:
        cleave("run", engine, on_devices(2), "--fill", f"x={fill}", "--outputs", path)
    first, second = (load_file(path)["y"] for path in outputs)
    np.testing.assert_array_equal(first, second)


def test_devices_from_the_environment(cleave, model):
    plan = cleave(
        "plan", model[0], "--shapes=x:4x512", "--json", "-", env={"CLEAVE_DEVICES": "cpu:0-2"}
    ).json
    assert plan["devices"] == 3


def test_trace(cleave, models, tmp_path):
    # Split on any devices: the weights do not fit one.
    path, _ = models("big", gibibytes=0.25, width=2048)
    engine = tmp_path / "big.cleave"
    options = ("--memory=200MiB", "--shapes=x:4x2048")
    cleave("build", path, "-o", engine, on_devices(2), *options)
    cleave("run", engine, on_devices(2), "--trace", tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    events = trace["traceEvents"] if isinstance(trace, dict) else trace
    work = [event for event in events if event.get("ph") == "X"]
    # Every rank's stream has all of the program's instructions, by the nodes they carry out.
    program = cleave("inspect", engine, "--json", "-").json["instructions"]
    names = {(event["pid"], event["tid"]): [] for event in work}
    for event in work:
        if event["cat"] != "waiting":
            names[event["pid"], event["tid"]].append((event["args"]["op"], event["args"]["node"]))
    assert len(names) == 2
    for lane in names.values():
        assert lane == [(one["op"], one["name"]) for one in program]
    assert {event["cat"] for event in work} >= {"compute", "communication"}
    processes = [event for event in events if event["name"] == "process_name"]
    assert [event["args"]["name"].split()[:2] for event in processes] == [
        ["rank", "0"],
        ["rank", "1"],
    ]


def test_doctor_and_help(cleave):
    found = cleave("doctor").stdout
    assert "cpu" in found.lower()
    if BACKEND == "cuda":
        for what in ("driver", "CUDA", "NVRTC", "cuBLASLt", "cuDNN", "NCCL", "cuda:0"):
            assert re.search(rf"^{what} .*\d", found, re.MULTILINE), found
    assert "plan" in cleave("--help").stdout
    for command in ("plan", "build", "run", "verify", "bench", "inspect", "measure"):
        assert "--devices" in cleave(command, "--help").stdout or command == "inspect"
    assert cleave("--version").stdout.strip()


def test_pin_is_obeyed(cleave, model):
    options = (on_devices(2), shapes("shapes", x="4x512"), "--json", "-")
    free = cleave("plan", model[0], *options).json
    split = [node for node in free["nodes"] if node["strategy"] != "whole"]
    assert split
    pinned = cleave("plan", model[0], "--pin", f"{split[0]['name']}=whole", *options).json
    (node,) = [node for node in pinned["nodes"] if node["name"] == split[0]["name"]]
    assert node["strategy"] == "whole"
    assert pinned["cost_us"] >= free["cost_us"]
