"""Writes a batch of sentences as the model's inputs, and ONNX Runtime's answer to them:
write_reference.py MODEL.onnx INPUTS.safetensors OUTPUTS.safetensors."""

import sys

import onnxruntime
from safetensors.numpy import save_file
from tokenise import tokenise

# 140 tokens: the size that the demo's times are for.
PASSAGE = (
    "To cleave is to split along the grain: a good woodworker reads the wood before the axe "
    "falls, and the log comes apart where it is weakest, with a clean face on both sides and "
    "hardly any loss. A neural network has a grain too. Attention heads do not look at each "
    "other, the columns of a matrix can be computed apart, and sentences in one batch never "
    "meet. Where the network is split along these lines, the devices that share the work have "
    "little to tell each other, and two of them are nearly twice as fast as one. Where it is "
    "split across them, they spend their time talking, and the second device is worse than "
    "none."
)


def main(model: str, inputs_path: str, outputs_path: str) -> None:
    inputs = tokenise([PASSAGE])
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    save_file(inputs, inputs_path)
    save_file(dict(zip(names, session.run(names, inputs), strict=True)), outputs_path)
    print("x".join(str(size) for size in inputs["input_ids"].shape))


if __name__ == "__main__":
    main(*sys.argv[1:])
