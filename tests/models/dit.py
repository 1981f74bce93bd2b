"""Blocks of a diffusion transformer: adaptive layer norm, whose scales, shifts and gates come from
a condition, attention over all tokens, an MLP by GELU's approximation."""

import math

from .builder import GraphBuilder, Model
from .layers import gelu_tanh, linear, merge_heads


def build(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    layers: int = 2,
    heads: int = 6,
    head_size: int = 16,
    ratio: int = 4,
) -> Model:
    """x [batch, sequence, hidden] and c [batch, hidden] → y, shaped as x. Query, key and value come
    from one matrix; a block's MLP is `ratio` times as wide as the hidden states."""
    b = GraphBuilder("dit", opset, dtype, seed)
    hidden = heads * head_size
    x = b.input("x", ["batch", "sequence", hidden])
    c = b.input("c", ["batch", hidden])
    for layer in range(layers):
        with b.scope(f"blocks.{layer}"):
            x = _block(b, x, c, f"blocks.{layer}", hidden, heads, ratio)
    b.output(x, "y", ["batch", "sequence", hidden])
    return b.build(layers=layers, heads=heads, hidden=hidden, ratio=ratio, seed=seed)


def _block(b: GraphBuilder, x: str, c: str, name: str, hidden: int, heads: int, ratio: int) -> str:
    with b.scope("modulation"):
        fused = linear(b, c, f"{name}.modulation", hidden, 6 * hidden)
        parts = b.split(b.unsqueeze(fused, 1), [hidden] * 6, axis=-1)
    with b.scope("attention"):
        y = _modulated(b, x, parts[0], parts[1], hidden)
        y = _attention(b, y, f"{name}.attention", hidden, heads)
        x = b.add("Add", [x, b.add("Mul", [parts[2], y])])
    with b.scope("mlp"):
        y = _modulated(b, x, parts[3], parts[4], hidden)
        inner = gelu_tanh(b, linear(b, y, f"{name}.mlp.fc1", hidden, ratio * hidden))
        y = linear(b, inner, f"{name}.mlp.fc2", ratio * hidden, hidden)
        return b.add("Add", [x, b.add("Mul", [parts[5], y])])


def _modulated(b: GraphBuilder, x: str, scale: str, shift: str, hidden: int) -> str:
    """A layer norm without weights of its own, then 1 + scale and shift of the condition."""
    if b.opset >= 17:
        ones = b.constant([1.0] * hidden, b.dtype)
        normed = b.add("LayerNormalization", [x, ones], axis=-1, epsilon=1e-6)
    else:
        centred = b.add("Sub", [x, b.reduce("ReduceMean", x, -1)])
        variance = b.reduce("ReduceMean", b.add("Mul", [centred, centred]), -1)
        deviation = b.add("Sqrt", [b.add("Add", [variance, b.scalar(1e-6)])])
        normed = b.add("Div", [centred, deviation])
    scaled = b.add("Mul", [normed, b.add("Add", [scale, b.scalar(1.0)])])
    return b.add("Add", [scaled, shift])


def _attention(b: GraphBuilder, x: str, name: str, hidden: int, heads: int) -> str:
    size = hidden // heads
    fused = linear(b, x, f"{name}.qkv", hidden, 3 * hidden)
    fused = b.reshape(fused, [b.size(x, 0), b.size(x, 1), 3, heads, size])
    query, key, value = b.unbind(b.add("Transpose", [fused], perm=[2, 0, 3, 1, 4]), 0, 3, "gather")
    query = b.add("Mul", [query, b.scalar(1.0 / math.sqrt(size))])
    scores = b.add("MatMul", [query, b.add("Transpose", [key], perm=[0, 1, 3, 2])])
    context = b.add("MatMul", [b.add("Softmax", [scores], axis=-1), value])
    return linear(b, merge_heads(b, context, hidden), f"{name}.projection", hidden, hidden)
