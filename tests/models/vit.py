"""ViT's encoder on flattened patches, with a number of heads (5) that few device counts divide."""

import math

from .builder import GraphBuilder, Model
from .layers import gelu, gemm, layer_normalization, linear, merge_heads


def build(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    layers: int = 2,
    hidden: int = 80,
    heads: int = 5,
    patches: int = 16,
    patch_size: int = 48,
    classes: int = 10,
    qkv: str = "gather",
) -> Model:
    """patches [batch, patches, patch_size] → logits [batch, classes]. Query, key and value come
    from one matrix.

    qkv: "gather", "split" or "slice", Reshape to [.., 3, heads, size], then parts of that, as timm
    has it; "packed", Reshape to [.., 3, hidden] and heads joined with the batch in between, as
    PyTorch's MultiheadAttention has it.
    """
    b = GraphBuilder("vit", opset, dtype, seed)
    x = b.input("patches", ["batch", patches, patch_size])
    with b.scope("embeddings"):
        x = _embeddings(b, x, hidden, patches, patch_size)
    for layer in range(layers):
        with b.scope(f"blocks.{layer}"):
            x = _block(b, x, f"blocks.{layer}", hidden, heads, qkv)
    x = layer_normalization(b, x, "norm", hidden, 1e-6)
    token = b.add("Gather", [x, b.int64(0)], axis=1)
    b.output(gemm(b, token, "head", hidden, classes), "logits", ["batch", classes])
    return b.build(layers=layers, hidden=hidden, heads=heads, patches=patches, qkv=qkv, seed=seed)


def _embeddings(b: GraphBuilder, x: str, hidden: int, patches: int, patch_size: int) -> str:
    x = linear(b, x, "patch_embedding", patch_size, hidden)
    token = b.random_weight("class_token", (1, 1, hidden), 0.5)
    shape = b.shape_of_entries([b.size(x, 0), 1, hidden])
    x = b.add("Concat", [b.add("Expand", [token, shape]), x], axis=1)
    return b.add("Add", [x, b.random_weight("positions", (1, patches + 1, hidden), 0.5)])


def _block(b: GraphBuilder, x: str, name: str, hidden: int, heads: int, qkv: str) -> str:
    with b.scope("attention"):
        normed = layer_normalization(b, x, f"{name}.norm1", hidden, 1e-6)
        x = b.add("Add", [x, _attention(b, normed, f"{name}.attention", hidden, heads, qkv)])
    with b.scope("mlp"):
        normed = layer_normalization(b, x, f"{name}.norm2", hidden, 1e-6)
        inner = gelu(b, linear(b, normed, f"{name}.mlp.fc1", hidden, 4 * hidden))
        return b.add("Add", [x, linear(b, inner, f"{name}.mlp.fc2", 4 * hidden, hidden)])


def _attention(b: GraphBuilder, x: str, name: str, hidden: int, heads: int, qkv: str) -> str:
    size = hidden // heads
    if qkv == "packed":
        return _packed_attention(b, x, name, hidden, heads)
    fused = linear(b, x, f"{name}.qkv", hidden, 3 * hidden)
    fused = b.reshape(fused, [b.size(x, 0), b.size(x, 1), 3, heads, size])
    fused = b.add("Transpose", [fused], perm=[2, 0, 3, 1, 4])
    query, key, value = b.unbind(fused, 0, 3, qkv)
    context = merge_heads(b, _attend(b, query, key, value, size), hidden)
    return linear(b, context, f"{name}.projection", hidden, hidden)


def _packed_attention(b: GraphBuilder, x: str, name: str, hidden: int, heads: int) -> str:
    """The sequence comes first, and the heads lie in one dimension with the batch."""
    size = hidden // heads
    batch, length = b.size(x, 0), b.size(x, 1)
    fused = linear(b, b.add("Transpose", [x], perm=[1, 0, 2]), f"{name}.qkv", hidden, 3 * hidden)
    fused = b.unsqueeze(b.reshape(fused, [length, batch, 3, hidden]), 0)
    fused = b.squeeze(b.add("Transpose", [fused], perm=[3, 1, 2, 0, 4]), 3)
    rows = b.add("Mul", [batch, b.int64(heads)])
    parts = []
    for part in b.unbind(fused, 0, 3, "gather"):
        turned = b.add("Transpose", [b.reshape(part, [length, rows, size])], perm=[1, 0, 2])
        parts.append(b.reshape(turned, [batch, heads, length, size]))
    context = b.add("Transpose", [_attend(b, *parts, size)], perm=[2, 0, 1, 3])
    context = b.reshape(context, [b.add("Mul", [length, batch]), hidden])
    context = gemm(b, context, f"{name}.projection", hidden, hidden)
    return b.add("Transpose", [b.reshape(context, [length, batch, hidden])], perm=[1, 0, 2])


def _attend(b: GraphBuilder, query: str, key: str, value: str, size: int) -> str:
    query = b.add("Mul", [query, b.scalar(1.0 / math.sqrt(size))])
    scores = b.add("MatMul", [query, b.add("Transpose", [key], perm=[0, 1, 3, 2])])
    return b.add("MatMul", [b.add("Softmax", [scores], axis=-1), value])
