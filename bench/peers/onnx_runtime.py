"""Cleave beside ONNX Runtime: python -m bench.peers.onnx_runtime [MODEL ...]."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

from .models import BY_NAME, ROOT, Model


def inputs_of(session: onnxruntime.InferenceSession, model: Model) -> dict[str, np.ndarray]:
    """Small whole numbers for integers (tokens, masks of ones), normal noise for the rest."""
    generator = np.random.default_rng(0)
    feeds = {}
    for declared in session.get_inputs():
        shape = model.shapes[declared.name]
        if "int" in declared.type:
            feeds[declared.name] = np.ones(shape, dtype=np.int64)
        else:
            feeds[declared.name] = generator.standard_normal(shape).astype(np.float32)
    return feeds


class OnnxRuntime:
    def __init__(self, model: Model, threads: int):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            model.path, options, providers=["CPUExecutionProvider"]
        )
        self.feeds = inputs_of(self.session, model)
        self.session.run(None, self.feeds)

    def median_ms(self, seconds: float) -> float:
        times = []
        end = time.perf_counter() + seconds
        while len(times) < 5 or time.perf_counter() < end:
            start = time.perf_counter()
            self.session.run(None, self.feeds)
            times.append((time.perf_counter() - start) * 1e3)
        return statistics.median(times)


class Cleave:
    def __init__(self, program: Path, model: Model, devices: int, options: list[str]):
        shapes = ",".join(f"{name}:{'x'.join(map(str, s))}" for name, s in model.shapes.items())
        last = f"-{devices - 1}" if devices > 1 else ""
        self.command = [
            *(str(program), "bench", str(model.path), f"--devices=cpu:0{last}"),
            *(f"--shapes={shapes}", "--json", "-", *options),
        ]

    def median_ms(self, seconds: float) -> float:
        done = subprocess.run(
            [*self.command, f"--duration={seconds}"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            sys.exit(done.stderr)
        return json.loads(done.stdout)["latency_us"]["median"] / 1e3


def compare(model: Model, arguments: argparse.Namespace, options: list[str]) -> dict[str, float]:
    """Medians over the rounds, in milliseconds."""
    model.write()
    runners = {"onnx_runtime": OnnxRuntime(model, arguments.threads)}
    for devices in arguments.devices:
        runners[f"devices_{devices}"] = Cleave(arguments.cleave, model, devices, options)
    times: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(arguments.rounds):
        for name, runner in runners.items():
            times[name].append(runner.median_ms(arguments.seconds))
    return {name: statistics.median(values) for name, values in times.items()}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers.onnx_runtime",
        description="Cleave and ONNX Runtime in turn on the same cores: medians and ratios.",
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(BY_NAME))
    parser.add_argument("--threads", type=int, default=2, help="cores for both (default: 2)")
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2], metavar="N")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of each run in a round")
    parser.add_argument("--machine", help="the machine model to plan for")
    parser.add_argument("--tune", action="store_true", help="let Cleave time its kernels first")
    parser.add_argument("--cleave", type=Path, default=ROOT / "build/release/bin/cleave")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.models if name not in BY_NAME]
    if unknown:
        parser.error(f"there is no model {', '.join(unknown)}; there are {', '.join(BY_NAME)}")
    if any(n < 1 or n > arguments.threads for n in arguments.devices):
        parser.error(f"--devices must be 1 to {arguments.threads}, as many as --threads")
    return arguments


def main() -> None:
    arguments = parse()
    cores = sorted(os.sched_getaffinity(0))[: arguments.threads]
    if len(cores) < arguments.threads:
        sys.exit(f"there are {len(cores)} cores, not {arguments.threads}")
    os.sched_setaffinity(0, cores)
    options = ["--machine", arguments.machine] if arguments.machine else []
    if arguments.tune:
        options.append("--tune")
    print(
        f"{platform.machine()}, {arguments.threads} core(s), onnxruntime "
        f"{onnxruntime.__version__}: medians of {arguments.rounds} rounds, in milliseconds"
    )
    columns = "".join(f"  devices {n:<2}  ratio" for n in arguments.devices)
    print(f"{'model':<12}  onnxruntime{columns}")
    figures = {}
    for name in arguments.models or BY_NAME:
        figures[name] = compare(BY_NAME[name], arguments, options)
        peer = figures[name]["onnx_runtime"]
        row = f"{name:<12}  {peer:11.2f}"
        for n in arguments.devices:
            own = figures[name][f"devices_{n}"]
            row += f"  {own:10.2f}  {own / peer:5.2f}"
        print(row, flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
