"""The three networks of the package rapidocr-onnxruntime: convolution and attention on images of
any height and width."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from .cleave import device_counts, largest_difference, on_devices, profile

FOLDER = Path(importlib.util.find_spec("rapidocr_onnxruntime").submodule_search_locations[0])
# Each network's file, its profile's smallest, usual and largest sizes, and those it is run at.
NETWORKS = {
    "detection": (
        "ch_PP-OCRv4_det_infer.onnx",
        ("1x3x32x32", "1x3x160x320", "2x3x320x480"),
        [(1, 96, 128), (1, 160, 224), (2, 64, 320)],
    ),
    "recognition": (
        "ch_PP-OCRv4_rec_infer.onnx",
        ("1x3x48x32", "1x3x48x320", "2x3x48x640"),
        [(1, 48, 160), (2, 48, 320), (1, 48, 601)],
    ),
    "direction": (
        "ch_ppocr_mobile_v2.0_cls_infer.onnx",
        ("1x3x48x96", "1x3x48x192", "4x3x48x192"),
        [(1, 48, 192), (4, 48, 192), (3, 48, 100)],
    ),
}


def page(batch: int, height: int, width: int) -> np.ndarray:
    """Dark strokes in lines on light paper, as these networks' inputs are scaled."""
    generator = np.random.default_rng([batch, height, width])
    image = np.full((batch, 3, height, width), 0.9, dtype=np.float32)
    for picture in image:
        for top in range(6, height - 12, 24):
            for left in range(4, width - 10, 9):
                if generator.random() < 0.85:
                    picture[:, top : top + 12, left + generator.integers(4)] = -0.9
                    picture[:, top + generator.integers(12), left : left + 7] = -0.9
    return image + generator.normal(0, 0.02, image.shape).astype(np.float32)


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_onnx_runtime_and_one_device(name, cleave, onnx_runtime, tmp_path):
    file, sizes, runs = NETWORKS[name]
    path = FOLDER / "models" / file
    engines = {}
    for devices in device_counts(1, 2, 3, 4):
        engines[devices] = tmp_path / f"{devices}.cleave"
        shapes = profile(*({"x": size} for size in sizes))
        cleave("build", path, "-o", engines[devices], on_devices(devices), *shapes)
    for size in runs:
        inputs = {"x": page(*size)}
        (wanted,) = onnx_runtime(path, inputs).values()
        (one,) = cleave.outputs(engines[1], inputs, tmp_path, on_devices(1)).values()
        for devices, engine in engines.items():
            (got,) = cleave.outputs(engine, inputs, tmp_path, on_devices(devices)).values()
            assert largest_difference(got, wanted)[0] <= 1e-4, (size, devices)
            # 60 layers behind each other amplify what rounding differs in: one device itself is
            # 1e-5 from ONNX Runtime, and cuDNN adds up in another order for fewer channels.
            assert largest_difference(got, one)[1] <= 5e-5, (size, devices)


@pytest.mark.parametrize("name", NETWORKS)
def test_is_split_over_two_cpu_devices(name, cleave):
    """GPUs have little to gain by it: there, one such image takes less than half a millisecond."""
    file, sizes, _ = NETWORKS[name]
    options = ("--devices=cpu:0-1", f"--shapes=x:{sizes[1]}", "--json", "-")
    plan = cleave("plan", FOLDER / "models" / file, *options).json
    assert plan["optimal"]
    assert plan["cost_us"] < 0.7 * plan["unsplit_us"]
