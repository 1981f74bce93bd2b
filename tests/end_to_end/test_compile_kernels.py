"""Device code that is compiled ahead of the first run, where no GPU need be."""

import re

import pytest

from .cleave import BACKEND, NO_GPU, on_devices, shapes


@pytest.fixture
def compiles(cleave, models, tmp_path):
    """compiles(architectures, ...) builds an engine whose kernels are compiled into a folder."""
    if not (cleave.program.parents[1] / "lib" / "libcleave_cuda.so").exists():
        pytest.skip("this build is without CUDA")
    path, _ = models("llama")

    def build(architectures, devices="0,1", folder=tmp_path / "kernels", code=0):
        command = ["build", path, "-o", tmp_path / "llama.cleave", f"--devices={devices}"]
        command += ["--shapes=input_ids:1x16,attention_mask:1x16", "--bf16"]
        command += [f"--compileKernels={architectures}"]
        return cleave(*command, env=NO_GPU | {"CLEAVE_CACHE_DIR": str(folder)}, code=code)

    return build


def test_kernels_are_compiled_where_there_is_no_gpu(compiles, tmp_path):
    folder = tmp_path / "kernels"
    first = compiles("sm_90")
    kept = {file: file.read_bytes() for file in (folder / "cuda").iterdir()}
    assert len(kept) >= 5
    assert all(file.suffix == ".sm_90" for file in kept)
    assert f"kernels for sm_90: {len(kept)} compiled, 0 found in {folder}\n" in first.stdout
    # What is there stays, for any shapes; code that was cut short is made again.
    torn = next(iter(kept))
    torn.write_bytes(kept[torn][:-1])
    again = compiles("sm_90,sm_80")
    assert f"kernels for sm_90: 1 compiled, {len(kept) - 1} found" in again.stdout
    assert f"kernels for sm_80: {len(kept)} compiled, 0 found" in again.stdout
    assert all(file.read_bytes() == content for file, content in kept.items())


def test_what_cannot_be_compiled_for_is_told_before_the_build(compiles, tmp_path):
    for wrong in ("sm_70", "90", "sm_90,volta"):
        assert "there are: sm_80" in compiles(wrong, code=2).report
    assert "they come with Cleave" in compiles("sm_90", devices="cpu:0", code=2).report
    assert not (tmp_path / "llama.cleave").exists()
    (tmp_path / "file").touch()
    report = compiles("sm_90", folder=tmp_path / "file", code=3).report
    assert "cannot write" in report and "CLEAVE_CACHE_DIR" in report


@pytest.mark.skipif(BACKEND == "cpu", reason="it takes a GPU")
@pytest.mark.parametrize("precision", ["--tf32", "--fp16"])
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("llama", {"input_ids": "1x16", "attention_mask": "1x16"}),
        ("resnet", {"x": "1x3x64x64"}),
        ("unet", {"x": "1x4x32x32"}),
        ("dit", {}),
    ],
)
@pytest.mark.parametrize("devices", [1, 2])
def test_runs_find_what_was_compiled_ahead(
    cleave, models, tmp_path, name, sizes, precision, devices
):
    path, _ = models(name)
    found = re.search(r"compute capability (\d+)\.(\d+)", cleave("doctor").stdout)
    assert found
    architecture = "sm_" + "".join(found.groups())
    engine, folder = tmp_path / "model.cleave", tmp_path / "kernels"
    options = [on_devices(devices), precision, *([shapes("shapes", **sizes)] if sizes else [])]
    env = {"CLEAVE_CACHE_DIR": str(folder)}
    cleave("build", path, "-o", engine, *options, f"--compileKernels={architecture}", env=env)
    ahead = set((folder / "cuda").iterdir())
    assert len(ahead) >= 5
    cleave("bench", engine, "--iterations=2", "--warmUp=0", env=env)
    assert set((folder / "cuda").iterdir()) == ahead
