"""Ops of lines on one GPU: Cleave's kernels beside PyTorch's, in one run.

    python -m bench.peers.gpu_rows [--program build/cuda/bin/bench_gpu_rows] [PART OF A NAME]

Softmax, arg max, top-k, running sums and reductions of vocabularies and of whole tensors; norms and
softmax of the rows of usual networks, and products of few rows, whose time is that of their weight.
Times are microseconds of a call among others in a CUDA graph; `floor` is that of the bytes alone.
"""

import argparse
import subprocess
from collections.abc import Callable
from pathlib import Path

from .gpu_ranks import graph_ms
from .models import ROOT
from .pytorch import functional, torch

TYPES = {"f16": torch.float16, "f32": torch.float32}
CALLS = 16  # of a graph
ARENA_BYTES = 12 << 20  # that operands of calls that follow each other take turns in


def work_of(name: str) -> Callable[[torch.Tensor], object]:
    op, kind, *_, last = name.split()
    extent = int(name.split()[4])
    shape = (extent, int(last)) if op == "matmul" else (extent,)
    parameters = [torch.rand(shape, device="cuda", dtype=TYPES[kind]) for _ in range(2)]
    return {
        "matmul": lambda x: x @ parameters[0],
        "layer_norm": lambda x: functional.layer_norm(x, x.shape[1:], *parameters),
        "rms_norm": lambda x: functional.rms_norm(x, x.shape[1:], parameters[0]),
        "softmax": lambda x: torch.softmax(x, 1),
        "arg_max": lambda x: torch.argmax(x, 1),
        "top_k": lambda x: torch.topk(x, int(last), 1),
        "cumsum": lambda x: torch.cumsum(x, 1),
        "reduce_sum": lambda x: torch.sum(x, 1),
        "reduce_max": lambda x: torch.amax(x, 1),
    }[op]


def torch_us(name: str) -> float:
    _, kind, lines, _, extent, *_ = name.split()
    shape = (int(lines), int(extent))
    size = shape[0] * shape[1] * TYPES[kind].itemsize
    turns = min(CALLS, max(1, ARENA_BYTES // size))
    operands = [torch.rand(shape, device="cuda", dtype=TYPES[kind]) * 2 - 1 for _ in range(turns)]
    work = work_of(name)

    def calls():
        for call in range(CALLS):
            work(operands[call % turns])

    return 1e3 * graph_ms(calls) / CALLS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers.gpu_rows", description=__doc__)
    default = ROOT / "build" / "cuda" / "bin" / "bench_gpu_rows"
    parser.add_argument("--program", type=Path, default=default)
    parser.add_argument("part", nargs="?", default="", help="cases whose name has this in it")
    options = parser.parse_args()
    done = subprocess.run(
        [str(options.program), options.part], check=True, stdout=subprocess.PIPE, text=True
    )
    print(f"{'microseconds':<36}{'kernel':<20}{'floor':>9}{'Cleave':>9}{'PyTorch':>9}")
    peers: dict[str, float] = {}
    for line in done.stdout.splitlines():
        name, kernel, us, floor = line.split("\t")
        if name not in peers:
            peers[name] = torch_us(name)
        print(f"{name:<36}{kernel:<20}{floor:>9}{us:>9}{peers[name]:9.2f}", flush=True)


if __name__ == "__main__":
    main()
