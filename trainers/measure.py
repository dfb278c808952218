"""How long one step of a pack takes on this machine, and what it takes to get ready for it."""

import time
from collections.abc import Sequence

import torch

from trainers.config import TrialConfig
from trainers.engine.execution import Execution
from trainers.engine.pack import Pack, Start
from trainers.loop import make_examples

_STEPS = 2  # of a group, on a CPU
_MANY_STEPS = 20  # of a group on a GPU, for which the host waits once
_GROUPS = 3  # at the least; the fastest counts, so that a busy moment does not decide


def seconds_per_step(
    configs: Sequence[TrialConfig],
    *,
    device: str = "cpu",
    execution: Execution = Execution(),  # noqa: B008 - frozen
    at_least_s: float = 0.05,
) -> float:
    """Seconds of one step of the whole pack, its data included: the fastest of a few groups.

    What is done once beforehand does not count; `preparation_s` says how long it takes to compile or
    capture, while a trace takes as long as some hundred steps.
    """
    pack = Pack.of([Start(config) for config in configs], torch.device(device), execution)
    each_s = _examples_s(pack)
    pack.trace_at_once()
    pack.advance()  # the first step compiles, traces, captures, allocates and picks kernels
    _wait(pack)
    steps = _STEPS if pack.device.type == "cpu" else _MANY_STEPS
    groups: list[float] = []
    while len(groups) < _GROUPS or sum(groups) < at_least_s:
        began, spent = time.perf_counter(), 0.0
        for _ in range(steps):
            if pack.ahead is None or pack.ahead.is_used_up:
                _wait(pack)
                stopped = time.perf_counter()
                make_examples(pack)
                _wait(pack)
                spent += time.perf_counter() - stopped
            pack.advance()
        _wait(pack)
        groups.append(time.perf_counter() - began - spent)
    return min(groups) / steps + each_s


def preparation_s(
    configs: Sequence[TrialConfig],
    *,
    device: str = "cpu",
    execution: Execution,
) -> float:
    """Seconds to compile or capture the steps of a pack; 0 for eager ones.

    What this process has compiled is not compiled again: then it says how long that took. A program
    that another process has left in the cache on the disk takes a few seconds.

    Raises:
        InputError: this machine cannot compile.
    """
    if execution.mode == "eager":
        return 0.0
    pack = Pack.of([Start(config) for config in configs], torch.device(device), execution)
    make_examples(pack)
    pack.advance()
    _wait(pack)
    program, whole = pack.gradients.program, pack.whole
    return (0.0 if program is None else program.seconds) + (
        0.0 if whole is None else whole.capture_s
    )


def _examples_s(pack: Pack) -> float:
    """Seconds to make the examples of a step, where as many are made at once as in training."""
    make_examples(pack)  # tables and kernels
    _wait(pack)
    began = time.perf_counter()
    make_examples(pack)
    _wait(pack)
    assert pack.ahead is not None
    return 0.0 if pack.ahead.repeats else (time.perf_counter() - began) / pack.ahead.steps


def _wait(pack: Pack) -> None:
    """Let the device finish what it was given."""
    if pack.device.type == "cuda":
        torch.cuda.synchronize(pack.device)
