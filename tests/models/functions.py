"""A network whose layers are calls of functions that the model's own file defines."""

from onnx import AttributeProto, FunctionProto, helper

from .builder import GraphBuilder, Model

DOMAIN = "cleave.tests"


def build(
    opset: int = 17, dtype: str = "float32", seed: int = 0, hidden: int = 64, layers: int = 2
) -> Model:
    """x [rows, hidden] → y: residual layers, each a call of a function that calls another, with
    an attribute handed through to a node (`LeakyRelu`'s alpha)."""
    b = GraphBuilder("functions", opset, dtype, seed)
    b.functions = [_leaky(opset), _residual_layer(opset)]
    x = b.input("x", ["rows", hidden])
    for layer in range(layers):
        weight = b.random_weight(f"{layer}.weight", (hidden, hidden), hidden**-0.5)
        bias = b.random_weight(f"{layer}.bias", (hidden,), 0.1)
        x = b.add("ResidualLayer", [x, weight, bias], domain=DOMAIN, slope=0.1 * (layer + 1))
    b.output(x, "y", ["rows", hidden])
    return b.build(hidden=hidden, layers=layers, seed=seed)


def _leaky(opset: int) -> FunctionProto:
    node = helper.make_node("LeakyRelu", ["x"], ["y"])
    node.attribute.append(_handed_through("alpha"))
    return helper.make_function(
        DOMAIN, "Leaky", ["x"], ["y"], [node], [helper.make_opsetid("", opset)], ["slope"]
    )


def _residual_layer(opset: int) -> FunctionProto:
    call = helper.make_node("Leaky", ["biased"], ["active"], domain=DOMAIN)
    call.attribute.append(_handed_through("slope"))
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["biased"]),
        call,
        helper.make_node("Add", ["x", "active"], ["y"]),
    ]
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_function(
        DOMAIN, "ResidualLayer", ["x", "weight", "bias"], ["y"], nodes, imports, ["slope"]
    )


def _handed_through(name: str) -> AttributeProto:
    """An attribute whose value is the enclosing function's attribute `slope`."""
    return AttributeProto(name=name, ref_attr_name="slope", type=AttributeProto.FLOAT)
