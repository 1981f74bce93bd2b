"""How alike are two sentences? MiniLM, split over several devices by Cleave.

    python examples/sentence_similarity/sentence_similarity.py \\
        --engine build/demo/minilm.cleave --devices cpu:0,cpu:1 \\
        "A man is eating food." "Someone is having a meal."

The engine is built from MiniLM's ONNX file, as README.md beside this file shows.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenise import tokenise

CLEAVE = Path(__file__).parents[2] / "build" / "release" / "bin" / "cleave"
PAIRS = [
    ("A man is eating food.", "Someone is having a meal."),
    ("A man is eating food.", "The stock market fell sharply today."),
]


def embed(sentences: list[str], engine: Path, devices: str, cleave: Path) -> np.ndarray:
    """One vector of length 1 a sentence, float32 [sentences, 384]; one run for all of them."""
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder, "inputs.safetensors"), Path(folder, "outputs.safetensors")
        save_file(tokenise(sentences), inputs)
        command = [cleave, "run", engine, "--devices", devices, "--quiet"]
        subprocess.run(
            [*command, "--inputs", inputs, "--outputs", outputs],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return load_file(outputs)["sentence_embedding"]


def show(pairs: list[tuple[str, str]], vectors: np.ndarray) -> None:
    """Each pair with the cosine of the angle between its two vectors."""
    for index, (first, second) in enumerate(pairs):
        similarity = float(vectors[2 * index] @ vectors[2 * index + 1])
        print(f"  {similarity:6.3f}  {first}\n          {second}")


def largest_difference(sentences: list[str], vectors: np.ndarray, model: Path) -> float:
    """The largest absolute difference from what ONNX Runtime computes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, tokenise(sentences))
    return float(np.max(np.abs(vectors - wanted)))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", type=Path, required=True)
    parser.add_argument("--devices", default=os.environ.get("CLEAVE_DEVICES", "cpu:0,cpu:1"))
    parser.add_argument("--cleave", type=Path, default=CLEAVE, help="the program")
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="MODEL.onnx",
        help="also print the largest difference from ONNX Runtime",
    )
    parser.add_argument("sentences", nargs="*", help="two and two; two pairs where none are given")
    options = parser.parse_args()
    if len(options.sentences) % 2:
        parser.error("sentences come in pairs")
    given = iter(options.sentences)
    pairs = list(zip(given, given, strict=True)) or PAIRS
    sentences = [sentence for pair in pairs for sentence in pair]
    try:
        vectors = embed(sentences, options.engine, options.devices, options.cleave)
    except FileNotFoundError:
        print(f"{options.cleave} was not found; run scripts/demo, which builds it", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode
    show(pairs, vectors)
    if options.compare:
        difference = largest_difference(sentences, vectors, options.compare)
        print(f"  largest difference from ONNX Runtime: {difference:.2g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
