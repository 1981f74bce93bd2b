"""The layers that the models share, spelled in primitive operations as exporters spell them."""

import math

import numpy as np

from .builder import GraphBuilder


def linear(b: GraphBuilder, x: str, name: str, inputs: int, outputs: int, bias: bool = True) -> str:
    """y = x W + b as MatMul, then Add: what exporters write for x of rank 3 and more."""
    weight = b.random_weight(f"{name}.weight", (inputs, outputs), inputs**-0.5)
    y = b.add("MatMul", [x, weight])
    if not bias:
        return y
    return b.add("Add", [b.random_weight(f"{name}.bias", (outputs,), 0.02), y])


def gemm(b: GraphBuilder, x: str, name: str, inputs: int, outputs: int) -> str:
    """y = x Wᵀ + b as Gemm: what exporters write for x of rank 2."""
    weight = b.random_weight(f"{name}.weight", (outputs, inputs), inputs**-0.5)
    bias = b.random_weight(f"{name}.bias", (outputs,), 0.02)
    return b.add("Gemm", [x, weight, bias], alpha=1.0, beta=1.0, transB=1)


def layer_norm(b: GraphBuilder, x: str, name: str, size: int, epsilon: float = 1e-5) -> str:
    """LayerNorm over the last dimension, with random scale and bias."""
    scale = b.random_weight(f"{name}.weight", (size,), 0.1, mean=1.0)
    bias = b.random_weight(f"{name}.bias", (size,), 0.02)
    return layer_norm_of(b, x, scale, bias, epsilon)


def layer_norm_of(b: GraphBuilder, x: str, scale: str, bias: str, epsilon: float) -> str:
    """LayerNorm in primitives."""
    centred = b.add("Sub", [x, b.reduce("ReduceMean", x, -1)])
    variance = b.reduce("ReduceMean", b.add("Pow", [centred, b.scalar(2.0)]), -1)
    deviation = b.add("Sqrt", [b.add("Add", [variance, b.scalar(epsilon)])])
    normalised = b.add("Div", [centred, deviation])
    return b.add("Add", [b.add("Mul", [normalised, scale]), bias])


def layer_normalization(b: GraphBuilder, x: str, name: str, size: int, epsilon: float) -> str:
    """LayerNorm as one operation from 17 on, in primitives before."""
    if b.opset < 17:
        return layer_norm(b, x, name, size, epsilon)
    scale = b.random_weight(f"{name}.weight", (size,), 0.1, mean=1.0)
    bias = b.random_weight(f"{name}.bias", (size,), 0.02)
    return b.add("LayerNormalization", [x, scale, bias], axis=-1, epsilon=epsilon)


def rms_norm(b: GraphBuilder, x: str, name: str, size: int, epsilon: float = 1e-5) -> str:
    """RMSNorm over the last dimension, in primitives."""
    scale = b.random_weight(f"{name}.weight", (size,), 0.1, mean=1.0)
    mean = b.reduce("ReduceMean", b.add("Pow", [x, b.scalar(2.0)]), -1)
    deviation = b.add("Sqrt", [b.add("Add", [mean, b.scalar(epsilon)])])
    inverse = b.add("Div", [b.scalar(1.0), deviation])
    return b.add("Mul", [scale, b.add("Mul", [x, inverse])])


def gelu_erf(b: GraphBuilder, x: str) -> str:
    """GELU by the error function, in primitives."""
    erf = b.add("Erf", [b.add("Div", [x, b.scalar(math.sqrt(2.0))])])
    product = b.add("Mul", [x, b.add("Add", [erf, b.scalar(1.0)])])
    return b.add("Mul", [product, b.scalar(0.5)])


def gelu(b: GraphBuilder, x: str) -> str:
    """GELU by the error function: one operation from 20 on, in primitives before."""
    return b.add("Gelu", [x]) if b.opset >= 20 else gelu_erf(b, x)


def gelu_tanh(b: GraphBuilder, x: str) -> str:
    """GELU's approximation by tanh, in primitives, as GPT-2 has it."""
    cubed = b.add("Mul", [b.add("Pow", [x, b.scalar(3.0)]), b.scalar(0.044715)])
    inner = b.add("Mul", [b.add("Add", [x, cubed]), b.scalar(math.sqrt(2.0 / math.pi))])
    gate = b.add("Add", [b.add("Tanh", [inner]), b.scalar(1.0)])
    return b.add("Mul", [b.add("Mul", [x, b.scalar(0.5)]), gate])


def silu(b: GraphBuilder, x: str) -> str:
    return b.add("Mul", [x, b.add("Sigmoid", [x])])


def activation(b: GraphBuilder, x: str, kind: str) -> str:
    """`kind`: relu, gelu (erf), gelu_tanh, silu or none."""
    if kind == "relu":
        return b.add("Relu", [x])
    if kind == "none":
        return x
    return {"gelu": gelu_erf, "gelu_tanh": gelu_tanh, "silu": silu}[kind](b, x)


def split_heads(b: GraphBuilder, x: str, heads: int, head_size: int) -> str:
    """[batch, sequence, heads·size] → [batch, sequence, heads, size], by x's own Shape."""
    return b.reshape(x, [b.size(x, 0), b.size(x, 1), heads, head_size])


def merge_heads(b: GraphBuilder, x: str, hidden: int) -> str:
    """[batch, heads, sequence, size] → [batch, sequence, hidden]."""
    turned = b.add("Transpose", [x], perm=[0, 2, 1, 3])
    return b.reshape(turned, [b.size(turned, 0), b.size(turned, 1), hidden])


def lowest(dtype: np.dtype) -> float:
    """The value that a mask adds, or puts, where attention may not look."""
    return float(np.finfo(dtype).min)
