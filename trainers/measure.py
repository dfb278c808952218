"""How long one step of a pack takes on this machine."""

import time
from collections.abc import Sequence

import torch

from trainers.batches import training_batch
from trainers.config import TrialConfig
from trainers.loop import Pack, Start

_STEPS = 4


def seconds_per_step(
    configs: Sequence[TrialConfig], *, device: str = "cpu", at_least_s: float = 0.03
) -> float:
    """Seconds of one step of the whole pack, its data included: the fastest of a few groups."""
    pack = Pack.of([Start(config) for config in configs], torch.device(device))
    size = configs[0].batch_size
    best, spent = float("inf"), 0.0
    _steps(pack, 1, size)  # the first step allocates and picks kernels
    while spent < at_least_s:
        started = time.perf_counter()
        _steps(pack, _STEPS, size)
        if device != "cpu":
            torch.cuda.synchronize()
        took = time.perf_counter() - started
        best, spent = min(best, took / _STEPS), spent + took
    return best


def _steps(pack: Pack, steps: int, size: int) -> None:
    batch = training_batch(pack.configs, pack.done, steps, pack.device)
    for step in range(steps):
        pack.step(batch.part(step * size, (step + 1) * size))
