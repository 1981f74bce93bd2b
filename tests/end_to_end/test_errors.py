"""What goes wrong, and how it is told: the exit code, the place and a hint, for each failure."""

import json
import subprocess

import numpy as np
import pytest
from safetensors.numpy import save_file

from . import broken_models
from .cleave import limit_file_size, on_devices, profile

ROWS = "--shapes=x:1x8"


@pytest.fixture(scope="module")
def engine(cleave, models, tmp_path_factory):
    """x [1 to 4, 32] → y, for two devices."""
    path = tmp_path_factory.mktemp("errors") / "mlp.cleave"
    sizes = ({"x": "1x32"}, {"x": "2x32"}, {"x": "4x32"})
    cleave(
        "build", models("mlp", hidden=32, inner=64)[0], "-o", path, on_devices(2), *profile(*sizes)
    )
    return path


# Files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ("plan", "no_such_file.onnx"),
        ("build", "no_such_file.onnx", "-o", "out.cleave"),
        ("run", "no_such_file.onnx"),
        ("run", "no_such_file.cleave"),
        ("verify", "no_such_file.onnx"),
        ("bench", "no_such_file.cleave"),
        ("inspect", "no_such_file.cleave"),
    ],
    ids=lambda command: f"{command[0]} {command[1]}",
)
def test_no_such_file(command, cleave, tmp_path):
    cleave.fails(3, *command, mentions="no_such_file", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"This is not a model.\n" * 50, b"\x89PNG\r\n\x1a\n" + bytes(500), b"\xff" * 4096],
    ids=["empty", "newline", "text", "png", "ones"],
)
def test_not_onnx(content, cleave, tmp_path):
    path = tmp_path / "letter.onnx"
    path.write_bytes(content)
    cleave.fails(3, "plan", path, mentions="letter.onnx")


def test_a_folder_is_not_a_model(cleave, tmp_path):
    cleave.fails(3, "plan", tmp_path, mentions=str(tmp_path))


@pytest.mark.parametrize("part", [0.01, 0.3, 0.5, 0.9, 0.999])
def test_truncated(part, cleave, models, tmp_path):
    whole = models("gpt2")[0].read_bytes()
    path = tmp_path / "short.onnx"
    path.write_bytes(whole[: int(len(whole) * part)])
    cleave.fails(3, "plan", path, mentions="short.onnx")


# Graphs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "break_it, mentions",
    [
        (broken_models.cycle, ["cycle"]),
        (broken_models.duplicate_tensor, ["twice_made"]),
        (broken_models.missing_tensor, ["nowhere", "reader"]),
        (broken_models.missing_output, ["never_made"]),
        (broken_models.impossible_product, ["bad_product"]),
        (broken_models.impossible_reshape, ["bad_reshape"]),
        (broken_models.impossible_broadcast, ["bad_sum"]),
        (broken_models.wrong_type, ["mixed"]),
        (broken_models.wrong_raw_size, ["short_weight"]),
        (broken_models.negative_dimension, ["odd_weight"]),
        (broken_models.recursive_function, ["Self"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_graph_that_cannot_be(break_it, mentions, cleave, tmp_path):
    path = break_it(tmp_path / "broken.onnx")
    cleave.fails(3, "plan", path, ROWS, mentions=mentions)
    cleave.fails(3, "build", path, "-o", tmp_path / "out.cleave", ROWS, mentions=mentions)
    assert [file.name for file in tmp_path.iterdir()] == ["broken.onnx"]


def test_every_unsupported_node_is_listed(cleave, tmp_path):
    path = broken_models.unsupported(tmp_path / "exotic.onnx")
    names = ["unknown_node", "foreign_node", "text_node"]
    operators = ["NoSuchOperator", "Fancy", "StringNormalizer"]
    cleave.fails(4, "plan", path, ROWS, mentions=names + operators)


# External data -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location",
    ["../secret.bin", "folder/../../secret.bin", "/etc/passwd", ""],
)
def test_external_data_outside_the_folder(location, cleave, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(256))
    path = broken_models.external(folder / "model.onnx", location)
    engine = tmp_path / "out.cleave"
    cleave.fails(3, "build", path, "-o", engine, ROWS, mentions=location or "far_weight")
    assert not engine.exists()


def test_external_data_outside_by_a_link(cleave, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(256))
    (folder / "weights.bin").symlink_to(tmp_path / "secret.bin")
    path = broken_models.external(folder / "model.onnx", "weights.bin")
    cleave.fails(3, "build", path, "-o", tmp_path / "out.cleave", ROWS, mentions="weights.bin")


def test_external_data_absent(cleave, tmp_path):
    path = broken_models.external(tmp_path / "model.onnx", "weights.bin")
    cleave("plan", path, ROWS)
    engine = tmp_path / "out.cleave"
    cleave.fails(3, "build", path, "-o", engine, ROWS, mentions="weights.bin")
    assert not engine.exists()
    # The hint's way out: seeded noise in its place.
    cleave("build", path, "-o", engine, ROWS, "--randomWeights")


@pytest.mark.parametrize(
    "size, length, offset",
    [(100, 256, 0), (256, 256, 1), (256, 128, 0), (256, 2**63 - 1, 0), (256, 256, 2**63 - 1)],
)
def test_external_data_short(size, length, offset, cleave, tmp_path):
    (tmp_path / "weights.bin").write_bytes(bytes(size))
    path = broken_models.external(tmp_path / "model.onnx", "weights.bin", length, offset)
    engine = tmp_path / "out.cleave"
    cleave.fails(3, "build", path, "-o", engine, ROWS, mentions="far_weight")
    assert not engine.exists()


# Inputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "inputs, mentions",
    [
        ({"z": np.zeros((1, 32), np.float32)}, ["z", "x"]),
        ({"x": np.zeros((1, 31), np.float32)}, ["x", "31", "32"]),
        ({"x": np.zeros((32,), np.float32)}, ["x"]),
        ({"x": np.zeros((1, 32), np.int64)}, ["x", "int64", "float32"]),
        ({"x": np.zeros((5, 32), np.float32)}, ["x", "5", "4"]),
        ({"x": np.zeros((0, 32), np.float32)}, ["x", "0", "1"]),
    ],
    ids=["name", "shape", "rank", "type", "above the profile", "below the profile"],
)
def test_wrong_inputs(inputs, mentions, cleave, engine, tmp_path):
    given = tmp_path / "given.safetensors"
    save_file(inputs, given)
    cleave.fails(3, "run", engine, on_devices(2), "--inputs", given, mentions=mentions)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08\x00\x00\x00",
        b"\xff" * 64,
        (2**60).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (70).to_bytes(8, "little")
        + b'{"x":{"dtype":"F32","shape":[1,32],"data_offsets":[0,9223372036854775]}}'[:70].ljust(
            70
        ),
    ],
    ids=["empty", "short", "ones", "huge header", "no object", "offsets"],
)
def test_inputs_that_are_not_safetensors(content, cleave, engine, tmp_path):
    given = tmp_path / "given.safetensors"
    given.write_bytes(content)
    cleave.fails(3, "run", engine, on_devices(2), "--inputs", given, mentions="given.safetensors")


# Options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, mentions",
    [
        (("--noSuchFlag",), "--noSuchFlag"),
        (("--shapes=x:1xtwo",), "1xtwo"),
        (("--shapes=nobody:1x32",), "nobody"),
        (("--memory=plenty",), "plenty"),
        (("--mesh=3x3", "--devices=cpu:0-1"), "3x3"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_wrong_options(arguments, mentions, cleave, models):
    cleave.fails(2, "plan", models("mlp", hidden=32, inner=64)[0], *arguments, mentions=mentions)


@pytest.mark.parametrize("shape", [(), ("--minShapes=x:1x4x4x4", "--optShapes=x:1x4x7x8")])
def test_sizes_that_a_model_cannot_have(shape, cleave, models, tmp_path):
    """What is brought down to half and up again does not meet what was left of odd sizes."""
    path, _ = models("unet")
    options = [*shape, "--maxShapes=x:1x4x16x16"] if shape else []
    height = 7 if shape else 1
    for command in (["plan", path], ["build", path, "-o", tmp_path / "unet.cleave"]):
        mentions = (f"height = {height}", "must be", "at: ", "--optShapes")
        cleave.fails(2, *command, "--devices=cpu:0", *options, mentions=mentions)
    assert not (tmp_path / "unet.cleave").exists()


def test_an_unknown_command(cleave):
    cleave.fails(2, "frobnicate", mentions="frobnicate")


@pytest.mark.parametrize(
    "devices", ["tpu:0", "cpu:x", "cpu:", "cpu:1-0", "cpu:0,cpu:0", "cpu:0,,cpu:1", "cpu:-1", ","]
)
def test_a_bad_device_list(devices, cleave, models):
    path, _ = models("mlp", hidden=32, inner=64)
    cleave.fails(2, "plan", path, f"--devices={devices}", mentions=devices.split(",")[0])
    cleave.fails(2, "plan", path, env={"CLEAVE_DEVICES": devices})


def test_too_little_memory(cleave, models, tmp_path):
    path, _ = models("mlp")
    engine = tmp_path / "out.cleave"
    result = cleave.fails(
        5, "build", path, "-o", engine, on_devices(2), "--memory=64KiB", "--shapes=x:1x128"
    )
    assert "KiB" in result.report or "MiB" in result.report, result
    assert not engine.exists()


# Places to write -----------------------------------------------------------------------------


def test_an_output_that_cannot_be_written(cleave, models, tmp_path):
    path, _ = models("mlp", hidden=32, inner=64)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for place in ("no_such_folder/out.cleave", "file/out.cleave", "folder"):
        name = place.split("/")[0]
        cleave.fails(3, "build", path, "-o", tmp_path / place, "--shapes=x:1x32", mentions=name)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("limit", [0, 4096, 300_000])
def test_a_disk_that_fills_up(limit, cleave, models, tmp_path):
    """No partial engine stays, and the one that was there before does."""
    path, _ = models("mlp")
    engine = tmp_path / "out.cleave"
    engine.write_bytes(b"what was here before")
    cleave.fails(
        3,
        "build",
        path,
        "-o",
        engine,
        "--shapes=x:1x128",
        mentions="out.cleave",
        before=limit_file_size(limit),
    )
    assert engine.read_bytes() == b"what was here before"
    assert list(tmp_path.iterdir()) == [engine]


def test_a_disk_that_is_full(cleave, models, tmp_path):
    """A file system of 64 KiB, where this machine allows one to be made."""
    path, _ = models("mlp")
    build = f"{cleave.program} build {path} -o {tmp_path}/out.cleave --shapes=x:1x128"
    script = f"mount -t tmpfs -o size=64k none {tmp_path} && {build}; code=$?; ls -A {tmp_path}; "
    allowed = subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0
    if not allowed:
        pytest.skip("this machine makes no file systems; test_a_disk_that_fills_up stands in")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script + "exit $code"], capture_output=True, text=True
    )
    assert done.returncode == 3, done
    assert "out.cleave" in done.stderr and "  hint: " in done.stderr
    assert done.stdout.strip().splitlines()[-1:] == [] or "out" not in done.stdout.split()


# Plans and engines ---------------------------------------------------------------------------


def test_a_plan_for_another_model(cleave, models, tmp_path):
    plan = tmp_path / "plan.json"
    path, _ = models("mlp", hidden=32, inner=64)
    cleave("plan", path, on_devices(2), "--shapes=x:1x32", "--json", plan)
    cleave(
        "build",
        path,
        "-o",
        tmp_path / "own.cleave",
        on_devices(2),
        "--shapes=x:1x32",
        f"--plan={plan}",
    )
    engine = tmp_path / "out.cleave"
    other, _ = models("fc")
    cleave.fails(
        3, "build", other, "-o", engine, on_devices(2), f"--plan={plan}", mentions="plan.json"
    )
    assert not engine.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"nodes": 7}', '{"nodes": [{"name": 1}]}'])
def test_a_plan_that_is_not_one(content, cleave, models, tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text(content)
    path, _ = models("mlp", hidden=32, inner=64)
    cleave.fails(3, "plan", path, on_devices(2), f"--plan={plan}", mentions="plan.json")


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"version": "x"})])
def test_a_machine_model_that_is_not_one(content, cleave, models, tmp_path):
    machine = tmp_path / "machine.json"
    machine.write_text(content)
    path, _ = models("mlp", hidden=32, inner=64)
    cleave.fails(3, "plan", path, on_devices(2), f"--machine={machine}", mentions="machine.json")


def test_an_engine_of_another_version(cleave, engine, tmp_path):
    """The version stands after the eight bytes that mark the file, and is read first."""
    changed = bytearray(engine.read_bytes())
    changed[8:12] = (int.from_bytes(changed[8:12], "little") + 1).to_bytes(4, "little")
    path = tmp_path / "newer.cleave"
    path.write_bytes(changed)
    for arguments in (("inspect", path), ("run", path, on_devices(2))):
        cleave.fails(3, *arguments, mentions=["newer.cleave", "version"])


def test_an_engine_for_another_number_of_devices(cleave, engine):
    cleave.fails(2, "run", engine, on_devices(3), mentions=["2", "3"])


def test_an_engine_that_is_a_model(cleave, models):
    path, _ = models("mlp", hidden=32, inner=64)
    cleave.fails(3, "inspect", path, mentions=path.name)
