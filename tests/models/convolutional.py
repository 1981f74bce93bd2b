"""Convolutional networks: residual, depthwise, encoder and decoder, one-dimensional, large kernels.

Height, width and length are dynamic. Weights are scaled so that activations keep their size.
"""

import math

import numpy as np

from .builder import GraphBuilder, Model


def build(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    kind: str = "residual",
    channels: int = 16,
    blocks: int = 2,
    kernel: int = 31,
    classes: int = 10,
) -> Model:
    """x [batch, 3, height, width] → y: logits of classes, or an image of the same size.

    kind: "residual" (bottlenecks with batch normalisation, as ResNet's), "depthwise" (inverted
    residuals, as MobileNet's), "decoder" (a U with skip connections and transposed convolutions),
    "dilated" (one dimension, [batch, 1, length]), "wide" (convolutions with large kernels).
    """
    b = GraphBuilder(f"conv_{kind}", opset, dtype, seed)
    one_dimension = kind == "dilated"
    shape = ["batch", 1, "length"] if one_dimension else ["batch", 3, "height", "width"]
    x = b.input("x", shape)
    stages = {
        "residual": _residual,
        "depthwise": _depthwise,
        "decoder": _decoder,
        "dilated": _dilated,
        "wide": _wide,
    }
    if kind not in stages:
        raise ValueError(f"there is no kind '{kind}'")
    if kind in ("residual", "depthwise"):
        y = _logits(b, stages[kind](b, x, channels, blocks), channels, classes)
        b.output(y, "y", ["batch", classes])
    else:
        y = (
            _wide(b, x, channels, kernel)
            if kind == "wide"
            else stages[kind](b, x, channels, blocks)
        )
        b.output(y, "y", [None] * len(shape))
    return b.build(kind=kind, channels=channels, blocks=blocks, kernel=kernel, seed=seed)


def _conv(
    b: GraphBuilder,
    x: str,
    name: str,
    inputs: int,
    outputs: int,
    kernel: int = 3,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    dimensions: int = 2,
    bias: bool = True,
    **padding,
) -> str:
    taps = (kernel,) * dimensions
    scale = math.sqrt(2.0 / (inputs // groups * kernel**dimensions))
    operands = [x, b.random_weight(f"{name}.weight", (outputs, inputs // groups, *taps), scale)]
    if bias:
        operands.append(b.random_weight(f"{name}.bias", (outputs,), 0.1))
    if not padding:
        padding = {"pads": [(kernel - 1) * dilation // 2] * (2 * dimensions)}
    return b.add(
        "Conv",
        operands,
        kernel_shape=taps,
        strides=[stride] * dimensions,
        dilations=[dilation] * dimensions,
        group=groups,
        **padding,
    )


def _normalised(b: GraphBuilder, x: str, name: str, channels: int, activation: str = "Relu") -> str:
    operands = [
        b.random_weight(f"{name}.weight", (channels,), 0.1, mean=1.0),
        b.random_weight(f"{name}.bias", (channels,), 0.1),
        b.random_weight(f"{name}.mean", (channels,), 0.1),
        b.weight(f"{name}.variance", (channels,), lambda: np.linspace(0.5, 1.5, channels)),
    ]
    x = b.add("BatchNormalization", [x, *operands], epsilon=1e-5)
    return b.add(activation, [x]) if activation else x


def _residual(b: GraphBuilder, x: str, channels: int, blocks: int) -> str:
    x = _conv(b, x, "stem", 3, channels, kernel=7, stride=2, bias=False)
    x = _normalised(b, x, "stem.norm", channels)
    x = b.add("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for block in range(blocks):
        with b.scope(f"blocks.{block}"):
            name = f"blocks.{block}"
            inner = max(1, channels // 4)
            y = _conv(b, x, f"{name}.reduce", channels, inner, kernel=1, bias=False)
            y = _normalised(b, y, f"{name}.norm1", inner)
            y = _conv(b, y, f"{name}.conv", inner, inner, bias=False)
            y = _normalised(b, y, f"{name}.norm2", inner)
            y = _conv(b, y, f"{name}.expand", inner, channels, kernel=1, bias=False)
            y = _normalised(b, y, f"{name}.norm3", channels, activation="")
            x = b.add("Relu", [b.add("Add", [y, x])])
    return x


def _depthwise(b: GraphBuilder, x: str, channels: int, blocks: int) -> str:
    x = _conv(b, x, "stem", 3, channels, stride=2, auto_pad="SAME_UPPER")
    x = b.add("Relu", [x])
    for block in range(blocks):
        with b.scope(f"blocks.{block}"):
            name = f"blocks.{block}"
            inner = 3 * channels
            y = b.add("Relu", [_conv(b, x, f"{name}.expand", channels, inner, kernel=1)])
            y = _conv(b, y, f"{name}.depthwise", inner, inner, kernel=5, groups=inner)
            y = b.add("HardSwish", [y]) if b.opset >= 14 else b.add("Relu", [y])
            x = b.add("Add", [x, _conv(b, y, f"{name}.project", inner, channels, kernel=1)])
    return x


def _decoder(b: GraphBuilder, x: str, channels: int, blocks: int) -> str:
    """Sizes are multiples of 2^blocks."""
    x = b.add("Relu", [_conv(b, x, "stem", 3, channels)])
    skips = []
    for block in range(blocks):
        skips.append(x)
        x = _conv(b, x, f"down.{block}", channels << block, channels << (block + 1), stride=2)
        x = b.add("Relu", [x])
    for block in reversed(range(blocks)):
        wide = channels << (block + 1)
        weight = b.random_weight(f"up.{block}.weight", (wide, wide // 2, 2, 2), wide**-0.5)
        bias = b.random_weight(f"up.{block}.bias", (wide // 2,), 0.1)
        x = b.add("ConvTranspose", [x, weight, bias], kernel_shape=[2, 2], strides=[2, 2])
        x = b.add("Concat", [skips[block], x], axis=1)
        x = b.add("Relu", [_conv(b, x, f"join.{block}", wide, wide // 2)])
    return _conv(b, x, "head", channels, 3, kernel=1)


def _dilated(b: GraphBuilder, x: str, channels: int, blocks: int) -> str:
    x = _conv(b, x, "stem", 1, channels, kernel=5, dimensions=1)
    for block in range(blocks):
        with b.scope(f"blocks.{block}"):
            name = f"blocks.{block}"
            y = _conv(b, x, f"{name}.conv", channels, 2 * channels, dilation=2**block, dimensions=1)
            gate, value = b.split(y, [channels, channels], axis=1)
            y = b.add("Mul", [b.add("Tanh", [value]), b.add("Sigmoid", [gate])])
            x = b.add("Add", [x, _conv(b, y, f"{name}.out", channels, channels, 1, dimensions=1)])
    return _conv(b, x, "head", channels, 1, kernel=1, dimensions=1)


def _wide(b: GraphBuilder, x: str, channels: int, kernel: int) -> str:
    x = b.add("Relu", [_conv(b, x, "stem", 3, channels, kernel=1)])
    return _conv(b, x, "wide", channels, channels, kernel=kernel)


def _logits(b: GraphBuilder, x: str, channels: int, classes: int) -> str:
    x = b.add("Flatten", [b.add("GlobalAveragePool", [x])], axis=1)
    weight = b.random_weight("head.weight", (classes, channels), channels**-0.5)
    return b.add("Gemm", [x, weight, b.random_weight("head.bias", (classes,), 0.1)], transB=1)
