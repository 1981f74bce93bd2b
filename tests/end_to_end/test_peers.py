"""The comparison with ONNX Runtime: its README's commands, on what is quick to make."""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from .conftest import ROOT

# Later options override those of the README: one short round.
QUICK = ["--rounds", "1", "--seconds", "0.05"]


def commands() -> list[list[str]]:
    text = (ROOT / "bench" / "peers" / "README.md").read_text()
    lines = re.findall(r"^    (python -m bench\.peers\.onnx_runtime.*?)(?: +#.*)?$", text, re.M)
    return [shlex.split(line)[1:] for line in lines]


def run(arguments: list[str], folder, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == code, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def cores() -> int:
    return len(os.sched_getaffinity(0))


@pytest.mark.skipif(cores() < 2, reason="the commands compare two devices")
def test_the_commands_of_the_readme(cleave, tmp_path):
    found = commands()
    assert len(found) == 3
    for command in found:
        named = any(not word.startswith("-") for word in command[2:3])
        models = [] if named else ["recognition"]
        said = run([*command, *models, *QUICK, f"--cleave={cleave.program}"], tmp_path)
        rows = [line.split() for line in said.splitlines() if not line.startswith(("model", "x86"))]
        for _, peer, one, ratio, two, _ in rows:
            assert float(peer) > 0 and float(two) > 0
            assert float(ratio) == pytest.approx(float(one) / float(peer), abs=0.02)
    figures = json.loads((tmp_path / "out.json").read_text())
    assert set(figures["recognition"]) == {"onnx_runtime", "devices_1", "devices_2"}


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["paper"], "there is no model paper; there are minilm-1"),
        (["recognition", "--devices", "0"], "--devices must be 1 to 2"),
        (["recognition", "--devices", "3"], "--devices must be 1 to 2"),
    ],
)
def test_wrong_usage(arguments, says, tmp_path):
    said = run(["-m", "bench.peers.onnx_runtime", *arguments], tmp_path, code=2)
    assert says in " ".join(said.split())


def test_more_cores_than_there_are(tmp_path):
    said = run(
        ["-m", "bench.peers.onnx_runtime", "recognition", "--threads", "10000"], tmp_path, code=1
    )
    assert f"there are {cores()} cores, not 10000" in said


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is there")
@pytest.mark.parametrize("program", ["gpu_layers", "gpu_decoder", "gpu_diffusion", "gpu_rows"])
def test_what_takes_pytorch_says_so(program, tmp_path):
    said = run(["-m", f"bench.peers.{program}"], tmp_path, code=4)
    assert said.startswith("error: ") and "PyTorch" in said and "\n  hint: " in said
