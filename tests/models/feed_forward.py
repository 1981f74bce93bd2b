"""Fully-connected networks: one layer, two layers, and a chain as large as asked for."""

import math

import numpy as np

from .builder import GraphBuilder, Model
from .layers import activation, gemm, linear


def build_fc(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    inputs: int = 256,
    outputs: int = 512,
) -> Model:
    """One layer: x [rows, inputs] → y [rows, outputs], as Gemm."""
    b = GraphBuilder("fc", opset, dtype, seed)
    x = b.input("x", ["rows", inputs])
    b.output(gemm(b, x, "fc", inputs, outputs), "y", ["rows", outputs])
    return b.build(inputs=inputs, outputs=outputs, seed=seed)


def build_mlp(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    hidden: int = 128,
    inner: int = 512,
    kind: str = "gelu",
    rank: int = 2,
) -> Model:
    """Two layers with an activation between: x [rows, hidden] → y of the same shape, as Gemm.
    rank=3: x [batch, sequence, hidden], as MatMul and Add."""
    b = GraphBuilder("mlp", opset, dtype, seed)
    shape = ["rows", hidden] if rank == 2 else ["batch", "sequence", hidden]
    layer = gemm if rank == 2 else linear
    x = b.input("x", shape)
    y = activation(b, layer(b, x, "first", hidden, inner), kind)
    b.output(layer(b, y, "second", inner, hidden), "y", shape)
    return b.build(hidden=hidden, inner=inner, kind=kind, rank=rank, seed=seed)


def build_big(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    gibibytes: float = 0.001,
    width: int = 256,
) -> Model:
    """A chain of layers, ReLU between, of as many whole layers of width² as fit `gibibytes`.
    Its values repeat from a block of random ones, which is quick to make at any size."""
    b = GraphBuilder("big", opset, dtype, seed)
    layer_bytes = width * width * b.dtype.itemsize
    layers = max(1, int(gibibytes * 2**30 // layer_bytes))
    x = b.input("x", ["rows", width])
    for layer in range(layers):
        weight = _repeated_weight(b, f"layer.{layer}.weight", width, seed + layer)
        x = b.add("Relu", [b.add("MatMul", [x, weight])])
    b.output(x, "y", ["rows", width])
    return b.build(layers=layers, width=width, seed=seed)


def _repeated_weight(b: GraphBuilder, name: str, width: int, seed: int) -> str:
    def source() -> np.ndarray:
        # A prime length, so that no two rows of the matrix are the same.
        block = np.random.default_rng(seed).standard_normal(1_000_003, dtype=np.float32)
        block *= math.sqrt(2.0 / width)
        return np.resize(block.astype(b.dtype), (width, width))

    return b.weight(name, (width, width), source)
