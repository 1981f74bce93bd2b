"""Writes the node tests that the package `onnx` defines: a model and its data for each case.

    python tests/onnx_nodes/generate.py FOLDER

`<case>.onnx` is the model. `<case>.data` is a model as well, whose initializers are the inputs and
expected outputs, in order and named `input` and `output`. Cases with anything but tensors are left
out. Integer operands behind the first become initializers, and so do the depth of OneHot and the
scales and regions of Resize: Cleave wants to know shapes, axes and bounds when it reads a model, as
exporters write them.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

RESIZING = ("Resize", "Upsample")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    written = sum(write(folder, case) for case in cases)
    # Written last: the folder is complete where it is there.
    (folder / "complete").write_text(f"{written} of {len(cases)} cases\n")


def write(folder: Path, case) -> bool:
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs, outputs = case.data_sets[0]
    inputs = [_tensor(value) for value in inputs]
    outputs = [_tensor(value) for value in outputs]
    if None in inputs or None in outputs:
        return False
    given = []
    for index, (info, tensor) in enumerate(zip(list(model.graph.input), inputs, strict=True)):
        is_integer = tensor.data_type in (TensorProto.INT32, TensorProto.INT64)
        op = model.graph.node[0].op_type
        is_setting = is_integer or op in RESIZING or (op == "OneHot" and index == 1)
        if index > 0 and is_setting and len(tensor.dims) <= 1:
            tensor.name = info.name
            model.graph.initializer.append(tensor)
            model.graph.input.remove(info)
        else:
            given.append(tensor)
    data = ModelProto()
    for kind, tensors in (("input", given), ("output", outputs)):
        for tensor in tensors:
            data.graph.initializer.append(tensor)
            data.graph.initializer[-1].name = kind
    (folder / f"{case.name}.onnx").write_bytes(model.SerializeToString())
    (folder / f"{case.name}.data").write_bytes(data.SerializeToString())
    return True


def _tensor(value) -> TensorProto | None:
    if isinstance(value, TensorProto):
        return value
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        return numpy_helper.from_array(np.asarray(value))
    return None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
