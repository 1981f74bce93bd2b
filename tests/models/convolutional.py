"""What the convolutional networks share, and the network of large kernels.

Weights are scaled so that activations keep their size.
"""

import math

import numpy as np

from .builder import GraphBuilder, Model


def build_wide(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    channels: int = 16,
    kernel: int = 31,
) -> Model:
    """x [batch, 3, height, width] → y [batch, channels, height, width]: a convolution with a large
    kernel behind one that sees single points."""
    b = GraphBuilder("wide", opset, dtype, seed)
    x = b.input("x", ["batch", 3, "height", "width"])
    x = b.add("Relu", [conv(b, x, "stem", 3, channels, kernel=1)])
    x = conv(b, x, "wide", channels, channels, kernel=kernel)
    b.output(x, "y", ["batch", channels, "height", "width"])
    return b.build(channels=channels, kernel=kernel, seed=seed)


def conv(
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
    pad: int | None = None,
    bias: bool = True,
    gain: float = 2.0,
) -> str:
    """Conv with `pad` elements at every side: where it is None, as many as keep the size at
    stride 1. gain: what of the operand's variance was lost; 2 behind a ReLU, 1 behind no
    activation."""
    taps = (kernel,) * dimensions
    scale = math.sqrt(gain / (inputs // groups * kernel**dimensions))
    operands = [x, b.random_weight(f"{name}.weight", (outputs, inputs // groups, *taps), scale)]
    if bias:
        operands.append(b.random_weight(f"{name}.bias", (outputs,), 0.1))
    if pad is None:
        pad = (kernel - 1) * dilation // 2
    return b.add(
        "Conv",
        operands,
        kernel_shape=taps,
        strides=[stride] * dimensions,
        dilations=[dilation] * dimensions,
        group=groups,
        pads=[pad] * (2 * dimensions),
    )


def batch_norm(b: GraphBuilder, x: str, name: str, channels: int, scale: float = 1.0) -> str:
    """BatchNormalization as a network in evaluation has it: a node with its running statistics."""
    operands = [
        b.random_weight(f"{name}.weight", (channels,), 0.1 * scale, mean=scale),
        b.random_weight(f"{name}.bias", (channels,), 0.1),
        b.random_weight(f"{name}.running_mean", (channels,), 0.1),
        b.weight(f"{name}.running_var", (channels,), lambda: np.linspace(0.5, 1.5, channels)),
    ]
    training = 0 if b.opset >= 14 else None
    return b.add(
        "BatchNormalization", [x, *operands], epsilon=1e-5, momentum=0.9, training_mode=training
    )


def pooled(b: GraphBuilder, x: str) -> str:
    """[batch, channels, height, width] → [batch, channels], the means of the images."""
    return b.add("Flatten", [b.add("GlobalAveragePool", [x])], axis=1)
