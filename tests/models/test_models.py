"""The generated models are valid ONNX, and ONNX Runtime computes what they are meant to be."""

import numpy as np
import onnx
import onnxruntime
import pytest

from . import reference
from .builder import Model
from .generate import FAMILIES, generate
from .inputs import make_inputs
from .save import save

OPSETS = (11, 13, 17, 18, 21)
SMALL_OPTIONS = {
    "minilm": {"layers": 1},
    "fc": {},
    "mlp": {},
    "big": {},
    "vit": {},
    "gpt2": {},
    "llama": {},
    "decoder": {},
    "dit": {},
    "moe": {"layers": 1},
    "resnet": {"blocks": "1,2", "width": 8, "classes": 10},
    "mobilenet": {"multiplier": 0.25, "blocks": 5, "classes": 10},
    "convnext": {"depths": "1,1", "width": 16, "classes": 10},
    "unet": {"channels": 8, "groups": 4, "heads": 2},
    "audio": {"layers": 4, "cycle": 3, "channels": 8, "levels": 16},
    "wide": {"channels": 4},
    "recommender": {"rows": 50, "size": 8, "inner": 16},
    "functions": {},
}
VARIANTS = [
    ("mlp", {"kind": "relu"}),
    ("mlp", {"kind": "gelu_tanh", "rank": 3}),
    ("mlp", {"kind": "silu"}),
    ("gpt2", {"conv1d": "gemm"}),
    ("llama", {"layers": 1, "heads": 4, "kv_heads": 4}),
    ("vit", {"heads": 4, "patches": 9}),
    ("vit", {"qkv": "split"}),
    ("vit", {"qkv": "slice", "opset": 11}),
    ("vit", {"qkv": "packed"}),
    ("gpt2", {"qkv": "neox"}),
    ("gpt2", {"qkv": "bloom"}),
    ("llama", {"qkv": "fused", "gate_up": "halves"}),
    ("llama", {"qkv": "fused", "heads": 6, "kv_heads": 1}),
    ("llama", {"qkv": "grouped", "gate_up": "interleaved"}),
    ("dit", {"layers": 3, "heads": 5, "ratio": 3, "opset": 11}),
    ("fc", {"opset": 7}),
    ("mlp", {"opset": 7, "kind": "relu"}),
    ("vit", {"opset": 9}),
    ("functions", {"opset": 8}),
    ("moe", {"spelling": "stacked", "opset": 11}),
    ("moe", {"spelling": "stacked", "opset": 21}),
    ("resnet", {"blocks": "1,1,1,1", "width": 4}),
    ("mobilenet", {"multiplier": 0.1}),
    ("convnext", {"depths": "1,1,1", "width": 8}),
    ("unet", {"levels": 3, "channels": 8, "groups": 2, "heads": 2}),
    ("recommender", {"tables": 2, "rows": 9, "bag": 1}),
]


def sizes_of(model: Model, batch: int, sequence: int) -> dict[str, int]:
    return {
        "batch": batch,
        "rows": batch,
        "sequence": sequence,
        "height": 32 * (1 + sequence // 4),
        "width": 32 * (2 + sequence // 4),
        "length": 16 * sequence,
    }


def run(path, inputs) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(np.abs(a - b)) / np.max(np.abs(b)))


def check(name: str, tmp_path, options: dict) -> None:
    path = tmp_path / f"{name}.onnx"
    model = generate(name, path, **options)
    onnx.checker.check_model(str(path), full_check=True)
    for batch, sequence in ((1, 1), (3, 7)):
        inputs = make_inputs(model, sizes_of(model, batch, sequence))
        (output,) = run(path, inputs)
        if hasattr(reference, name):
            wanted = getattr(reference, name)(
                model.weight_values(), model.options, *inputs.values()
            )
            assert output.shape == wanted.shape
            assert relative_error(output, wanted) < 2e-5


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_at_every_opset(name, opset, tmp_path):
    check(name, tmp_path, {**SMALL_OPTIONS[name], "opset": opset})


@pytest.mark.parametrize("name, options", VARIANTS, ids=str)
def test_variants(name, options, tmp_path):
    check(name, tmp_path, options)


@pytest.mark.parametrize("name", ["mlp", "vit", "gpt2", "llama"])
def test_half_precision(name, tmp_path):
    path = tmp_path / "half.onnx"
    model = generate(name, path, dtype="float16")
    onnx.checker.check_model(str(path), full_check=True)
    inputs = make_inputs(model, sizes_of(model, 2, 5))
    (output,) = run(path, inputs)
    wanted = getattr(reference, name)(model.weight_values(), model.options, *inputs.values())
    assert output.dtype == np.float16
    assert relative_error(output, wanted) < 2e-2


@pytest.mark.parametrize("name", FAMILIES)
def test_writing_is_deterministic(name, tmp_path):
    first, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    generate(name, first, **SMALL_OPTIONS[name])
    generate(name, second, **SMALL_OPTIONS[name])
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("name", ["gpt2", "llama", "big"])
def test_external_weights_are_the_same_model(name, tmp_path):
    inline, external = tmp_path / "inline.onnx", tmp_path / "external.onnx"
    model = generate(name, inline)
    save(model, external, "external")
    inputs = make_inputs(model, sizes_of(model, 2, 5))
    np.testing.assert_array_equal(run(inline, inputs)[0], run(external, inputs)[0])


def test_sparse_weights_have_the_size_and_take_no_room(tmp_path):
    path = tmp_path / "big.onnx"
    model = generate("big", path, "sparse", gibibytes=0.25, width=4096)
    data = (tmp_path / "big.onnx.data").stat()
    assert data.st_size == model.weight_bytes == 2**28
    assert data.st_blocks * 512 < 2**20


def test_gpt2_xl_is_written_without_its_weights(tmp_path):
    path = tmp_path / "xl.onnx"
    model = generate("gpt2", path, "absent", size="xl")
    assert not (tmp_path / "xl.onnx.data").exists()
    assert path.stat().st_size < 8 * 2**20
    assert model.weight_bytes > 6 * 10**9


def test_minilm_finds_similar_sentences_similar(tmp_path):
    from tokenizers import Tokenizer

    from .minilm import model_folder

    path = tmp_path / "minilm.onnx"
    generate("minilm", path)
    tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(
        ["A man is eating food.", "Someone eats a meal.", "The stock market fell today."]
    )
    inputs = {
        "input_ids": np.array([e.ids for e in encoded], dtype=np.int64),
        "attention_mask": np.array([e.attention_mask for e in encoded], dtype=np.int64),
        "token_type_ids": np.array([e.type_ids for e in encoded], dtype=np.int64),
    }
    (embedding,) = run(path, inputs)
    similarity = embedding @ embedding.T
    np.testing.assert_allclose(np.diag(similarity), 1.0, atol=1e-5)
    assert similarity[0, 1] > 0.6
    assert similarity[0, 2] < 0.2
