"""Decoder layers alone, as Llama has them: from hidden states to hidden states, every token seeing
those before it."""

from .builder import Model
from .layers import lowest
from .llama import Llama


def build(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    layers: int = 2,
    heads: int = 8,
    kv_heads: int = 2,
    head_size: int = 16,
    inner: int = 256,
    positions: int = 64,
) -> Model:
    """x [batch, sequence, hidden] → y of the same shape."""
    b = Decoder("decoder", opset, dtype, seed, heads, kv_heads, head_size, positions)
    b.add_layers(layers, inner)
    return b.build(
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        inner=inner,
        hidden=b.hidden,
        seed=seed,
    )


class Decoder(Llama):
    """Without a mask of padding, embedding and head."""

    def add_layers(self, layers: int, inner: int) -> None:
        x = self.input("x", ["batch", "sequence", self.hidden])
        with self.scope("mask"):
            zero, hidden = self.scalar(0.0), self.scalar(lowest(self.dtype))
            mask = self.add("Where", [self.causal(x), zero, hidden])
        with self.scope("rotary"):
            self.make_rotary_tables(x)
        for layer in range(layers):
            with self.scope(f"layers.{layer}"):
                x = self.decoder_layer(x, mask, f"layers.{layer}", inner)
        self.output(x, "y", ["batch", "sequence", self.hidden])
