"""The best learning rate of a narrow model is that of a wide one, in muP and not in standard.

Source: Yang et al. 2022, arXiv:2203.03466: the claim, there for larger models. Here a perceptron
with two hidden layers of ReLU learns y = x^2 with Adam at rates a factor of 2 apart; the best rate
is the one with the lowest training loss at the end, in the geometric mean over seeds. Of four
setups that were tried (three with three layers of SiLU, one of these with a falling rate) this one
is the smoothest. In each, and with 3 to 16 seeds, a factor of 8 in width moved the best rate of
standard by a factor of 4 to 16, and that of muP by one of at most 2, or once, with 3 seeds, of 4.
"""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from tests.trials import square_trial
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.result import Reported

BASE = 16
STANDARD = {"kind": "standard"}
MUP = {"kind": "mup", "base_width": BASE}


def log2_best_rate(
    rules: dict[str, Any], width: int, powers: Sequence[int], seeds: int, steps: int
) -> int:
    """The power of two that learns best; it must lie within the grid and not at its end."""
    losses = {power: mean_log_loss(rules, width, power, seeds, steps) for power in powers}
    best = min(losses, key=lambda power: losses[power])
    assert min(powers) < best < max(powers), losses
    return best


def mean_log_loss(rules: dict[str, Any], width: int, power: int, seeds: int, steps: int) -> float:
    """Over seeds, of the loss in the last quarter of training; infinite if one of them broke."""
    trials = [
        square_trial(
            model={
                "kind": "mlp",
                "width": width,
                "layers": 2,
                "activation": "relu",
                "parametrisation": rules,
            },
            optimizer={"kind": "adam", "lr": 2.0**power},
            batch_size=64,
            budget={"steps": steps},
            evaluation={"points": 4, "examples": 10},
            seed=seed,
        )
        for seed in range(seeds)
    ]
    last = [
        event.point.values["loss"]
        for event in train([Start(trial) for trial in trials])
        if isinstance(event, Reported) and event.point.step == steps
    ]
    if len(last) < seeds or not all(map(math.isfinite, last)):
        return math.inf
    return sum(map(math.log, last)) / seeds


def test_over_a_factor_of_8_in_width_the_best_rate_moves_in_standard_and_stays_in_mup() -> None:
    powers = range(-8, -1)
    narrow = log2_best_rate(STANDARD, BASE, powers, 4, 200)  # at the base the two are one
    assert abs(log2_best_rate(MUP, 8 * BASE, powers, 4, 200) - narrow) <= 1
    assert log2_best_rate(STANDARD, 8 * BASE, powers, 4, 200) <= narrow - 2


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_best_rate_halves_with_every_doubling_of_the_width_in_standard_and_stays_in_mup() -> (
    None
):
    powers = range(-11, -1)
    widths = [BASE * 2**doubling for doubling in range(5)]
    standard = [log2_best_rate(STANDARD, width, powers, 16, 300) for width in widths]
    mup = [log2_best_rate(MUP, width, powers, 16, 300) for width in widths]
    assert max(mup) - min(mup) <= 1, (mup, standard)
    assert standard[0] - standard[-1] >= 3, (mup, standard)
    assert sorted(standard, reverse=True) == standard, (mup, standard)
