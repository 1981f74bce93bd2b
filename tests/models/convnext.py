"""ConvNeXt: 7 × 7 depthwise convolutions; norms and layers on the channels, turned to the end."""

from .builder import GraphBuilder, Model
from .convolutional import conv
from .layers import gelu, gemm, layer_normalization, linear


def build(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    depths: str = "3,3,9,3",
    width: int = 96,
    classes: int = 1000,
) -> Model:
    """x [batch, 3, height, width] → logits [batch, classes]: ConvNeXt-Tiny where no size is given.

    depths: the blocks of each stage; the first has `width` channels, each that follows twice as
    many on images of half the height and width.
    """
    b = GraphBuilder("convnext", opset, dtype, seed)
    x = b.input("x", ["batch", 3, "height", "width"])
    x = conv(b, x, "stem.0", 3, width, kernel=4, stride=4, pad=0)
    x = _norm_of_channels(b, x, "stem.1", width)
    channels = width
    for stage, depth in enumerate(int(entry) for entry in depths.split(",")):
        name = f"stages.{stage}"
        if stage > 0:
            with b.scope(f"{name}.downsample"):
                x = _norm_of_channels(b, x, f"{name}.downsample.0", channels)
                x = conv(b, x, f"{name}.downsample.1", channels, 2 * channels, 2, 2, pad=0)
            channels *= 2
        for block in range(depth):
            with b.scope(f"{name}.{block}"):
                x = _block(b, x, f"{name}.{block}", channels)
    x = _norm_of_channels(b, b.add("GlobalAveragePool", [x]), "head.norm", channels)
    y = gemm(b, b.add("Flatten", [x], axis=1), "head.fc", channels, classes)
    b.output(y, "logits", ["batch", classes])
    return b.build(depths=depths, width=width, classes=classes, seed=seed)


def _block(b: GraphBuilder, x: str, name: str, channels: int) -> str:
    y = conv(b, x, f"{name}.depthwise", channels, channels, kernel=7, groups=channels)
    y = b.add("Transpose", [y], perm=[0, 2, 3, 1])
    y = layer_normalization(b, y, f"{name}.norm", channels, 1e-6)
    y = gelu(b, linear(b, y, f"{name}.fc1", channels, 4 * channels))
    y = linear(b, y, f"{name}.fc2", 4 * channels, channels)
    y = b.add("Transpose", [y], perm=[0, 3, 1, 2])
    # A trained network's scales of layers are small: what blocks add stays of the image's size.
    scale = b.random_weight(f"{name}.layer_scale", (channels, 1, 1), 0.05, mean=0.3)
    return b.add("Add", [b.add("Mul", [scale, y]), x])


def _norm_of_channels(b: GraphBuilder, x: str, name: str, channels: int) -> str:
    x = b.add("Transpose", [x], perm=[0, 2, 3, 1])
    x = layer_normalization(b, x, name, channels, 1e-6)
    return b.add("Transpose", [x], perm=[0, 3, 1, 2])
