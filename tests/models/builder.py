"""A small writer of ONNX graphs that follows the operator set it writes for.

Names and spellings follow PyTorch's exporter: scalars and shapes are `Constant` nodes, weights are
initializers, and sizes that are not known come from `Shape`, `Gather` and `Concat`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INT64_MAX = 2**63 - 1
# The newest IR version that every supported reader knows, by operator set.
_IR_VERSIONS = ((9, 4), (10, 5), (12, 6), (14, 7), (18, 8), (20, 9), (22, 10))

Shape = Sequence[int | str | None]
WeightSource = Callable[[], np.ndarray]


def ir_version_of(opset: int) -> int:
    """The IR version that came with an operator set."""
    return next((ir for newest, ir in _IR_VERSIONS if opset <= newest), 10)


@dataclass
class Weight:
    """An initializer whose values are made only when they are written."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    source: WeightSource

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def values(self) -> np.ndarray:
        values = np.ascontiguousarray(self.source(), dtype=self.dtype)
        if values.shape != self.shape:
            raise ValueError(f"{self.name}: values {values.shape} for a weight of {self.shape}")
        return values


@dataclass
class Model:
    """A graph without its weights' values, and where these come from."""

    proto: onnx.ModelProto
    weights: list[Weight]
    options: dict = field(default_factory=dict)

    @property
    def weight_bytes(self) -> int:
        return sum(weight.nbytes for weight in self.weights)

    def weight_values(self) -> dict[str, np.ndarray]:
        """Every weight by name, for a re-implementation to compute with."""
        return {weight.name: weight.values() for weight in self.weights}


class GraphBuilder:
    """Collects nodes and weights; every method returns the name of the tensor that it adds."""

    def __init__(self, name: str, opset: int = 17, dtype: str = "float32", seed: int = 0):
        self.name = name
        self.opset = opset
        self.dtype = np.dtype(dtype)
        self.functions: list[onnx.FunctionProto] = []
        self._seed = seed
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._weights: dict[str, Weight] = {}
        self._scopes: list[str] = []
        self._used: dict[str, int] = {}

    # Structure ---------------------------------------------------------------------------------

    def scope(self, name: str) -> "_Scope":
        """`with builder.scope("layer.0"):` prefixes the names of what is added inside."""
        return _Scope(self._scopes, name)

    def input(self, name: str, shape: Shape, dtype=None) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, self._type(dtype), shape))
        return name

    def output(self, tensor: str, name: str, shape: Shape, dtype=None) -> None:
        """Declares a graph output, called `name`, equal to `tensor`."""
        for node in self._nodes:
            if tensor in node.output and not any(tensor in n.input for n in self._nodes):
                node.output[list(node.output).index(tensor)] = name
                break
        else:
            self._nodes.append(helper.make_node("Identity", [tensor], [name], name=name))
        self._outputs.append(helper.make_tensor_value_info(name, self._type(dtype), shape))

    def add(self, op: str, inputs: Sequence[str], outputs: int = 1, domain: str = "", **attributes):
        """Adds a node; returns its output's name, or a list where it has several."""
        name = self._unique("/".join(["", *self._scopes, op]))
        names = [f"{name}_output_{index}" for index in range(outputs)]
        attributes = {key: value for key, value in attributes.items() if value is not None}
        self._nodes.append(
            helper.make_node(op, list(inputs), names, name=name, domain=domain, **attributes)
        )
        return names[0] if outputs == 1 else names

    def constant(self, value, dtype) -> str:
        """A `Constant` node."""
        tensor = numpy_helper.from_array(np.asarray(value, dtype=dtype))
        return self.add("Constant", [], value=tensor)

    def scalar(self, value: float) -> str:
        """A scalar in the model's floating-point type."""
        return self.constant(value, self.dtype)

    def int64(self, value) -> str:
        return self.constant(value, np.int64)

    # Weights -----------------------------------------------------------------------------------

    def weight(self, name: str, shape: Sequence[int], source: WeightSource, dtype=None) -> str:
        """An initializer. The same name twice is the same weight (a tied one)."""
        weight = Weight(name, tuple(shape), np.dtype(dtype or self.dtype), source)
        known = self._weights.setdefault(name, weight)
        if known.shape != weight.shape:
            raise ValueError(f"{name}: {weight.shape} and {known.shape}")
        return name

    def random_weight(
        self, name: str, shape: Sequence[int], scale: float, mean: float = 0.0
    ) -> str:
        """A normal initializer that depends on the seed and its name, not on the order."""
        key = [self._seed, *name.encode()]

        def source() -> np.ndarray:
            generator = np.random.default_rng(key)
            return mean + scale * generator.standard_normal(tuple(shape), dtype=np.float32)

        return self.weight(name, shape, source)

    # Operations whose spelling changed from one operator set to another ------------------------

    def reduce(self, op: str, x: str, axis: int, keepdims: int = 1) -> str:
        """ReduceSum took its axes as an input from 13 on, the other reductions from 18."""
        if self.opset >= (13 if op == "ReduceSum" else 18):
            return self.add(op, [x, self.int64([axis])], keepdims=keepdims)
        return self.add(op, [x], axes=[axis], keepdims=keepdims)

    def unsqueeze(self, x: str, *axes: int) -> str:
        if self.opset >= 13:
            return self.add("Unsqueeze", [x, self.int64(list(axes))])
        return self.add("Unsqueeze", [x], axes=list(axes))

    def squeeze(self, x: str, *axes: int) -> str:
        if self.opset >= 13:
            return self.add("Squeeze", [x, self.int64(list(axes))])
        return self.add("Squeeze", [x], axes=list(axes))

    def split(self, x: str, sizes: Sequence[int], axis: int) -> list[str]:
        if self.opset >= 13:
            return self.add("Split", [x, self.int64(list(sizes))], len(sizes), axis=axis)
        return self.add("Split", [x], len(sizes), axis=axis, split=list(sizes))

    def slice(self, x: str, axis: int, start, end, step: int = 1) -> str:
        """x[start:end:step] along an axis; the bounds are integers or names of 1-D int64
        tensors."""
        bounds = [
            self.int64([bound]) if isinstance(bound, int) else bound for bound in (start, end)
        ]
        return self.add("Slice", [x, *bounds, self.int64([axis]), self.int64([step])])

    def unbind(self, x: str, axis: int, count: int, how: str) -> list[str]:
        """x[0], x[1], … along an axis of `count`, by "gather" of an index, or by "split" or "slice"
        and Squeeze."""
        if how == "gather":
            return [self.add("Gather", [x, self.int64(i)], axis=axis) for i in range(count)]
        if how == "split":
            parts = self.split(x, [1] * count, axis)
        else:
            parts = [self.slice(x, axis, i, i + 1) for i in range(count)]
        return [self.squeeze(part, axis) for part in parts]

    def clip_min(self, x: str, minimum: float) -> str:
        if self.opset >= 11:
            return self.add("Clip", [x, self.scalar(minimum)])
        return self.add("Clip", [x], min=minimum)

    # Sizes --------------------------------------------------------------------------------------

    def size(self, x: str, axis: int) -> str:
        """One dimension of x as a scalar: Shape, then Gather."""
        return self.add("Gather", [self.add("Shape", [x]), self.int64(axis)], axis=0)

    def reshape(self, x: str, shape: Sequence[int | str]) -> str:
        """Reshape; the entries of `shape` are integers or names of scalars."""
        if all(isinstance(entry, int) for entry in shape):
            return self.add("Reshape", [x, self.int64(list(shape))])
        return self.add("Reshape", [x, self.shape_of_entries(shape)])

    def shape_of_entries(self, shape: Sequence[int | str]) -> str:
        """A 1-D int64 tensor from integers and scalars: Unsqueeze each, then Concat."""
        entries = [
            self.int64([entry]) if isinstance(entry, int) else self.unsqueeze(entry, 0)
            for entry in shape
        ]
        return self.add("Concat", entries, axis=0)

    # Result -------------------------------------------------------------------------------------

    def build(self, **options) -> Model:
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs)
        imports = [helper.make_opsetid("", self.opset)]
        imports += [helper.make_opsetid(d, 1) for d in sorted({f.domain for f in self.functions})]
        proto = helper.make_model(
            graph,
            producer_name="cleave.tests.models",
            opset_imports=imports,
            functions=self.functions,
            ir_version=max(ir_version_of(self.opset), 8 if self.functions else 0),
        )
        return Model(proto, list(self._weights.values()), options)

    def _type(self, dtype) -> int:
        return helper.np_dtype_to_tensor_dtype(np.dtype(dtype or self.dtype))

    def _unique(self, name: str) -> str:
        count = self._used.get(name, 0)
        self._used[name] = count + 1
        return f"{name}_{count}" if count else name


class _Scope:
    def __init__(self, scopes: list[str], name: str):
        self._scopes, self._name = scopes, name

    def __enter__(self) -> None:
        self._scopes.append(self._name)

    def __exit__(self, *_) -> None:
        self._scopes.pop()


BOOL = TensorProto.BOOL
