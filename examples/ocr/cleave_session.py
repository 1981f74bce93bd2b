"""A network of rapidocr-onnxruntime, run by Cleave: stands where its `OrtInferSession` does."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from safetensors.numpy import load_file, save_file


@dataclass
class Runner:
    """The program, the devices it splits networks over, and a folder for engines and tensors."""

    cleave: Path
    devices: str
    folder: Path

    def __call__(self, command: str, *arguments) -> None:
        """Runs `cleave command arguments...`. Raises CalledProcessError where it fails."""
        options = ["--devices", self.devices, "--quiet"]
        subprocess.run(
            [self.cleave, command, *arguments, *options], check=True, stdout=subprocess.DEVNULL
        )


class CleaveSession:
    """One network. Its engine takes images of any size up to the largest that was given so far; a
    larger one has it built anew."""

    def __init__(self, model: Path, smallest: tuple[int, ...], runner: Runner):
        """smallest: the size [batch, channels, height, width] that no input is below."""
        self._model, self._smallest, self._run = model, smallest, runner
        self._largest = smallest
        self._engine = runner.folder / f"{model.stem}.cleave"
        described = onnx.load(model, load_external_data=False)
        self._metadata = {entry.key: entry.value for entry in described.metadata_props}
        self._inputs = [value.name for value in described.graph.input]
        self._outputs = [value.name for value in described.graph.output]

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        largest = tuple(np.maximum(self._largest, images.shape).tolist())
        if largest != self._largest or not self._engine.exists():
            self._largest = largest
            self._build(images.shape)
        inputs, outputs = (self._run.folder / f"{name}.safetensors" for name in ("in", "out"))
        save_file({self._inputs[0]: np.ascontiguousarray(images, dtype=np.float32)}, inputs)
        self._run("run", self._engine, "--inputs", inputs, "--outputs", outputs)
        found = load_file(outputs)
        return [found[name] for name in self._outputs]

    def _build(self, usual: tuple[int, ...]) -> None:
        profile = {"min": self._smallest, "opt": usual, "max": self._largest}
        shapes = [
            f"--{bound}Shapes={self._inputs[0]}:{'x'.join(map(str, size))}"
            for bound, size in profile.items()
        ]
        self._run("build", self._model, "-o", self._engine, *shapes)

    # What else the package asks a session for.

    def get_input_names(self) -> list[str]:
        return self._inputs

    def get_output_names(self) -> list[str]:
        return self._outputs

    def have_key(self, key: str = "character") -> bool:
        return key in self._metadata

    def get_character_list(self, key: str = "character") -> list[str]:
        return self._metadata[key].splitlines()
