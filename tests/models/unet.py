"""U-Net of a diffusion model: group norms, skip connections, attention over the smallest image."""

import math

import numpy as np

from .builder import GraphBuilder, Model
from .convolutional import conv
from .layers import linear, merge_heads, silu, split_heads


def build(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    levels: int = 2,
    channels: int = 32,
    groups: int = 8,
    heads: int = 4,
    inputs: int = 4,
) -> Model:
    """x [batch, inputs, height, width] → y of the same shape. Height and width are multiples of
    2^levels; level l has channels·2^l channels."""
    b = GraphBuilder("unet", opset, dtype, seed)
    x = b.input("x", ["batch", inputs, "height", "width"])
    x = conv(b, x, "stem", inputs, channels)
    skips = []
    for level in range(levels):
        wide = channels << level
        with b.scope(f"down.{level}"):
            x = _residual(b, x, f"down.{level}.block", wide, wide, groups)
            skips.append(x)
            x = conv(b, x, f"down.{level}.conv", wide, 2 * wide, stride=2)
    wide = channels << levels
    with b.scope("bottom"):
        x = _residual(b, x, "bottom.block1", wide, wide, groups)
        x = _attention(b, x, "bottom.attention", wide, heads, groups)
        x = _residual(b, x, "bottom.block2", wide, wide, groups)
    for level in reversed(range(levels)):
        wide = channels << level
        with b.scope(f"up.{level}"):
            x = _doubled(b, x, f"up.{level}.conv", 2 * wide, wide)
            x = b.add("Concat", [x, skips[level]], axis=1)
            x = _residual(b, x, f"up.{level}.block", 2 * wide, wide, groups)
    x = silu(b, _group_norm(b, x, "head.norm", channels, groups))
    y = conv(b, x, "head.conv", channels, inputs)
    b.output(y, "y", ["batch", inputs, "height", "width"])
    return b.build(levels=levels, channels=channels, groups=groups, heads=heads, seed=seed)


def _residual(b: GraphBuilder, x: str, name: str, inputs: int, outputs: int, groups: int) -> str:
    y = silu(b, _group_norm(b, x, f"{name}.norm1", inputs, groups))
    y = conv(b, y, f"{name}.conv1", inputs, outputs)
    y = silu(b, _group_norm(b, y, f"{name}.norm2", outputs, groups))
    y = conv(b, y, f"{name}.conv2", outputs, outputs)
    if inputs != outputs:
        x = conv(b, x, f"{name}.shortcut", inputs, outputs, kernel=1)
    return b.add("Add", [x, y])


def _group_norm(b: GraphBuilder, x: str, name: str, channels: int, groups: int) -> str:
    """One operation from 21 on. Before, as exporters write it: the groups as the channels of an
    InstanceNormalization, then scale and bias of each channel."""
    if b.opset >= 21:
        scale = b.random_weight(f"{name}.weight", (channels,), 0.1, mean=1.0)
        bias = b.random_weight(f"{name}.bias", (channels,), 0.1)
        operands = [x, scale, bias]
        return b.add("GroupNormalization", operands, num_groups=groups, epsilon=1e-5)
    scale = b.random_weight(f"{name}.weight", (channels, 1, 1), 0.1, mean=1.0)
    bias = b.random_weight(f"{name}.bias", (channels, 1, 1), 0.1)
    ones = b.constant(np.ones(groups), b.dtype)
    zeros = b.constant(np.zeros(groups), b.dtype)
    flat = b.reshape(x, [0, groups, -1])
    flat = b.add("InstanceNormalization", [flat, ones, zeros], epsilon=1e-5)
    y = b.add("Reshape", [flat, b.add("Shape", [x])])
    return b.add("Add", [b.add("Mul", [y, scale]), bias])


def _attention(b: GraphBuilder, x: str, name: str, channels: int, heads: int, groups: int) -> str:
    """Every point of the image attends to every other."""
    normed = _group_norm(b, x, f"{name}.norm", channels, groups)
    points = b.reshape(normed, [b.size(x, 0), channels, -1])
    points = b.add("Transpose", [points], perm=[0, 2, 1])
    size = channels // heads
    query, key, value = (
        split_heads(b, linear(b, points, f"{name}.{part}", channels, channels), heads, size)
        for part in ("query", "key", "value")
    )
    query = b.add("Transpose", [query], perm=[0, 2, 1, 3])
    key = b.add("Transpose", [key], perm=[0, 2, 3, 1])
    value = b.add("Transpose", [value], perm=[0, 2, 1, 3])
    scores = b.add("Mul", [b.add("MatMul", [query, key]), b.scalar(1.0 / math.sqrt(size))])
    context = b.add("MatMul", [b.add("Softmax", [scores], axis=-1), value])
    y = linear(b, merge_heads(b, context, channels), f"{name}.projection", channels, channels)
    y = b.add("Transpose", [y], perm=[0, 2, 1])
    return b.add("Add", [x, b.add("Reshape", [y, b.add("Shape", [x])])])


def _doubled(b: GraphBuilder, x: str, name: str, inputs: int, outputs: int) -> str:
    """Twice the height and width, each result seeing one or two inputs a dimension."""
    # Of 4 taps a dimension, each result sees 2.
    scale = math.sqrt(1.0 / (inputs * 2 * 2))
    weight = b.random_weight(f"{name}.weight", (inputs, outputs, 4, 4), scale)
    bias = b.random_weight(f"{name}.bias", (outputs,), 0.1)
    return b.add(
        "ConvTranspose",
        [x, weight, bias],
        kernel_shape=[4, 4],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
    )
