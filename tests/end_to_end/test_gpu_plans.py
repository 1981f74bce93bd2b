"""Planning for GPUs needs none: costs come from a machine that was measured."""

import os

import pytest

from .cleave import NO_GPU
from .conftest import ROOT

MACHINE = ROOT / "machines" / "h200-x2-2026-11-26.json"


def test_plans_for_the_machine_that_comes_with_it(cleave, models):
    path, _ = models("decoder", layers=1, heads=16, kv_heads=4, head_size=128, inner=8192)
    options = ("--shapes=x:1x64x2048", "--fp16", "--json", "-")
    one, two = (
        cleave("plan", path, f"--devices=cuda:0-{last}", *options, env=NO_GPU).json
        for last in (0, 1)
    )
    assert two["optimal"]
    assert two["cost_us"] < one["cost_us"] == two["unsplit_us"]
    # The same machine by its file: a number alone is how many of its devices.
    counted = cleave("plan", path, f"--machine={MACHINE}", "--devices=2", *options).json
    assert counted["cost_us"] == two["cost_us"]
    # Half precision halves what weights take and is several times faster.
    full = cleave("plan", path, "--devices=0,1", options[0], "--json", "-", env=NO_GPU).json
    assert full["cost_us"] > 1.5 * two["cost_us"]
    # TF32 makes products of float32 faster, though not as fast as those in half precision.
    tf32 = cleave(
        "plan", path, "--devices=0,1", options[0], "--tf32", "--json", "-", env=NO_GPU
    ).json
    assert two["cost_us"] < tf32["cost_us"] < full["cost_us"]


def test_tf32_is_kept_in_engines_for_gpus_alone(cleave, models, tmp_path):
    path, _ = models("mlp")
    engines = {}
    for devices in ("cuda:0", "cpu:0"):
        for flags in ((), ("--tf32",)):
            engine = tmp_path / f"{devices[:3]}{len(flags)}.cleave"
            result = cleave(
                "build", path, "-o", engine, f"--devices={devices}", "--shapes=x:4x128", *flags
            )
            engines[devices, bool(flags)] = engine.read_bytes()
            said = "the CPU has no TF32" in result.stdout + result.stderr
            assert said == (devices == "cpu:0" and bool(flags)), result
    assert engines["cpu:0", True] == engines["cpu:0", False]
    assert engines["cuda:0", True] != engines["cuda:0", False]


def test_products_of_one_operand_are_one_on_gpus(cleave, models):
    path, _ = models("llama")
    options = ("--shapes=input_ids:2x8,attention_mask:2x8", "--json", "-")
    query, key, value = ("/layers.0/self_attn/MatMul" + suffix for suffix in ("", "_1", "_2"))

    def nodes(*more, devices):
        plan = cleave("plan", path, f"--devices={devices}", *options, *more, env=NO_GPU).json
        return {node["name"] for node in plan["nodes"]}

    merged = f"{query}+{key}+{value}"
    assert merged in nodes(devices="cuda:0,cuda:1")
    assert {query, key, value} <= nodes(devices="cpu:0,cpu:1")
    # Pins know it by each name.
    cleave("plan", path, "--devices=cuda:0,cuda:1", f"--pin={key}=whole", *options[:1], env=NO_GPU)


@pytest.mark.parametrize("opset", [17, 21])
def test_images_of_a_unet_are_channels_last_on_gpus(cleave, models, tmp_path, opset):
    """Group norms, in either spelling, take images as convolutions leave them, and so do the
    products around attention; the cast of what goes in brings it to that order. What is copied is
    the result, each device's part of it before they are gathered."""
    sizes = {"levels": 0, "channels": 320, "groups": 32, "heads": 8, "inputs": 320}
    path, _ = models("unet", weights="large-absent", opset=opset, **sizes)
    for devices in (1, 2):
        engine = tmp_path / f"{devices}.cleave"
        target = (f"--machine={MACHINE}", f"--devices={devices}", "--randomWeights", "--fp16")
        shape = f"--shapes=x:{devices}x320x128x128"
        cleave("build", path, "-o", engine, shape, *target, env=NO_GPU)
        found = cleave("inspect", engine, "--json", "-").json
        made = found["instructions"]
        # What the plan and its instructions cost is the same, casts behind convolutions included.
        planned = found["plan"]["cost_us"]
        assert found["predicted_us"] == pytest.approx(planned, rel=0.02)
        (copied,) = (one["results"][0] for one in made if one["op"] == "copy")
        assert copied["tensor"] == "y"
        assert copied["layout"].startswith("shard" if devices == 2 else "replicate")
        assert sum(one["op"] == "group_norm" for one in made) == 6
        assert not any(one["op"] in ("mul", "reshape") for one in made)


def test_attention_leaves_its_heads_as_they_are_read(cleave, models, tmp_path):
    """Nothing is copied to join the heads of a position, nor for the collective that deals them out
    anew where the plan for two devices has one behind attention."""
    path, _ = models("dit", weights="large-absent", heads=24, head_size=128)
    for devices in (1, 2):
        engine = tmp_path / f"{devices}.cleave"
        target = (f"--machine={MACHINE}", f"--devices={devices}", "--randomWeights", "--bf16")
        cleave("build", path, "-o", engine, "--shapes=x:1x4608x3072,c:1x3072", *target, env=NO_GPU)
        found = cleave("inspect", engine, "--json", "-").json
        ops = [one["op"] for one in found["instructions"]]
        assert ops.count("attention") == 2
        assert "copy" not in ops
        assert ("all_to_all" in ops) == (devices == 2)
        formats = {node["op"]: node["format"] for node in found["plan"]["nodes"]}
        assert formats["attention"] == "heads_inside"
        assert found["predicted_us"] == pytest.approx(found["plan"]["cost_us"], rel=0.02)


def test_a_machine_model_is_of_one_kind_of_devices(cleave, models):
    path, _ = models("mlp")
    cleave.fails(
        2,
        "plan",
        path,
        f"--machine={MACHINE}",
        "--devices=cpu:0,cpu:1",
        mentions=("cuda", "cpu:0,cpu:1"),
    )


def test_engines_for_gpus_are_built_anywhere_and_run_where_there_are_some(cleave, models, tmp_path):
    path, _ = models("mlp")
    engine = tmp_path / "mlp.cleave"
    cleave("build", path, "-o", engine, "--devices=0,1", "--bf16", "--shapes=x:4x128")
    assert cleave("inspect", engine, "--json", "-").json["devices"] == 2
    if not os.path.exists("/dev/nvidiactl"):
        cleave.fails(6, "run", engine, mentions="driver")
