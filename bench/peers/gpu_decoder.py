"""Decoder layers on GPUs: Cleave beside tensor parallelism in PyTorch and JAX, in one run.

    python -m bench.peers.gpu_decoder [--layers 8] [--tokens 2048 1 16 64] [--no-compile]

Layers of the shape of Llama-3 70B (width 8,192, 64 heads over 8, SwiGLU of 28,672), bfloat16,
seeded noise for weights, no history. The peer is the split of Megatron over all GPUs with NCCL,
eager and through torch.compile, each in a CUDA graph, and, where JAX is there, GSPMD by the
weights' shardings (`jax_decoder.py`). Milliseconds, medians. Cleave's plan is its own choice.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from .gpu_ranks import cleave_ms, graph_ms, on_every_gpu, options_of, write_model
from .models import ROOT
from .pytorch import collectives, dist, functional, torch

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


def times_of(peer: Peer, tokens: int, compiles: bool) -> dict[str, float]:
    """Of new tokens of so many sequences, or of one sequence of tokens."""
    x = noise(tokens, 1, WIDTH) if tokens < 128 else noise(1, tokens, WIDTH)
    frequencies = 1 / 10000 ** (torch.arange(0, SIZE, 2, device="cuda") / SIZE)
    angles = torch.arange(x.shape[1], device="cuda")[:, None] * frequencies[None]
    cos, sin = angles.cos().to(DTYPE), angles.sin().to(DTYPE)
    replays = 20 if tokens < 128 else 5
    times = {"eager": graph_ms(lambda: peer.step(x, cos, sin, reduced), replays)}
    if compiles:
        torch._dynamo.reset()
        compiled = torch.compile(peer.step, dynamic=False)
        step = lambda: compiled(x, cos, sin, reduced_in_graph)  # noqa: E731
        times["compile"] = graph_ms(step, replays)
    return times


def peer_times(ranks: int, layers: int, tokens: list[int], compiles: bool) -> dict[str, dict]:
    peer = Peer(layers, ranks)
    return {str(count): times_of(peer, count, compiles) for count in tokens}


def jax_times(layers: int, tokens: list[int]) -> dict[str, dict]:
    """Those of `jax_decoder`, in a process of its own; none where JAX is not there."""
    if importlib.util.find_spec("jax") is None:
        return {}
    command = [sys.executable, "-m", "bench.peers.jax_decoder", "--layers", str(layers)]
    done = subprocess.run(
        [*command, "--tokens", *map(str, tokens)], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode != 0:
        print(done.stderr)
        return {}
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = options_of("gpu_decoder", __doc__)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--tokens", type=int, nargs="+", default=[2048, 1, 16, 64])
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    ranks = torch.cuda.device_count()
    with tempfile.TemporaryDirectory() as folder:
        sizes = {"layers": options.layers, "heads": HEADS, "kv_heads": KV_HEADS}
        sizes |= {"head_size": SIZE, "inner": INNER, "positions": 2048}
        model = write_model("decoder", Path(folder) / "decoder.onnx", **sizes)
        own = {}
        for tokens in options.tokens:
            shape = f"{tokens}x1x{WIDTH}" if tokens < 128 else f"1x{tokens}x{WIDTH}"
            more = (f"--shapes=x:{shape}", "--bf16", *options.options)
            own[str(tokens)] = {
                name: cleave_ms(options.cleave, model, count, *more)
                for name, count in (("one", 1), ("split", ranks))
            }
    peers = on_every_gpu(peer_times, options.layers, options.tokens, options.compile)
    for tokens, times in jax_times(options.layers, options.tokens).items():
        peers[tokens] |= times
    for tokens, times in own.items():
        beside = ", ".join(
            f"{name} {ms:.3f} (ratio {times['split'] / ms:.2f})"
            for name, ms in peers[tokens].items()
        )
        print(
            f"{tokens:>6} tokens: Cleave {times['one']:.3f} ms on one GPU, {times['split']:.3f} on "
            f"{ranks}; {beside}"
        )
    if options.json:
        options.json.write_text(json.dumps({"cleave": own, "peers": peers}, indent=1))


if __name__ == "__main__":
    main()
