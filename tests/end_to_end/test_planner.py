"""The plan is found from costs: which split wins depends on rows, memory and the link."""

import json
import re

import pytest

from .cleave import on_devices, profile

TWO = on_devices(2)


def factors(plan: dict, op: str) -> list[str]:
    """For each node of this operation, the factor that is split, or "whole": a strategy is a
    factor with, in brackets, its cut where that is not the even one."""
    return [node["strategy"].split("[")[0] for node in plan["nodes"] if op in node["op"].lower()]


def collectives(cleave, model, engine, *options, devices=TWO) -> dict[str, int]:
    """What the engine for this model moves between devices, without what it has none of."""
    cleave("build", model, "-o", engine, devices, "--randomWeights", *options)
    found = cleave("inspect", engine, "--json", "-").json["collectives"]
    return {name: count for name, count in found.items() if count}


def plan_of(cleave, model, *options, devices=TWO) -> dict:
    plan = cleave("plan", model, devices, *options, "--json", "-").json
    assert plan["optimal"]
    return plan


@pytest.fixture(scope="module")
def fc(models):
    return models("fc", weights="absent", inputs=4096, outputs=4096)[0]


@pytest.fixture(scope="module")
def mlp(models):
    return models("mlp", weights="absent", hidden=1024, inner=8192)[0]


@pytest.fixture(scope="module")
def decoder(models):
    return models("gpt2", weights="absent", size="medium", layers=1)[0]


@pytest.mark.parametrize("rows", [1, 4, 8])
def test_few_rows_split_the_columns_of_a_large_layer(rows, cleave, fc, tmp_path):
    shape = f"--shapes=x:{rows}x4096"
    assert factors(plan_of(cleave, fc, shape), "matmul") == ["n"]
    assert collectives(cleave, fc, tmp_path / "fc.cleave", shape) == {"all_gather": 1}


@pytest.mark.parametrize("rows", [1, 8])
def test_few_rows_split_two_layers_with_one_all_reduce(rows, cleave, mlp, tmp_path):
    shape = f"--shapes=x:{rows}x1024"
    assert factors(plan_of(cleave, mlp, shape), "matmul") == ["n", "k"]
    assert collectives(cleave, mlp, tmp_path / "mlp.cleave", shape) == {"all_reduce": 1}


def test_attention_is_split_by_heads(cleave, decoder):
    plan = plan_of(cleave, decoder, "--shapes=input_ids:1x8")
    assert factors(plan, "attention") in (["h"], ["heads"])
    fused, projection, first, second = factors(plan, "matmul")[:4]
    assert (fused, first, second) == ("n", "n", "k")
    # Either the heads' results are summed behind the projection or gathered before it.
    assert projection in ("k", "n")
    (attention,) = [node for node in plan["nodes"] if "attention" in node["op"]]
    assert attention["time_us"] < attention["unsplit_us"]


@pytest.mark.parametrize(
    "height, width, expected", [(128, 128, {"y", "x"}), (8, 64, {"c", "o"})], ids=str
)
def test_large_kernels_split_large_images_and_the_channels_of_thin_ones(
    height, width, expected, cleave, models
):
    """A halo of 30 rows is little of a large image; a thin one is all halo."""
    path, _ = models("wide", channels=32, kernel=31)
    plan = plan_of(cleave, path, f"--shapes=x:1x3x{height}x{width}")
    assert {node["format"] for node in plan["nodes"]} <= {
        "row_major",
        "channels_last",
        "heads_inside",
    }
    assert factors(plan, "conv")[-1].split()[0] in expected
    wide = [node for node in plan["nodes"] if node["op"] == "conv"][-1]
    assert wide["time_us"] < 0.6 * wide["unsplit_us"]


@pytest.mark.parametrize("factor", ["n", "c", "o", "y", "x"])
@pytest.mark.parametrize("devices", [2, 3, 5])
def test_every_split_of_a_convolution_gives_the_same(factor, devices, cleave, models):
    """Among them halos that reach over several devices: 5 share 23 rows, each of which sees 31."""
    path, _ = models("wide", channels=8, kernel=31)
    name = "/Conv_1/add"
    shape = "--shapes=x:2x3x23x26"
    options = (on_devices(devices), shape, f"--pin={name}={factor}")
    plan = cleave("plan", path, *options, "--json", "-").json
    wide = [node for node in plan["nodes"] if node["op"] == "conv"][-1]
    assert wide["strategy"].split("[")[0] == factor
    assert cleave("verify", path, *options, "--json", "-").json["passed"]


@pytest.mark.parametrize("opset", [17, 21])
@pytest.mark.parametrize("devices", [2, 3, 4])
def test_group_norms_are_split_by_groups(opset, devices, cleave, models):
    """Also those that are written as an instance norm of groups between two reshapes."""
    path, _ = models("unet", opset=opset, levels=1, channels=24, groups=6)
    shape = "--shapes=x:1x4x16x12"
    norms = [
        node["name"]
        for node in cleave("plan", path, shape, "--json", "-").json["nodes"]
        if node["op"] == "group_norm"
    ]
    assert len(norms) == 10
    options = (on_devices(devices), shape, *(f"--pin={name}=g" for name in norms))
    plan = cleave("plan", path, *options, "--json", "-").json
    assert set(factors(plan, "group_norm")) == {"g"}
    assert cleave("verify", path, *options, "--json", "-").json["passed"]


@pytest.fixture(scope="module")
def resnet50(models):
    return models("resnet", weights="absent")[0]


def test_resnet_50_splits_a_batch_by_its_images(cleave, resnet50):
    """Images never meet: nothing is moved before the last layer, and no other split is as quick."""
    shape = "--shapes=x:8x3x224x224"
    free = plan_of(cleave, resnet50, shape)
    convolutions = [node for node in free["nodes"] if node["op"] == "conv"]
    assert len(convolutions) == 53
    assert {node["strategy"].split("[")[0] for node in convolutions} == {"n"}
    assert all(node["communication_us"] == 0 for node in convolutions)
    assert free["cost_us"] < 0.55 * free["unsplit_us"]
    for factor in ("y", "o"):
        pins = [f"--pin={node['name']}={factor}" for node in convolutions[1:]]
        assert plan_of(cleave, resnet50, shape, *pins)["cost_us"] > free["cost_us"]


def test_resnet_50_splits_a_single_image_by_rows_and_then_by_channels(cleave, resnet50):
    """Its images become small, and its channels many."""
    plan = plan_of(cleave, resnet50, "--shapes=x:1x3x224x224")
    found = [factor.split()[0] for factor in factors(plan, "conv")]
    assert set(found[:11]) <= {"y", "x"}
    assert set(found[-9:]) <= {"c", "o"}
    assert plan["cost_us"] < 0.7 * plan["unsplit_us"]


def test_tables_of_embeddings_are_split_by_columns_where_they_do_not_fit(cleave, models):
    """Each device looks up all of the batch in half of each large table's columns; what is found
    is exchanged for half of the batch in all columns."""
    path, _ = models("recommender", weights="absent", rows=200_000, size=64)
    sizes = {
        "dense": 13,
        **{f"ids_{table}": 4 for table in range(5)},
        "weights_1": 4,
        "weights_3": 4,
    }
    shape = "--shapes=" + ",".join(f"{name}:128x{size}" for name, size in sizes.items())
    free = plan_of(cleave, path, shape)
    assert factors(free, "gather")[:5] == ["i0"] * 5
    limit = max(free["memory_bytes"]) * 2 // 3 // 2**20
    tight = plan_of(cleave, path, shape, f"--memory={limit}MiB")
    assert max(tight["memory_bytes"]) <= limit * 2**20
    assert factors(tight, "gather")[4] == "d1"
    assert factors(tight, "matmul") == factors(free, "matmul")
    assert free["cost_us"] < tight["cost_us"] < 0.6 * tight["unsplit_us"]


def test_experts_are_split_by_experts(cleave, models):
    """Of a mixture in which all experts are one product: nothing is moved before their sum."""
    sizes = {"heads": 8, "kv_heads": 4, "head_size": 64, "inner": 1024, "experts": 8}
    path, _ = models("moe", weights="absent", layers=1, spelling="stacked", **sizes)
    nodes = plan_of(cleave, path, "--shapes=input_ids:1x8,attention_mask:1x8")["nodes"]
    stacked = [i for i, node in enumerate(nodes) if node["strategy"] == "b0"]
    assert [nodes[i]["op"] for i in stacked] == ["matmul"] * 3
    assert all(nodes[i]["communication_us"] == 0 for i in stacked)
    assert nodes[stacked[-1] + 1]["op"] == "reduce_sum"


VIT = ("vit", {"layers": 1, "hidden": 1024, "heads": 16, "patches": 15}, "patches:1x15x48")
GPT2 = ("gpt2", {"layers": 1, "size": "medium"}, "input_ids:1x8")
LLAMA = (
    "llama",
    {"layers": 1, "heads": 12, "kv_heads": 4, "head_size": 128, "inner": 4096},
    "input_ids:1x8,attention_mask:1x8",
)
PER_PART = ["n[1024/64 | 1024/64 | 1024/64]"]
PER_HEAD = ["n[3072/192]"]
# By groups of heads, or by heads with key heads that several devices hold.
PER_GROUP = ["n[1536/384 | 512/128 | 512/128]", "n[1536/128 | 512/128x3 | 512/128x3]"]
SPELLINGS = [
    (VIT, {"qkv": "gather"}, PER_PART),
    (VIT, {"qkv": "split"}, PER_PART),
    (VIT, {"qkv": "slice"}, PER_PART),
    (VIT, {"qkv": "packed"}, PER_PART),
    (GPT2, {"qkv": "split"}, PER_PART),
    (GPT2, {"qkv": "neox"}, PER_HEAD),
    (GPT2, {"qkv": "bloom"}, PER_HEAD),
    (LLAMA, {"qkv": "fused"}, PER_GROUP),
    (LLAMA, {"qkv": "grouped"}, ["n[2560/640]"]),
]


@pytest.mark.parametrize("devices", [2, 3])
@pytest.mark.parametrize("family, options, cuts", SPELLINGS, ids=str)
def test_a_fused_weight_is_cut_by_heads(family, options, cuts, devices, cleave, models):
    """However query, key and value are told apart, nothing is moved before attention."""
    name, sizes, shape = family
    model = models(name, weights="absent", **{**sizes, **options})[0]
    nodes = plan_of(cleave, model, f"--shapes={shape}", devices=on_devices(devices))["nodes"]
    (attention,) = [i for i, node in enumerate(nodes) if "attention" in node["op"]]
    fused = max(i for i in range(attention) if "matmul" in nodes[i]["op"])
    assert nodes[attention]["strategy"].split("[")[0] == "h"
    assert nodes[fused]["strategy"] in cuts
    assert all(node["communication_us"] == 0 for node in nodes[fused:attention])


def test_heads_joined_with_a_dynamic_batch_are_split(cleave, models):
    name, sizes, _ = VIT
    model = models(name, weights="absent", **{**sizes, "qkv": "packed"})[0]
    batches = profile(*({"patches": f"{batch}x15x48"} for batch in (1, 2, 4)))
    plan = plan_of(cleave, model, *batches, f"--memory={limit_of(cleave, model, batches)}MiB")
    assert factors(plan, "attention") == ["h"]


def limit_of(cleave, model, shapes) -> int:
    """MiB that hold no more than two thirds of the weights."""
    whole = plan_of(cleave, model, *shapes, *pin_all(cleave, model, shapes, "whole"))
    return max(whole["memory_bytes"]) * 2 // 3 // 2**20


@pytest.mark.parametrize("devices", [2, 4])
@pytest.mark.parametrize(
    "heads, kv_heads, cut",
    [
        (9, 3, "n[1152/128 | 384/128x3 | 384/128x3]"),
        (9, 3, "n[1152/384 | 384/128 | 384/128]"),
        (8, 1, "n[1024/128 | 128/128x8 | 128/128x8]"),
    ],
)
def test_devices_may_hold_the_same_key_heads(
    heads, kv_heads, cut, devices, cleave, models, tmp_path
):
    """Devices share query heads unevenly; nothing is moved before attention, nor gathered twice."""
    name, sizes, shape = LLAMA
    options = {**sizes, "heads": heads, "kv_heads": kv_heads, "qkv": "fused"}
    model = models(name, weights="absent", **options)[0]
    shape = f"--shapes={shape}"
    free = plan_of(cleave, model, shape, devices=on_devices(devices))
    assert factors(free, "attention") == ["h"]
    fused, project = [node["name"] for node in free["nodes"] if "matmul" in node["op"]][:2]
    (attention,) = [node["name"] for node in free["nodes"] if "attention" in node["op"]]
    grain = cut[2 : cut.index(" ")]
    h = "h" if grain == f"{heads * 128}/128" else "h[9/3]"
    pins = [f"--pin={attention}={h}", f"--pin={fused}={cut}", f"--pin={project}=k[{grain}]"]
    pinned = plan_of(cleave, model, shape, *pins, devices=on_devices(devices))
    assert pinned["cost_us"] >= free["cost_us"]
    engine = tmp_path / "shared.cleave"
    moved = collectives(cleave, model, engine, shape, *pins, devices=on_devices(devices))
    assert moved == {"all_gather": 1, "all_reduce": 2}


@pytest.mark.parametrize(
    "gate_up, cut",
    [
        ("split", "n[4096/1 | 4096/1]"),
        ("halves", "n[4096/1 | 4096/1]"),
        ("interleaved", "n[8192/2]"),
    ],
)
def test_gate_and_up_of_one_weight_are_cut_alike(gate_up, cut, cleave, models):
    """Two products around them, then one sum: nothing is moved between."""
    name, sizes, shape = LLAMA
    model = models(name, weights="absent", **{**sizes, "gate_up": gate_up})[0]
    nodes = plan_of(cleave, model, f"--shapes={shape}")["nodes"]
    fused, down, _ = [i for i, node in enumerate(nodes) if "matmul" in node["op"]][-3:]
    assert [nodes[i]["strategy"] for i in (fused, down)] == [cut, "k"]
    assert all(node["communication_us"] == 0 for node in nodes[fused:down])


def test_many_rows_split_the_rows_where_memory_allows(cleave, mlp, tmp_path):
    shape = "--shapes=x:2048x1024"
    free = plan_of(cleave, mlp, shape)
    assert factors(free, "matmul") == ["m", "m"]
    names = [node["name"] for node in free["nodes"] if "matmul" in node["op"].lower()]
    pins = [f"--pin={name}={factor}" for name, factor in zip(names, "nk", strict=True)]
    assert plan_of(cleave, mlp, shape, *pins)["cost_us"] > free["cost_us"]

    # 64 MiB of weights do not fit twice when each device has 12 MiB less than that took.
    limit = max(free["memory_bytes"]) // 2**20 - 12
    tight = plan_of(cleave, mlp, shape, f"--memory={limit}MiB")
    assert factors(tight, "matmul") == ["n", "k"]
    assert max(tight["memory_bytes"]) <= limit * 2**20
    assert tight["cost_us"] >= free["cost_us"]
    options = (shape, f"--memory={limit}MiB")
    assert collectives(cleave, mlp, tmp_path / "mlp.cleave", *options) == {"all_reduce": 1}


def test_many_rows_of_one_layer_split_its_columns_under_a_memory_limit(cleave, fc):
    shape = "--shapes=x:512x4096"
    whole = plan_of(cleave, fc, shape, *pin_all(cleave, fc, [shape], "whole"))
    limit = max(whole["memory_bytes"]) // 2**20 - 8
    assert factors(plan_of(cleave, fc, shape, f"--memory={limit}MiB"), "matmul") == ["n"]


def pin_all(cleave, model, shapes, strategy) -> list[str]:
    nodes = plan_of(cleave, model, *shapes)["nodes"]
    return [f"--pin={node['name']}={strategy}" for node in nodes]


def test_small_layers_stay_whole(cleave, models, tmp_path):
    path, _ = models("mlp", hidden=32, inner=64)
    plan = plan_of(cleave, path, "--shapes=x:1x32")
    assert {node["strategy"] for node in plan["nodes"]} == {"whole"}
    assert plan["cost_us"] == pytest.approx(plan["unsplit_us"])
    assert collectives(cleave, path, tmp_path / "small.cleave", "--shapes=x:1x32") == {}


@pytest.fixture(scope="module")
def slow_machine(cleave, tmp_path_factory):
    """The built-in machine with collectives that take 100 times as long."""
    path = tmp_path_factory.mktemp("machine") / "slow.json"
    cleave("measure", TWO, "--builtin", "-o", path)
    machine = json.loads(path.read_text())
    points = [point for device in machine["devices"] for point in device["collectives"]]
    assert points
    for point in points:
        point["us"] *= 100
    path.write_text(json.dumps(machine))
    return path


@pytest.mark.parametrize(
    "name, shape, sizes",
    [
        ("fc", "x:8x1024", {"inputs": 1024, "outputs": 4096}),
        ("mlp", "x:8x512", {"hidden": 512, "inner": 2048}),
    ],
)
def test_a_slow_link_keeps_models_whole(name, shape, sizes, cleave, slow_machine, models):
    """Models whose split saves more than the link costs, but not 100 times more."""
    model = models(name, weights="absent", **sizes)[0]
    usual = plan_of(cleave, model, f"--shapes={shape}")
    assert {"whole"} != set(factors(usual, "matmul"))
    slow = plan_of(cleave, model, f"--shapes={shape}", f"--machine={slow_machine}")
    assert {node["strategy"] for node in slow["nodes"]} == {"whole"}


def test_explain_gives_what_the_losing_strategies_cost(cleave, fc):
    shape = "--shapes=x:4x4096"
    plan = plan_of(cleave, fc, shape)
    (node,) = [node for node in plan["nodes"] if "matmul" in node["op"].lower()]
    text = cleave("plan", fc, TWO, shape, "--explain", node["name"]).stdout
    for strategy in ("whole", "m", "n", "k"):
        line = re.search(rf"^\W*{strategy}\b.*\d", text, re.MULTILINE)
        assert line, f"no cost of {strategy!r}\n{text}"


def test_explain_gives_no_strategy_twice(cleave, mlp, decoder):
    for model, shape in ((mlp, "x:4x1024"), (decoder, "input_ids:1x8")):
        nodes = plan_of(cleave, model, f"--shapes={shape}")["nodes"]
        for node in [node for node in nodes if node["op"].lower() in ("matmul", "add")][:6]:
            text = cleave("plan", model, TWO, f"--shapes={shape}", "--explain", node["name"]).stdout
            names = [re.split(r"\s{2,}", line)[0] for line in text.splitlines()[1:]]
            assert len(names) == len(set(names)), text
