"""Settings of a process that trains, so that the same config gives the same bits in any pack."""

import os

import torch


def prepare(threads: int = 1) -> None:
    """Fix threads and kernels; to be called once, before the first product of matrices.

    MKL otherwise picks a kernel by the alignment of each matrix, and so by its place in the pack.
    Denormal numbers (dead neurons under weight decay) slow a CPU two- to threefold, so they are 0.
    """
    os.environ.setdefault("MKL_CBWR", "AUTO")  # read by MKL at its first product
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
