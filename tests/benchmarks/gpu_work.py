"""What is timed on a GPU: our packs, a module that a user would write, a loop in Int2Int's style."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tests.benchmarks import int2int_style
from tests.benchmarks.gpu_watch import rate
from tests.benchmarks.peers import Training
from tests.benchmarks.shapes import Shape, batch_of, trial
from trainers.batches import training_batch
from trainers.engine.execution import Execution
from trainers.engine.pack import Pack, Start
from trainers.loop import steps_ahead, train
from trainers.memory import training_bytes
from trainers.result import Saved


def pack_rate(
    shape: Shape, trials: int, execution: Execution, device: torch.device, at_least_s: float
) -> float:
    """Examples a second of all trials together, their making included, as the loop makes them."""
    configs = [trial(shape, seed) for seed in range(trials)]
    pack = Pack.of([Start(config) for config in configs], device, execution)
    ahead = steps_ahead(configs, device.type)

    def step() -> None:
        if pack.ahead is None or pack.ahead.is_used_up:
            made = training_batch(configs, pack.done[:trials], ahead, device)
            pack.show(made, ahead, repeats=False)
        pack.advance()

    return rate(step, device, at_least_s) * shape.batch * trials


def plain_rate(shape: Shape, device: torch.device, at_least_s: float) -> float:
    """Examples a second of the module, on examples that lie on the device already."""
    config = trial(shape)
    peer = Training(config, device)
    made = batch_of([config], device)
    casts = shape.precision == "bfloat16"

    def step() -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=casts):
            peer.step(made.question[0], made.answer[0])

    return rate(step, device, at_least_s) * shape.batch


def int2int_rate(shape: Shape, device: torch.device, at_least_s: float) -> float:
    """Examples a second of the loop in Int2Int's style, which makes its own."""
    loop = int2int_style.Loop(
        shape.width, shape.heads, shape.decoder, shape.batch, shape.base, device
    )
    return rate(loop.step, device, at_least_s) * shape.batch


def whole_run_minutes(
    shape: Shape, examples: int, execution: Execution, device: torch.device, seconds: float
) -> float:
    """Minutes for so many examples, from so many seconds of the loop itself, reports included.

    What is prepared before the first saved state does not count.
    """
    config = trial(shape, budget={"examples": examples}, evaluation={"points": 30})
    seen: list[tuple[float, int]] = []  # time, steps

    def stops() -> bool:
        return len(seen) > 1 and seen[-1][0] - seen[0][0] >= seconds

    events = train(
        [Start(config)],
        execution=execution,
        device=str(device),
        save_every_s=seconds / 8,
        should_stop=stops,
    )
    seen += ((time.perf_counter(), event.step) for event in events if isinstance(event, Saved))
    (began, first), (ended, last) = seen[0], seen[-1]
    return config.steps / ((last - first) / (ended - began)) / 60


def generator_rate(fields: dict[str, Any], device: torch.device, at_least_s: float) -> float:
    """Training examples a second of a trial with these fields, 128 batches of 256 at a time."""
    config = trial(Shape(1, 1, 16, 256), **fields)
    done = iter(range(0, 1 << 40, 128))

    def make() -> object:
        return training_batch([config], [next(done)], 128, device)

    return rate(make, device, at_least_s) * 128 * config.batch_size


def product_rate(size: int, dtype: torch.dtype, device: torch.device, at_least_s: float) -> float:
    """FLOPs a second of a square product of random matrices, in TFLOP/s."""
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(left)
    return rate(lambda: torch.mm(left, right, out=out), device, at_least_s) * 2 * size**3 / 1e12


def copy_rate(numbers: int, device: torch.device, at_least_s: float) -> float:
    """Bytes read and written a second by a copy on the device, in GB/s."""
    source = torch.randn(numbers, device=device)
    target = torch.empty_like(source)
    return rate(lambda: target.copy_(source), device, at_least_s) * 8 * numbers / 1e9


def flops_of(shape: Shape) -> int:
    """Of the matrix products of training on one example."""
    return trial(shape).cost().flops


def bytes_of(shape: Shape, trials: int) -> int:
    """Most memory that a pack takes."""
    return training_bytes([trial(shape, seed) for seed in range(trials)])


def room_bytes(device: torch.device) -> float:
    """Memory of the card that packs may fill; libraries take the rest."""
    return 0.85 * torch.cuda.get_device_properties(device).total_memory


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Inside, torch picks deterministic kernels alone, or whichever it likes."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(wanted)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
