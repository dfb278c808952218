"""What is chosen by measuring, held against a longer measurement of everything that could be."""

import time
from pathlib import Path

import pytest

from sweeps.planning.cost import price
from sweeps.planning.pace.calibration import calibrated
from sweeps.planning.pace.choice import Case, choose
from sweeps.planning.pace.rates import rates_of
from sweeps.planning.pace.stopwatch import Stopwatch
from sweeps.planning.pace.way import ALONE, Way, widths
from sweeps.planning.plan import plan
from sweeps.storage.ledger import Ledger
from tests.trials import gcd_trial, square_trial
from tests.unit.test_plan import sweep
from trainers.config import TrialConfig
from trainers.machine import prepare

WAYS = [Way(width) for width in widths("cpu")]
SHAPES = {
    "a small transformer": gcd_trial(model={"kind": "transformer", "width": 16, "heads": 2}),
    "a wider one": gcd_trial(model={"kind": "transformer", "width": 64, "heads": 4}, batch_size=64),
    "a perceptron": square_trial(model={"kind": "mlp", "width": 64}),
}


def seconds_of_all(config: TrialConfig, turns: int = 8) -> dict[Way, float]:
    """Every way, timed by turns."""
    prepare()
    watches = {
        way: Stopwatch.of([config.model_copy(update={"seed": n}) for n in range(way.width)])
        for way in WAYS
    }
    for _ in range(turns):
        for watch in watches.values():
            watch.turn()
    return {way: watch.fastest_s / way.width for way, watch in watches.items()}


@pytest.mark.slow  # it compares times: on a machine that does nothing else
@pytest.mark.parametrize("name", SHAPES)
def test_what_is_chosen_is_hardly_slower_than_anything_that_could_be_chosen(name):
    """5 % by what a larger pack must gain, and as much by the noise of a busy machine."""
    config = SHAPES[name]
    found = calibrated(config, WAYS, device="cpu")
    chosen = choose(Case(found.seconds, count=100, steps=1e5, longest=1e3)).way
    every = seconds_of_all(config)
    assert every[chosen] <= 1.1 * min(every.values())
    assert every[chosen] <= 1.02 * every[ALONE]


def test_small_trials_train_several_at_once():
    found = calibrated(SHAPES["a perceptron"], WAYS, device="cpu")
    assert choose(Case(found.seconds, count=100, steps=1e5, longest=1e3)).way.width >= 4


def test_a_larger_pack_that_would_take_long_is_not_tried():
    config = gcd_trial(
        model={"kind": "transformer", "width": 256, "heads": 4, "decoder_layers": 2}, batch_size=128
    )
    found = calibrated(config, WAYS, device="cpu")
    assert found.seconds[ALONE] < float("inf")
    assert [found.seconds[way] for way in WAYS[1:]] == [float("inf")] * 3


def test_a_second_plan_measures_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    of = plan(sweep())
    first = price(of, Ledger(tmp_path), device="cpu", workers=2)

    def measured(*given: object, **named: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(Stopwatch, "of", measured)
    again = price(of, Ledger(tmp_path), device="cpu", workers=2)
    assert again.shapes == first.shapes
    assert again.packs == first.packs


def test_what_does_not_work_here_is_remembered_with_its_reason(tmp_path: Path):
    """As a graph that cannot be captured: it takes for ever, and is not tried again."""
    rates = rates_of(tmp_path, "cpu")
    way = Way(1, "graphed")
    rates.of("shape").measured.update({ALONE: 1.0, way: float("inf")})
    rates.of("shape").failed[way] = "RuntimeError: no"
    rates.changed = True
    rates.save()
    known = rates_of(tmp_path, "cpu").of("shape")
    assert known.failed == {way: "RuntimeError: no"}
    assert choose(Case(known.measured, count=1, steps=1.0, longest=1.0)).way == ALONE


def test_measuring_counts_the_time_of_the_processor_and_not_of_the_clock():
    config = SHAPES["a perceptron"]
    watch = Stopwatch.of([config])
    advance = watch.pack.advance

    def delayed() -> None:
        time.sleep(0.05)
        advance()

    watch.pack.advance = delayed  # pyright: ignore[reportAttributeAccessIssue]
    watch.turn()
    assert watch.fastest_s < 0.04
