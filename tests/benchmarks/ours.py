"""Our side of a comparison: packs of trials of one shape, a step at a time."""

from collections.abc import Callable

import torch

from tests.benchmarks.shapes import Shape, batch_of, trial
from trainers.batches import TokenBatch, training_batch
from trainers.config import TrialConfig
from trainers.engine.execution import Execution
from trainers.engine.pack import Pack, Start

EAGER = Execution()


def trials(shape: Shape, number: int, **fields: object) -> list[TrialConfig]:
    """Trials of one shape, each with a seed of its own."""
    return [trial(shape, seed, **fields) for seed in range(number)]


def packed(configs: list[TrialConfig], device: torch.device, execution: Execution) -> Pack:
    """The trials at their beginning, as one pack, whose steps are as fast as after some hundreds."""
    pack = Pack.of([Start(config) for config in configs], device, execution)
    pack.trace_at_once()
    return pack


def steps_on(
    configs: list[TrialConfig],
    made: TokenBatch,
    device: torch.device,
    execution: Execution = EAGER,
) -> Callable[[], None]:
    """A call makes one step of every trial, always on the same examples."""
    pack = packed(configs, device, execution)
    pack.show(made, 1, repeats=True)
    return pack.advance


def steps_with_data(
    configs: list[TrialConfig],
    device: torch.device,
    ahead: int,
    execution: Execution = EAGER,
) -> Callable[[], None]:
    """A call makes the examples of so many steps, never the same ones again, and takes the steps."""
    pack = packed(configs, device, execution)

    def run() -> None:
        done = [pack.done[number] for number in pack.live]
        pack.show(training_batch(configs, done, ahead, device), ahead, repeats=False)
        for _ in range(ahead):
            pack.advance()

    return run


def lone(shape: Shape, device: torch.device) -> tuple[list[TrialConfig], TokenBatch]:
    """One trial, and the examples of its first step."""
    configs = trials(shape, 1)
    return configs, batch_of(configs, device)
