"""What comparisons on GPUs share: PyTorch on every GPU, medians of CUDA graphs, Cleave's time."""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from .models import ROOT
from .pytorch import dist, multiprocessing, torch

SECONDS = 1  # that each of the sides is timed for


def options_of(name: str, description: str) -> argparse.ArgumentParser:
    """The options that all of these programs take."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.peers.{name}", description=description)
    parser.add_argument("--cleave", type=Path, default=ROOT / "build" / "cuda" / "bin" / "cleave")
    parser.add_argument("--json", type=Path, help="write all times into this file")
    parser.add_argument("options", nargs="*", help="options of `cleave bench`, after --")
    return parser


def on_every_gpu(work: Callable[..., dict], *arguments) -> dict:
    """What work(ranks, *arguments) returns on the first GPU, run on all of them at once, a process
    each, with NCCL between them. `work` is a function of a module."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = torch.cuda.device_count()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        multiprocessing.spawn(_rank, args=(ranks, port, file, work, arguments), nprocs=ranks)
        return json.loads(file.read_text())


def _rank(rank: int, ranks: int, port: int, file: Path, work, arguments: tuple) -> None:
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(ranks)
    )
    torch.cuda.set_device(rank)
    dist.init_process_group(
        "nccl", rank=rank, world_size=ranks, device_id=torch.device("cuda", rank)
    )
    torch.backends.cudnn.benchmark = True
    with torch.no_grad():
        result = work(ranks, *arguments)
    if rank == 0:
        file.write_text(json.dumps(result))
    dist.destroy_process_group()


def _together() -> None:
    if dist.is_initialized():
        dist.barrier()


def _any_rank(goes_on: bool) -> bool:
    """Whether any rank goes on: then all do."""
    if not dist.is_initialized():
        return goes_on
    vote = torch.tensor(int(goes_on), device="cuda")
    dist.all_reduce(vote, dist.ReduceOp.MAX)
    return bool(vote.item())


def graph_ms(work: Callable[[], object], replays: int = 1) -> float:
    """The median time of `work` in a CUDA graph, all ranks starting together: of trials of so many
    replays, after a few that do not count, for as long as `cleave_ms` runs: GPUs that work on and
    on grow warm and slow down."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    _together()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    for _ in range(3):
        graph.replay()
    times = []
    stop = time.monotonic() + SECONDS
    while len(times) < 10 or _any_rank(time.monotonic() < stop):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        _together()
        torch.cuda.synchronize()
        begin.record()
        for _ in range(replays):
            graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / replays)
    return statistics.median(times)


def write_model(family: str, path: Path, **sizes: int) -> Path:
    """A generated model whose large weights are named alone."""
    command = [sys.executable, "-m", "tests.models.generate", family, "-o", str(path)]
    command += ["--weights", "large-absent", *(f"--{name}={size}" for name, size in sizes.items())]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return path


def cleave_ms(program: Path, model: Path, devices: int, *options: str) -> float:
    """The median time of a run on so many GPUs, on the GPUs' clock, weights being noise; NaN where
    it fails, which is printed."""
    command = [str(program), "bench", str(model), f"--devices=cuda:0-{devices - 1}"]
    command += ["--randomWeights", f"--duration={SECONDS}", "--json", "-", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stderr)
        return float("nan")
    return json.loads(done.stdout)["device_us"]["median"] / 1e3
