"""The ops of ONNX Runtime's domain com.microsoft, one by one, and in models that its optimizer
wrote."""

import numpy as np
import onnx
import onnxruntime
import pytest

from ..models.inputs import make_inputs
from .cleave import device_counts, largest_difference, on_devices, shapes
from .one_node import Case

DOMAIN = "com.microsoft"
_RANDOM = np.random.default_rng(11)


def normal(*shape: int) -> np.ndarray:
    return _RANDOM.standard_normal(shape, dtype=np.float32)


def mask(*shape: int) -> np.ndarray:
    """0 and 1, and no row without a 1."""
    values = _RANDOM.integers(0, 2, shape)
    values[..., 0] = 1
    return values.astype(np.int32)


def below(extent: int, *shape: int) -> np.ndarray:
    return _RANDOM.integers(0, extent, shape).astype(np.int32)


def case(op: str, *operands: np.ndarray | None, label: str = "", **options) -> Case:
    """Options that are no field of Case are the node's attributes."""
    fields = {"dynamic", "constant", "outputs", "unnamed", "domain"}
    given = {name: value for name, value in options.items() if name in fields}
    attributes = {name: value for name, value in options.items() if name not in fields}
    return Case(op, list(operands), attributes, label=label, **{"domain": DOMAIN, **given})


ROWS = ["batch", "rows", 12]


def norms() -> list[Case]:
    x, skip, gamma, beta, bias = normal(2, 5, 12), normal(2, 5, 12), *normal(3, 12)
    dynamic = {0: ROWS, 1: ROWS}
    # Behind mean and deviation, which only training has, comes the sum.
    summed = {"outputs": 4, "unnamed": (1, 2), "label": "sum"}
    return [
        case("SkipLayerNormalization", x, skip, gamma, beta, dynamic=dynamic),
        case("SkipLayerNormalization", x, skip, gamma, label="gamma"),
        case("SkipLayerNormalization", x, skip, gamma, beta, bias, epsilon=1e-3, label="bias"),
        case("SkipLayerNormalization", x, skip[0], gamma, None, bias, label="one-skip"),
        case("SkipSimplifiedLayerNormalization", x, skip, gamma, dynamic=dynamic),
        case("SkipSimplifiedLayerNormalization", x, skip, gamma, bias, label="bias"),
        case("SkipLayerNormalization", x, skip, gamma, beta, bias, **summed),
        case("SkipSimplifiedLayerNormalization", x, skip, gamma, bias, **summed),
        case("SimplifiedLayerNormalization", x, gamma, dynamic={0: ROWS}, domain="", axis=-1),
    ]


def embeddings() -> list[Case]:
    ids, segments = below(31, 3, 7), below(2, 3, 7)
    tables = [normal(31, 12), normal(9, 12), normal(2, 12)]
    gamma, beta = normal(2, 12)
    dynamic = {0: ["batch", "rows"], 1: ["batch", "rows"]}
    words = [ids, segments, *tables, gamma, beta]
    places = below(9, 3, 7)
    return [
        case("EmbedLayerNormalization", *words, dynamic=dynamic, outputs=2),
        case(
            "EmbedLayerNormalization", *words, mask(3, 7), dynamic=dynamic, outputs=3, label="all"
        ),
        case("EmbedLayerNormalization", *words, None, places, outputs=2, label="places"),
        case(
            "EmbedLayerNormalization",
            *(ids, None, tables[0], tables[1], None, gamma, beta),
            outputs=2,
            label="no-segments",
        ),
    ]


def products() -> list[Case]:
    a, b = normal(2, 3, 4, 5), normal(2, 3, 5, 6)
    batched = ["n", 3, 4, 5]
    cases = [case("FusedMatMul", a, b, alpha=0.3, dynamic={0: batched}, label="alpha")]
    for first in (0, 1):
        for second in (0, 1):
            left = a.transpose(0, 1, 3, 2) if first else a
            right = b.transpose(0, 1, 3, 2) if second else b
            turned = {"transA": first, "transB": second}
            label = f"{first}{second}"
            cases.append(case("FusedMatMul", left, right, alpha=2.0, label=label, **turned))
            # The rows come first, before the batches.
            left = left.transpose(2, 0, 1, 3)
            turned["transBatchA"] = 1
            cases.append(case("FusedMatMul", left, right, label=f"batches-{label}", **turned))
    both = {"transBatchA": 1, "transBatchB": 1}
    left, right = a.transpose(2, 0, 1, 3), b.transpose(2, 0, 1, 3)
    cases.append(case("FusedMatMul", left, right, label="both-batches", **both))
    cases.append(case("FusedMatMul", normal(5), normal(7, 5), transB=1, label="row"))
    gemm = [normal(6, 5), normal(7, 5), normal(7)]
    for activation in ("Relu", "Sigmoid", "Tanh", "LeakyRelu"):
        options = {"transB": 1, "alpha": 0.5, "activation": activation}
        if activation == "LeakyRelu":
            options["activation_alpha"] = 0.25
        cases.append(case("FusedGemm", *gemm, label=activation, **options))
    return cases


def convolutions() -> list[Case]:
    x, w, bias = normal(2, 4, 7, 6), normal(6, 4, 3, 3), normal(6)
    dynamic = {0: ["n", 4, "h", "w"]}
    parameters = {"LeakyRelu": [0.25], "Clip": [-0.5, 0.75], "HardSigmoid": [0.3, 0.4]}
    cases = [
        case(
            "FusedConv",
            *(x, w, bias),
            dynamic=dynamic,
            pads=[1, 1, 1, 1],
            activation=activation,
            **({"activation_params": parameters[activation]} if activation in parameters else {}),
            label=activation,
        )
        for activation in ("Relu", "Sigmoid", "Tanh", *parameters)
    ]
    cases.append(
        case(
            "FusedConv",
            x,
            w,
            bias,
            normal(2, 6, 5, 4),
            dynamic=dynamic,
            activation="Relu",
            label="sum",
        )
    )
    return cases


def attentions() -> list[Case]:
    x, weights, bias = normal(2, 5, 12), normal(12, 24) / 4, normal(24)
    options = {"num_heads": 2, "dynamic": {0: ROWS}}
    packed = [x, weights, bias]
    by_length = np.array([3, 5], np.int32)
    terms = normal(2, 2, 5, 5)
    cases = [
        case("Attention", *packed, **options),
        case("Attention", *packed, mask(2, 5), **options, label="mask"),
        case("Attention", *packed, mask(2, 5), unidirectional=1, **options, label="causal-mask"),
        case("Attention", *packed, mask(2, 5, 5), **options, label="mask-by-row"),
        case("Attention", *packed, by_length, **options, label="lengths"),
        case("Attention", *packed, None, None, terms, **options, label="bias"),
        case("Attention", *packed, mask(2, 5), None, terms[:1, :1], **options, label="mask-bias"),
        case("Attention", *packed, unidirectional=1, scale=0.3, **options, label="causal"),
        case(
            "Attention",
            *(x, normal(12, 20) / 4, normal(20), mask(2, 5)),
            qkv_hidden_sizes=[8, 8, 4],
            mask_filter_value=-3.0,
            **options,
            label="widths",
        ),
        # Every column of a row hidden: all weigh as they would without a mask.
        case("Attention", *packed, np.zeros((2, 5), np.int32), **options, label="all-hidden"),
    ]
    query, key, value = normal(2, 3, 8), normal(2, 5, 8), normal(2, 5, 12)
    bias = normal(8 + 8 + 12)
    dynamic = {0: ["batch", "rows", 8], 1: ["batch", "columns", 8], 2: ["batch", "columns", 12]}
    options = {"num_heads": 2, "dynamic": dynamic}
    terms = normal(1, 2, 3, 5)
    operands = [query, key, value]
    return [
        *cases,
        case("MultiHeadAttention", *operands, **options),
        case("MultiHeadAttention", *operands, bias, **options, label="bias"),
        case("MultiHeadAttention", *operands, bias, mask(2, 5), **options, label="mask"),
        case("MultiHeadAttention", *operands, None, by_length, **options, label="lengths"),
        case("MultiHeadAttention", *operands, bias, None, terms, **options, label="terms"),
        case(
            "MultiHeadAttention",
            *(key, key, value),
            unidirectional=1,
            num_heads=2,
            label="causal",
        ),
        case(
            "MultiHeadAttention",
            *(query, normal(2, 2, 5, 4), normal(2, 2, 5, 4)),
            num_heads=2,
            label="by-heads",
        ),
    ]


def rotary_embeddings() -> list[Case]:
    angles = _RANDOM.random((9, 4)) * 6
    tables = [np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)]
    flat, by_heads = normal(2, 5, 24), normal(2, 3, 5, 8)
    first, places = np.array([2]), _RANDOM.integers(0, 9, (2, 5))
    dynamic = {0: ["batch", "rows", 24]}
    halves = [table[:, :2].copy() for table in tables]
    wide = {"num_heads": 3, "rotary_embedding_dim": 4}
    return [
        case("RotaryEmbedding", flat, first, *tables, dynamic=dynamic, label="first"),
        case("RotaryEmbedding", flat, places, *tables, interleaved=1, label="interleaved"),
        case("RotaryEmbedding", by_heads, places, *tables, label="by-heads"),
        case("RotaryEmbedding", flat, places, *halves, label="part", **wide),
    ]


CASES = [
    *norms(),
    *embeddings(),
    *products(),
    *convolutions(),
    *attentions(),
    *rotary_embeddings(),
    case("Gelu", normal(4, 9), dynamic={0: ["n", 9]}),
    case("BiasGelu", normal(4, 5, 9), normal(9), dynamic={0: ["n", 5, 9]}),
    case("FastGelu", normal(4, 5, 9), normal(9), dynamic={0: ["n", 5, 9]}),
    case("FastGelu", normal(4, 9), label="no-bias"),
    case("QuickGelu", normal(4, 9), dynamic={0: ["n", 9]}),
    case("QuickGelu", normal(4, 9), alpha=1.0, label="silu"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_onnx_runtime(case, cleave, onnx_runtime, tmp_path):
    case.check(cleave, onnx_runtime, tmp_path)


# What the optimizer puts into each family, besides ops of ONNX.
OPTIMISED = [
    ("minilm", {}, ("FusedMatMul", "BiasGelu")),
    ("vit", {}, ("FusedMatMul", "BiasGelu")),
    ("vit", {"opset": 13}, ("FusedMatMul", "BiasGelu", "SkipLayerNormalization")),
    ("gpt2", {}, ("FusedMatMul", "FastGelu")),
    ("llama", {}, ("FusedMatMul", "QuickGelu", "SimplifiedLayerNormalization")),
    ("resnet", {"blocks": "1,1", "width": 8}, ("FusedConv",)),
    ("recommender", {}, ("FusedMatMul", "FusedGemm")),
]


def optimised(path, folder):
    """The model as ONNX Runtime writes it after its own optimisation."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # that the file is for machines like this one
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return folder / "optimised.onnx"


@pytest.mark.parametrize("name, options, ops", OPTIMISED, ids=str)
def test_what_onnx_runtime_optimised(name, options, ops, cleave, models, onnx_runtime, tmp_path):
    """Equal to the model before, and planned as well as that."""
    path, model = models(name, **options)
    fused = optimised(path, tmp_path)
    assert {node.op_type for node in onnx.load(fused).graph.node}.issuperset(ops)
    sizes = {"batch": 2, "sequence": 9, "height": 64, "width": 64}
    inputs = make_inputs(model, sizes)
    (wanted,) = onnx_runtime(path, inputs).values()
    for devices in device_counts(1, 2):
        (got,) = cleave.outputs(fused, inputs, tmp_path, on_devices(devices)).values()
        assert largest_difference(got, wanted)[1] <= 2e-5
    given = {name: "x".join(map(str, x.shape)) for name, x in inputs.items()}
    plans = [
        cleave("plan", file, on_devices(2), shapes("shapes", **given), "--json", "-").json
        for file in (path, fused)
    ]
    # Formats are chosen before the split: where two cost nearly the same, either may come out.
    assert plans[1]["cost_us"] <= 1.05 * plans[0]["cost_us"]


@pytest.mark.parametrize("op", ["Attention", "MultiHeadAttention"])
def test_heads_are_split(op, cleave, tmp_path):
    """Nothing is moved before attention or in it (on CPUs: GPUs would rather cut the rows)."""
    x = np.zeros((1, 16, 1024), np.float32)
    if op == "Attention":
        operands = [x, np.ones((1024, 3072), np.float32), np.ones(3072, np.float32)]
        model = case(op, *operands, constant=(1, 2), num_heads=16).model()
    else:
        model = case(op, *[np.zeros((1, 512, 1024), np.float32)] * 3, num_heads=16).model()
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    nodes = cleave("plan", path, "--devices=cpu:0-1", "--json", "-").json["nodes"]
    (place,) = [i for i, node in enumerate(nodes) if node["op"] == "attention"]
    assert nodes[place]["strategy"].split("[")[0] == "h"
    assert all(node["communication_us"] == 0 for node in nodes[: place + 1])
