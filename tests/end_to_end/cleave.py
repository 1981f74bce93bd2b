"""Runs the program and reads what it says."""

import functools
import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

# Long enough for any command of these tests on a busy machine; a hang fails in the end.
_TIMEOUT_S = 300


@dataclass
class Result:
    """What a command left: exit code (negative: the signal that ended it) and its two streams."""

    command: str
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict:
        """Standard output, which must be JSON and nothing else."""
        return json.loads(self.stdout)

    @property
    def report(self) -> str:
        """The error line and what follows it: `at:` and `hint:`."""
        start = self.stderr.find("error: ")
        return self.stderr[start:] if start >= 0 else ""

    def __str__(self) -> str:
        return f"$ {self.command}\nexit {self.code}\n{self.stdout[-3000:]}\n{self.stderr[-3000:]}"


class Cleave:
    """The program. Call it with its arguments; `code` is the exit code that must come back."""

    def __init__(self, program: Path):
        self.program = program

    def __call__(
        self,
        *arguments,
        code: int | None = 0,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        before: Callable[[], None] | None = None,
    ) -> Result:
        """Runs `cleave arguments...`. code=None takes any exit code but a signal's; `before` runs
        in the child before the program starts."""
        command = [str(self.program), *(str(argument) for argument in arguments)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            env=self._environment(env),
            cwd=cwd,
            preexec_fn=before,
        )
        result = Result(" ".join(command), done.returncode, done.stdout, done.stderr)
        assert result.code >= 0, f"ended by {signal.Signals(-result.code).name}\n{result}"
        if code is not None:
            assert result.code == code, f"wanted exit {code}\n{result}"
        return result

    def fails(self, code: int, *arguments, mentions=(), hint: bool = True, **options) -> Result:
        """Runs a command that must end with `code` and an error that names what it must."""
        result = self(*arguments, code=code, **options)
        assert result.report, f"no error line\n{result}"
        for text in [mentions] if isinstance(mentions, str) else mentions:
            assert text in result.report, f"the error does not mention {text!r}\n{result}"
        if hint:
            assert "\n  hint: " in result.report, f"no hint\n{result}"
        for trace in ("terminate called", "what():", "Aborted", "Traceback", "    @ 0x"):
            assert trace not in result.stderr, f"a stack trace\n{result}"
        return result

    def outputs(
        self, target: Path, inputs: dict, folder: Path, *options, env: dict | None = None
    ) -> dict:
        """Runs an engine (or model) once; returns its outputs by name."""
        given, got = folder / "inputs.safetensors", folder / "outputs.safetensors"
        save_file({name: np.ascontiguousarray(x) for name, x in inputs.items()}, given)
        got.unlink(missing_ok=True)
        self("run", target, "--inputs", given, "--outputs", got, *options, env=env)
        return load_file(got)

    def start(self, *arguments) -> subprocess.Popen:
        """Starts a command without waiting for it."""
        command = [str(self.program), *(str(argument) for argument in arguments)]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=self._environment(None),
        )

    def _environment(self, more: dict[str, str] | None) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if key != "CLEAVE_DEVICES"}
        return clean | (more or {})


BACKEND = os.environ.get("CLEAVE_TEST_BACKEND", "cpu")

# As where there is none: no driver is looked for where devices are named.
NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}


@functools.cache
def _devices_there() -> int:
    found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True)
    return len(found.stdout.splitlines())


def device_counts(*wanted: int) -> list[int]:
    """Those of the numbers of devices that this machine has of the backend that is tested."""
    return [count for count in wanted if BACKEND == "cpu" or count <= _devices_there()]


def on_devices(count: int) -> str:
    """The option for so many devices of the backend that is tested: virtual ones of the CPU. Skips
    the test where there are fewer."""
    if not device_counts(count):
        pytest.skip(f"there are no {count} devices")
    return f"--devices={BACKEND}:0-{count - 1}" if count > 1 else f"--devices={BACKEND}:0"


def shapes(option: str, **sizes: str) -> str:
    """shapes("minShapes", x="1x4") → --minShapes=x:1x4."""
    return f"--{option}=" + ",".join(f"{name}:{size}" for name, size in sizes.items())


def profile(smallest: dict, usual: dict, largest: dict) -> list[str]:
    """The three options of an optimization profile; each maps an input to its size."""
    return [
        shapes("minShapes", **smallest),
        shapes("optShapes", **usual),
        shapes("maxShapes", **largest),
    ]


def limit_file_size(size: int) -> Callable[[], None]:
    """For `before`: writing beyond `size` bytes fails with an error instead of a signal."""

    def apply() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return apply


def largest_difference(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """max|a − b|, and that over max|b|."""
    assert a.shape == b.shape and a.dtype == b.dtype, (a.shape, b.shape, a.dtype, b.dtype)
    if a.size == 0:
        return 0.0, 0.0
    assert np.all(np.isfinite(a))
    absolute = float(np.max(np.abs(a.astype(np.float64) - b.astype(np.float64))))
    return absolute, absolute / max(float(np.max(np.abs(b))), 1e-30)
