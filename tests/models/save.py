"""Writes a model: weights inside the file, or beside it, or only named."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from .builder import Model, Weight

# Offsets in the weight file are multiples of a page, as ONNX recommends for mapping.
_ALIGNMENT = 4096
# Smaller tensors stay in the model's file whatever is asked for.
_EXTERNAL_THRESHOLD = 1024
# The smallest that are left out where only large ones are: tables and masks, which passes read, are
# there.
_LARGE = 16 << 20
WEIGHT_MODES = ("inline", "external", "sparse", "absent", "large-absent")


def save(model: Model, path: Path, weights: str = "inline") -> Path:
    """Writes `model` to `path`; returns `path`.

    weights: "inline", in the model's file; "external", in `<path>.data`; "sparse", in a
    `<path>.data` that has the right size but holds only zeros, and takes no room on the disk;
    "absent", named as external although no such file is written; "large-absent", the same for those
    of 16 MiB and more, the others in the model's file.
    """
    if weights not in WEIGHT_MODES:
        raise ValueError(f"weights are one of {WEIGHT_MODES}, not {weights!r}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    if weights == "inline":
        for weight in model.weights:
            proto.graph.initializer.append(_inline(weight))
    else:
        _write_external(model, proto, Path(f"{path}.data"), weights)
    path.write_bytes(proto.SerializeToString(deterministic=True))
    return path


def _inline(weight: Weight) -> TensorProto:
    tensor = _tensor(weight)
    tensor.raw_data = weight.values().tobytes()
    return tensor


def _tensor(weight: Weight) -> TensorProto:
    tensor = TensorProto()
    tensor.name = weight.name
    tensor.dims.extend(weight.shape)
    tensor.data_type = helper.np_dtype_to_tensor_dtype(weight.dtype)
    return tensor


def _write_external(model: Model, proto: onnx.ModelProto, data: Path, weights: str) -> None:
    offset = 0
    placed: list[tuple[int, Weight]] = []
    smallest = _LARGE if weights == "large-absent" else _EXTERNAL_THRESHOLD
    for weight in model.weights:
        if weight.nbytes < smallest:
            proto.graph.initializer.append(_inline(weight))
            continue
        offset = -(-offset // _ALIGNMENT) * _ALIGNMENT
        proto.graph.initializer.append(_reference(weight, data.name, offset))
        placed.append((offset, weight))
        offset += weight.nbytes
    if weights.endswith("absent"):
        data.unlink(missing_ok=True)
        return
    with data.open("wb") as file:
        if weights == "external":
            for start, weight in placed:
                file.seek(start)
                weight.values().tofile(file)
        file.truncate(offset)


def _reference(weight: Weight, location: str, offset: int) -> TensorProto:
    tensor = _tensor(weight)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", weight.nbytes)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    return tensor
