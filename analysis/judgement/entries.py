"""Laws that enter a comparison: each fitted, and what it predicts of the points left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from analysis.engine.objective import Objective
from analysis.fit import RESAMPLES, Fit, fit
from analysis.judgement.cuts import Cut
from analysis.judgement.holdout import Backtest, HeldOut, largest_cuts, predicted, scaled
from analysis.judgement.rolling import steps_of
from analysis.judgement.subsets import unit_of
from analysis.law import Law
from analysis.points import Columns, Points, points
from analysis.runs import Runs
from trainers.schema import InputError


@dataclass(frozen=True)
class Entry:
    """A law with what it predicted of the points that each fold leaves out."""

    law: Law
    fit: Fit | None
    folds: dict[int, tuple[HeldOut, ...]]
    backtests: tuple[Backtest, ...]
    refused: str


def own(law: Law, inputs: Mapping[str, str]) -> dict[str, str]:
    """The columns of the inputs that a law has."""
    return {name: column for name, column in inputs.items() if name in law.input_names}


def refusal(
    law: Law,
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    objective: Objective | None,
    columns: Columns,
) -> str:
    """Why the columns of a law cannot be used."""
    signed = unit_of(law.objective if objective is None else objective) == "plain"
    try:
        points(law, runs, own(law, inputs), target, "none", columns, signed)
    except InputError as error:
        return str(error)
    return ""


def entry_of(
    law: Law,
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    objective: Objective | None,
    columns: Columns,
    by: Sequence[str],
) -> Entry:
    """Fit a law to all points, and to those below each fold; `by` gives the scale of a row."""
    mapped = own(law, inputs)
    try:
        on, scale = scaled(law, runs, mapped, target, "none", objective, by, columns)
        fitted = fit(law, runs, mapped, target, objective=objective, columns=columns, bootstrap=0)
    except InputError as error:
        return Entry(law, None, {}, (), str(error))
    cuts, largest = folds_of(on, scale), largest_cuts(on, scale)
    tests = predicted(law, on, objective, [*cuts, *largest], fitted.vector)
    size = len(law.coefficients)
    folds = {
        number: test.points
        for number, test in enumerate(tests[: len(cuts)])
        # A law that passes through every point of a fold is not tested by it.
        if test.points and test.fitted > size
    }
    return Entry(law, fitted, folds, tests[len(cuts) :], "")


def with_interval(fitted: Fit, resamples: int = RESAMPLES) -> Fit:
    """A fit of rows again, with resamples and so with intervals."""
    on = fitted.points
    known = {"cluster": on.cluster, "noise": on.noise, "censored": on.censored, "counts": on.counts}
    # A name with a blank is none of a formula.
    beside = {f"its {name}": one for name, one in known.items() if one is not None}
    table = pd.DataFrame({**on.values, fitted.target: on.measured, **beside})
    again = fit(
        fitted.law,
        Runs(table, fitted.omitted),
        {name: name for name in fitted.law.input_names},
        fitted.target,
        objective=fitted.objective_used,
        columns=Columns(**{name: f"its {name}" for name in known if f"its {name}" in beside}),
        bootstrap=resamples,
        seed=fitted.seed,
        level=fitted.level,
    )
    return replace(again, inputs=fitted.inputs)


def folds_of(on: Points, scale: Float[np.ndarray, " run"]) -> Sequence[Cut]:
    """Each scale from the half of the points on that lies below it."""
    steps = steps_of(scale, on.cluster, 1)
    return [one for one in steps if 2 * one.kept.sum() >= len(on)] or steps[-1:]
