"""Single layers on GPUs: Cleave beside hand-written PyTorch + NCCL, in one run.

    python -m bench.peers.gpu_layers [--only PART OF A NAME] [--json FILE]

Fully connected layers and convolutions in float16, on one GPU and split over all of them. The peer
splits the output features (or channels) and gathers them, by hand, in a CUDA graph. Times are those
of the devices, in microseconds, medians; Cleave's plan is its own choice.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from onnx import TensorProto, helper, save

from .gpu_ranks import cleave_ms, graph_ms, on_every_gpu, options_of
from .pytorch import dist, functional, torch


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


def layers_named(part: str) -> list:
    return [layer for layer in LAYERS if part in layer.name]


def peer_times(ranks: int, only: str) -> dict[str, list[float]]:
    times = {}
    for layer in layers_named(only):
        times[layer.name] = [1e3 * graph_ms(work) for work in layer.peer(ranks)]
        torch.cuda.empty_cache()
    return times


def main() -> None:
    parser = options_of("gpu_layers", __doc__)
    parser.add_argument("--only", default="", help="layers whose name has this in it")
    options = parser.parse_args()
    ranks = torch.cuda.device_count()
    peers = on_every_gpu(peer_times, options.only)
    print(f"{'microseconds':<38}{'one GPU':>20}{f'{ranks} GPUs':>20}{'ratio':>8}")
    print(f"{'':<38}{'PyTorch':>10}{'Cleave':>10}{'PyTorch':>10}{'Cleave':>10}")
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for layer in layers_named(options.only):
            model = Path(folder) / "layer.onnx"
            layer.write(model)
            one, split = peers[layer.name]
            own, own_split = (
                1e3 * cleave_ms(options.cleave, model, count, *options.options)
                for count in (1, ranks)
            )
            results[layer.name] = {"peer": [one, split], "cleave": [own, own_split]}
            print(
                f"{layer.name:<38}{one:>10.1f}{own:>10.1f}{split:>10.1f}{own_split:>10.1f}"
                f"{own_split / split:>8.2f}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
