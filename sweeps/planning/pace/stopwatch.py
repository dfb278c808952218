"""Times the steps of a pack now and then, so that several packs can be measured by turns."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from trainers.config import Budget, TrialConfig
from trainers.engine.execution import Execution
from trainers.engine.pack import Pack, Start
from trainers.loop import make_examples

_GROUP_S = 0.01  # that the steps of a turn take at least, on a CPU
_MANY_STEPS = 20  # of a turn on a GPU, for which the host waits once
_ENDLESS = 10**9


@dataclass
class Stopwatch:
    """A pack and the fastest of its steps; on a CPU by the time of this thread, whatever others do."""

    pack: Pack
    examples_s: float  # of one step
    fastest_s: float = math.inf  # a step of the whole pack, its examples included

    @classmethod
    def of(
        cls,
        configs: Sequence[TrialConfig],
        *,
        device: str = "cpu",
        execution: Execution = Execution(),  # noqa: B008 - frozen
        traces: bool = False,
    ) -> "Stopwatch":
        """Get ready: the first step compiles, captures, allocates and picks kernels.

        With `traces` eager steps are as fast as after some hundreds, which takes a few seconds for a
        pack whose lines have many lengths.
        """
        endless = {"budget": Budget(steps=_ENDLESS)}
        starts = [Start(config.model_copy(update=endless)) for config in configs]
        pack = Pack.of(starts, torch.device(device), execution)
        if traces:
            pack.trace_at_once()
        made_s = 0.0
        for _ in range(2):  # the first time fills tables
            began = _now(pack)
            make_examples(pack)
            _waited_s(pack)
            made_s = _now(pack) - began
        pack.advance()
        _waited_s(pack)
        assert pack.ahead is not None
        return cls(pack, 0.0 if pack.ahead.repeats else made_s / pack.ahead.steps)

    def turn(self) -> float:
        """Take a few steps; their examples are not made anew for each, so they are counted apart.

        Says how many seconds they took.
        """
        pack = self.pack
        least_s, least = (_GROUP_S, 1) if pack.device.type == "cpu" else (0.0, _MANY_STEPS)
        spent, steps = 0.0, 0
        while steps < least or spent < least_s:
            if pack.ahead is None or pack.ahead.is_used_up:
                spent += _waited_s(pack)
                make_examples(pack)
                _waited_s(pack)
            began, traced_s = _now(pack), pack.gradients.tracing_s
            pack.advance()
            traced_s = pack.gradients.tracing_s - traced_s  # once in thousands of steps
            spent += _now(pack) - began - traced_s
            steps += 1
        spent += _waited_s(pack)
        self.fastest_s = min(self.fastest_s, spent / steps + self.examples_s)
        return spent


def _now(pack: Pack) -> float:
    return time.thread_time() if pack.device.type == "cpu" else time.perf_counter()


def _waited_s(pack: Pack) -> float:
    """Seconds until the device has finished what it was given."""
    began = _now(pack)
    if pack.device.type == "cuda":
        torch.cuda.synchronize(pack.device)
    return _now(pack) - began
