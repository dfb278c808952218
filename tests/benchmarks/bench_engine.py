"""Training steps against modules that a user would write, and against a loop in Int2Int's style."""

from collections.abc import Iterator
from typing import Literal

import torch

from tests.benchmarks import int2int_style
from tests.benchmarks.ours import lone, steps_on, steps_with_data, trials
from tests.benchmarks.peers import Training
from tests.benchmarks.shapes import (
    Shape,
    batch_of,
    both_sides,
    decoder_only,
    token_shape,
    transformer,
)
from tests.benchmarks.turns import Line, compare
from trainers.engine.execution import Execution

CPU = torch.device("cpu")
_TURN_EXAMPLES = 1_024  # of a turn against the loop in Int2Int's style; the loop makes 32,768 ahead
_GRID_WIDTHS, _GRID_LAYERS, _GRID_BATCHES = (16, 32, 64, 128, 256), (1, 2, 4), (8, 32, 64, 256)
_GRID_MULTIPLICATIONS = 6e9  # of a step, at the most: a turn of more would take seconds


def pack_line(mode: Literal["eager", "compiled"], *, goal: float) -> Line:
    """Eight trials as one pack against eight modules, one after the other."""
    configs = trials(decoder_only(1, 32, 32), 8)
    made = batch_of(configs, CPU)
    peers = [Training(config, CPU) for config in configs]

    def plain() -> None:
        for row, peer in enumerate(peers):
            peer.step(made.question[row], made.answer[row])

    ours = steps_on(configs, made, CPU, Execution(mode))
    name = f"pack of 8, {mode} / 8 modules, width 32, 1 layer, batch 32"
    return compare(name, "steps/s of all trials", 8, ours, plain, goal=goal)


def lone_line(
    shape: Shape,
    mode: Literal["eager", "compiled"] = "eager",
    *,
    goal: float | None,
    lasting_s: float = 3.0,
) -> Line:
    """One trial against one module."""
    configs, made = lone(shape, CPU)
    peer = Training(configs[0], CPU)
    question, answer = made.question[0], made.answer[0]
    ours = steps_on(configs, made, CPU, Execution(mode))
    return compare(
        f"{mode} / module, {shape.name}",
        "steps/s",
        1,
        ours,
        lambda: peer.step(question, answer),
        goal=goal,
        lasting_s=lasting_s,
    )


def int2int_line(
    shape: Shape, mode: Literal["eager", "compiled"] = "eager", *, goal: float | None
) -> Line:
    """Both make their own data; ours has their norms, activation, embeddings and optimizer."""
    model = transformer(shape) | {
        "norm": "post",
        "activation": "relu",
        "tied_embeddings": True,
    }
    configs = trials(shape, 1, model=model, optimizer={"kind": "adam", "lr": 1e-4, "clip": 5.0})
    peer = int2int_style.Loop(shape.width, shape.heads, shape.decoder, shape.batch, shape.base, CPU)
    steps = max(1, _TURN_EXAMPLES // shape.batch)
    ours = steps_with_data(configs, CPU, steps, Execution(mode))

    def plain() -> None:
        for _ in range(steps):
            peer.step()

    work = steps * shape.batch
    name = f"{mode} / Int2Int's style, {shape.name}, base {shape.base}"
    return compare(name, "examples/s", work, ours, plain, goal=goal, lasting_s=6.0)


def alone_line() -> Line:
    """A pack of 8 against the same trials one after the other, in our own code."""
    configs = trials(decoder_only(1, 32, 32), 8)
    apart = [steps_on([config], batch_of([config], CPU), CPU) for config in configs]

    def one_by_one() -> None:
        for step in apart:
            step()

    ours = steps_on(configs, batch_of(configs, CPU), CPU)
    name = "pack of 8 / 8 packs of 1, width 32, 1 layer, batch 32"
    return compare(name, "steps/s of all trials", 8, ours, one_by_one)


def lines() -> Iterator[Line]:
    """What is asked for, and what stands beside it."""
    yield pack_line("eager", goal=1.8)
    yield pack_line("compiled", goal=2.5)
    yield alone_line()
    yield lone_line(decoder_only(2, 64, 64), goal=1.15)
    yield lone_line(decoder_only(2, 64, 64), "compiled", goal=None)
    for shape, goal in ((both_sides(2, 128, 256), 1.3), (both_sides(2, 64, 64), 1.8)):
        yield int2int_line(shape, goal=goal)
        yield int2int_line(shape, "compiled", goal=None)  # of its two rows one is empty
    yield int2int_line(both_sides(1, 32, 32), goal=None)


def grid(lasting_s: float) -> Iterator[Line]:
    """One trial against one module at every shape that is not too large for turns."""
    for build in (decoder_only, both_sides):
        for width in _GRID_WIDTHS:
            for layers in _GRID_LAYERS:
                for batch in _GRID_BATCHES:
                    shape = build(layers, width, batch)
                    if _multiplications(shape) <= _GRID_MULTIPLICATIONS:
                        yield lone_line(shape, goal=1.0, lasting_s=lasting_s)


def _multiplications(shape: Shape) -> float:
    """Roughly, of a step: three times those of the linear maps."""
    tokens = token_shape(lone(shape, CPU)[0][0]).tokens
    return 3 * 12 * shape.width**2 * tokens * shape.decoder * shape.batch
