"""Prints the demo's figures from the JSON that the program wrote: demo_summary.py PART FOLDER."""

import json
import sys
from pathlib import Path


class Figures:
    """What the demo measured, read from its folder."""

    def __init__(self, folder: str):
        self._folder = Path(folder)
        self.unsplit, self.split = self._read("bench_unsplit"), self._read("bench_split")

    def _read(self, name: str) -> dict:
        return json.loads((self._folder / f"{name}.json").read_text())

    @property
    def speed_up(self) -> float:
        return self.unsplit["latency_us"]["median"] / self.split["latency_us"]["median"]

    def times(self) -> None:
        weights = self._read("inspect")["weights_bytes"]
        print(
            f"  {'':12}{'median':>10}{'p99':>10}{'communication':>15}{'peak memory a device':>22}"
        )
        for name, bench in (("one device", self.unsplit), ("two devices", self.split)):
            latency = bench["latency_us"]
            peak = max(bench["peak_memory_bytes"]) / 2**20
            print(
                f"  {name:12}{latency['median'] / 1e3:7.2f} ms{latency['p99'] / 1e3:7.2f} ms"
                f"{bench['communication_us'] / 1e3:12.2f} ms{peak:18.1f} MiB"
            )
        sizes = ", ".join(f"{size / 2**20:.1f} MiB" for size in weights)
        print(f"  weights a device: {sizes}; speed-up {self.speed_up:.2f}")

    def verify(self) -> None:
        for output in self._read("verify")["outputs"]:
            print(
                f"  {output['name']}: largest difference {output['max_abs']:.2g} absolute, "
                f"{output['max_rel']:.2g} relative"
            )

    def shown(self) -> None:
        plan = self._read("plan")
        split = sum(node["strategy"] != "whole" for node in plan["nodes"])
        largest = max(output["max_abs"] for output in self._read("verify")["outputs"])
        optimal = "proven optimal" if plan["optimal"] else "best found"
        print(
            f"Shown: MiniLM on 2 devices by a plan {optimal} ({split} of {len(plan['nodes'])} "
            f"operations\nsplit), {self.speed_up:.2f} times as fast as on one, "
            f"within {largest:.1g} of ONNX Runtime."
        )


def main(part: str, folder: str) -> None:
    getattr(Figures(folder), part)()


if __name__ == "__main__":
    main(*sys.argv[1:])
