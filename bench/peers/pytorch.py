"""PyTorch, in which the peers on GPUs run."""

import sys

try:
    import torch
    import torch.distributed as dist
    import torch.distributed._functional_collectives as collectives
    import torch.multiprocessing as multiprocessing
    import torch.nn.functional as functional
except ModuleNotFoundError as missing:
    print(
        f"error: the peers of this comparison run in PyTorch: there is no module {missing.name}\n"
        "  hint: use a Python that has it (pip install torch), on a machine with GPUs",
        file=sys.stderr,
    )
    sys.exit(4)

__all__ = ["collectives", "dist", "functional", "multiprocessing", "torch"]
