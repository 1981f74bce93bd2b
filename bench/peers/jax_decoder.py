"""Decoder layers in JAX: GSPMD splits them over all GPUs by the shardings of their weights.

    python -m bench.peers.jax_decoder --layers 8 --tokens 2048 1

The layers of `gpu_decoder.py`, which runs this program in a process of its own. Prints a JSON
object: the tokens' number to milliseconds a step on the wall clock, medians, by the kind of
attention (XLA's, cuDNN's).
"""

import argparse
import json
import os
import statistics
import sys
import time

os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.7")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from jax.sharding import Mesh, NamedSharding, PartitionSpec  # noqa: E402

WIDTH, HEADS, KV_HEADS, SIZE, INNER = 8192, 64, 8, 128, 28672
DTYPE = jnp.bfloat16


class Weights:
    """Noise, laid over the devices as Megatron has it."""

    def __init__(self, mesh: Mesh, layers: int):
        self.mesh = mesh
        self.layers = [
            {
                "norm": self.noise((WIDTH,)),
                "q": self.noise((WIDTH, HEADS, SIZE), None, "ranks"),
                "k": self.noise((WIDTH, KV_HEADS, SIZE), None, "ranks"),
                "v": self.noise((WIDTH, KV_HEADS, SIZE), None, "ranks"),
                "o": self.noise((HEADS, SIZE, WIDTH), "ranks"),
                "gate": self.noise((WIDTH, INNER), None, "ranks"),
                "up": self.noise((WIDTH, INNER), None, "ranks"),
                "down": self.noise((INNER, WIDTH), "ranks"),
            }
            for _ in range(layers)
        ]

    def noise(self, shape: tuple[int, ...], *split: str | None) -> jax.Array:
        sharding = NamedSharding(self.mesh, PartitionSpec(*split))
        draw = jax.jit(
            lambda key: 0.02 * jax.random.normal(key, shape, DTYPE), out_shardings=sharding
        )
        return draw(jax.random.key(0))


def rms_norm(x: jax.Array, scale: jax.Array) -> jax.Array:
    wide = x.astype(jnp.float32)
    inverse = jax.lax.rsqrt((wide * wide).mean(-1, keepdims=True) + 1e-5)
    return (wide * inverse).astype(x.dtype) * scale


def rotated(x: jax.Array, cos: jax.Array, sin: jax.Array) -> jax.Array:
    a, b = jnp.split(x, 2, -1)
    return jnp.concatenate((a * cos - b * sin, b * cos + a * sin), -1)


def step(layers, x, cos, sin, implementation: str, whole: NamedSharding) -> jax.Array:
    for w in layers:
        y = rms_norm(x, w["norm"])
        q, k, v = (jnp.einsum("btd,dhk->bthk", y, w[part]) for part in "qkv")
        q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        y = jax.nn.dot_product_attention(
            q, k, v, is_causal=x.shape[1] > 1, implementation=implementation
        )
        x = x + jnp.einsum("bthk,hkd->btd", y, w["o"])
        y = rms_norm(x, w["norm"])
        x = x + (jax.nn.silu(y @ w["gate"]) * (y @ w["up"])) @ w["down"]
    return jax.lax.with_sharding_constraint(x, whole)


def median_ms(weights: Weights, tokens: int, implementation: str) -> float:
    """Of new tokens of so many sequences, or of one sequence of tokens."""
    shape = (tokens, 1, WIDTH) if tokens < 128 else (1, tokens, WIDTH)
    x = weights.noise(shape)
    frequencies = 1 / 10000 ** (jnp.arange(0, SIZE, 2) / SIZE)
    angles = (jnp.arange(shape[1])[:, None] * frequencies)[:, None]
    cos, sin = jnp.cos(angles).astype(DTYPE), jnp.sin(angles).astype(DTYPE)
    whole = NamedSharding(weights.mesh, PartitionSpec())
    run = jax.jit(lambda layers, x: step(layers, x, cos, sin, implementation, whole))
    for _ in range(4):
        run(weights.layers, x).block_until_ready()
    repeats = 20 if tokens < 128 else 5
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(repeats):
            y = run(weights.layers, x)
        y.block_until_ready()
        times.append((time.perf_counter() - begin) / repeats * 1e3)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers.jax_decoder", description=__doc__)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--tokens", type=int, nargs="+", default=[2048, 1, 16, 64])
    options = parser.parse_args()
    weights = Weights(Mesh(jax.devices(), ("ranks",)), options.layers)
    times: dict[str, dict[str, float]] = {}
    for tokens in options.tokens:
        times[str(tokens)] = {}
        for kind in ("xla", "cudnn"):
            try:
                times[str(tokens)][f"jax, {kind}"] = median_ms(weights, tokens, kind)
            except (ValueError, NotImplementedError, RuntimeError) as error:
                print(f"{kind} attention, {tokens} tokens: {error}", file=sys.stderr)
    print(json.dumps(times))


if __name__ == "__main__":
    main()
