"""Diffusion networks on GPUs: Cleave beside PyTorch, split by hand over all GPUs, in one run.

    python -m bench.peers.gpu_diffusion [--layers 8] [--only transformer|stage]

Blocks of a diffusion transformer (width 3,072, 24 heads, 4,608 tokens, bfloat16), each hand-made
split through torch.compile: Megatron's (heads and inner width), the same with tokens split between,
tokens split with all-to-alls around attention, tokens split with keys and values gathered. And one
stage of a U-Net (320 channels, 128 x 128, batch 2, float16: convolutions, group norms, attention),
on one GPU. In CUDA graphs; milliseconds on the devices, medians. Cleave's plan is its own choice,
and, beside it, Megatron's pinned.
"""

import json
import tempfile
from pathlib import Path

from .gpu_ranks import cleave_ms, graph_ms, on_every_gpu, options_of, write_model
from .pytorch import collectives, dist, functional, torch

HEADS, SIZE, TOKENS, RATIO = 24, 128, 4608, 4
WIDTH = HEADS * SIZE
CHANNELS, SIDE, BATCH, GROUPS, STAGE_HEADS = 320, 128, 2, 32, 8
SPLITS = ("megatron", "megatron, tokens between", "all-to-all", "keys and values gathered")


def noise(*shape: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    return torch.randn(*shape, device="cuda", dtype=dtype) * 0.02


class Transformer:
    """The blocks with all heads and columns, or with one rank's."""

    def __init__(self, layers: int, ranks: int, parts: int):
        self.ranks, self.heads, inner = ranks, HEADS // parts, RATIO * WIDTH // parts
        own = self.heads * SIZE
        self.layers = [
            {
                "modulation": noise(WIDTH, 6 * WIDTH),
                "qkv": noise(WIDTH, 3 * own),
                "o": noise(own, WIDTH),
                "up": noise(WIDTH, inner),
                "down": noise(inner, WIDTH),
            }
            for _ in range(layers)
        ]

    def step(self, x, condition, attend, before, after):
        """`before` a block's products, `after` them, and `attend` for what lies between qkv and o
        are what splits differ in."""
        for w in self.layers:
            m = (condition @ w["modulation"]).chunk(6, -1)
            y = before(normed(x) * (1 + m[0]) + m[1])
            x = x + m[2] * after(attend(y @ w["qkv"]) @ w["o"])
            y = before(normed(x) * (1 + m[3]) + m[4])
            x = x + m[5] * after(functional.gelu(y @ w["up"], approximate="tanh") @ w["down"])
        return x


def normed(x: torch.Tensor) -> torch.Tensor:
    return functional.layer_norm(x, (WIDTH,), None, None, 1e-6)


def mixed(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention of [tokens, heads, size] operands, laid out as such."""
    q, k, v = (part.transpose(0, 1)[None] for part in (q, k, v))
    return functional.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1)


def local(qkv: torch.Tensor) -> torch.Tensor:
    return mixed(*qkv.view(qkv.shape[0], 3, -1, SIZE).unbind(1)).reshape(qkv.shape[0], -1)


def same(x: torch.Tensor) -> torch.Tensor:
    return x


def reduced(x: torch.Tensor) -> torch.Tensor:
    return collectives.all_reduce(x, "sum", dist.group.WORLD)


def gathered(x: torch.Tensor) -> torch.Tensor:
    return collectives.all_gather_tensor(x, 0, dist.group.WORLD)


def scattered(x: torch.Tensor) -> torch.Tensor:
    return collectives.reduce_scatter_tensor(x, "sum", 0, dist.group.WORLD)


def exchanged(x: torch.Tensor) -> torch.Tensor:
    return collectives.all_to_all_single(x.contiguous(), None, None, dist.group.WORLD)


def over_heads(qkv: torch.Tensor) -> torch.Tensor:
    """Own tokens of all heads in, the same out; in between all tokens of own heads."""
    ranks, own = dist.get_world_size(), qkv.shape[0]
    parts = qkv.view(own, 3, ranks, HEADS // ranks, SIZE).permute(2, 0, 1, 3, 4)
    y = mixed(*exchanged(parts).reshape(ranks * own, 3, HEADS // ranks, SIZE).unbind(1))
    y = exchanged(y.reshape(ranks, own, HEADS // ranks, SIZE))
    return y.permute(1, 0, 2, 3).reshape(own, WIDTH)


def over_tokens(qkv: torch.Tensor) -> torch.Tensor:
    parts = qkv.view(-1, 3, HEADS, SIZE)
    keys, values = gathered(parts[:, 1:].contiguous()).unbind(1)
    return mixed(parts[:, 0], keys, values).reshape(-1, WIDTH)


def transformer_times(ranks: int, layers: int) -> dict[str, float]:
    whole, cut = Transformer(layers, ranks, 1), Transformer(layers, ranks, ranks)
    condition = noise(1, WIDTH)
    ways = {
        "one": (whole, TOKENS, (local, same, same)),
        SPLITS[0]: (cut, TOKENS, (local, same, reduced)),
        SPLITS[1]: (cut, TOKENS // ranks, (local, gathered, scattered)),
        SPLITS[2]: (whole, TOKENS // ranks, (over_heads, same, same)),
        SPLITS[3]: (whole, TOKENS // ranks, (over_tokens, same, same)),
    }
    times = {}
    for name, (peer, tokens, parts) in ways.items():
        torch._dynamo.reset()
        step = torch.compile(peer.step, dynamic=False)
        x = noise(tokens, WIDTH)
        times[name] = graph_ms(lambda step=step, x=x, parts=parts: step(x, condition, *parts))
    return times


class Stage(torch.nn.Module):
    """As `tests/models/unet.py` has it with no level below: what this one computes is checked
    there."""

    def __init__(self):
        super().__init__()
        norms = [torch.nn.GroupNorm(GROUPS, CHANNELS) for _ in range(6)]
        convs = [torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(6)]
        self.norms, self.convs = torch.nn.ModuleList(norms), torch.nn.ModuleList(convs)
        linears = [torch.nn.Linear(CHANNELS, CHANNELS) for _ in range(4)]
        self.linears = torch.nn.ModuleList(linears)

    def residual(self, x: torch.Tensor, first: int) -> torch.Tensor:
        y = x
        for i in (first, first + 1):
            y = self.convs[1 + i](functional.silu(self.norms[i](y)))
        return x + y

    def attention(self, x: torch.Tensor) -> torch.Tensor:
        points = self.norms[4](x).flatten(2).transpose(1, 2)
        q, k, v = (
            self.linears[i](points).unflatten(2, (STAGE_HEADS, -1)).transpose(1, 2)
            for i in range(3)
        )
        y = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.linears[3](y).transpose(1, 2).unflatten(2, x.shape[2:])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.residual(self.convs[0](x), 0)
        x = self.residual(self.attention(x), 2)
        return self.convs[5](functional.silu(self.norms[5](x)))


def stage_times(ranks: int) -> dict[str, float]:
    last = {"memory_format": torch.channels_last}
    stage = Stage().to("cuda", torch.float16, **last)
    x = noise(BATCH, CHANNELS, SIDE, SIDE, dtype=torch.float16).to(**last)
    times = {"eager": graph_ms(lambda: stage(x))}
    torch._dynamo.reset()
    compiled = torch.compile(stage, dynamic=False)
    return times | {"compile": graph_ms(lambda: compiled(x))}


def megatron_pins(layers: int) -> list[str]:
    """Megatron's split as pins of the generated model's nodes."""
    pins = []
    for layer in range(layers):
        block = f"/blocks.{layer}"
        pins += [f"{block}/mlp/MatMul=n", f"{block}/mlp/MatMul_1=k"]
        pins += [f"{block}/attention/MatMul_2=h", f"{block}/attention/MatMul_3=k[{WIDTH}/{SIZE}]"]
    return [f"--pin={pin}" for pin in pins]


def main() -> None:
    parser = options_of("gpu_diffusion", __doc__)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--only", choices=("transformer", "stage"))
    options = parser.parse_args()
    ranks = torch.cuda.device_count()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        if options.only != "stage":
            sizes = {"layers": options.layers, "heads": HEADS, "head_size": SIZE, "ratio": RATIO}
            model = write_model("dit", Path(folder) / "dit.onnx", **sizes)
            more = (f"--shapes=x:1x{TOKENS}x{WIDTH},c:1x{WIDTH}", "--bf16", *options.options)
            own = {"one": cleave_ms(options.cleave, model, 1, *more)}
            own["split"] = cleave_ms(options.cleave, model, ranks, *more)
            pins = megatron_pins(options.layers)
            own["megatron"] = cleave_ms(options.cleave, model, ranks, *more, *pins)
            peers = on_every_gpu(transformer_times, options.layers)
            best = min(peers[name] for name in SPLITS)
            print(f"diffusion transformer, {options.layers} blocks, {TOKENS} tokens, ms")
            print(f"  one GPU: Cleave {own['one']:.2f}, torch.compile {peers['one']:.2f}")
            print(f"  {ranks} GPUs: Cleave {own['split']:.2f}, ratio to the best peer", end="")
            print(f" {own['split'] / best:.2f}; Megatron pinned {own['megatron']:.2f}")
            print("  torch.compile by hand: ", end="")
            print(", ".join(f"{name} {peers[name]:.2f}" for name in SPLITS), flush=True)
            results["transformer"] = {"cleave": own, "peers": peers}
        if options.only != "transformer":
            sizes = {"levels": 0, "channels": CHANNELS, "inputs": CHANNELS}
            sizes |= {"groups": GROUPS, "heads": STAGE_HEADS}
            model = write_model("unet", Path(folder) / "stage.onnx", **sizes)
            shape = f"--shapes=x:{BATCH}x{CHANNELS}x{SIDE}x{SIDE}"
            own = {
                str(count): cleave_ms(
                    options.cleave, model, count, shape, "--fp16", *options.options
                )
                for count in sorted({1, ranks})
            }
            peers = on_every_gpu(stage_times)
            print(f"U-Net stage, {BATCH} x {CHANNELS} x {SIDE} x {SIDE}, ms")
            print(f"  one GPU: Cleave {own['1']:.3f}, eager {peers['eager']:.3f},", end="")
            print(f" torch.compile {peers['compile']:.3f}")
            split = own[str(ranks)]
            print(f"  {ranks} GPUs: Cleave {split:.3f}, {own['1'] / split:.2f} times one GPU")
            results["stage"] = {"cleave": own, "peers": peers}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
