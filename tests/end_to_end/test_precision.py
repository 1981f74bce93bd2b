"""Half precision: models of float32 weights, computed in float16 and bfloat16."""

import math

import numpy as np
import pytest

from ..models.inputs import make_inputs
from .cleave import BACKEND, device_counts, largest_difference, on_devices

# What one rounding changes at most, relative to the value.
ROUNDINGS = {"fp16": 2.0**-11, "bf16": 2.0**-8}
# Family, options, sizes. Activations of all stay far below float16's largest value.
CASES = {
    "mlp": ({"hidden": 256, "inner": 1024}, {"rows": 7}),
    "vit": ({"hidden": 320, "patches": 49}, {"batch": 2}),
    "gpt2": ({"conv1d": "gemm"}, {"batch": 2, "sequence": 53}),
    "llama": ({"head_size": 64, "inner": 1536}, {"batch": 2, "sequence": 61}),
    "decoder": ({"head_size": 64}, {"batch": 1, "sequence": 61}),
    "dit": ({"head_size": 64}, {"batch": 2, "sequence": 61}),
    "resnet": (
        {"blocks": "1,2,1", "width": 16, "classes": 10},
        {"batch": 2, "height": 64, "width": 61},
    ),
    "mobilenet": (
        {"multiplier": 0.5, "blocks": 8, "classes": 10},
        {"batch": 2, "height": 64, "width": 61},
    ),
    "convnext": (
        {"depths": "1,2", "width": 48, "classes": 10},
        {"batch": 1, "height": 64, "width": 64},
    ),
    "unet": (
        {"channels": 24, "groups": 6, "heads": 3},
        {"batch": 1, "height": 32, "width": 28},
    ),
    "audio": ({}, {"batch": 1, "length": 999}),
    "minilm": ({}, {"batch": 2, "sequence": 64}),
}


def tolerance(nodes: int, kind: str) -> float:
    """Of |a - b| / max|b|: each of n operations rounds its results once, independently of the
    others, so that errors grow as sqrt(n); four times that for the largest of many elements."""
    return 4.0 * math.sqrt(nodes) * ROUNDINGS[kind]


@pytest.mark.parametrize("kind", ROUNDINGS)
@pytest.mark.parametrize("name", CASES)
def test_is_within_what_rounding_explains(name, kind, cleave, models, onnx_runtime, tmp_path):
    options, sizes = CASES[name]
    path, model = models(name, **options)
    inputs = make_inputs(model, sizes)
    (wanted,) = onnx_runtime(path, inputs).values()
    limit = tolerance(len(model.proto.graph.node), kind)
    for devices in device_counts(1, 2):
        (got,) = cleave.outputs(path, inputs, tmp_path, on_devices(devices), f"--{kind}").values()
        error = largest_difference(got, wanted)[1]
        assert error <= limit, devices
        # Roundings show where it was computed in that type, which the CPU only stores weights in.
        assert BACKEND == "cpu" or error > ROUNDINGS[kind] / 64, devices


@pytest.mark.parametrize("kind", ["float32", *ROUNDINGS])
@pytest.mark.parametrize("name", ["llama", "unet"])
def test_equal_bits_each_run_and_on_each_device(name, kind, cleave, models, tmp_path):
    """Also where kernels are compiled anew."""
    options, sizes = CASES[name]
    path, model = models(name, **options)
    inputs = make_inputs(model, sizes)
    precision = [] if kind == "float32" else [f"--{kind}"]
    for devices in device_counts(1, 2):
        engine = tmp_path / f"{devices}.cleave"
        shapes = ",".join(f"{k}:{'x'.join(map(str, x.shape))}" for k, x in inputs.items())
        cleave("build", path, "-o", engine, on_devices(devices), *precision, f"--shapes={shapes}")
        runs = [
            cleave.outputs(engine, inputs, tmp_path, on_devices(devices), env=env)
            for env in (None, None, {"CLEAVE_CACHE_DIR": str(tmp_path / f"cache-{devices}")})
        ]
        if devices == 1 and device_counts(2):
            runs.append(cleave.outputs(engine, inputs, tmp_path, f"--devices={BACKEND}:1"))
        for run in runs[1:]:
            for key, value in runs[0].items():
                np.testing.assert_array_equal(run[key], value)
