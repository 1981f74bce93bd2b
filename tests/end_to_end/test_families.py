"""Every generated family on several numbers of devices equals ONNX Runtime and one device."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from ..models.inputs import make_inputs
from .cleave import BACKEND, device_counts, largest_difference, on_devices, profile


@dataclass
class Case:
    """A model, the profile it is built for, the sizes it is run at, and how near it must be."""

    name: str
    options: dict
    # Each input's size at the profile's smallest, usual and largest.
    profile: dict[str, tuple[str, str, str]]
    runs: list[dict[str, int]]
    # Largest |a − b| / max|b| from ONNX Runtime; from one device it is 1e-5.
    tolerance: float = 2e-5
    # Whether two devices must share the work: large enough that splitting pays by far.
    must_split: bool = True
    label: str = ""
    opsets: tuple = field(default=(17,))

    def __str__(self) -> str:
        return self.label or self.name


TOKENS = ("1x1", "1x64", "2x64")
CASES = [
    Case(
        "fc",
        {"inputs": 2048, "outputs": 3001},
        {"x": ("1x2048", "4x2048", "33x2048")},
        [{"rows": 1}, {"rows": 4}, {"rows": 33}],
    ),
    Case(
        "mlp",
        {"hidden": 1024, "inner": 4096},
        {"x": ("1x1024", "4x1024", "65x1024")},
        [{"rows": 1}, {"rows": 7}, {"rows": 65}],
    ),
    Case(
        "mlp",
        {"hidden": 520, "inner": 2081, "kind": "silu", "rank": 3},
        {"x": ("1x1x520", "1x32x520", "3x64x520")},
        [{"batch": 1, "sequence": 1}, {"batch": 3, "sequence": 37}],
        label="mlp-rank-3-uneven",
    ),
    Case(
        "vit",
        {"hidden": 320, "heads": 5, "patches": 49},
        {"patches": ("1x49x48", "4x49x48", "8x49x48")},
        [{"batch": 1}, {"batch": 8}],
    ),
    Case(
        "gpt2",
        {"size": "small", "layers": 1},
        {"input_ids": TOKENS},
        [{"batch": 1, "sequence": 1}, {"batch": 2, "sequence": 53}],
    ),
    Case(
        "gpt2",
        {"conv1d": "gemm"},
        {"input_ids": TOKENS},
        [{"batch": 1, "sequence": 1}, {"batch": 2, "sequence": 64}],
        must_split=False,
        label="gpt2-tiny-gemm",
    ),
    Case(
        "llama",
        {"head_size": 64, "inner": 1536},
        {"input_ids": TOKENS, "attention_mask": TOKENS},
        [{"batch": 1, "sequence": 1}, {"batch": 2, "sequence": 61}],
    ),
    Case(
        "decoder",
        {"layers": 1, "head_size": 64, "inner": 1536},
        {"x": ("1x1x512", "1x32x512", "2x64x512")},
        [{"batch": 1, "sequence": 1}, {"batch": 2, "sequence": 61}],
    ),
    Case(
        "dit",
        {"head_size": 64},
        {"x": ("1x1x384", "1x64x384", "2x64x384"), "c": ("1x384", "1x384", "2x384")},
        [{"batch": 1, "sequence": 1}, {"batch": 2, "sequence": 61}],
    ),
    # The spellings of a fused query, key and value.
    *(
        Case(
            "vit",
            {"layers": 1, "hidden": 320, "heads": 5, "patches": 49, "qkv": qkv},
            {"patches": ("1x49x48", "4x49x48", "8x49x48")},
            [{"batch": 1}, {"batch": 7}],
            label=f"vit-{qkv}",
        )
        for qkv in ("split", "slice", "packed")
    ),
    *(
        Case(
            "gpt2",
            {"size": "mini", "layers": 1, "qkv": qkv},
            {"input_ids": TOKENS},
            [{"batch": 1, "sequence": 1}, {"batch": 2, "sequence": 53}],
            label=f"gpt2-{qkv}",
        )
        for qkv in ("neox", "bloom")
    ),
    *(
        Case(
            "llama",
            {"layers": 1, "head_size": 64, "inner": 1537, **options},
            {"input_ids": TOKENS, "attention_mask": TOKENS},
            [{"batch": 1, "sequence": 1}, {"batch": 2, "sequence": 61}],
            label=label,
        )
        for label, options in {
            "llama-fused": {"qkv": "fused", "gate_up": "interleaved"},
            "llama-grouped": {"qkv": "grouped", "gate_up": "halves"},
            "llama-one-key-head": {"qkv": "fused", "heads": 8, "kv_heads": 1},
        }.items()
    ),
    Case(
        "wide",
        {},
        {"x": ("1x3x16x16", "1x3x64x64", "1x3x64x64")},
        [{"batch": 1, "height": 16, "width": 16}, {"batch": 1, "height": 64, "width": 63}],
    ),
    Case(
        "resnet",
        {"blocks": "1,2,1", "width": 16, "classes": 10},
        {"x": ("1x3x32x32", "1x3x96x64", "3x3x96x96")},
        [
            {"batch": 1, "height": 32, "width": 32},
            {"batch": 1, "height": 89, "width": 61},
            {"batch": 3, "height": 96, "width": 96},
        ],
    ),
    Case(
        "mobilenet",
        {"multiplier": 0.5, "blocks": 8, "classes": 10},
        {"x": ("1x3x16x16", "1x3x64x64", "2x3x96x96")},
        [{"batch": 1, "height": 16, "width": 17}, {"batch": 2, "height": 96, "width": 95}],
    ),
    Case(
        "convnext",
        {"depths": "1,2", "width": 48, "classes": 10},
        {"x": ("1x3x32x32", "1x3x64x64", "2x3x64x96")},
        [{"batch": 1, "height": 32, "width": 40}, {"batch": 2, "height": 64, "width": 96}],
    ),
    *(
        Case(
            "unet",
            {"opset": opset, "channels": 24, "groups": 6, "heads": 3},
            {"x": ("1x4x8x8", "1x4x32x32", "2x4x32x32")},
            [{"batch": 1, "height": 8, "width": 12}, {"batch": 2, "height": 32, "width": 28}],
            label=f"unet-opset-{opset}",
        )
        for opset in (17, 21)
    ),
    Case(
        "audio",
        {},
        {"x": ("1x1x16", "1x1x2000", "2x1x2000")},
        [{"batch": 1, "length": 16}, {"batch": 2, "length": 1999}],
    ),
    Case(
        "recommender",
        {"inner": 512},
        {
            name: tuple(f"{batch}x{width}" for batch in (1, 16, 64))
            for name, width in {
                "dense": 13,
                **{f"ids_{table}": 4 for table in range(5)},
                **{f"weights_{table}": 4 for table in (1, 3)},
            }.items()
        },
        [{"batch": 1}, {"batch": 61}],
    ),
    *(
        Case(
            "moe",
            {"layers": 1, "head_size": 48, "inner": 384, "spelling": spelling},
            {"input_ids": TOKENS, "attention_mask": TOKENS},
            [{"batch": 1, "sequence": 1}, {"batch": 2, "sequence": 61}],
            label=f"moe-{spelling}",
        )
        for spelling in ("each", "stacked")
    ),
    Case(
        "functions",
        {},
        {"x": ("1x64", "8x64", "16x64")},
        [{"rows": 1}, {"rows": 16}],
        must_split=False,
    ),
]


def build(cleave, path, case: Case, devices: int, engine) -> None:
    sizes = [{name: three[i] for name, three in case.profile.items()} for i in range(3)]
    cleave("build", path, "-o", engine, on_devices(devices), *profile(*sizes))


def output_of(cleave, engine, inputs, tmp_path, devices: int) -> np.ndarray:
    (output,) = cleave.outputs(engine, inputs, tmp_path, on_devices(devices)).values()
    return output


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_onnx_runtime_and_one_device(case, cleave, models, onnx_runtime, tmp_path):
    path, model = models(case.name, **case.options)
    ones: dict[int, np.ndarray] = {}
    for devices in device_counts(1, 2, 3, 4, 8):
        engine = tmp_path / f"{devices}.cleave"
        build(cleave, path, case, devices, engine)
        for number, sizes in enumerate(case.runs):
            inputs = make_inputs(model, sizes)
            got = output_of(cleave, engine, inputs, tmp_path, devices)
            one = ones.setdefault(number, got)
            (wanted,) = onnx_runtime(path, inputs).values()
            assert largest_difference(got, wanted)[1] <= case.tolerance, (devices, sizes)
            assert largest_difference(got, one)[1] <= 1e-5, (devices, sizes)
        # That it pays is a matter of costs: GPUs do not split what is as small as these.
        if devices == 2 and case.must_split and BACKEND == "cpu":
            found = cleave("inspect", engine, "--json", "-").json
            assert sum(found["collectives"].values()) > 0


@pytest.mark.parametrize("name", ["resnet", "mobilenet", "convnext"])
def test_full_size_networks_of_images(name, cleave, models, onnx_runtime, tmp_path):
    path, model = models(name)
    inputs = make_inputs(model, {"batch": 2, "height": 224, "width": 224})
    (one,) = cleave.outputs(path, inputs, tmp_path, on_devices(1)).values()
    (got,) = cleave.outputs(path, inputs, tmp_path, on_devices(2)).values()
    (wanted,) = onnx_runtime(path, inputs).values()
    assert largest_difference(got, wanted)[1] <= 2e-5
    assert largest_difference(got, one)[1] <= 1e-5


# Options of the families whose own sizes are large.
SMALL = {
    "resnet": {"blocks": "1,1", "width": 8},
    "mobilenet": {"multiplier": 0.25, "blocks": 5},
    "convnext": {"depths": "1,1", "width": 16},
}


@pytest.mark.parametrize("opset", [11, 13, 17, 18, 21])
@pytest.mark.parametrize(
    "name",
    [
        "vit",
        "gpt2",
        "llama",
        "dit",
        "moe",
        "unet",
        "audio",
        "recommender",
        "functions",
        "mlp",
        *SMALL,
    ],
)
def test_every_opset_is_read(name, opset, cleave, models, onnx_runtime, tmp_path):
    """The spellings of each operator set; the model runs without an engine file between."""
    path, model = models(name, opset=opset, **SMALL.get(name, {}))
    image = {"height": 32, "width": 32, "length": 32}
    inputs = make_inputs(model, {"batch": 2, "rows": 2, "sequence": 5, **image})
    (got,) = cleave.outputs(path, inputs, tmp_path, on_devices(2)).values()
    (wanted,) = onnx_runtime(path, inputs).values()
    assert largest_difference(got, wanted)[1] <= 2e-5


@pytest.mark.parametrize(
    "name, options",
    [("fc", {"opset": 7}), ("mlp", {"opset": 7, "kind": "relu"}), ("vit", {"opset": 9})],
    ids=str,
)
def test_old_opsets_are_read(name, options, cleave, models, onnx_runtime, tmp_path):
    path, model = models(name, **options)
    inputs = make_inputs(model, {"batch": 2, "rows": 2})
    (got,) = cleave.outputs(path, inputs, tmp_path, on_devices(2)).values()
    (wanted,) = onnx_runtime(path, inputs).values()
    assert largest_difference(got, wanted)[1] <= 2e-5


def test_external_weights_are_read(cleave, models, onnx_runtime, tmp_path):
    path, model = models("llama", weights="external")
    inputs = make_inputs(model, {"batch": 2, "sequence": 9})
    (got,) = cleave.outputs(path, inputs, tmp_path, on_devices(3)).values()
    (wanted,) = onnx_runtime(path, inputs).values()
    assert largest_difference(got, wanted)[1] <= 2e-5
