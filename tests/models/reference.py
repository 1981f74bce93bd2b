"""The generated families once more, in NumPy and float64: an opinion besides ONNX Runtime's.

Each function takes a model's weights by name, its options, and its inputs; it returns the output.
"""

import math

import numpy as np

from .llama import rotary_tables

Weights = dict[str, np.ndarray]
_erf = np.vectorize(math.erf, otypes=[np.float64])


def fc(w: Weights, options: dict, x: np.ndarray) -> np.ndarray:
    return _gemm(w, "fc", x)


def mlp(w: Weights, options: dict, x: np.ndarray) -> np.ndarray:
    turn = np.transpose if options["rank"] == 2 else np.asarray
    inner = x @ turn(_wide(w["first.weight"])) + w["first.bias"]
    return _ACTIVATIONS[options["kind"]](inner) @ turn(_wide(w["second.weight"])) + w["second.bias"]


def big(w: Weights, options: dict, x: np.ndarray) -> np.ndarray:
    for layer in range(options["layers"]):
        x = np.maximum(x @ _wide(w[f"layer.{layer}.weight"]), 0)
    return x


def vit(w: Weights, options: dict, x: np.ndarray) -> np.ndarray:
    x = _linear(w, "patch_embedding", x)
    token = np.broadcast_to(w["class_token"], (x.shape[0], 1, options["hidden"]))
    x = np.concatenate([token, x], axis=1) + w["positions"]
    for layer in range(options["layers"]):
        name = f"blocks.{layer}"
        normed = _layer_norm(w, f"{name}.norm1", x, 1e-6)
        parts = np.split(_linear(w, f"{name}.attention.qkv", normed), 3, axis=-1)
        query, key, value = (_heads(part, options["heads"]) for part in parts)
        context = _attend(query, key, value, 0.0)
        if options["qkv"] == "packed":  # its projection is a Gemm
            context = context @ _wide(w[f"{name}.attention.projection.weight"]).T
            x = x + context + w[f"{name}.attention.projection.bias"]
        else:
            x = x + _linear(w, f"{name}.attention.projection", context)
        normed = _layer_norm(w, f"{name}.norm2", x, 1e-6)
        x = x + _linear(w, f"{name}.mlp.fc2", gelu(_linear(w, f"{name}.mlp.fc1", normed)))
    x = _layer_norm(w, "norm", x, 1e-6)[:, 0]
    return _gemm(w, "head", x)


def gpt2(w: Weights, options: dict, input_ids: np.ndarray) -> np.ndarray:
    length = input_ids.shape[1]
    x = _wide(w["wte.weight"])[input_ids] + w["wpe.weight"][:length]
    mask = _causal(length)
    for layer in range(options["layers"]):
        name = f"h.{layer}"
        fused = _linear(w, f"{name}.attn.c_attn", _layer_norm(w, f"{name}.ln_1", x))
        if options["qkv"] != "split":  # [.., heads, 3, size]
            parts = fused.reshape(*fused.shape[:2], options["heads"], 3, -1)
            fused = parts.transpose(0, 1, 3, 2, 4).reshape(fused.shape)
        query, key, value = (_heads(p, options["heads"]) for p in np.split(fused, 3, axis=-1))
        x = x + _linear(w, f"{name}.attn.c_proj", _attend(query, key, value, mask))
        inner = gelu_tanh(_linear(w, f"{name}.mlp.c_fc", _layer_norm(w, f"{name}.ln_2", x)))
        x = x + _linear(w, f"{name}.mlp.c_proj", inner)
    return _layer_norm(w, "ln_f", x) @ _wide(w["wte.weight"]).T


def llama(
    w: Weights, options: dict, input_ids: np.ndarray, attention_mask: np.ndarray
) -> np.ndarray:
    return _decoder(w, options, input_ids, attention_mask, _gated_layers)


def moe(w: Weights, options: dict, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
    return _decoder(w, options, input_ids, attention_mask, _mixture)


def _decoder(
    w: Weights, options: dict, input_ids: np.ndarray, attention_mask: np.ndarray, feed_forward
) -> np.ndarray:
    mask = np.where(attention_mask[:, None, None, :] != 0, _causal(input_ids.shape[1]), -np.inf)
    mask = np.maximum(mask, float(np.finfo(np.float32).min))
    x = _wide(w["embed_tokens.weight"])[input_ids]
    x = _decoder_layers(w, options, x, mask, feed_forward)
    return _project(w, "lm_head", _rms_norm(w, "norm", x))


def decoder(w: Weights, options: dict, x: np.ndarray) -> np.ndarray:
    options = {**options, "qkv": "separate", "gate_up": "split"}
    return _decoder_layers(w, options, _wide(x), _causal(x.shape[1]), _gated_layers)


def _decoder_layers(
    w: Weights, options: dict, x: np.ndarray, mask: np.ndarray, feed_forward
) -> np.ndarray:
    heads, kv_heads = options["heads"], options["kv_heads"]
    for layer in range(options["layers"]):
        name = f"layers.{layer}"
        normed = _rms_norm(w, f"{name}.input_layernorm", x)
        query, key, value = _llama_parts(w, options, f"{name}.self_attn", normed)
        query, key = _rotary(_heads(query, heads)), _rotary(_heads(key, kv_heads))
        value = _heads(value, kv_heads)
        key, value = (np.repeat(part, heads // kv_heads, axis=1) for part in (key, value))
        x = x + _project(w, f"{name}.self_attn.o_proj", _attend(query, key, value, mask))
        normed = _rms_norm(w, f"{name}.post_attention_layernorm", x)
        x = x + feed_forward(w, options, f"{name}.mlp", normed)
    return x


def _gated_layers(w: Weights, options: dict, name: str, x: np.ndarray) -> np.ndarray:
    fused = _project(w, f"{name}.gate_up_proj", x)
    gate, up = np.split(fused, 2, axis=-1)
    if options["gate_up"] == "interleaved":
        gate, up = fused[..., 0::2], fused[..., 1::2]
    return _project(w, f"{name}.down_proj", silu(gate) * up)


def _mixture(w: Weights, options: dict, name: str, x: np.ndarray) -> np.ndarray:
    """Each token through the two experts that its router scores highest, and no others."""
    tokens = x.reshape(-1, x.shape[-1])
    scores = _project(w, f"{name}.router", tokens)
    y = np.zeros_like(tokens)
    for token, row, into in zip(tokens, scores, y, strict=True):
        chosen = np.argsort(-row)[:2]
        gates = np.exp(row[chosen] - row.max())
        for expert, gate in zip(chosen, gates / gates.sum(), strict=True):
            w1, w2, w3 = (_expert_weight(w, options, name, expert, i) for i in (1, 2, 3))
            into += gate * ((silu(token @ w1) * (token @ w3)) @ w2)
    return y.reshape(x.shape)


def _expert_weight(w: Weights, options: dict, name: str, expert: int, index: int) -> np.ndarray:
    if options["spelling"] == "stacked":
        return _wide(w[f"{name}.w{index}.weight"][expert])
    return _wide(w[f"{name}.experts.{expert}.w{index}.weight"])


def audio(w: Weights, options: dict, x: np.ndarray) -> np.ndarray:
    channels = options["channels"]
    x, skips = _causal_conv(w, "stem", x, 1), 0.0
    for layer in range(options["layers"]):
        name = f"layers.{layer}"
        y = _causal_conv(w, f"{name}.dilated", x, 2 ** (layer % options["cycle"]))
        y = np.tanh(y[:, :channels]) / (1.0 + np.exp(-y[:, channels:]))
        x = x + _causal_conv(w, f"{name}.residual", y, 1)
        skips = skips + _causal_conv(w, f"{name}.skip", y, 1)
    y = np.maximum(skips / math.sqrt(options["layers"]), 0)
    return _causal_conv(w, "head.1", np.maximum(_causal_conv(w, "head.0", y, 1), 0), 1)


def _causal_conv(w: Weights, name: str, x: np.ndarray, dilation: int) -> np.ndarray:
    """Over [batch, channels, length]: the last tap sees the same time, the others earlier ones."""
    weight, length = _wide(w[f"{name}.weight"]), x.shape[2]
    y = w[f"{name}.bias"][:, None]
    for tap in range(weight.shape[2]):
        back = (weight.shape[2] - 1 - tap) * dilation
        earlier = np.pad(x, ((0, 0), (0, 0), (back, 0)))[..., :length]
        y = y + np.einsum("oc,bct->bot", weight[..., tap], earlier)
    return y


def recommender(w: Weights, options: dict, dense: np.ndarray, *bags: np.ndarray) -> np.ndarray:
    for layer in range(3):
        dense = np.maximum(_gemm(w, f"bottom.{layer}", dense), 0)
    vectors, given = [dense], iter(bags)
    for table in range(options["tables"]):
        rows = _wide(w[f"tables.{table}.weight"])[next(given)]
        vectors.append((rows * (next(given)[..., None] if table % 2 else 1)).sum(axis=1))
    pairs = [
        (vectors[i] * vectors[j]).sum(axis=1, keepdims=True)
        for i in range(len(vectors))
        for j in range(i)
    ]
    x = np.concatenate([dense, *pairs], axis=1)
    for layer in range(2):
        x = np.maximum(_gemm(w, f"top.{layer}", x), 0)
    return 1.0 / (1.0 + np.exp(-_gemm(w, "top.last", x)))


def _llama_parts(w: Weights, options: dict, name: str, x: np.ndarray) -> list[np.ndarray]:
    """Query, key and value, [batch, length, heads·size]."""
    heads, kv_heads = options["heads"], options["kv_heads"]
    if options["qkv"] == "separate":
        return [_project(w, f"{name}.{part}_proj", x) for part in "qkv"]
    fused = _project(w, f"{name}.qkv_proj", x)
    if options["qkv"] == "grouped":
        groups = heads // kv_heads
        wide = fused.reshape(*fused.shape[:2], kv_heads, groups + 2, -1)
        parts = np.split(wide, [groups, groups + 1], axis=3)
        return [part.reshape(*fused.shape[:2], -1) for part in parts]
    size = fused.shape[-1] // (heads + 2 * kv_heads)
    return np.split(fused, [heads * size, (heads + kv_heads) * size], axis=-1)


def dit(w: Weights, options: dict, x: np.ndarray, c: np.ndarray) -> np.ndarray:
    def modulated(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
        return _normalised(x, 1e-6) * (1.0 + scale) + shift

    for layer in range(options["layers"]):
        name = f"blocks.{layer}"
        parts = np.split(_linear(w, f"{name}.modulation", c)[:, None], 6, axis=-1)
        fused = _linear(w, f"{name}.attention.qkv", modulated(x, *parts[:2]))
        query, key, value = (_heads(p, options["heads"]) for p in np.split(fused, 3, axis=-1))
        context = _attend(query, key, value, 0.0)
        x = x + parts[2] * _linear(w, f"{name}.attention.projection", context)
        inner = gelu_tanh(_linear(w, f"{name}.mlp.fc1", modulated(x, *parts[3:5])))
        x = x + parts[5] * _linear(w, f"{name}.mlp.fc2", inner)
    return x


def functions(w: Weights, options: dict, x: np.ndarray) -> np.ndarray:
    for layer in range(options["layers"]):
        y = x @ _wide(w[f"{layer}.weight"]) + w[f"{layer}.bias"]
        x = x + np.where(y < 0, y * 0.1 * (layer + 1), y)
    return x


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1.0 + np.exp(-x))


_ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "silu": silu,
    "none": lambda x: x,
}


def _wide(weight: np.ndarray) -> np.ndarray:
    return weight.astype(np.float64)


def _project(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return x @ _wide(w[f"{name}.weight"])


def _gemm(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return x @ _wide(w[f"{name}.weight"]).T + w[f"{name}.bias"]


def _linear(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return _project(w, name, x) + w[f"{name}.bias"]


def _layer_norm(w: Weights, name: str, x: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    return _normalised(x, epsilon) * w[f"{name}.weight"] + w[f"{name}.bias"]


def _normalised(x: np.ndarray, epsilon: float) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)


def _rms_norm(w: Weights, name: str, x: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + epsilon) * w[f"{name}.weight"]


def _heads(x: np.ndarray, heads: int) -> np.ndarray:
    batch, length, hidden = x.shape
    return x.reshape(batch, length, heads, hidden // heads).transpose(0, 2, 1, 3)


def _attend(query: np.ndarray, key: np.ndarray, value: np.ndarray, mask) -> np.ndarray:
    scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(query.shape[-1]) + mask
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    context = (weights / weights.sum(axis=-1, keepdims=True)) @ value
    batch, heads, length, size = context.shape
    return context.transpose(0, 2, 1, 3).reshape(batch, length, heads * size)


def _causal(length: int) -> np.ndarray:
    return np.where(np.tril(np.ones((length, length), dtype=bool)), 0.0, -np.inf)


def _rotary(x: np.ndarray) -> np.ndarray:
    cos, sin = rotary_tables(x.shape[2], x.shape[3])
    half = x.shape[-1] // 2
    return x * cos + np.concatenate([-x[..., half:], x[..., :half]], axis=-1) * sin
