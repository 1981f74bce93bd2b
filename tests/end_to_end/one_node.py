"""Models of one node."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .cleave import Cleave, device_counts, on_devices


@dataclass
class Case:
    """A node: its operands in order (None: absent), those in `dynamic` with names for some of their
    dimensions, those in `constant` as initializers."""

    op: str
    operands: list[np.ndarray | None]
    attributes: dict = field(default_factory=dict)
    dynamic: dict[int, list] = field(default_factory=dict)
    constant: tuple = ()
    outputs: int = 1
    unnamed: tuple = ()
    opset: int = 18
    domain: str = ""
    label: str = ""

    def __str__(self) -> str:
        return "-".join([self.op, self.label] if self.label else [self.op])

    def model(self) -> onnx.ModelProto:
        names = ["" if x is None else f"x{i}" for i, x in enumerate(self.operands)]
        results = ["" if i in self.unnamed else f"y{i}" for i in range(self.outputs)]
        inputs, initializers = [], []
        for i, (name, operand) in enumerate(zip(names, self.operands, strict=True)):
            if operand is None:
                continue
            if i in self.constant:
                initializers.append(numpy_helper.from_array(operand, name))
                continue
            kind = helper.np_dtype_to_tensor_dtype(operand.dtype)
            shape = self.dynamic.get(i, list(operand.shape))
            inputs.append(helper.make_tensor_value_info(name, kind, shape))
        node = helper.make_node(self.op, names, results, domain=self.domain, **self.attributes)
        outputs = [onnx.ValueInfoProto(name=name) for name in results if name]
        graph = helper.make_graph([node], "node", inputs, outputs, initializers)
        imports = [helper.make_opsetid("", self.opset)]
        if self.domain:
            imports.append(helper.make_opsetid(self.domain, 1))
        model = helper.make_model(graph, opset_imports=imports)
        model.ir_version = 10
        return onnx.shape_inference.infer_shapes(model)

    def check(self, cleave: Cleave, onnx_runtime, folder: Path) -> None:
        """The node on one device and on three, or as many as there are, equals ONNX Runtime."""
        path = folder / "model.onnx"
        onnx.save(self.model(), path)
        inputs = {
            f"x{i}": x
            for i, x in enumerate(self.operands)
            if x is not None and i not in self.constant
        }
        expected = onnx_runtime(path, inputs)
        for devices in {1, device_counts(1, 2, 3)[-1]}:
            actual = cleave.outputs(path, inputs, folder, on_devices(devices))
            assert actual.keys() == expected.keys()
            for name, want in expected.items():
                assert actual[name].dtype == want.dtype
                np.testing.assert_allclose(actual[name], want, rtol=1e-5, atol=1e-6)
