"""Mixtral: Llama's decoder with a mixture of experts, two of which each token goes to."""

from .builder import Model
from .layers import linear, silu
from .llama import Llama

_CHOSEN = 2


def build(
    opset: int = 17,
    dtype: str = "float32",
    seed: int = 0,
    layers: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    head_size: int = 16,
    experts: int = 5,
    inner: int = 96,
    positions: int = 64,
    vocabulary: int = 503,
    spelling: str = "each",
) -> Model:
    """input_ids and attention_mask int64 [batch, sequence] → logits [.., vocabulary].

    spelling: "each", every expert's layers by themselves, times the gates that chose it (a
    comparison of the chosen with its number); "stacked", one product a layer over all experts,
    times the gates, which are scattered to their places.
    """
    if spelling not in ("each", "stacked"):
        raise ValueError(f"there is no spelling '{spelling}'")
    b = _Mixture("moe", opset, dtype, seed, heads, kv_heads, head_size, positions)
    b.experts, b.spelling = experts, spelling
    b.add_network(layers, inner, vocabulary)
    return b.build(
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        experts=experts,
        inner=inner,
        spelling=spelling,
        qkv="separate",
        seed=seed,
    )


class _Mixture(Llama):
    experts: int
    spelling: str

    def feed_forward(self, x: str, name: str, inner: int) -> str:
        batch, length = self.size(x, 0), self.size(x, 1)
        tokens = self.reshape(x, [-1, self.hidden])
        gates, chosen = self._route(tokens, name)
        mixed = self._each if self.spelling == "each" else self._stacked
        return self.reshape(mixed(tokens, gates, chosen, name, inner), [batch, length, self.hidden])

    def _route(self, tokens: str, name: str) -> list[str]:
        """The two likeliest experts of each token, [tokens, 2], and their gates, of sum 1."""
        scores = linear(self, tokens, f"{name}.router", self.hidden, self.experts, bias=False)
        likely = self.add("Softmax", [scores], axis=-1)
        gates, chosen = self.add("TopK", [likely, self.int64([_CHOSEN])], 2, axis=-1)
        gates = self.add("Div", [gates, self.reduce("ReduceSum", gates, -1)])
        return [gates, chosen]

    def _each(self, tokens: str, gates: str, chosen: str, name: str, inner: int) -> str:
        total = ""
        for expert in range(self.experts):
            with self.scope(f"experts.{expert}"):
                part = f"{name}.experts.{expert}"
                gate = silu(self, linear(self, tokens, f"{part}.w1", self.hidden, inner, False))
                up = linear(self, tokens, f"{part}.w3", self.hidden, inner, False)
                y = self.add("Mul", [gate, up])
                y = linear(self, y, f"{part}.w2", inner, self.hidden, False)
                is_chosen = self.add("Equal", [chosen, self.int64(expert)])
                mask = self.add("Cast", [is_chosen], to=self._type(self.dtype))
                weight = self.reduce("ReduceSum", self.add("Mul", [gates, mask]), -1)
                y = self.add("Mul", [y, weight])
            total = self.add("Add", [total, y]) if total else y
        return total

    def _stacked(self, tokens: str, gates: str, chosen: str, name: str, inner: int) -> str:
        everyone = self.unsqueeze(tokens, 0)
        gate = silu(self, self._product(everyone, f"{name}.w1", self.hidden, inner))
        y = self.add("Mul", [gate, self._product(everyone, f"{name}.w3", self.hidden, inner)])
        y = self._product(y, f"{name}.w2", inner, self.hidden)
        places = self.shape_of_entries([self.size(tokens, 0), self.experts])
        nothing = self.add("Expand", [self.scalar(0.0), places])
        spread = self.add("ScatterElements", [nothing, chosen, gates], axis=1)
        weight = self.unsqueeze(self.add("Transpose", [spread], perm=[1, 0]), 2)
        return self.reduce("ReduceSum", self.add("Mul", [y, weight]), 0, keepdims=0)

    def _product(self, x: str, name: str, inputs: int, outputs: int) -> str:
        """[experts or 1, tokens, inputs] → [experts, tokens, outputs]."""
        shape = (self.experts, inputs, outputs)
        return self.add("MatMul", [x, self.random_weight(f"{name}.weight", shape, inputs**-0.5)])
