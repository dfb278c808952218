"""Intervals cover what they say: simulated Chinchilla runs from known coefficients."""

import pytest

from analysis.engine.objective import Objective
from tests.benchmarks.bench_coverage import KINDS, simulate

# 85 % to 95 % is asked of nominal 90 % intervals; the error of a simulation is added.
LOW, HIGH, BEYOND, ERRORS = 0.85, 0.95, 0.80, 2.0


def _check(
    runs: int,
    noise: float,
    tails: str,
    objective: Objective,
    simulations: int,
    kinds: tuple[str, ...] = KINDS,
):
    made = simulate(runs, noise, tails, objective, simulations, 300, kinds)
    rows = {one.method: one for one in made}
    for method in ("rows: as a fit reads them", "sandwich: Student t", "profile"):
        one = rows.get(method)
        if one is not None:
            assert LOW - ERRORS * one.error < one.coverage < HIGH + ERRORS * one.error, one
    for method in ("rows: the law beyond", "rows: a new run beyond"):
        one = rows[method]
        assert one.coverage > BEYOND - ERRORS * one.error, one


def test_intervals_of_thirty_runs_cover_and_are_not_endless():
    _check(30, 0.01, "normal", Objective(), 40, ("rows",))
    one = simulate(30, 0.005, "normal", Objective(), 10, 200, ("rows",))[0]
    assert one.width < 0.3  # of the exponents themselves


@pytest.mark.slow
@pytest.mark.parametrize("runs", [30, 60, 120])
@pytest.mark.parametrize("tails", ["normal", "t3"])
@pytest.mark.parametrize("kind", ["huber", "squares"])
def test_intervals_cover_at_every_size_and_tail(runs: int, tails: str, kind: str):
    _check(runs, 0.01, tails, Objective(kind), 150)  # type: ignore[arg-type]
