"""Decoder layers on GPUs: Cleave beside hand-written tensor parallelism in PyTorch, in one run.

    python -m bench.peers.gpu_decoder [--layers 8] [--tokens 2048 1 16 64] [--no-compile]

Layers of the shape of Llama-3 70B (width 8,192, 64 heads over 8, SwiGLU of 28,672), bfloat16,
seeded noise for weights, no history. The peer is the split of Megatron over all GPUs with NCCL,
eager and through torch.compile, each in a CUDA graph. Milliseconds on the devices, medians.
Cleave's plan is its own choice.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed._functional_collectives as collectives
import torch.multiprocessing as multiprocessing
import torch.nn.functional as functional

from .models import ROOT

WIDTH, HEADS, KV_HEADS, SIZE, INNER = 8192, 64, 8, 128, 28672
DTYPE = torch.bfloat16


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, device="cuda", dtype=DTYPE) * 0.02


class Peer:
    """One rank's share of the layers."""

    def __init__(self, layers: int, ranks: int):
        self.heads, self.kv_heads, inner = HEADS // ranks, max(KV_HEADS // ranks, 1), INNER // ranks
        parts = self.heads + 2 * self.kv_heads
        self.layers = [
            {
                "norm": torch.ones(WIDTH, device="cuda", dtype=DTYPE),
                "qkv": noise(parts * SIZE, WIDTH),
                "o": noise(WIDTH, self.heads * SIZE),
                "gate_up": noise(2 * inner, WIDTH),
                "down": noise(WIDTH, inner),
            }
            for _ in range(layers)
        ]

    def step(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, reduce) -> torch.Tensor:
        batch, tokens, _ = x.shape
        counts = (self.heads, self.kv_heads, self.kv_heads)
        for weights in self.layers:
            y = functional.rms_norm(x, (WIDTH,), weights["norm"], 1e-5)
            parts = (y @ weights["qkv"].t()).view(batch, tokens, sum(counts), SIZE).transpose(1, 2)
            q, k, v = parts.split(counts, 1)
            q, k = rotated(q, cos, sin), rotated(k, cos, sin)
            mixed = functional.scaled_dot_product_attention(
                q, k, v, is_causal=tokens > 1, enable_gqa=True
            )
            mixed = mixed.transpose(1, 2).reshape(batch, tokens, -1)
            x = x + reduce(mixed @ weights["o"].t())
            y = functional.rms_norm(x, (WIDTH,), weights["norm"], 1e-5)
            gate, up = (y @ weights["gate_up"].t()).chunk(2, -1)
            x = x + reduce((functional.silu(gate) * up) @ weights["down"].t())
        return x


def rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def reduced(x: torch.Tensor) -> torch.Tensor:
    dist.all_reduce(x)
    return x


def reduced_in_graph(x: torch.Tensor) -> torch.Tensor:
    return collectives.all_reduce(x, "sum", dist.group.WORLD)


def median_ms(work, repeats: int) -> float:
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    dist.barrier()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    times = []
    for _ in range(7):
        dist.barrier()
        torch.cuda.synchronize()
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(repeats):
            graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / repeats)
    return statistics.median(times[2:])


def peer_times(peer: Peer, tokens: int, options: argparse.Namespace) -> dict[str, float]:
    """Of new tokens of so many sequences, or of one sequence of tokens."""
    x = noise(tokens, 1, WIDTH) if tokens < 128 else noise(1, tokens, WIDTH)
    frequencies = 1 / 10000 ** (torch.arange(0, SIZE, 2, device="cuda") / SIZE)
    angles = torch.arange(x.shape[1], device="cuda")[:, None] * frequencies[None]
    cos, sin = angles.cos().to(DTYPE), angles.sin().to(DTYPE)
    repeats = 20 if tokens < 128 else 5
    times = {"eager": median_ms(lambda: peer.step(x, cos, sin, reduced), repeats)}
    if options.compile:
        torch._dynamo.reset()
        compiled = torch.compile(peer.step, dynamic=False)
        times["compile"] = median_ms(lambda: compiled(x, cos, sin, reduced_in_graph), repeats)
    return times


def peer_rank(rank: int, ranks: int, file: str, options: argparse.Namespace) -> None:
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT="29617", RANK=str(rank), WORLD_SIZE=str(ranks)
    )
    torch.cuda.set_device(rank)
    dist.init_process_group(
        "nccl", rank=rank, world_size=ranks, device_id=torch.device("cuda", rank)
    )
    peer = Peer(options.layers, ranks)
    with torch.no_grad():
        times = {str(tokens): peer_times(peer, tokens, options) for tokens in options.tokens}
    if rank == 0:
        Path(file).write_text(json.dumps(times))
    dist.destroy_process_group()


def cleave_ms(options: argparse.Namespace, model: Path, devices: int, tokens: int) -> float:
    shape = f"{tokens}x1x{WIDTH}" if tokens < 128 else f"1x{tokens}x{WIDTH}"
    command = [str(options.cleave), "bench", str(model), f"--devices=cuda:0-{devices - 1}"]
    command += [f"--shapes=x:{shape}", "--bf16", "--randomWeights", "--duration=1", "--json", "-"]
    done = subprocess.run([*command, *options.options], capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stderr)
        return float("nan")
    return json.loads(done.stdout)["device_us"]["median"] / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers.gpu_decoder", description=__doc__)
    parser.add_argument("--cleave", type=Path, default=ROOT / "build" / "cuda" / "bin" / "cleave")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--tokens", type=int, nargs="+", default=[2048, 1, 16, 64])
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("options", nargs="*", help="options of `cleave bench`, after --")
    options = parser.parse_args()
    ranks = torch.cuda.device_count()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "decoder.onnx"
        sizes = {"layers": options.layers, "heads": HEADS, "kv_heads": KV_HEADS}
        sizes |= {"head_size": SIZE, "inner": INNER, "positions": 2048}
        command = [sys.executable, "-m", "tests.models.generate", "decoder", "-o", str(model)]
        command += ["--weights", "large-absent", *(f"--{k}={v}" for k, v in sizes.items())]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        own = {
            str(tokens): {
                "one": cleave_ms(options, model, 1, tokens),
                "split": cleave_ms(options, model, ranks, tokens),
            }
            for tokens in options.tokens
        }
        for tokens, times in own.items():
            print(
                f"{tokens:>6} tokens: Cleave {times['one']:.3f} ms on one GPU, "
                f"{times['split']:.3f} on {ranks}",
                flush=True,
            )
        file = Path(folder) / "peer.json"
        multiprocessing.spawn(peer_rank, args=(ranks, str(file), options), nprocs=ranks)
        peers = json.loads(file.read_text())
    for tokens, times in own.items():
        beside = ", ".join(
            f"{name} {ms:.3f} (ratio {times['split'] / ms:.2f})"
            for name, ms in peers[tokens].items()
        )
        print(f"{tokens:>6} tokens on {ranks} GPUs: Cleave {times['split']:.3f} ms; {beside}")
    if options.json:
        options.json.write_text(json.dumps({"cleave": own, "peers": peers}, indent=1))


if __name__ == "__main__":
    main()
