"""DLRM: bags of embeddings, the dot products of all pairs, a network before and one behind."""

import math

import numpy as np

from .builder import GraphBuilder, Model

_DENSE = 13


def build(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    tables: int = 5,
    rows: int = 1000,
    size: int = 32,
    bag: int = 4,
    inner: int = 128,
) -> Model:
    """dense [batch, 13] and one ids_i int64 [batch, bag] a table → clicks [batch, 1].

    Table i has rows·(i + 1) + i rows of `size`. The bags of odd tables are weighted sums, by an
    input weights_i [batch, bag].
    """
    b = GraphBuilder("recommender", opset, dtype, seed)
    dense = b.input("dense", ["batch", _DENSE])
    with b.scope("bottom"):
        dense = _network(b, dense, "bottom", [_DENSE, 4 * inner, inner, size])
    vectors = [dense]
    for table in range(tables):
        with b.scope(f"bags.{table}"):
            vectors.append(_bag(b, table, rows * (table + 1) + table, size, bag))
    with b.scope("interaction"):
        pairs = _interaction(b, vectors)
    x = b.add("Concat", [dense, pairs], axis=1)
    count = size + len(vectors) * (len(vectors) - 1) // 2
    with b.scope("top"):
        x = _network(b, x, "top", [count, 2 * inner, inner])
        logit = _gemm(b, x, "top.last", inner, 1)
    b.output(b.add("Sigmoid", [logit]), "clicks", ["batch", 1])
    return b.build(tables=tables, rows=rows, size=size, bag=bag, inner=inner, seed=seed)


def _network(b: GraphBuilder, x: str, name: str, sizes: list[int]) -> str:
    for layer, (inputs, outputs) in enumerate(zip(sizes, sizes[1:], strict=False)):
        x = b.add("Relu", [_gemm(b, x, f"{name}.{layer}", inputs, outputs)])
    return x


def _gemm(b: GraphBuilder, x: str, name: str, inputs: int, outputs: int) -> str:
    weight = b.random_weight(f"{name}.weight", (outputs, inputs), math.sqrt(2.0 / inputs))
    bias = b.random_weight(f"{name}.bias", (outputs,), 0.1)
    return b.add("Gemm", [x, weight, bias], alpha=1.0, beta=1.0, transB=1)


def _bag(b: GraphBuilder, table: int, rows: int, size: int, bag: int) -> str:
    """The sum of the rows that each bag names, [batch, size]."""
    ids = b.input(f"ids_{table}", ["batch", bag], "int64")
    weight = b.random_weight(f"tables.{table}.weight", (rows, size), (bag * size) ** -0.5)
    vectors = b.add("Gather", [weight, ids], axis=0)
    if table % 2:
        weights = b.input(f"weights_{table}", ["batch", bag])
        vectors = b.add("Mul", [vectors, b.unsqueeze(weights, 2)])
    return b.reduce("ReduceSum", vectors, 1, keepdims=0)


def _interaction(b: GraphBuilder, vectors: list[str]) -> str:
    """The dot product of each two vectors, [batch, pairs]: what is under the diagonal of all by
    all, taken by its places."""
    count = len(vectors)
    rows = b.add("Concat", [b.unsqueeze(vector, 1) for vector in vectors], axis=1)
    products = b.add("MatMul", [rows, b.add("Transpose", [rows], perm=[0, 2, 1])])
    row, column = np.tril_indices(count, -1)
    flat = b.add("Reshape", [products, b.int64([-1, count * count])])
    return b.add("Gather", [flat, b.int64(row * count + column)], axis=1)
