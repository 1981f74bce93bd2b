"""Loads an engine of many bytes: gigabytes a second and device, and the host's memory meanwhile.

    python -m bench.load [--gigabytes 16] [--devices cuda:0,cuda:1] [--folder /dev/shm]
    python -m bench.load --gigabytes 60 --random     the weights made on the devices instead

The network is a chain of square float16 layers. Their values are windows of one file of random
bytes, a few bytes apart: no two are the same, and the file is no larger than one layer. The engine
holds every byte of them. In /dev/shm it is memory; on a disk, read it once before it is measured.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, save

ROOT = Path(__file__).parents[1]
# Of two layers' windows.
SHIFT = 4096


def write_model(path: Path, layers: int, width: int, with_values: bool) -> None:
    half = TensorProto.FLOAT16
    layer_bytes = 2 * width * width
    weights, nodes = [], []
    for layer in range(layers):
        weight = TensorProto(name=f"w{layer}", data_type=half, dims=[width, width])
        weight.data_location = TensorProto.EXTERNAL
        offset = layer * (SHIFT if with_values else layer_bytes)
        for key, value in ("location", "weights.data"), ("offset", offset), ("length", layer_bytes):
            weight.external_data.add(key=key, value=str(value))
        weights.append(weight)
        names = [f"x{layer}", f"w{layer}"], [f"x{layer + 1}"]
        nodes.append(helper.make_node("MatMul", *names, name=f"layer.{layer}"))
    infos = [helper.make_tensor_value_info(name, half, [1, width]) for name in ("x0", f"x{layers}")]
    graph = helper.make_graph(nodes, "chain", [infos[0]], [infos[1]], weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    if with_values:
        # Small numbers: the exponent's upper bits are those of a half between 2^-7 and 2^-6.
        elements = layer_bytes // 2 + layers * SHIFT // 2
        bits = np.random.default_rng(0).integers(0, 1 << 11, elements, dtype=np.uint16)
        (bits | 0x2000).tofile(path.with_name("weights.data"))


class Memory:
    """The most memory of the host that a process had at once, by kind, and what it took off what is
    available: pinned memory too."""

    def __init__(self, process: subprocess.Popen):
        self.peak: dict[str, int] = {}
        before = self._available()
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            text = status.read_text()
            for kind in ("RssAnon", "RssFile", "RssShmem", "VmPin", "VmLck"):
                found = re.search(rf"{kind}:\s+(\d+) kB", text)
                if found:
                    self.peak[kind] = max(self.peak.get(kind, 0), 1024 * int(found[1]))
            taken = before - self._available()
            self.peak["taken"] = max(self.peak.get("taken", 0), taken)
            time.sleep(0.01)

    @staticmethod
    def _available() -> int:
        text = Path("/proc/meminfo").read_text()
        return 1024 * int(re.search(r"MemAvailable:\s+(\d+) kB", text)[1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=16)
    parser.add_argument("--width", type=int, default=16384)
    parser.add_argument("--devices", default="cuda:0,cuda:1")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--random", action="store_true", help="weights made on the devices")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cleave", type=Path, default=ROOT / "build" / "cuda" / "bin" / "cleave")
    options = parser.parse_args()
    layers = max(1, round(options.gigabytes * 1e9 / (2 * options.width**2)))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        print(json.dumps(measure(options, Path(folder), layers), indent=2))


def measure(options: argparse.Namespace, folder: Path, layers: int) -> dict:
    model, engine = folder / "model.onnx", folder / "model.cleave"
    write_model(model, layers, options.width, not options.random)
    result = {"layers": layers, "weights_bytes": layers * 2 * options.width**2}
    common = [f"--devices={options.devices}"]
    build = [options.cleave, "build", model, "-o", engine, *common, "--quiet"]
    start = time.monotonic()
    subprocess.run(build + (["--randomWeights"] if options.random else []), check=True)
    result["build_seconds"] = time.monotonic() - start
    result["engine_bytes"] = engine.stat().st_size

    start = time.monotonic()
    command = [options.cleave, "bench", engine, *common, "--iterations=1", "--warmUp=0"]
    with open(folder / "found.json", "w") as found:
        process = subprocess.Popen([*command, "--json", "-"], stdout=found)
        memory = Memory(process)
    if process.returncode != 0:
        raise SystemExit(process.returncode)
    result["process_seconds"] = time.monotonic() - start
    loaded = json.loads((folder / "found.json").read_text())
    result["weight_loads"] = loaded["weight_loads"]
    result["device_peak_bytes"] = loaded["peak_memory_bytes"]
    result["host_peak_bytes"] = memory.peak
    result["cores"] = os.cpu_count()
    if options.json:
        options.json.write_text(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
