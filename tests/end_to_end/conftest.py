import os
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from ..models.builder import Model
from ..models.generate import generate
from .cleave import Cleave

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cleave() -> Cleave:
    program = Path(os.environ.get("CLEAVE_BIN", ROOT / "build" / "release" / "bin" / "cleave"))
    if not os.access(program, os.X_OK):
        pytest.fail(f"{program} was not found: build it with scripts/build, or set CLEAVE_BIN")
    return Cleave(program.resolve())


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """models("mlp", hidden=64) writes that model, once a session; returns (path, Model)."""
    folder = tmp_path_factory.mktemp("models")
    made: dict[str, tuple[Path, Model]] = {}

    def make(name: str, weights: str = "inline", **options) -> tuple[Path, Model]:
        key = "-".join([name, weights, *(f"{k}={v}" for k, v in sorted(options.items()))])
        if key not in made:
            path = folder / f"{len(made)}-{name}.onnx"
            made[key] = path, generate(name, path, weights, **options)
        return made[key]

    return make


@pytest.fixture(scope="session")
def onnx_runtime():
    """onnx_runtime(path, inputs) → outputs by name, as ONNX Runtime computes them."""
    sessions: dict[Path, onnxruntime.InferenceSession] = {}

    def run(path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if path not in sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = os.cpu_count() or 1
            sessions[path] = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        names = [output.name for output in sessions[path].get_outputs()]
        return dict(zip(names, sessions[path].run(names, inputs), strict=True))

    return run
