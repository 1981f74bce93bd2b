"""Tuning: --tune times kernels, --timingCacheFile keeps what it found."""

import json

import numpy as np
import onnx
import pytest

from ..models.inputs import make_inputs
from .cleave import BACKEND, on_devices, profile
from .one_node import Case

SHAPES = "--shapes=x:24x192"
BRIEF = ("--iterations=3", "--warmUp=1", "--duration=0", "--json", "-")


@pytest.fixture(scope="module")
def model(models):
    return models("mlp", hidden=192, inner=768)


@pytest.fixture(scope="module")
def tuned(cleave, model, tmp_path_factory):
    """(file, result of the bench that wrote it)."""
    file = tmp_path_factory.mktemp("tuning") / "timings.json"
    options = (on_devices(2), SHAPES, "--tune", "--timingCacheFile", file, "--verbose")
    return file, cleave("bench", model[0], *options, *BRIEF)


@pytest.fixture(scope="module")
def choices(cleave):
    """The kernels that this build has for a product with a weight, the untuned choice first."""
    if BACKEND == "cuda":
        return ["matmul.cublas", "matmul.chain"]
    return ["matmul.tiled", "matmul.onednn"][: 1 + ("matmul.onednn" in cleave("doctor").stdout)]


@pytest.fixture(scope="module")
def has_choice(choices):
    return len(choices) > 1


def chosen(entry: dict) -> str:
    """The kernel of an entry as the log names it."""
    algorithm = entry.get("algorithm")
    return entry["kernel"] + (f" algorithm {algorithm}" if algorithm else "")


def kernels(bench: dict) -> list[str]:
    return [row["kernel"] for row in bench["instructions"] if row["op"] == "matmul"]


def timed(stderr: str) -> list[str]:
    """The lines of the log that tell of kernels being timed."""
    return [line for line in stderr.splitlines() if line.startswith("tuned ")]


def test_tune_writes_what_it_chose(tuned, choices, has_choice):
    file, result = tuned
    cache = json.loads(file.read_text())
    assert bool(cache["entries"]) is has_choice
    assert len(timed(result.stderr)) == len(cache["entries"])
    for entry in cache["entries"]:
        assert entry["op"] == "matmul" and entry["backend"] == BACKEND and entry["threads"] >= 1
        times = [entry, *entry["slower"]]
        assert {time["kernel"] for time in times} == set(choices)
        assert times == sorted(times, key=lambda time: time["us"])
        assert any(text.endswith(" constant") for text in entry["inputs"])
        assert f"{chosen(entry)} (tuned: " in result.stderr
    used = {entry["kernel"] for entry in cache["entries"]} or {choices[0]}
    assert set(kernels(result.json)) == used


def test_what_is_known_is_not_timed_again(cleave, model, tuned):
    file, first = tuned
    before = file.read_bytes()
    common = (
        "bench",
        model[0],
        on_devices(2),
        SHAPES,
        "--timingCacheFile",
        file,
        "--verbose",
        *BRIEF,
    )
    for options in ([], ["--tune"]):
        again = cleave(*common, *options)
        assert not timed(again.stderr)
        assert kernels(again.json) == kernels(first.json)
        assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_equal_caches_give_equal_bits(cleave, model, tuned, tmp_path):
    inputs = make_inputs(model[1], {"rows": 24})
    options = (on_devices(2), "--timingCacheFile", tuned[0])
    results = [cleave.outputs(model[0], inputs, tmp_path, *options) for _ in range(3)]
    assert all(result["y"].tobytes() == results[0]["y"].tobytes() for result in results)


def test_the_file_decides(cleave, model, tuned, tmp_path, choices):
    if len(choices) < 2:
        pytest.skip("this build has one kernel for each product")
    cache = json.loads(tuned[0].read_text())
    file = tmp_path / "edited.json"
    for kernel in choices:
        for entry in cache["entries"]:
            entry["kernel"] = kernel
            entry.pop("algorithm", None)
        file.write_text(json.dumps(cache))
        options = (on_devices(2), SHAPES, "--timingCacheFile", file)
        bench = cleave("bench", model[0], *options, *BRIEF).json
        assert set(kernels(bench)) == {kernel}
        cleave("verify", model[0], *options)


def test_a_kernel_that_is_not_there_is_passed_over(cleave, model, tuned, tmp_path, choices):
    file = tmp_path / "gone.json"
    file.write_text(tuned[0].read_text().replace("matmul.", "vanished."))
    options = (on_devices(2), SHAPES, "--timingCacheFile", file, "--verbose")
    result = cleave("bench", model[0], *options, *BRIEF)
    assert set(kernels(result.json)) == {choices[0]}
    if len(choices) > 1:
        assert "the timing cache names it, but it is not there" in result.stderr
        # Then it is timed anew, and the file says what is there.
        cleave("bench", model[0], *options, *BRIEF, "--tune")
        assert "vanished." not in file.read_text()


def test_build_tunes_for_the_engines_runs(cleave, model, tmp_path, has_choice):
    engine, file = tmp_path / "mlp.cleave", tmp_path / "timings.json"
    sizes = profile({"x": "1x192"}, {"x": "24x192"}, {"x": "64x192"})
    common = ("build", model[0], "-o", engine, on_devices(2), *sizes)
    cleave(*common)
    untuned = engine.read_bytes()
    cleave(*common, "--tune", "--timingCacheFile", file)
    assert engine.read_bytes() == untuned
    entries = json.loads(file.read_text())["entries"]
    assert bool(entries) is has_choice
    options = ("--timingCacheFile", file, "--verbose", SHAPES)
    run = cleave("run", engine, on_devices(2), "--tune", *options)
    assert not timed(run.stderr)
    assert run.stderr.count(" (tuned: ") >= len(entries)
    # Other sizes than opt have other times.
    run = cleave("run", engine, on_devices(2), "--tune", *options[:3], "--shapes=x:8x192")
    assert bool(timed(run.stderr)) is has_choice
    assert len(json.loads(file.read_text())["entries"]) >= len(entries) + has_choice


def test_without_a_file_the_choice_lives_in_the_process(cleave, model, tmp_path, has_choice):
    result = cleave("run", model[0], on_devices(2), SHAPES, "--tune", "--verbose", cwd=tmp_path)
    assert bool(timed(result.stderr)) is has_choice
    assert not list(tmp_path.iterdir())


def test_verify_tunes_the_split_and_the_whole(cleave, model, tmp_path, has_choice):
    file = tmp_path / "timings.json"
    nodes = cleave("plan", model[0], on_devices(2), SHAPES, "--json", "-").json["nodes"]
    first = next(node["name"] for node in nodes if node["op"] == "matmul")
    options = (on_devices(2), SHAPES, f"--pin={first}=n", "--tune", "--timingCacheFile", file)
    assert cleave("verify", model[0], *options, "--json", "-").json["passed"] is True
    shapes = {entry["outputs"][0] for entry in json.loads(file.read_text())["entries"]}
    assert not has_choice or {"f32[24, 384]", "f32[24, 768]"} <= shapes


def test_what_should_be_tuned_is_said(cleave, tmp_path):
    operands = [np.zeros((1, 4, 16, 16), np.float32), np.full((8, 4, 9, 9), 0.5, np.float32)]
    model = Case("Conv", operands, {"pads": [4] * 4}, constant=(1,)).model()
    model.graph.node[0].name = "wide"
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    warning = "conv wide: its window is 9 x 9"  # which cuDNN's heuristics misjudge
    log = cleave("run", path, on_devices(1), "--verbose").stderr
    assert (warning in log) is (": conv.cudnn_graph" in log)
    assert warning not in cleave("run", path, on_devices(1), "--tune").stderr


def test_a_build_that_tunes_must_say_where_to(cleave, model, tmp_path):
    engine = tmp_path / "mlp.cleave"
    cleave.fails(2, "build", model[0], "-o", engine, SHAPES, "--tune", mentions="--timingCacheFile")
    assert not engine.exists()


def test_a_file_that_is_not_there(cleave, model, tmp_path):
    file = tmp_path / "absent.json"
    result = cleave("run", model[0], SHAPES, "--timingCacheFile", file)
    assert "warning: the timing cache" in result.stderr and "--tune" in result.stderr
    assert not file.exists()


NO_CACHES = {
    "empty": b"",
    "text": b"not JSON",
    "deep": b"[" * 100_000,
    "no-version": b"{}",
    "other-version": b'{"cleave_timing_cache": 99, "entries": []}',
    "half-an-entry": b'{"cleave_timing_cache": 1, "entries": [{"op": "matmul"}]}',
    "no-list": b'{"cleave_timing_cache": 1, "entries": {"op": "matmul"}}',
    "not-utf-8": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("content", NO_CACHES)
@pytest.mark.parametrize("command", ["run", "build"])
def test_a_file_that_is_no_timing_cache(command, content, cleave, model, tmp_path):
    content = NO_CACHES[content]
    file = tmp_path / "bad.json"
    file.write_bytes(content)
    more = ["-o", tmp_path / "mlp.cleave"] if command == "build" else []
    options = (SHAPES, "--tune", "--timingCacheFile", file)
    mentions = ["bad.json", "timing cache"]
    cleave.fails(3, command, model[0], *more, *options, mentions=mentions)
    assert file.read_bytes() == content


def test_a_file_that_is_too_large(cleave, model, tmp_path):
    file = tmp_path / "large.json"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 30)
    cleave.fails(3, "run", model[0], SHAPES, "--timingCacheFile", file, mentions="large.json")


@pytest.mark.parametrize("place", ["missing/timings.json", "."])
def test_a_path_that_cannot_be_written(place, cleave, model, tmp_path):
    result = cleave.fails(
        3,
        "bench",
        model[0],
        SHAPES,
        "--tune",
        "--timingCacheFile",
        tmp_path / place,
        *BRIEF,
        mentions="cannot write",
    )
    assert not result.stdout  # it is found before anything is measured


def test_trtexec_has_no_such_flag(cleave, model, tmp_path):
    file = tmp_path / "timings.json"
    arguments = ("trtexec", f"--onnx={model[0]}", "--shapes=x:1x192", f"--timingCacheFile={file}")
    cleave.fails(2, *arguments, mentions="--timingCacheFile")
