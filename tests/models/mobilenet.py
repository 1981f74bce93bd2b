"""MobileNetV3: inverted residuals, depthwise convolutions, squeeze and excite, hard swish."""

from dataclasses import dataclass

from .builder import GraphBuilder, Model
from .convolutional import batch_norm, conv, pooled
from .layers import gemm


@dataclass
class _Row:
    """An inverted residual of MobileNetV3-Large, before channels are scaled."""

    kernel: int
    inner: int
    outputs: int
    excite: bool
    swish: bool
    stride: int


# Howard et al., Searching for MobileNetV3 (2019), table 1.
_LARGE = [
    _Row(3, 16, 16, False, False, 1),
    _Row(3, 64, 24, False, False, 2),
    _Row(3, 72, 24, False, False, 1),
    _Row(5, 72, 40, True, False, 2),
    _Row(5, 120, 40, True, False, 1),
    _Row(5, 120, 40, True, False, 1),
    _Row(3, 240, 80, False, True, 2),
    _Row(3, 200, 80, False, True, 1),
    _Row(3, 184, 80, False, True, 1),
    _Row(3, 184, 80, False, True, 1),
    _Row(3, 480, 112, True, True, 1),
    _Row(3, 672, 112, True, True, 1),
    _Row(5, 672, 160, True, True, 2),
    _Row(5, 960, 160, True, True, 1),
    _Row(5, 960, 160, True, True, 1),
]


def build(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    multiplier: float = 1.0,
    blocks: int = len(_LARGE),
    classes: int = 1000,
) -> Model:
    """x [batch, 3, height, width] → logits [batch, classes].

    multiplier scales the channels of MobileNetV3-Large; blocks: that many of its 15.
    """
    b = GraphBuilder("mobilenet", opset, dtype, seed)
    x = b.input("x", ["batch", 3, "height", "width"])
    channels = _scaled(16, multiplier)
    x = conv(b, x, "features.0.0", 3, channels, stride=2, bias=False)
    x = _hard_swish(b, batch_norm(b, x, "features.0.1", channels))
    for index, row in enumerate(_LARGE[:blocks]):
        name = f"features.{index + 1}"
        with b.scope(name):
            x = _inverted_residual(b, x, name, channels, row, multiplier)
        channels = _scaled(row.outputs, multiplier)
    inner, hidden = 6 * channels, _scaled(1280, multiplier)
    x = conv(b, x, "last.0", channels, inner, kernel=1, bias=False, gain=1.0)
    x = pooled(b, _hard_swish(b, batch_norm(b, x, "last.1", inner)))
    x = _hard_swish(b, gemm(b, x, "classifier.0", inner, hidden))
    b.output(gemm(b, x, "classifier.3", hidden, classes), "logits", ["batch", classes])
    return b.build(multiplier=multiplier, blocks=blocks, classes=classes, seed=seed)


def _scaled(channels: int, multiplier: float) -> int:
    """The nearest multiple of 8, at least 8 and not under 90 % of what was asked for."""
    wanted = channels * multiplier
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * wanted else nearest


def _inverted_residual(
    b: GraphBuilder, x: str, name: str, inputs: int, row: _Row, multiplier: float
) -> str:
    inner, outputs = _scaled(row.inner, multiplier), _scaled(row.outputs, multiplier)
    activation = _hard_swish if row.swish else _relu
    y = x
    if inner != inputs:
        y = conv(b, y, f"{name}.expand.0", inputs, inner, kernel=1, bias=False, gain=1.0)
        y = activation(b, batch_norm(b, y, f"{name}.expand.1", inner))
    y = conv(
        b, y, f"{name}.depthwise.0", inner, inner, row.kernel, row.stride, groups=inner, bias=False
    )
    y = activation(b, batch_norm(b, y, f"{name}.depthwise.1", inner))
    if row.excite:
        y = _squeeze_excite(b, y, f"{name}.excite", inner)
    y = conv(b, y, f"{name}.project.0", inner, outputs, kernel=1, bias=False)
    y = batch_norm(b, y, f"{name}.project.1", outputs)
    return b.add("Add", [x, y]) if row.stride == 1 and inputs == outputs else y


def _squeeze_excite(b: GraphBuilder, x: str, name: str, channels: int) -> str:
    """Each channel times a gate that all channels' means decide."""
    squeezed = _scaled(channels // 4, 1.0)
    gate = b.add("GlobalAveragePool", [x])
    gate = _relu(b, conv(b, gate, f"{name}.fc1", channels, squeezed, kernel=1))
    gate = conv(b, gate, f"{name}.fc2", squeezed, channels, kernel=1)
    return b.add("Mul", [_hard_sigmoid(b, gate), x])


def _relu(b: GraphBuilder, x: str) -> str:
    return b.add("Relu", [x])


def _hard_sigmoid(b: GraphBuilder, x: str) -> str:
    return b.add("HardSigmoid", [x], alpha=1.0 / 6.0, beta=0.5)


def _hard_swish(b: GraphBuilder, x: str) -> str:
    if b.opset >= 14:
        return b.add("HardSwish", [x])
    return b.add("Mul", [x, _hard_sigmoid(b, x)])
