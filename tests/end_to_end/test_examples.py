"""The examples: the commands of their READMEs work, and they say what they should."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from .cleave import Cleave
from .conftest import ROOT

OCR = ROOT / "examples" / "ocr" / "ocr.py"


def commands(example: str) -> list[list[str]]:
    """The programs and arguments that an example's README tells to run from the root."""
    text = (ROOT / "examples" / example / "README.md").read_text().replace("\\\n", " ")
    lines = re.findall(r"^    ((?:\.venv/bin/)?(?:python|cleave) .*)$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def page() -> Image.Image:
    """The picture that the OCR example reads where it is given none."""
    (package,) = importlib.util.find_spec("skimage").submodule_search_locations
    return Image.open(Path(package) / "data" / "page.png")


def run(cleave: Cleave, command: list[str], folder: Path) -> str:
    program = cleave.program if command[0] == "cleave" else sys.executable
    done = subprocess.run(
        [program, *command[1:]], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def root(cleave, tmp_path) -> Path:
    """The repository as it looks from its root, in a folder where files may be left."""
    for name in ("examples", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    programs = tmp_path / "build" / "release" / "bin"
    programs.mkdir(parents=True)
    (programs / "cleave").symlink_to(cleave.program)
    page().save(tmp_path / "photo.jpg")
    return tmp_path


@pytest.mark.parametrize("example, count", [("sentence_similarity", 3), ("ocr", 2)])
def test_the_commands_of_the_readme(example, count, cleave, root):
    found = commands(example)
    assert len(found) == count
    outputs = [run(cleave, command, root) for command in found]
    if example == "ocr":
        for said in outputs:
            assert "markers of the coins" in said
        assert "the same words as ONNX Runtime's" in outputs[0]
    else:
        (difference,) = re.findall(r"largest difference from ONNX Runtime: (.*)", outputs[-1])
        assert float(difference) <= 1e-5


@pytest.mark.parametrize("devices, turned", [("cpu:0-3", 0), ("cpu:0-2", 180)])
def test_ocr_reads_what_onnx_runtime_reads(devices, turned, cleave, tmp_path):
    """Also a page on its head, whose lines one of the networks has turned."""
    picture = tmp_path / "page.png"
    page().rotate(turned).save(picture)
    options = ["--devices", devices, "--cleave", str(cleave.program), "--compare", str(picture)]
    said = run(cleave, [sys.executable, str(OCR), *options], tmp_path)
    assert "markers of the coins" in said
    assert "the same words as ONNX Runtime's" in said


def test_ocr_says_where_words_differ(capsys):
    sys.path.insert(0, str(OCR.parent))
    try:
        from ocr import compare
    finally:
        sys.path.pop(0)
    assert compare([("one", 0.9), ("two", 0.8)], [("one", 0.9), ("two", 0.7)])
    assert "largest difference in confidence: 0.1" in capsys.readouterr().out
    assert not compare([("one", 0.9)], [("won", 0.9)])
    assert "won" in capsys.readouterr().out
