"""Seeded inputs for the generated models, by the sizes of their dynamic dimensions."""

import numpy as np
from onnx import TensorProto

from .builder import Model


def make_inputs(model: Model, sizes: dict[str, int], seed: int = 0) -> dict[str, np.ndarray]:
    """Values for each input: rows of the table that it indexes, masks whose rows end in padding,
    or normal ones.

    sizes: the size of each dimension that the model names, e.g. {"batch": 2, "sequence": 7}.
    """
    generator = np.random.default_rng([seed, *sizes.values()])
    return {
        value.name: _values(model, value.name, _shape(value, sizes), generator)
        for value in model.proto.graph.input
    }


def _shape(value, sizes: dict[str, int]) -> tuple[int, ...]:
    return tuple(
        sizes[dim.dim_param] if dim.HasField("dim_param") else dim.dim_value
        for dim in value.type.tensor_type.shape.dim
    )


def _values(model: Model, name: str, shape: tuple[int, ...], generator) -> np.ndarray:
    if name == "attention_mask":
        lengths = generator.integers(1, shape[1] + 1, shape[0])
        lengths[0] = shape[1]
        return (np.arange(shape[1])[None, :] < lengths[:, None]).astype(np.int64)
    if name == "token_type_ids":
        return np.zeros(shape, dtype=np.int64)
    if _type_of(model, name) == TensorProto.INT64:
        return generator.integers(0, _rows_of_table(model, name), shape, dtype=np.int64)
    dtype = np.float16 if _type_of(model, name) == TensorProto.FLOAT16 else np.float32
    return generator.standard_normal(shape, dtype=np.float32).astype(dtype)


def _rows_of_table(model: Model, name: str) -> int:
    """The rows of the table that an input indexes."""
    shapes = {weight.name: weight.shape for weight in model.weights}
    gather = next(
        node
        for node in model.proto.graph.node
        if node.op_type == "Gather" and node.input[1] == name
    )
    return shapes[gather.input[0]][0]


def _type_of(model: Model, name: str) -> int:
    value = next(value for value in model.proto.graph.input if value.name == name)
    return value.type.tensor_type.elem_type
