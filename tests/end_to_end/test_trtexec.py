"""`cleave trtexec`: that tool's flags, and its figures as its users know them."""

import json
import os
import re

import numpy as np
import pytest

from ..models.inputs import make_inputs

DEVICES = "--devices=cpu:0,cpu:1"
BRIEF = ("--iterations=10", "--warmUp=10", "--duration=0")


@pytest.fixture(scope="module")
def model(models):
    return models("mlp", hidden=64, inner=128)


def figures(text: str) -> tuple[float, dict[str, float]]:
    """Throughput in queries per second; latency in ms by what it is."""
    throughput = re.search(r"Throughput: ([\d.]+) qps", text)
    latency = re.search(r"Latency: (min = .*)", text)
    assert throughput and latency, text
    parts = re.findall(r"([\w()%]+) = ([\d.]+) ms", latency[1])
    return float(throughput[1]), {name: float(value) for name, value in parts}


def test_builds_runs_and_reports(cleave, model):
    result = cleave(
        "trtexec", f"--onnx={model[0]}", "--deployments=2", DEVICES, "--shapes=x:4x64", *BRIEF
    )
    throughput, latency = figures(result.stdout)
    assert throughput > 0
    assert {"min", "max", "mean", "median", "percentile(99%)"} <= latency.keys()
    assert 0 < latency["min"] <= latency["median"] <= latency["percentile(99%)"] <= latency["max"]


def test_under_the_name_trtexec(cleave, model, tmp_path):
    program = tmp_path / "trtexec"
    os.symlink(cleave.program, program)
    result = type(cleave)(program)(f"--onnx={model[0]}", DEVICES, "--shapes=x:1x64", *BRIEF)
    figures(result.stdout)


def test_saves_and_loads_an_engine(cleave, model, tmp_path):
    engine = tmp_path / "model.engine"
    bounds = ("--minShapes=x:1x64", "--optShapes=x:2x64", "--maxShapes=x:8x64")
    cleave("trtexec", f"--onnx={model[0]}", f"--saveEngine={engine}", DEVICES, *bounds, *BRIEF)
    loaded = cleave("trtexec", f"--loadEngine={engine}", DEVICES, "--shapes=x:8x64", *BRIEF)
    figures(loaded.stdout)
    assert cleave("inspect", engine, "--json", "-").json["devices"] == 2


def test_inputs_and_outputs(cleave, model, onnx_runtime, tmp_path):
    """--loadInputs takes raw little-endian values, --exportOutput writes JSON, as that tool."""
    inputs = make_inputs(model[1], {"rows": 3})
    raw, exported = tmp_path / "x.bin", tmp_path / "output.json"
    inputs["x"].tofile(raw)
    cleave(
        "trtexec",
        f"--onnx={model[0]}",
        DEVICES,
        "--shapes=x:3x64",
        f"--loadInputs=x:{raw}",
        f"--exportOutput={exported}",
        f"--exportTimes={tmp_path / 'times.json'}",
        f"--exportLayerInfo={tmp_path / 'layers.json'}",
        *BRIEF,
    )
    (output,) = json.loads(exported.read_text())
    assert output["name"] == "y" and output["dimensions"] == "3x64"
    wanted = onnx_runtime(model[0], inputs)["y"]
    np.testing.assert_allclose(np.reshape(output["values"], (3, 64)), wanted, rtol=1e-4, atol=1e-5)
    assert json.loads((tmp_path / "times.json").read_text())
    assert json.loads((tmp_path / "layers.json").read_text())


@pytest.mark.parametrize(
    "flag", ["--plugins=x.so", "--int8", "--useDLACore=0", "--safe", "--noSuchFlag"]
)
def test_other_flags_are_refused_by_name(flag, cleave, model):
    result = cleave("trtexec", f"--onnx={model[0]}", flag, code=2)
    assert flag.split("=")[0] in result.report, result


def test_deployments_must_equal_the_devices(cleave, model):
    cleave.fails(2, "trtexec", f"--onnx={model[0]}", "--deployments=3", DEVICES, mentions="3")


def test_half_precision_is_storage_on_the_cpu(cleave, models, tmp_path):
    """--fp16 halves the weights that the engine stores; what it computes in is said."""
    path, model = models("mlp", hidden=256, inner=1024)
    sizes = {}
    for name, flags in (("full", []), ("half", ["--fp16"])):
        engine = tmp_path / name
        result = cleave(
            "trtexec",
            f"--onnx={path}",
            f"--saveEngine={engine}",
            DEVICES,
            "--shapes=x:4x256",
            *flags,
            *BRIEF,
        )
        sizes[name] = engine.stat().st_size
    assert sizes["half"] < 0.6 * sizes["full"]
    said = (result.stdout + result.stderr).lower()
    assert "float32" in said or "arithmetic" in said, result
    inputs = make_inputs(model, {"rows": 4})
    half = cleave.outputs(tmp_path / "half", inputs, tmp_path, DEVICES)["y"]
    full = cleave.outputs(tmp_path / "full", inputs, tmp_path, DEVICES)["y"]
    assert half.dtype == full.dtype == np.float32
    assert 0 < np.max(np.abs(half - full)) / np.max(np.abs(full)) < 5e-3
