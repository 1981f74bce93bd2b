"""Models that are wrong in one way each, for the tests of what is said about them."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write(path: Path, nodes, initializers=(), inputs=None, outputs=None, opset: int = 17) -> Path:
    """A model x [rows, 8] → y [rows, 8] of these nodes, written without any check."""
    inputs = inputs or [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 8])]
    outputs = outputs or [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 8])]
    graph = helper.make_graph(nodes, "broken", inputs, outputs, list(initializers))
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.example", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def weight(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(np.ones(shape, dtype=np.float32), name)


def cycle(path: Path) -> Path:
    return write(
        path,
        [
            helper.make_node("Add", ["x", "b"], ["a"], name="first_of_cycle"),
            helper.make_node("Relu", ["a"], ["b"], name="second_of_cycle"),
            helper.make_node("Relu", ["b"], ["y"], name="after"),
        ],
    )


def duplicate_tensor(path: Path) -> Path:
    return write(
        path,
        [
            helper.make_node("Relu", ["x"], ["twice_made"], name="one"),
            helper.make_node("Neg", ["x"], ["twice_made"], name="two"),
            helper.make_node("Relu", ["twice_made"], ["y"], name="three"),
        ],
    )


def missing_tensor(path: Path) -> Path:
    return write(path, [helper.make_node("Add", ["x", "nowhere"], ["y"], name="reader")])


def missing_output(path: Path) -> Path:
    outputs = [helper.make_tensor_value_info("never_made", TensorProto.FLOAT, ["rows", 8])]
    return write(path, [helper.make_node("Relu", ["x"], ["z"], name="one")], outputs=outputs)


def impossible_product(path: Path) -> Path:
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="bad_product")
    return write(path, [node], [weight("w", 7, 8)])


def impossible_reshape(path: Path) -> Path:
    shape = numpy_helper.from_array(np.array([3, 5], dtype=np.int64), "shape")
    node = helper.make_node("Reshape", ["x", "shape"], ["y"], name="bad_reshape")
    return write(path, [node], [shape])


def impossible_broadcast(path: Path) -> Path:
    return write(
        path, [helper.make_node("Add", ["x", "w"], ["y"], name="bad_sum")], [weight("w", 5)]
    )


def wrong_type(path: Path) -> Path:
    integers = numpy_helper.from_array(np.ones(8, dtype=np.int64), "w")
    return write(path, [helper.make_node("Add", ["x", "w"], ["y"], name="mixed")], [integers])


def unsupported(path: Path) -> Path:
    """Three nodes that cannot be run, each for its own reason."""
    return write(
        path,
        [
            helper.make_node("NoSuchOperator", ["x"], ["a"], name="unknown_node"),
            helper.make_node("Fancy", ["a"], ["b"], name="foreign_node", domain="com.example"),
            helper.make_node("StringNormalizer", ["b"], ["y"], name="text_node"),
        ],
    )


def external(path: Path, location: str, length: int | None = None, offset: int = 0) -> Path:
    """A MatMul whose weight [8, 8] is said to be in another file."""
    tensor = TensorProto(name="far_weight", dims=[8, 8], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (
        ("location", location),
        ("offset", str(offset)),
        ("length", str(256 if length is None else length)),
    ):
        tensor.external_data.add(key=key, value=value)
    node = helper.make_node("MatMul", ["x", "far_weight"], ["y"], name="product")
    return write(path, [node], [tensor])


def wrong_raw_size(path: Path) -> Path:
    tensor = weight("short_weight", 8, 8)
    tensor.raw_data = tensor.raw_data[:-4]
    return write(
        path, [helper.make_node("MatMul", ["x", "short_weight"], ["y"], name="product")], [tensor]
    )


def negative_dimension(path: Path) -> Path:
    tensor = weight("odd_weight", 8, 8)
    tensor.dims[0] = -8
    return write(
        path, [helper.make_node("MatMul", ["x", "odd_weight"], ["y"], name="product")], [tensor]
    )


def recursive_function(path: Path) -> Path:
    """A function that calls itself, and so never ends when inlined."""
    body = [helper.make_node("Self", ["x"], ["y"], name="again", domain="com.example")]
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    function = helper.make_function("com.example", "Self", ["x"], ["y"], body, imports)
    write(path, [helper.make_node("Self", ["x"], ["y"], name="call", domain="com.example")])
    model = onnx.ModelProto.FromString(path.read_bytes())
    model.functions.append(function)
    path.write_bytes(model.SerializeToString())
    return path
