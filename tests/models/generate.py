"""Writes a generated model: python -m tests.models.generate NAME -o FILE.onnx [options]."""

import argparse
import inspect
import sys
import typing
from pathlib import Path

from . import (
    audio,
    convnext,
    convolutional,
    decoder,
    dit,
    feed_forward,
    functions,
    gpt2,
    llama,
    minilm,
    mobilenet,
    moe,
    recommender,
    resnet,
    unet,
    vit,
)
from .builder import Model
from .save import WEIGHT_MODES, save

FAMILIES = {
    "minilm": minilm.build,
    "fc": feed_forward.build_fc,
    "mlp": feed_forward.build_mlp,
    "big": feed_forward.build_big,
    "vit": vit.build,
    "gpt2": gpt2.build,
    "llama": llama.build,
    "decoder": decoder.build,
    "dit": dit.build,
    "moe": moe.build,
    "resnet": resnet.build,
    "mobilenet": mobilenet.build,
    "convnext": convnext.build,
    "unet": unet.build,
    "audio": audio.build,
    "wide": convolutional.build_wide,
    "recommender": recommender.build,
    "functions": functions.build,
}


def generate(name: str, path: Path, weights: str = "inline", **options) -> Model:
    """Builds the model `name` with a family's own options and writes it; returns it."""
    model = FAMILIES[name](**options)
    save(model, path, weights)
    return model


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.models.generate", description=__doc__)
    families = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, build in FAMILIES.items():
        family = families.add_parser(
            name,
            help=inspect.getdoc(build).split("\n")[0],
            description=inspect.getdoc(build),
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        family.add_argument("-o", "--output", type=Path, required=True, default=argparse.SUPPRESS)
        family.add_argument(
            "--weights", choices=WEIGHT_MODES, default="inline", help="where the weights' values go"
        )
        for option in inspect.signature(build).parameters.values():
            family.add_argument(
                f"--{option.name}", type=_type_of(option), default=option.default, help=" "
            )
    return parser


def _type_of(option: inspect.Parameter) -> type:
    """The type to read an option with; `int | None` is read as int."""
    kinds = [kind for kind in typing.get_args(option.annotation) if kind is not type(None)]
    return kinds[0] if kinds else option.annotation


def main(arguments: list[str] | None = None) -> int:
    options = vars(_parser().parse_args(arguments))
    name, path, weights = options.pop("name"), options.pop("output"), options.pop("weights")
    model = generate(name, path, weights, **options)
    nodes = len(model.proto.graph.node)
    print(f"{path}: {name}, {nodes} nodes, {model.weight_bytes / 2**20:.1f} MiB of weights")
    return 0


if __name__ == "__main__":
    sys.exit(main())
