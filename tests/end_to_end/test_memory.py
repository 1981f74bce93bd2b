"""A model whose weights do not fit one device, and what building it costs."""

import re
import time
from pathlib import Path

import numpy as np
import pytest

from ..models import reference
from ..models.generate import generate
from .cleave import BACKEND, on_devices

GIB = 2**30
MIB = 2**20
WIDTH = 8192
LARGEST_TENSOR = WIDTH * WIDTH * 4
# What else a run of one row needs at most: libraries of GPUs want room to work in.
BESIDE = (8 if BACKEND == "cpu" else 40) * MIB


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """1.5 GiB of weights in a file beside the model: six layers of 256 MiB."""
    folder = tmp_path_factory.mktemp("big")
    path = folder / "big.onnx"
    model = generate("big", path, "external", gibibytes=1.5, width=WIDTH)
    yield path, model
    for file in folder.iterdir():
        file.unlink()


def test_one_device_is_refused_with_the_amount_needed(cleave, big, tmp_path):
    path, _ = big
    engine = tmp_path / "big.cleave"
    result = cleave.fails(
        5, "build", path, "-o", engine, on_devices(1), "--memory=1GiB", "--shapes=x:1x8192"
    )
    amounts = [float(amount) for amount in re.findall(r"(\d+(?:\.\d+)?) GiB", result.report)]
    assert any(1.5 <= amount < 1.7 for amount in amounts), result
    assert list(tmp_path.iterdir()) == []


def test_the_amount_named_is_enough(cleave, big):
    path, _ = big
    options = (path, on_devices(2), "--shapes=x:1x8192", "--json", "-")
    amount = named_amount(cleave.fails(5, "plan", *options, "--memory=100MiB"))
    assert 0.75 * GIB < amount < 0.8 * GIB
    plan = cleave("plan", *options, f"--memory={amount}").json
    assert max(plan["memory_bytes"]) == amount
    assert named_amount(cleave.fails(5, "plan", *options, f"--memory={amount - 1}")) == amount


def named_amount(result) -> int:
    (amount,) = re.findall(r"\((\d+) bytes\)", result.report)
    return int(amount)


def test_verify_needs_no_device_that_holds_it(cleave, big):
    path, _ = big
    options = (on_devices(2), "--memory=1GiB", "--shapes=x:1x8192", "--layers", "--json", "-")
    found = cleave("verify", path, *options).json
    assert found["passed"] is True and found["first_difference"] is None
    assert len(found["layers"]) >= 6
    unsplit = found["unsplit"]
    assert unsplit["streamed"] is True and unsplit["memory_bytes"] > 1.5 * GIB
    assert LARGEST_TENSOR < unsplit["peak_memory_bytes"] < LARGEST_TENSOR + BESIDE


def test_two_devices_run_it(cleave, big, tmp_path):
    path, model = big
    engine = tmp_path / "big.cleave"
    peak = peak_memory_of_build(cleave, path, engine)
    assert peak < LARGEST_TENSOR + 300 * MIB, f"{peak / MIB:.0f} MiB"

    found = cleave("inspect", engine, "--json", "-").json
    assert max(found["weights_bytes"]) < GIB
    inputs = {"x": np.random.default_rng(0).standard_normal((1, WIDTH), dtype=np.float32)}
    got = cleave.outputs(engine, inputs, tmp_path, on_devices(2), "--memory=1GiB")["y"]
    x = inputs["x"]
    for weight in model.weights:
        x = reference.big({"layer.0.weight": weight.values()}, {"layers": 1}, x)
    assert np.max(np.abs(got - x)) / np.max(np.abs(x)) < 2e-5
    engine.unlink()


def peak_memory_of_build(cleave, path: Path, engine: Path) -> int:
    """Builds for two devices; the most memory of its own (no file's pages) that it held."""
    process = cleave.start(
        "build", path, "-o", engine, on_devices(2), "--memory=1GiB", "--shapes=x:1x8192"
    )
    status = Path(f"/proc/{process.pid}/status")
    peak = 0
    while process.poll() is None:
        kilobytes = re.findall(r"Rss(?:Anon|Shmem):\s+(\d+) kB", status.read_text())
        peak = max(peak, sum(map(int, kilobytes)) * 1024)
        time.sleep(0.002)
    assert process.returncode == 0, process.stderr.read()
    assert peak > 0
    return peak


def test_planning_needs_no_weights(cleave, tmp_path):
    path = tmp_path / "absent.onnx"
    generate("big", path, "absent", gibibytes=1.5, width=WIDTH)
    options = [on_devices(2), "--memory=1GiB", "--shapes=x:1x8192", "--json", "-"]
    plan = cleave("plan", path, *options).json
    assert max(plan["memory_bytes"]) <= GIB
    assert cleave("plan", path, *options).json["nodes"] == plan["nodes"]
