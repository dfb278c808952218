"""Settings of a process that trains, so that the same config gives the same bits in any pack."""

import ctypes
import os

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of glibc's mallopt
_KEPT_BYTES = 1 << 29


def prepare(threads: int = 1, *, deterministic: bool = True) -> None:
    """Fix threads and kernels; to be called once, before the first product of matrices.

    MKL otherwise picks a kernel by the alignment of each matrix, and so by its place in the pack.
    Denormal numbers (dead neurons under weight decay) slow a CPU two- to threefold, so they are 0.
    On a GPU only kernels are used that give the same bits each time; what that costs is measured in a
    process where it is not `deterministic`, which trains nothing that is kept.
    """
    os.environ.setdefault("MKL_CBWR", "AUTO")  # read by MKL at its first product
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    _keep_memory()
    if torch.cuda.is_available():
        _fix_gpu(deterministic=deterministic)


def _fix_gpu(*, deterministic: bool) -> None:
    """Rule out kernels that add in no fixed order.

    Where an operation has no other kernel it raises, which is better than a result that nobody can
    repeat. Memory that was not written yet need not be filled: nothing here reads it.
    """
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at its first product
    torch.use_deterministic_algorithms(deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
    torch.backends.cudnn.benchmark = False  # it would pick kernels by a race


def _keep_memory() -> None:
    """Give freed memory to the next step, not back to the system, whose zeroed pages cost more."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc has it
        mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
