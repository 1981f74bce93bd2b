"""WaveNet: causal, dilated convolutions over one dimension, gated, with residual and skip paths."""

from .builder import GraphBuilder, Model
from .convolutional import conv


def build(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    layers: int = 10,
    cycle: int = 5,
    channels: int = 32,
    levels: int = 64,
) -> Model:
    """x [batch, 1, length] → logits [batch, levels, length]: at each time, of the next sample's
    `levels` amplitudes. The dilations are 1, 2, 4, … and begin anew every `cycle` layers."""
    b = GraphBuilder("audio", opset, dtype, seed)
    x = b.input("x", ["batch", 1, "length"])
    x = _causal(b, x, "stem", 1, channels, dilation=1)
    skips = None
    for layer in range(layers):
        name = f"layers.{layer}"
        with b.scope(name):
            x, skip = _layer(b, x, name, channels, dilation=2 ** (layer % cycle))
            skips = b.add("Add", [skips, skip]) if skips else skip
    y = b.add("Mul", [skips, b.scalar(layers**-0.5)])
    y = b.add("Relu", [y])
    y = b.add("Relu", [conv(b, y, "head.0", channels, channels, kernel=1, dimensions=1)])
    y = conv(b, y, "head.1", channels, levels, kernel=1, dimensions=1)
    b.output(y, "logits", ["batch", levels, "length"])
    return b.build(layers=layers, cycle=cycle, channels=channels, levels=levels, seed=seed)


def _causal(
    b: GraphBuilder, x: str, name: str, inputs: int, outputs: int, dilation: int, kernel: int = 2
) -> str:
    """A convolution that sees no later sample: zeros before the first, none behind the last."""
    x = b.add("Pad", [x, b.int64([0, 0, (kernel - 1) * dilation, 0, 0, 0])], mode="constant")
    return conv(b, x, name, inputs, outputs, kernel=kernel, dilation=dilation, dimensions=1, pad=0)


def _layer(b: GraphBuilder, x: str, name: str, channels: int, dilation: int) -> tuple[str, str]:
    """The input with the layer's residual added, and what it hands to the end."""
    y = _causal(b, x, f"{name}.dilated", channels, 2 * channels, dilation)
    value, gate = b.split(y, [channels, channels], axis=1)
    y = b.add("Mul", [b.add("Tanh", [value]), b.add("Sigmoid", [gate])])
    residual = conv(b, y, f"{name}.residual", channels, channels, kernel=1, dimensions=1)
    skip = conv(b, y, f"{name}.skip", channels, channels, kernel=1, dimensions=1)
    return b.add("Add", [residual, x]), skip
