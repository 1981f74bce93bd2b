"""Engines are data that may be damaged: every change and every cut is found, none crashes."""

import random
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from ..models.inputs import make_inputs
from .cleave import on_devices, profile

TRIALS = 1000


@pytest.fixture(scope="module")
def engine(cleave, models, tmp_path_factory):
    """A small engine for two devices, so that a start of the program takes milliseconds."""
    path = tmp_path_factory.mktemp("robustness") / "mlp.cleave"
    model, _ = models("mlp", hidden=32, inner=64)
    sizes = ({"x": "1x32"}, {"x": "2x32"}, {"x": "4x32"})
    cleave("build", model, "-o", path, on_devices(2), *profile(*sizes))
    return path


def test_builds_are_byte_identical(cleave, models, tmp_path):
    model, _ = models("llama")
    sizes = [
        {name: size for name in ("input_ids", "attention_mask")} for size in ("1x1", "1x16", "2x32")
    ]
    for name in ("first", "second"):
        cleave("build", model, "-o", tmp_path / name, on_devices(3), *profile(*sizes))
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_runs_are_bit_identical(cleave, models, engine, tmp_path):
    inputs = make_inputs(models("mlp", hidden=32, inner=64)[1], {"rows": 3})
    first = cleave.outputs(engine, inputs, tmp_path, on_devices(2))["y"]
    assert all(
        cleave.outputs(engine, inputs, tmp_path, on_devices(2))["y"].tobytes() == first.tobytes()
        for _ in range(5)
    )


def test_the_sound_engine_passes(cleave, engine):
    cleave("inspect", engine, "--check")
    cleave("run", engine, on_devices(2))


@pytest.mark.parametrize("part", range(4))
def test_damage_is_found(part, cleave, engine, tmp_path):
    """One byte changed, or the end cut off, at a random place: exit 3 with an error line."""
    sound = engine.read_bytes()
    generator = random.Random(part)
    damaged = [damage(sound, generator) for _ in range(TRIALS // 4)]

    def trial(number: int) -> list[str]:
        what, content = damaged[number]
        path = tmp_path / f"{number}.cleave"
        path.write_bytes(content)
        wrong = []
        for arguments in (("inspect", path, "--check"), ("run", path, on_devices(2))):
            result = cleave(*arguments, code=None)
            if result.code != 3 or not result.report:
                wrong.append(f"{what}: {result}")
        path.unlink()
        return wrong

    with ThreadPoolExecutor(2) as pool:
        wrong = [line for lines in pool.map(trial, range(len(damaged))) for line in lines]
    assert not wrong, f"{len(wrong)} of {len(damaged)}\n" + "\n".join(wrong[:3])


def damage(sound: bytes, generator: random.Random) -> tuple[str, bytes]:
    """The engine with one byte changed, or cut short, or something after its end."""
    place = generator.randrange(len(sound))
    kind = generator.choice(["change", "change", "change", "cut", "header"])
    if kind == "cut":
        return f"cut at {place}", sound[:place]
    if kind == "header":
        # The first bytes decide how the rest is read, so they get more than their share.
        place = generator.randrange(min(256, len(sound)))
    changed = bytearray(sound)
    changed[place] ^= generator.randrange(1, 256)
    return f"byte {place} changed", bytes(changed)


def test_every_byte_of_the_start_and_every_short_cut(cleave, engine, tmp_path):
    sound = engine.read_bytes()
    path = tmp_path / "damaged.cleave"
    for place in range(0, 64):
        changed = bytearray(sound)
        changed[place] ^= 0x80
        path.write_bytes(changed)
        cleave.fails(3, "inspect", path, "--check", hint=False)
        path.write_bytes(sound[:place])
        cleave.fails(3, "inspect", path, "--check", hint=False)


def test_a_file_that_shrinks_while_it_is_read(cleave, models, tmp_path):
    """The engine is cut while a command reads it: sound results or exit 3, never a signal."""
    model, _ = models("mlp", hidden=2048, inner=8192)
    path = tmp_path / "large.cleave"
    cleave("build", model, "-o", path, on_devices(2), "--shapes=x:1x2048")
    sound = path.read_bytes()
    generator = random.Random(0)
    for trial in range(12):
        path.write_bytes(sound)
        arguments = ("inspect", path, "--check") if trial % 2 else ("run", path, on_devices(2))
        process = cleave.start(*arguments)
        try:
            process.wait(timeout=generator.uniform(0.0, 0.08))
        except subprocess.TimeoutExpired:
            pass
        with path.open("r+b") as file:
            file.truncate(generator.randrange(len(sound)))
        _, stderr = process.communicate(timeout=60)
        assert process.returncode in (0, 3), (
            signal.Signals(-process.returncode).name if process.returncode < 0 else stderr
        )
        assert process.returncode == 0 or "error: " in stderr
