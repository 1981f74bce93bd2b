"""Single layers on GPUs: Cleave beside hand-written PyTorch + NCCL, in one run.

    python -m bench.peers.gpu_layers [--json FILE]

Fully connected layers and convolutions in float16, on one GPU and split over all of them. The peer
splits the output features (or channels) and gathers them, by hand, in a CUDA graph. Times are those
of the devices, in microseconds, medians; Cleave's plan is its own choice.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
import torch.nn.functional as functional
from onnx import TensorProto, helper, save

from .models import ROOT

REPLAYS = 30


@dataclass(frozen=True)
class FullyConnected:
    rows: int
    inputs: int
    outputs: int

    @property
    def name(self) -> str:
        return f"fc {self.rows} x {self.inputs} -> {self.outputs}"

    def write(self, path: Path) -> None:
        write_model(
            path,
            helper.make_node("MatMul", ["x", "w"], ["y"], name="layer"),
            (self.rows, self.inputs),
            (self.inputs, self.outputs),
            (self.rows, self.outputs),
        )

    def peer(self, ranks: int):
        """What one GPU does, and what each of `ranks` does with its share."""
        x = noise(self.rows, self.inputs)
        whole = noise(self.outputs, self.inputs)
        share = noise(self.outputs // ranks, self.inputs)
        gathered = torch.empty(
            ranks, self.rows, self.outputs // ranks, device="cuda", dtype=x.dtype
        )

        def split():
            y = x @ share.t()
            dist.all_gather_into_tensor(gathered.view(-1), y.view(-1))
            return gathered.transpose(0, 1).reshape(self.rows, self.outputs)

        return lambda: x @ whole.t(), split


@dataclass(frozen=True)
class Convolution:
    batch: int
    channels: int
    outputs: int
    size: int
    kernel: int

    @property
    def name(self) -> str:
        image = f"{self.batch} x {self.channels} x {self.size} x {self.size}"
        return f"conv {image} -> {self.outputs}, {self.kernel} x {self.kernel}"

    def write(self, path: Path) -> None:
        pads = [self.kernel // 2] * 4
        write_model(
            path,
            helper.make_node("Conv", ["x", "w"], ["y"], name="layer", pads=pads),
            (self.batch, self.channels, self.size, self.size),
            (self.outputs, self.channels, self.kernel, self.kernel),
            (self.batch, self.outputs, self.size, self.size),
        )

    def peer(self, ranks: int):
        last = {"memory_format": torch.channels_last}
        x = noise(self.batch, self.channels, self.size, self.size).to(**last)
        shape = (self.channels, self.kernel, self.kernel)
        whole = noise(self.outputs, *shape).to(**last)
        share = whole[: self.outputs // ranks].contiguous(**last)
        places = self.batch * self.size * self.size
        gathered = torch.empty(
            ranks, places * (self.outputs // ranks), device="cuda", dtype=x.dtype
        )
        padding = self.kernel // 2

        def split():
            y = functional.conv2d(x, share, padding=padding).permute(0, 2, 3, 1).reshape(-1)
            dist.all_gather_into_tensor(gathered.view(-1), y)
            parts = gathered.view(ranks, self.batch, self.size, self.size, self.outputs // ranks)
            return parts.permute(1, 2, 3, 0, 4).reshape(
                self.batch, self.size, self.size, self.outputs
            )

        return lambda: functional.conv2d(x, whole, padding=padding), split


LAYERS = (
    FullyConnected(1, 8192, 28672),
    FullyConnected(32, 8192, 28672),
    FullyConnected(32, 16384, 65536),
    FullyConnected(2048, 8192, 28672),
    Convolution(1, 64, 256, 256, 31),
    Convolution(8, 256, 512, 64, 13),
    Convolution(1, 128, 128, 128, 51),
)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, device="cuda", dtype=torch.float16) * 0.05


def write_model(path: Path, node, x, w, y) -> None:
    """A model of one node; its weight's file is not there."""
    half = TensorProto.FLOAT16
    weight = TensorProto(name="w", data_type=half, dims=w)
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="absent.data")
    weight.external_data.add(key="length", value=str(2 * torch.Size(w).numel()))
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("x", half, x)],
        [helper.make_tensor_value_info("y", half, y)],
        [weight],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


def median_us(work) -> float:
    """Of replays of a CUDA graph, all ranks starting together."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    dist.barrier()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    times = []
    for _ in range(REPLAYS + 5):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        dist.barrier()
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) * 1e3)
    return statistics.median(times[5:])


def peer_rank(rank: int, ranks: int, file: str) -> None:
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT="29611", RANK=str(rank), WORLD_SIZE=str(ranks)
    )
    torch.cuda.set_device(rank)
    dist.init_process_group(
        "nccl", rank=rank, world_size=ranks, device_id=torch.device("cuda", rank)
    )
    torch.backends.cudnn.benchmark = True
    times = {}
    with torch.no_grad():
        for layer in LAYERS:
            one, split = layer.peer(ranks)
            times[layer.name] = (median_us(one), median_us(split))
            torch.cuda.empty_cache()
    if rank == 0:
        Path(file).write_text(json.dumps(times))
    dist.destroy_process_group()


def cleave_us(program: Path, model: Path, devices: int, options: list[str]) -> float:
    command = [str(program), "bench", str(model), f"--devices=cuda:0-{devices - 1}"]
    command += ["--randomWeights", "--duration=1", "--json", "-", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stderr)
        return float("nan")
    return json.loads(done.stdout)["device_us"]["median"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers.gpu_layers", description=__doc__)
    parser.add_argument("--cleave", type=Path, default=ROOT / "build" / "cuda" / "bin" / "cleave")
    parser.add_argument("--json", type=Path)
    parser.add_argument("options", nargs="*", help="options of `cleave bench`, after --")
    arguments = parser.parse_args()
    ranks = torch.cuda.device_count()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "peer.json"
        multiprocessing.spawn(peer_rank, args=(ranks, str(file)), nprocs=ranks)
        peers = json.loads(file.read_text())
        print(f"{'microseconds':<38}{'one GPU':>20}{f'{ranks} GPUs':>20}{'ratio':>8}")
        print(f"{'':<38}{'PyTorch':>10}{'Cleave':>10}{'PyTorch':>10}{'Cleave':>10}")
        results = {}
        for layer in LAYERS:
            model = Path(folder) / "layer.onnx"
            layer.write(model)
            one, split = peers[layer.name]
            own = cleave_us(arguments.cleave, model, 1, arguments.options)
            own_split = cleave_us(arguments.cleave, model, ranks, arguments.options)
            results[layer.name] = {"peer": [one, split], "cleave": [own, own_split]}
            print(
                f"{layer.name:<38}{one:>10.1f}{own:>10.1f}{split:>10.1f}{own_split:>10.1f}"
                f"{own_split / split:>8.2f}",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
