"""A trial gives the same bits alone, in a pack, and when it joins one late, whoever leaves and comes."""

from collections.abc import Iterator
from functools import cache
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trials import gcd_fields, square_fields
from tests.unit.test_loop import History, after, assert_equal_to_the_bit, histories, run
from trainers import loop
from trainers.config import TrialConfig, trial_config
from trainers.engine.execution import Execution
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.result import Saved

BATCH = 6
EAGER = Execution()
WHOLE = Execution(
    "graphed"
)  # whole steps, which on a CPU are not captured: rows stay when trials end
SHAPES: dict[str, dict[str, Any]] = {
    "perceptron": square_fields(model={"kind": "mlp", "width": 3}),
    "decoder-only": gcd_fields(
        model={"kind": "transformer", "width": 8, "heads": 2, "encoder_layers": 0}
    ),
}
ORDERS: dict[str, list[dict[str, Any]]] = {
    "draw": [{}, {"distinct": 20}, {"corrupt": 0.5}, {"hot": {"size": 3, "share": 0.5}}],
    "cycle": [
        {"order": "cycle", "distinct": distinct, "corrupt": corrupt}
        for distinct, corrupt in [(BATCH, 0.0), (BATCH, 0.3), (7, 0.0), (BATCH, 0.0)]
    ],
}
COUNT = 7


def trials(shape: str, order: str) -> list[TrialConfig]:
    """Trials that share a shape, of unequal length."""
    return [
        trial_config(
            {
                **SHAPES[shape],
                "batch_size": BATCH,
                "seed": number,
                "data": ORDERS[order][number % 4],
                "optimizer": {"kind": "adamw", "lr": 1e-3 * (1 + number), "warmup_steps": number},
                "budget": {"steps": steps},
                "evaluation": {"points": 2, "examples": 5, "class_examples": 1},
            }
        )
        for number, steps in enumerate([5, 2, 9, 4, 3, 12, 2])
    ]


@cache
def alone(shape: str, order: str, number: int, execution: Execution = EAGER) -> History:
    config = trials(shape, order)[number]
    return run([config], execution=execution)[config.key()]


@cache
def halfway(shape: str, order: str, number: int, execution: Execution) -> History:
    """What a trial gives that is stopped at its first report."""
    config = trials(shape, order)[number]
    return run([config], execution=execution, should_stop=after(1))[config.key()]


@settings(max_examples=15)
@given(
    execution=st.sampled_from([EAGER, WHOLE]),
    shape=st.sampled_from(sorted(SHAPES)),
    order=st.sampled_from(sorted(ORDERS)),
    queue=st.permutations(range(COUNT)),
    width=st.integers(1, 4),
    begun=st.sets(st.integers(0, COUNT - 1)),
    ahead=st.sampled_from([1, 40, 32_768]),
)
def test_a_trial_that_joins_late_gives_the_bits_that_it_gives_alone(
    execution: Execution,
    shape: str,
    order: str,
    queue: list[int],
    width: int,
    begun: set[int],
    ahead: int,
) -> None:
    configs = trials(shape, order)
    found: dict[str, History] = {}
    starts: list[Start] = []
    for number in queue:
        config = configs[number]
        saved = None
        if number in begun:
            half = halfway(shape, order, number, execution)
            saved = half.saved[-1]
            found[config.key()] = History()
            found[config.key()].points = dict(half.points)
        starts.append(Start(config, saved))
    with patch.object(loop, "_AHEAD_EXAMPLES", ahead):
        histories(starts[:width], found, waiting=iter(starts[width:]), execution=execution)
    for number, config in enumerate(configs):
        assert_equal_to_the_bit(found[config.key()], alone(shape, order, number, execution))


def counted(starts: list[Start], asked: list[int]) -> Iterator[Start]:
    for number, start in enumerate(starts):
        asked.append(number)
        yield start


@pytest.mark.parametrize("stop", [1, 2, 4, 7])
def test_asked_to_stop_nobody_who_waits_is_asked_any_more(stop: int) -> None:
    configs = trials("perceptron", "draw")
    asked: list[int] = []
    waiting = counted([Start(config) for config in configs[2:]], asked)
    looks = 0

    def should_stop() -> bool:
        nonlocal looks
        looks += 1
        return looks >= stop

    starts = [Start(config) for config in configs[:2]]
    events = list(train(starts, waiting=waiting, should_stop=should_stop))
    begun = [config.key() for config in configs[: 2 + len(asked)]]
    left: dict[str, Saved] = {}
    found: dict[str, History] = {}
    for event in events:
        found.setdefault(event.key, History()).add(event)
        if isinstance(event, Saved):
            left[event.key] = event
    assert {event.key for event in events} == set(begun)
    goes_on = [Start(one, left.get(one.key())) for one in configs if found.get(one.key()) is None]
    open_ones = [one for one in configs if one.key() in found and not found[one.key()].outcome]
    goes_on += [Start(one, left[one.key()]) for one in open_ones]
    histories(goes_on, found)
    for number, config in enumerate(configs):
        assert_equal_to_the_bit(found[config.key()], alone("perceptron", "draw", number))


def test_a_waiting_trial_that_only_lacks_its_outcome_gets_it_and_the_next_one_joins() -> None:
    configs = trials("perceptron", "draw")
    over = alone("perceptron", "draw", 0)
    starts = [Start(configs[0], over.saved[-1]), Start(configs[3]), Start(configs[4])]
    found = histories([Start(configs[1])], waiting=iter(starts))
    assert found[configs[0].key()].outcome == over.outcome
    assert found[configs[0].key()].points == {}
    for number in (1, 3, 4):
        assert_equal_to_the_bit(found[configs[number].key()], alone("perceptron", "draw", number))


def test_a_waiting_trial_of_another_shape_is_refused() -> None:
    config, other = trials("perceptron", "draw")[1], trials("decoder-only", "draw")[0]
    with pytest.raises(ValueError, match="equal shape"):
        list(train([Start(config)], waiting=iter([Start(other)])))


def test_a_diverged_trial_gives_its_row_to_one_that_is_not_disturbed_by_it() -> None:
    configs = trials("perceptron", "draw")
    wild = trial_config(
        {
            **configs[0].model_dump(),
            "seed": 99,
            "optimizer": {"kind": "adamw", "lr": 1e3, "weight_decay": 1e3},
            "budget": {"steps": 60},
        }
    )
    found = histories(
        [Start(wild), Start(configs[2])], waiting=iter([Start(configs[5]), Start(configs[0])])
    )
    outcome = found[wild.key()].outcome
    assert outcome is not None
    assert outcome.name == "diverged"
    for number in (0, 2, 5):
        assert_equal_to_the_bit(found[configs[number].key()], alone("perceptron", "draw", number))
