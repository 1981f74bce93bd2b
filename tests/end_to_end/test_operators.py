"""Models of one node with dynamic dimensions, on one device and on several, equal ONNX Runtime."""

import numpy as np
import onnx
import pytest

from .one_node import Case

_RANDOM = np.random.default_rng(5)


def whole(*shape: int) -> np.ndarray:
    """Small whole numbers, so that sums are exact in any order."""
    return _RANDOM.integers(-4, 5, shape).astype(np.float32)


def within(extent: int, *shape: int) -> np.ndarray:
    """Indices into a dimension, from its front and from its end."""
    return _RANDOM.integers(-extent, extent, shape)


def scales(*shape: int) -> np.ndarray:
    return (_RANDOM.random(shape) + 0.1).astype(np.float32)


def numbers(dtype: str, *shape: int, below: int = 100) -> np.ndarray:
    return _RANDOM.integers(0, below, shape).astype(dtype)


def einsum(equation: str, *operands: np.ndarray, dynamic: dict | None = None) -> Case:
    return Case("Einsum", list(operands), {"equation": equation}, dynamic or {}, label=equation)


def scatters() -> list[Case]:
    cases = []
    for reduction in ("none", "add", "mul", "max", "min"):
        data, updates = whole(6, 7, 9), whole(6, 4, 9)
        # What several updates leave is undefined where they replace: then none meets another.
        once = np.argsort(_RANDOM.random((6, 7, 9)), axis=1)[:, :4]
        indices = once if reduction == "none" else within(7, 6, 4, 9)
        dynamic = {0: ["a", 7, "c"], 1: ["a", "n", "c"], 2: ["a", "n", "c"]}
        attributes = {"axis": 1, "reduction": reduction}
        operands = [data, indices, updates]
        cases.append(Case("ScatterElements", operands, attributes, dynamic, label=reduction))
        rows = np.stack([_RANDOM.permutation(6)[:4], within(7, 4)], -1)
        operands = [data, rows, whole(4, 9)]
        dynamic = {0: [6, 7, "c"], 1: ["n", 2], 2: ["n", "c"]}
        attributes = {"reduction": reduction}
        cases.append(Case("ScatterND", operands, attributes, dynamic, label=reduction))
    # Indices for a corner of the data only.
    corner = [whole(6, 7, 9), within(7, 3, 4, 5), whole(3, 4, 5)]
    attributes = {"axis": 1, "reduction": "add"}
    return [*cases, Case("ScatterElements", corner, attributes, label="corner")]


def quantisations() -> list[Case]:
    cases = []
    for dtype in ("uint8", "int8", "uint16", "int16"):
        x = (_RANDOM.random((6, 7)) * 400 - 200).astype(np.float32)
        zeros = numbers(dtype, 7, below=9)
        by_column = {"dynamic": {0: ["n", 7]}, "constant": (1, 2), "opset": 21, "label": dtype}
        cases.append(Case("QuantizeLinear", [x, scales(7), zeros], **by_column))
        q = numbers(dtype, 6, 7)
        cases.append(Case("DequantizeLinear", [q, scales(7), zeros], **by_column))
        blocks = [q, scales(6, 3), numbers(dtype, 6, 3, below=9)]
        attributes = {"axis": 1, "block_size": 3}
        label = f"blocks-{dtype}"
        cases.append(Case("DequantizeLinear", blocks, attributes, opset=21, label=label))
    x = whole(6, 7) * np.float32(1.3)
    cases.append(Case("DynamicQuantizeLinear", [x], dynamic={0: ["n", "m"]}, outputs=3))
    for dtype in ("uint8", "int8"):
        a, b = numbers("uint8", 6, 9), numbers(dtype, 9, 7)
        of_a, of_b = np.array(7, np.uint8), numbers(dtype, 7, below=9)
        dynamic = {0: ["m", 9]}
        cases.append(Case("MatMulInteger", [a, b, of_a, of_b], {}, dynamic, (2, 3), label=dtype))
        of_y = np.array(40, np.float32)
        operands = [a, np.array(0.3, np.float32), of_a, b, scales(7), of_b, of_y, of_a]
        constant = (1, 2, 4, 5, 6, 7)
        cases.append(Case("QLinearMatMul", operands, {}, dynamic, constant, label=dtype))
    return cases


CASES = [
    einsum("ij,jk->ik", whole(6, 5), whole(5, 7), dynamic={0: ["n", 5], 1: [5, "m"]}),
    einsum(
        "bhqd,bhkd->bhqk",
        whole(2, 3, 4, 5),
        whole(2, 3, 6, 5),
        dynamic={0: ["b", 3, "q", 5], 1: ["b", 3, "k", 5]},
    ),
    einsum("btd,dhk->bthk", whole(3, 4, 6), whole(6, 3, 2), dynamic={0: ["b", "t", 6]}),
    einsum("bij,jk,kl->bil", whole(3, 4, 5), whole(5, 6), whole(6, 7), dynamic={0: ["b", 4, 5]}),
    einsum("ii->i", whole(6, 6), dynamic={0: ["n", "n"]}),
    einsum("bii->b", whole(3, 6, 6), dynamic={0: ["b", 6, 6]}),
    einsum("i,j->ij", whole(6), whole(7), dynamic={0: ["n"], 1: ["m"]}),
    einsum("aij,ajb->iba", whole(6, 5, 4), whole(6, 4, 3)),
    einsum("...ij,jk->...ik", whole(2, 3, 4), whole(4, 5), dynamic={0: ["b", 3, 4]}),
    *scatters(),
    Case("GatherElements", [whole(6, 7, 9), within(7, 6, 4, 9)], {"axis": 1}, {0: ["a", 7, 9]}),
    Case("GatherElements", [whole(6, 7, 9), within(7, 5, 6, 8)], {"axis": 1}, label="corner"),
    Case("GatherND", [whole(6, 7, 9), within(7, 6, 4, 1)], {"batch_dims": 1}, {0: ["b", 7, 9]}),
    *[
        Case(
            "TopK",
            [whole(6, 7, 9), np.array([3])],
            {"axis": axis, "largest": axis % 2},
            {0: ["a", "b", "c"]},
            (1,),
            outputs=2,
            label=str(axis),
        )
        for axis in range(3)
    ],
    *[
        Case(
            "CumSum",
            [whole(6, 7, 9), np.array(axis)],
            {"exclusive": axis % 2, "reverse": axis // 2},
            {0: ["a", "b", "c"]},
            (1,),
            label=str(axis),
        )
        for axis in range(3)
    ],
    Case("OneHot", [within(5, 6, 7), np.array(5), whole(2)], {"axis": 1}, {0: ["a", "b"]}, (1,)),
    Case(
        "ReverseSequence",
        [whole(6, 7, 9), np.abs(within(8, 6))],
        {"time_axis": 1, "batch_axis": 0},
        {0: ["b", "t", 9], 1: ["b"]},
    ),
    Case("SpaceToDepth", [whole(2, 6, 6, 9)], {"blocksize": 3}, {0: ["n", 6, "h", 9]}),
    Case("DepthToSpace", [whole(2, 18, 4, 3)], {"blocksize": 3}, {0: ["n", 18, "h", "w"]}),
    Case("LRN", [whole(2, 9, 4, 3)], {"size": 5, "alpha": 0.3}, {0: ["n", 9, "h", "w"]}),
    Case("LpNormalization", [whole(4, 9, 4)], {"p": 1, "axis": 1}, {0: ["n", 9, "h"]}),
    Case("MeanVarianceNormalization", [whole(4, 9, 4, 2)], {}, {0: ["n", 9, "h", 2]}),
    Case("Hardmax", [whole(4, 9)], {}, {0: ["n", 9]}),
    *quantisations(),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_onnx_runtime(case, cleave, onnx_runtime, tmp_path):
    case.check(cleave, onnx_runtime, tmp_path)


def test_a_scale_of_zero_says_where(cleave, tmp_path):
    path = tmp_path / "model.onnx"
    case = Case("QuantizeLinear", [whole(2, 3), np.float32([1, 0, 1])], constant=(1,))
    onnx.save(case.model(), path)
    said = ["the scale 'x1' has the element 0.000000 at 1", "calibrate and quantise"]
    cleave.fails(3, "plan", path, mentions=said)
