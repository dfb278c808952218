"""The loss of a pack and its gradient as one compiled program, for one shape and number of rows.

The step is played once with tensors that have a shape and no content, forward and backward, and what
it does is written down: one list of operations without a branch, whatever the model. `torch.compile`
fuses it. What is not a function of shapes, the numbers of a batch say, cannot enter by mistake.
"""

import os
import shutil
import sysconfig
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from trainers.batches import Batch
from trainers.cache import private_cache
from trainers.config import TrialConfig
from trainers.engine.ahead import batch_of, tensors_of
from trainers.engine.execution import Execution
from trainers.engine.step import gradient_of
from trainers.engine.traced import LossAndGradient
from trainers.models.stack import Layout
from trainers.schema import InputError

_CACHE = "TORCHINDUCTOR_CACHE_DIR"


@dataclass(frozen=True)
class Program:
    """What computes losses and gradients, and how long it took to make it."""

    run: Callable[..., LossAndGradient]
    seconds: float

    def __call__(self, flat: Float[Tensor, "trial row"], batch: Batch) -> LossAndGradient:
        """The loss of each trial and the gradient of its own loss alone."""
        with torch.no_grad():
            return self.run(flat, *map(Tensor.contiguous, tensors_of(batch)))


_made: dict[Any, Program] = {}
"""The programs of this process."""


def compiled_works(device: str = "cpu") -> bool:
    """Whether this machine can compile: it has the compilers, and the headers of Python."""
    headers = (Path(sysconfig.get_path("include")) / "Python.h").is_file()
    if device == "cpu":
        return headers and shutil.which(os.environ.get("CXX", "g++")) is not None
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    return headers and compiler is not None and find_spec("triton") is not None


def refuse_without_compiler(device: str) -> None:
    """Refuse to compile where it cannot be done.

    Raises:
        InputError: this machine has no compiler.
    """
    if not compiled_works(device):
        needed = "a C++ compiler (g++, or the one that CXX names)" if device == "cpu" else "triton"
        raise InputError(
            f"expected {needed} and the headers of Python for compiled steps, this machine lacks them:"
            " eager steps need none"
        )


def is_compiled(config: TrialConfig, rows: int, execution: Execution, device: torch.device) -> bool:
    """Whether this process has the program for so many rows."""
    return _key(config, rows, execution, device) in _made


def compiled(
    config: TrialConfig,
    layout: Layout,
    flat: Float[Tensor, "trial row"],
    batch: Batch,
    execution: Execution,
) -> Program:
    """The program for packs of this shape and number of rows; 10 to 60 s when none is cached.

    The cache of `torch.compile` on the disk serves other processes, which then take a few seconds.

    Raises:
        InputError: this machine has no compiler.
    """
    key = _key(config, flat.shape[0], execution, flat.device)
    if key not in _made:
        refuse_without_compiler(flat.device.type)
        use_private_cache()
        began = time.perf_counter()
        traced = trace(config, layout, flat, batch, execution)
        # one thread: helpers would outlive a worker, and hold as much memory as it does itself
        options: dict[str, Any] = {"compile_threads": 1} if flat.device.type == "cpu" else {}
        run = torch.compile(traced, fullgraph=True, dynamic=False, options=options)
        program = Program(run, 0.0)
        program(flat, batch)
        _made[key] = Program(run, time.perf_counter() - began)
    return _made[key]


def trace(
    config: TrialConfig,
    layout: Layout,
    flat: Float[Tensor, "trial row"],
    batch: Batch,
    execution: Execution,
) -> GraphModule:
    """All operations of a step's forward and backward pass, for tensors of these shapes."""

    def gradient(flat: Tensor, *examples: Tensor) -> LossAndGradient:
        return gradient_of(config, layout, flat, batch_of(examples, batch), execution)

    play = make_fx(gradient, tracing_mode="fake", _allow_non_fake_inputs=True)
    return play(flat, *map(Tensor.contiguous, tensors_of(batch)))


def _key(config: TrialConfig, rows: int, execution: Execution, device: torch.device) -> Any:
    return config.stacks_with(), rows, execution, str(device)


def use_private_cache() -> None:
    """Keep compiled code where nobody else can write, as it is believed when it is found again."""
    if _CACHE in os.environ:
        return
    folder = private_cache("compiled") or tempfile.mkdtemp(prefix="lawsweep-compiled-")
    os.environ[_CACHE] = str(folder)
