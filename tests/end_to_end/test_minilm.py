"""MiniLM: one engine a number of devices serves every batch and sequence of its profile."""

import os

import pytest

from ..models.inputs import make_inputs
from .cleave import largest_difference, on_devices, profile

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# (batch, sequence): the profile's corners, the sequences that the issue of equality asks about.
SIZES = ((1, 1), (8, 1), (3, 7), (1, 128), (2, 256), (8, 256))
PROFILE = profile(*({name: size for name in INPUTS} for size in ("1x1", "1x128", "8x256")))


@pytest.fixture(scope="module")
def engine(cleave, models, tmp_path_factory):
    """engine(devices) → the engine for so many devices, built once."""
    folder = tmp_path_factory.mktemp("minilm")

    def build(devices: int):
        path = folder / f"{devices}.cleave"
        if not path.exists():
            cleave("build", models("minilm")[0], "-o", path, on_devices(devices), *PROFILE)
        return path

    return build


@pytest.fixture(scope="module")
def references(cleave, models, engine, onnx_runtime, tmp_path_factory):
    """For each size: the inputs, ONNX Runtime's embedding, and that of one device."""
    folder = tmp_path_factory.mktemp("references")
    path, model = models("minilm")
    found = {}
    for batch, sequence in SIZES:
        inputs = make_inputs(model, {"batch": batch, "sequence": sequence})
        wanted = onnx_runtime(path, inputs)["sentence_embedding"]
        one = cleave.outputs(engine(1), inputs, folder, on_devices(1))["sentence_embedding"]
        found[batch, sequence] = inputs, wanted, one
    return found


@pytest.mark.parametrize("devices", [1, 2, 3, 4, 5, 8])
def test_equals_onnx_runtime_and_one_device(devices, cleave, engine, references, tmp_path):
    for size, (inputs, wanted, one) in references.items():
        split = cleave.outputs(engine(devices), inputs, tmp_path, on_devices(devices))
        got = split["sentence_embedding"]
        assert largest_difference(got, wanted)[0] <= 1e-4, size
        assert largest_difference(got, one)[1] <= 1e-5, size


def test_the_engine_for_two_devices_is_split(cleave, engine):
    found = cleave("inspect", engine(2), "--json", "-").json
    assert found["devices"] == 2
    assert sum(found["collectives"].values()) > 0


def test_sixteen_devices_do_not_wait_for_cores(cleave, models):
    """Ranks that wait let others work: little more wall-clock time than the cores need for it.
    Other programs take their share too: that is what one device on all cores loses."""
    cores = min(len(os.sched_getaffinity(0)), 16)
    shapes = "--shapes=" + ",".join(f"{name}:1x128" for name in INPUTS)

    def wall_per_work(devices: int) -> float:
        options = (on_devices(devices), shapes, "--duration=1", "--json", "-")
        bench = cleave("bench", models("minilm")[0], *options).json
        return bench["latency_us"]["mean"] / (bench["cpu_us"] / cores)

    ratios = []
    for _ in range(5):
        ratios.append(wall_per_work(16) / max(1.0, wall_per_work(1)))
        if ratios[-1] <= 1.3:
            break
    assert min(ratios) <= 1.3, ratios


def quickest_plan(cleave, model, shapes, seconds):
    """Plans until it is done in `seconds`, at most five times (other programs run too)."""
    for _ in range(5):
        plan = cleave("plan", model, on_devices(2), shapes, "--json", "-").json
        if plan["planning_seconds"] < seconds:
            break
    return plan


def test_the_plan_is_proven_and_quick(cleave, models):
    sizes = ",".join(f"{name}:1x128" for name in INPUTS)
    plan = quickest_plan(cleave, models("minilm")[0], f"--shapes={sizes}", 0.1)
    assert plan["optimal"]
    assert plan["bound_us"] == pytest.approx(plan["cost_us"], rel=1e-9)
    assert plan["cost_us"] <= plan["unsplit_us"] * (1 + 1e-9)
    assert plan["planning_seconds"] < 0.1


def test_planning_gpt2_xl_without_its_weights(cleave, models):
    path, _ = models("gpt2", weights="absent", size="xl")
    plan = quickest_plan(cleave, path, "--shapes=input_ids:1x128", 0.5)
    assert plan["optimal"]
    assert plan["planning_seconds"] < 0.5
