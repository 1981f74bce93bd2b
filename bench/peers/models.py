"""The models that are compared, and how to come by them."""

import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "build" / "models"


@dataclass(frozen=True)
class Model:
    """A network at fixed sizes: `source` names a generated model, or a file of the OCR package."""

    source: str
    shapes: dict[str, tuple[int, ...]]

    @property
    def path(self) -> Path:
        if self.source.endswith(".onnx"):
            package = importlib.util.find_spec("rapidocr_onnxruntime")
            return Path(package.submodule_search_locations[0]) / "models" / self.source
        return MODELS / f"{self.source}.onnx"

    def write(self) -> None:
        """Writes the model where it is not there yet."""
        if self.path.exists():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        command = [sys.executable, "-m", "tests.models.generate", self.source, "-o", str(part)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        part.rename(self.path)


def _text(batch: int, length: int) -> dict[str, tuple[int, ...]]:
    return dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), (batch, length))


BY_NAME = {
    "minilm-1": Model("minilm", _text(1, 128)),
    "minilm-8": Model("minilm", _text(8, 128)),
    "detection": Model("ch_PP-OCRv4_det_infer.onnx", {"x": (1, 3, 320, 480)}),
    "recognition": Model("ch_PP-OCRv4_rec_infer.onnx", {"x": (1, 3, 48, 320)}),
    "resnet": Model("resnet", {"x": (1, 3, 224, 224)}),
    "convnext": Model("convnext", {"x": (1, 3, 224, 224)}),
}
