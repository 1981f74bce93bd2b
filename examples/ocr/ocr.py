"""What is written in a picture? Three networks, each split over several devices by Cleave.

    python examples/ocr/ocr.py --devices cpu:0,cpu:1 --compare photo.jpg

The package rapidocr-onnxruntime finds lines of text, turns those that stand on their heads, and
reads them. Its own code prepares the networks' inputs and makes words of their outputs; the
networks run in Cleave instead of ONNX Runtime.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from cleave_session import CleaveSession, Runner
from rapidocr_onnxruntime import RapidOCR
from rapidocr_onnxruntime.main import root_dir

CLEAVE = Path(__file__).parents[2] / "build" / "release" / "bin" / "cleave"
MODELS = root_dir / "models"
Line = tuple[str, float]


def sample_picture() -> Path:
    """The photograph of a printed page that comes with scikit-image."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the package scikit-image is missing; run scripts/setup")
    return Path(spec.submodule_search_locations[0]) / "data" / "page.png"


def split_reader(runner: Runner) -> RapidOCR:
    """The package's reader with its three networks in Cleave."""
    reader = RapidOCR()
    detection, direction, recognition = (
        CleaveSession(MODELS / file, smallest, runner)
        for file, smallest in (
            ("ch_PP-OCRv4_det_infer.onnx", (1, 3, 32, 32)),
            ("ch_ppocr_mobile_v2.0_cls_infer.onnx", (1, 3, 48, 192)),
            ("ch_PP-OCRv4_rec_infer.onnx", (1, 3, 48, 320)),
        )
    )
    reader.text_det.infer = detection
    reader.text_cls.infer = direction
    reader.text_rec.session = recognition
    return reader


def read(reader: RapidOCR, picture: Path) -> list[Line]:
    """The lines of text, from top to bottom, each with the network's confidence in it."""
    found, _ = reader(picture)
    return [(text, float(score)) for _, text, score in found or []]


def compare(lines: list[Line], wanted: list[Line]) -> bool:
    """Says whether the words are ONNX Runtime's, and how far the confidences are apart."""
    same = [text for text, _ in lines] == [text for text, _ in wanted]
    if not same:
        print("not the words of ONNX Runtime, which reads:")
        show(wanted)
        return False
    apart = max((abs(a - b) for (_, a), (_, b) in zip(lines, wanted, strict=True)), default=0.0)
    print(f"the same words as ONNX Runtime's; largest difference in confidence: {apart:.2g}")
    return True


def show(lines: list[Line]) -> None:
    for text, score in lines:
        print(f"  {score:5.3f}  {text}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", default=os.environ.get("CLEAVE_DEVICES", "cpu:0,cpu:1"))
    parser.add_argument("--cleave", type=Path, default=CLEAVE, help="the program")
    parser.add_argument(
        "--compare",
        action="store_true",
        help="also read by ONNX Runtime; exit 1 where words differ",
    )
    parser.add_argument(
        "picture", type=Path, nargs="?", help="a photograph of a page where none is given"
    )
    options = parser.parse_args()
    picture = options.picture or sample_picture()
    if not picture.is_file():
        parser.error(f"{picture} is no file")
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(options.cleave, options.devices, Path(folder))
        try:
            lines = read(split_reader(runner), picture)
        except FileNotFoundError:
            print(f"{options.cleave} was not found; scripts/build builds it", file=sys.stderr)
            return 1
        except subprocess.CalledProcessError as error:
            return error.returncode
    show(lines)
    return 0 if not options.compare or compare(lines, read(RapidOCR(), picture)) else 1


if __name__ == "__main__":
    sys.exit(main())
