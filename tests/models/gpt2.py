"""GPT-2: pre-norm decoder, fused query/key/value, causal mask by Where, tied output head."""

import math

import numpy as np

from .builder import GraphBuilder, Model
from .layers import gelu_tanh, layer_norm, lowest, merge_heads, split_heads

# The published sizes: layers, hidden, heads, positions, vocabulary.
SIZES = {
    "tiny": (2, 64, 4, 64, 211),
    "mini": (2, 320, 5, 64, 1001),
    "small": (12, 768, 12, 1024, 50257),
    "medium": (24, 1024, 16, 1024, 50257),
    "large": (36, 1280, 20, 1024, 50257),
    "xl": (48, 1600, 25, 1024, 50257),
}


def build(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    size: str = "tiny",
    layers: int | None = None,
    conv1d: str = "matmul",
    qkv: str = "split",
) -> Model:
    """input_ids int64 [batch, sequence] → logits [batch, sequence, vocabulary].

    conv1d: "matmul", MatMul and Add; "gemm", Reshape to two dimensions, Gemm and Reshape back.
    qkv: "split", [.., 3·hidden] into three; "neox", [.., heads, 3·size] into three behind a
    Transpose; "bloom", [.., heads, 3, size] by Gather.
    """
    depth, hidden, heads, positions, vocabulary = SIZES[size]
    depth = layers or depth
    b = GraphBuilder("gpt2", opset, dtype, seed)
    ids = b.input("input_ids", ["batch", "sequence"], "int64")
    table = b.random_weight("wte.weight", (vocabulary, hidden), 0.3)
    with b.scope("embeddings"):
        x = _embeddings(b, ids, table, positions, hidden)
    for layer in range(depth):
        with b.scope(f"h.{layer}"):
            x = _block(b, x, f"h.{layer}", hidden, heads, positions, conv1d, qkv)
    x = layer_norm(b, x, "ln_f", hidden)
    logits = b.add("MatMul", [x, b.add("Transpose", [table], perm=[1, 0])])
    b.output(logits, "logits", ["batch", "sequence", vocabulary])
    return b.build(
        layers=depth, hidden=hidden, heads=heads, vocabulary=vocabulary, qkv=qkv, seed=seed
    )


def _embeddings(b: GraphBuilder, ids: str, table: str, positions: int, hidden: int) -> str:
    places = b.add("Range", [b.int64(0), b.size(ids, 1), b.int64(1)])
    places = b.unsqueeze(places, 0)
    where = b.random_weight("wpe.weight", (positions, hidden), 0.1)
    return b.add("Add", [b.add("Gather", [table, ids]), b.add("Gather", [where, places])])


def _block(
    b: GraphBuilder,
    x: str,
    name: str,
    hidden: int,
    heads: int,
    positions: int,
    conv1d: str,
    qkv: str,
) -> str:
    with b.scope("attn"):
        normed = layer_norm(b, x, f"{name}.ln_1", hidden)
        fused = _conv1d(b, normed, f"{name}.attn.c_attn", hidden, 3 * hidden, conv1d)
        query, key, value = _heads(b, fused, hidden, heads, qkv)
        context = _attention(b, query, key, value, hidden, heads, positions)
        x = b.add("Add", [_conv1d(b, context, f"{name}.attn.c_proj", hidden, hidden, conv1d), x])
    with b.scope("mlp"):
        normed = layer_norm(b, x, f"{name}.ln_2", hidden)
        inner = gelu_tanh(b, _conv1d(b, normed, f"{name}.mlp.c_fc", hidden, 4 * hidden, conv1d))
        return b.add(
            "Add", [x, _conv1d(b, inner, f"{name}.mlp.c_proj", 4 * hidden, hidden, conv1d)]
        )


def _conv1d(b: GraphBuilder, x: str, name: str, inputs: int, outputs: int, spelling: str) -> str:
    weight = b.random_weight(f"{name}.weight", (inputs, outputs), inputs**-0.5)
    bias = b.random_weight(f"{name}.bias", (outputs,), 0.02)
    if spelling == "matmul":
        return b.add("Add", [b.add("MatMul", [x, weight]), bias])
    shape = [b.size(x, 0), b.size(x, 1), outputs]
    flat = b.add("Gemm", [b.reshape(x, [-1, inputs]), weight, bias], alpha=1.0, beta=1.0)
    return b.reshape(flat, shape)


def _heads(b: GraphBuilder, fused: str, hidden: int, heads: int, qkv: str) -> list[str]:
    """Query, key (turned) and value by heads."""
    size = hidden // heads
    perms = [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]]
    if qkv == "neox":
        fused = b.add("Transpose", [split_heads(b, fused, heads, 3 * size)], perm=[0, 2, 1, 3])
        parts = b.split(fused, [size] * 3, axis=3)
        return [parts[0], b.add("Transpose", [parts[1]], perm=[0, 1, 3, 2]), parts[2]]
    if qkv == "bloom":
        fused = b.reshape(fused, [b.size(fused, 0), b.size(fused, 1), heads, 3, size])
        parts = b.unbind(fused, 3, 3, "gather")
    else:
        parts = [split_heads(b, part, heads, size) for part in b.split(fused, [hidden] * 3, axis=2)]
    return [b.add("Transpose", [part], perm=perm) for part, perm in zip(parts, perms, strict=True)]


def _attention(
    b: GraphBuilder, query: str, key: str, value: str, hidden: int, heads: int, positions: int
) -> str:
    size = hidden // heads
    scores = b.add("Div", [b.add("MatMul", [query, key]), b.scalar(math.sqrt(size))])
    masked = b.add(
        "Where", [_causal_mask(b, query, key, positions), scores, b.scalar(lowest(b.dtype))]
    )
    weights = b.add("Softmax", [masked], axis=-1)
    return merge_heads(b, b.add("MatMul", [weights, value]), hidden)


def _causal_mask(b: GraphBuilder, query: str, key: str, positions: int) -> str:
    """The triangle, sliced to [1, 1, query length, key length]; the key is [.., size, length]."""
    triangle = b.weight(
        "bias", (1, 1, positions, positions), lambda: triangle_of(positions), np.bool_
    )
    queries, keys = b.size(query, 2), b.size(key, 3)
    first = b.unsqueeze(b.add("Sub", [keys, queries]), 0)
    last = b.unsqueeze(keys, 0)
    rows = b.slice(triangle, 2, first, last)
    return b.slice(rows, 3, 0, last)


def triangle_of(positions: int) -> np.ndarray:
    """True on and under the diagonal, [1, 1, positions, positions]."""
    return np.tril(np.ones((positions, positions), dtype=np.bool_))[None, None]
