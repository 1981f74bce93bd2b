"""Llama: RMSNorm, rotary embedding, grouped heads (9 over 3), SwiGLU, untied odd vocabulary."""

import math

import numpy as np

from .builder import INT64_MAX, GraphBuilder, Model
from .gpt2 import triangle_of
from .layers import linear, lowest, merge_heads, rms_norm, silu, split_heads


def build(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    layers: int = 2,
    heads: int = 9,
    kv_heads: int = 3,
    head_size: int = 16,
    inner: int = 384,
    positions: int = 64,
    vocabulary: int = 1001,
    qkv: str = "separate",
    gate_up: str = "split",
) -> Model:
    """input_ids and attention_mask int64 [batch, sequence] → logits [.., vocabulary].

    qkv: "separate", three matrices; "fused", one with its columns split unevenly; "grouped", one
    whose columns are [kv heads, query heads of the group + 2, size], taken by Slice.
    gate_up: one matrix, by "split" of its columns; "halves", Reshape to [.., 2, inner] and Gather;
    "interleaved", Slice with steps of 2.
    """
    b = Llama("llama", opset, dtype, seed, heads, kv_heads, head_size, positions, qkv, gate_up)
    b.add_network(layers, inner, vocabulary)
    return b.build(
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        inner=inner,
        vocabulary=vocabulary,
        qkv=qkv,
        gate_up=gate_up,
        seed=seed,
    )


class Llama(GraphBuilder):
    """The network; what another family changes of it are methods."""

    def __init__(
        self,
        name: str,
        opset: int,
        dtype: str,
        seed: int,
        heads: int,
        kv_heads: int,
        head_size: int,
        positions: int,
        qkv: str = "separate",
        gate_up: str = "split",
    ):
        super().__init__(name, opset, dtype, seed)
        self.hidden = heads * head_size
        self._heads, self._kv_heads, self._head_size = heads, kv_heads, head_size
        self._positions, self._qkv, self._gate_up = positions, qkv, gate_up
        self._cos = self._sin = ""

    def add_network(self, layers: int, inner: int, vocabulary: int) -> None:
        ids = self.input("input_ids", ["batch", "sequence"], "int64")
        mask = self.input("attention_mask", ["batch", "sequence"], "int64")
        table = self.random_weight("embed_tokens.weight", (vocabulary, self.hidden), 0.5)
        x = self.add("Gather", [table, ids])
        with self.scope("mask"):
            additive = self.additive_mask(ids, mask)
        with self.scope("rotary"):
            self.make_rotary_tables(ids)
        for layer in range(layers):
            with self.scope(f"layers.{layer}"):
                x = self.decoder_layer(x, additive, f"layers.{layer}", inner)
        x = rms_norm(self, x, "norm", self.hidden)
        logits = linear(self, x, "lm_head", self.hidden, vocabulary, bias=False)
        self.output(logits, "logits", ["batch", "sequence", vocabulary])

    def additive_mask(self, ids: str, mask: str) -> str:
        """Zero where the key is not later than the query and not padding, else the lowest:
        [batch, 1, sequence, sequence]."""
        causal = self.causal(ids)
        present = self.add("Cast", [self.unsqueeze(mask, 1, 2)], to=9)
        allowed = self.add("And", [causal, present])
        return self.add("Where", [allowed, self.scalar(0.0), self.scalar(lowest(self.dtype))])

    def causal(self, of: str) -> str:
        """Whether the key is not later than the query, [1, 1, sequence, sequence]; `of` has the
        sequence as its second dimension."""
        length = self.unsqueeze(self.size(of, 1), 0)
        triangle = self.weight(
            "causal_mask",
            (1, 1, self._positions, self._positions),
            lambda: triangle_of(self._positions),
            np.bool_,
        )
        return self.slice(self.slice(triangle, 2, 0, length), 3, 0, length)

    def make_rotary_tables(self, ids: str) -> None:
        """cos and sin of each position's angles, [1, 1, sequence, size], by Gather."""
        positions = self.add("Range", [self.int64(0), self.size(ids, 1), self.int64(1)])
        positions = self.unsqueeze(positions, 0)
        shape = (self._positions, self._head_size)
        tables = rotary_tables(self._positions, self._head_size)
        cos = self.weight("rotary.cos_cached", shape, lambda: tables[0])
        sin = self.weight("rotary.sin_cached", shape, lambda: tables[1])
        self._cos = self.unsqueeze(self.add("Gather", [cos, positions]), 1)
        self._sin = self.unsqueeze(self.add("Gather", [sin, positions]), 1)

    def decoder_layer(self, x: str, mask: str, name: str, inner: int) -> str:
        with self.scope("self_attn"):
            normed = rms_norm(self, x, f"{name}.input_layernorm", self.hidden)
            x = self.add("Add", [x, self._attention(normed, mask, f"{name}.self_attn")])
        with self.scope("mlp"):
            normed = rms_norm(self, x, f"{name}.post_attention_layernorm", self.hidden)
            return self.add("Add", [x, self.feed_forward(normed, f"{name}.mlp", inner)])

    def feed_forward(self, x: str, name: str, inner: int) -> str:
        fused = linear(self, x, f"{name}.gate_up_proj", self.hidden, 2 * inner, False)
        gate, up = self._halves(fused, inner)
        product = self.add("Mul", [silu(self, gate), up])
        return linear(self, product, f"{name}.down_proj", inner, self.hidden, False)

    def _halves(self, fused: str, inner: int) -> list[str]:
        if self._gate_up == "interleaved":
            return [self.slice(fused, 2, first, INT64_MAX, 2) for first in range(2)]
        if self._gate_up == "halves":
            wide = self.reshape(fused, [self.size(fused, 0), self.size(fused, 1), 2, inner])
            return self.unbind(wide, 2, 2, "gather")
        return self.split(fused, [inner, inner], axis=-1)

    def _attention(self, x: str, mask: str, name: str) -> str:
        query, key, value = (
            self.add("Transpose", [part], perm=[0, 2, 1, 3]) for part in self._parts(x, name)
        )
        query, key = self._rotate(query), self._rotate(key)
        key, value = self._repeat_heads(key), self._repeat_heads(value)
        scores = self.add("MatMul", [query, self.add("Transpose", [key], perm=[0, 1, 3, 2])])
        scores = self.add("Div", [scores, self.scalar(math.sqrt(self._head_size))])
        weights = self.add("Softmax", [self.add("Add", [scores, mask])], axis=-1)
        context = merge_heads(self, self.add("MatMul", [weights, value]), self.hidden)
        return linear(self, context, f"{name}.o_proj", self.hidden, self.hidden, False)

    def _parts(self, x: str, name: str) -> list[str]:
        """Query, key and value, [batch, sequence, heads, size]."""
        size, counts = self._head_size, [self._heads, self._kv_heads, self._kv_heads]
        if self._qkv == "separate":
            parts = [
                linear(self, x, f"{name}.{part}_proj", self.hidden, count * size, False)
                for part, count in zip("qkv", counts, strict=True)
            ]
        else:
            fused = linear(self, x, f"{name}.qkv_proj", self.hidden, sum(counts) * size, False)
            if self._qkv == "grouped":
                return self._group_parts(fused)
            parts = self.split(fused, [count * size for count in counts], axis=-1)
        return [
            split_heads(self, part, count, size) for part, count in zip(parts, counts, strict=True)
        ]

    def _group_parts(self, fused: str) -> list[str]:
        """Of [.., kv heads, query heads of the group, key and value, size]."""
        batch, length, size = self.size(fused, 0), self.size(fused, 1), self._head_size
        groups = self._heads // self._kv_heads
        wide = self.reshape(fused, [batch, length, self._kv_heads, groups + 2, size])
        bounds = [(0, groups), (groups, groups + 1), (groups + 1, groups + 2)]
        query, key, value = (self.slice(wide, 3, *bound) for bound in bounds)
        query = self.reshape(query, [batch, length, self._heads, size])
        return [query, self.squeeze(key, 3), self.squeeze(value, 3)]

    def _rotate(self, x: str) -> str:
        half = self._head_size // 2
        first = self.slice(x, 3, 0, half)
        second = self.slice(x, 3, half, INT64_MAX)
        turned = self.add("Concat", [self.add("Neg", [second]), first], axis=-1)
        return self.add(
            "Add", [self.add("Mul", [x, self._cos]), self.add("Mul", [turned, self._sin])]
        )

    def _repeat_heads(self, x: str) -> str:
        """[batch, kv heads, ..] → [batch, heads, ..]: Unsqueeze, Expand, Reshape."""
        groups = self._heads // self._kv_heads
        batch, length = self.size(x, 0), self.size(x, 2)
        wide = self.shape_of_entries([batch, self._kv_heads, groups, length, self._head_size])
        x = self.add("Expand", [self.unsqueeze(x, 2), wide])
        return self.reshape(x, [batch, self._heads, length, self._head_size])


def rotary_tables(
    positions: int, size: int, base: float = 10000.0
) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin, float32 [positions, size], each frequency in both halves."""
    frequencies = base ** (-np.arange(0, size, 2, dtype=np.float64) / size)
    angles = np.outer(np.arange(positions), np.concatenate([frequencies, frequencies]))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
