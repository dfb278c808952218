"""How long one step of a pack takes on this machine."""

import time
from collections.abc import Sequence

import torch

from trainers.batches import training_batch
from trainers.config import TrialConfig
from trainers.pack import Pack, Start

_STEPS = 2  # of a group
_GROUPS = 3  # at the least; the fastest counts, so that a busy moment does not decide


def seconds_per_step(
    configs: Sequence[TrialConfig], *, device: str = "cpu", at_least_s: float = 0.05
) -> float:
    """Seconds of one step of the whole pack, its data included: the fastest of a few groups."""
    pack = Pack.of([Start(config) for config in configs], torch.device(device))
    size = configs[0].batch_size
    _steps(pack, 1, size)  # the first step allocates and picks kernels
    groups: list[float] = []
    while len(groups) < _GROUPS or sum(groups) < at_least_s:
        started = time.perf_counter()
        _steps(pack, _STEPS, size)
        if device != "cpu":
            torch.cuda.synchronize()
        groups.append(time.perf_counter() - started)
    return min(groups) / _STEPS


def _steps(pack: Pack, steps: int, size: int) -> None:
    batch = training_batch(pack.configs, pack.done, steps, pack.device)
    for step in range(steps):
        pack.step(batch.part(step * size, (step + 1) * size))
