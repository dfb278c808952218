"""Examples made in tensors against examples made one after the other in Python."""

import itertools
import math
import random
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tests.benchmarks.shapes import Shape, trial
from tests.benchmarks.turns import Line, compare
from trainers.batches import training_batch
from trainers.data.encoding import PAD

CPU = torch.device("cpu")
_BATCH, _STEPS = 256, 128  # as many steps at a time as the loop makes ahead


def written(number: int, base: int) -> list[int]:
    """Sign and digits, most significant first."""
    digits: list[int] = []
    while number:
        number, digit = divmod(number, base)
        digits.append(digit + 5)
    return [3, *reversed(digits)]


def plain_batch(base: int, size: int, rng: random.Random) -> tuple[Tensor, Tensor]:
    """Pairs with their GCD, encoded and collated as in a data set's `__getitem__`."""
    questions: list[Tensor] = []
    answers: list[Tensor] = []
    for _ in range(size):
        a, b = rng.randint(1, 1_000_000), rng.randint(1, 1_000_000)
        questions.append(torch.tensor(written(a, base) + written(b, base)))
        answers.append(torch.tensor([*written(math.gcd(a, b), base), 2]))
    return (
        pad_sequence(questions, batch_first=True, padding_value=PAD),
        pad_sequence(answers, batch_first=True, padding_value=PAD),
    )


def data_line(base: int, goal: float) -> Line:
    """Never the same pairs again: a processor would learn the branches of their GCDs."""
    config = trial(Shape(1, 1, 64, _BATCH, base=base))
    rng, done = random.Random(0), itertools.count(0, _STEPS)
    return compare(
        f"GCD data, base {base}",
        "examples/s",
        _BATCH * _STEPS,
        lambda: training_batch([config], [next(done)], _STEPS, CPU),
        lambda: [plain_batch(base, _BATCH, rng) for _ in range(_STEPS)],
        goal=goal,
    )


def lines() -> Iterator[Line]:
    """GCDs, in short and in long tokens."""
    yield data_line(10, goal=30)
    yield data_line(1_000, goal=30)
