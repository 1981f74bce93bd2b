"""ResNet with bottlenecks, BatchNormalization left as nodes: ResNet-50 where no size is given."""

from .builder import GraphBuilder, Model
from .convolutional import batch_norm, conv, pooled
from .layers import gemm

# A bottleneck's outputs are this many times the channels inside.
_EXPANSION = 4


def build(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    blocks: str = "3,4,6,3",
    width: int = 64,
    classes: int = 1000,
) -> Model:
    """x [batch, 3, height, width] → logits [batch, classes].

    blocks: the bottlenecks of each stage; their outputs have 4·width channels in the first, twice
    as many in each that follows ("3,4,23,3" is ResNet-101).
    """
    b = GraphBuilder("resnet", opset, dtype, seed)
    x = b.input("x", ["batch", 3, "height", "width"])
    x = conv(b, x, "conv1", 3, width, kernel=7, stride=2, bias=False)
    x = b.add("Relu", [batch_norm(b, x, "bn1", width)])
    x = b.add("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = width
    for stage, count in enumerate(int(entry) for entry in blocks.split(",")):
        for block in range(count):
            name = f"layer{stage + 1}.{block}"
            stride = 2 if stage > 0 and block == 0 else 1
            with b.scope(name):
                x = _bottleneck(b, x, name, channels, width << stage, stride)
            channels = _EXPANSION * width << stage
    y = gemm(b, pooled(b, x), "fc", channels, classes)
    b.output(y, "logits", ["batch", classes])
    return b.build(blocks=blocks, width=width, classes=classes, seed=seed)


def _bottleneck(b: GraphBuilder, x: str, name: str, inputs: int, inner: int, stride: int) -> str:
    """The stride lies at the 3 × 3 convolution; the first of a stage projects its shortcut."""
    outputs = _EXPANSION * inner
    y = conv(b, x, f"{name}.conv1", inputs, inner, kernel=1, bias=False)
    y = b.add("Relu", [batch_norm(b, y, f"{name}.bn1", inner)])
    y = conv(b, y, f"{name}.conv2", inner, inner, stride=stride, bias=False)
    y = b.add("Relu", [batch_norm(b, y, f"{name}.bn2", inner)])
    y = conv(b, y, f"{name}.conv3", inner, outputs, kernel=1, bias=False)
    # Less than the shortcut, so that what 16 blocks add up to stays of its size.
    y = batch_norm(b, y, f"{name}.bn3", outputs, scale=0.3)
    if inputs != outputs or stride != 1:
        x = conv(b, x, f"{name}.downsample.0", inputs, outputs, 1, stride=stride, bias=False)
        x = batch_norm(b, x, f"{name}.downsample.1", outputs)
    return b.add("Relu", [b.add("Add", [y, x])])
