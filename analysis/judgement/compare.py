"""Compare laws on the same runs: ranked by what they predict of larger scales, with AICc beside it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from analysis.engine.objective import Objective, Residual
from analysis.finding import Finding
from analysis.fit import Fit, predict_fit
from analysis.fit import as_document as fit_document
from analysis.judgement.contest import Lead, criteria, lead, stacked
from analysis.judgement.cuts import pooled_runs
from analysis.judgement.entries import Entry, entry_of, refusal
from analysis.judgement.holdout import Backtest, HeldOut
from analysis.judgement.holdout import as_document as backtest_document
from analysis.judgement.subsets import missed, unit_of
from analysis.law import Law
from analysis.points import ROWS_ALONE, Columns, Pool
from analysis.runs import Runs
from trainers.schema import InputError

FEW = 5  # left-out points, below which a ranking is hardly more than chance


@dataclass(frozen=True)
class Candidate:
    """One law in a comparison; what could not be had is None.

    `error` is the mean absolute residual of left-out points in the unit of the comparison, `score`
    the mean natural logarithm of the density that the law gave them, `weight` its share in the best
    convex mix of all laws.

    `aicc` and `bic` (see `contest.criteria`) are of the residuals of all points in the same unit.
    `backtests` leaves out the largest 1, 2 and 4 scales.
    """

    law: Law
    error: float | None
    score: float | None
    weight: float | None
    aicc: float | None
    bic: float | None
    fit: Fit | None
    backtests: tuple[Backtest, ...]
    refused: str


@dataclass(frozen=True)
class Comparison:
    """Laws in the order of their ranking; `tested` points were left out and predicted by each.

    `unit` is that of all residuals: of natural logarithms, or plain. `lead` says whether the first
    is better than the second beyond chance. `missed` are the residuals of each tested law at the
    left-out points, `groups` the runs that these belong to, if known.
    """

    candidates: tuple[Candidate, ...]
    unit: Residual
    rows: int
    tested: int
    lead: Lead | None
    warnings: tuple[Finding, ...]
    missed: Mapping[str, Float[np.ndarray, " point"]] = field(default_factory=dict)
    groups: Int[np.ndarray, " point"] | None = None


def compare(
    laws: Sequence[Law],
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    *,
    objective: Objective | None = None,
    pool: Pool = "none",
    columns: Columns = ROWS_ALONE,
    seed: int = 42,
) -> Comparison:
    """Fit every law and rank them, the least held-out error first; a refused law comes last.

    Each law takes from `inputs` those that it has; the scale of a row is the product of them all
    (with `pool`, cells are of equal values of them all), so that every law is tested on the same
    points. Starting with half of the points, each fold predicts the next scale from all below. The
    error averages over the folds that all laws with one could do. Residuals are of logarithms when
    every law fits logarithms, and plain otherwise.

    Raises:
        InputError: no law can be fitted.
    """
    names = [law.name for law in laws]
    if len(set(names)) < len(names):
        raise InputError(f"laws: expected different ones, got {', '.join(names)}")
    refused = {law.name: refusal(law, runs, inputs, target, objective, columns) for law in laws}
    able = [law for law in laws if not refused[law.name]]
    if not able:
        raise InputError(next(iter(refused.values()), "laws: expected at least one, got none"))
    unit = _unit(able, objective)
    by = [inputs[one.name] for law in able for one in law.inputs if one.positive]
    if pool != "none":
        if columns != ROWS_ALONE:
            raise InputError("pool: expected rows that are not pooled beside cluster, noise, ...")
        cells = [inputs[name] for law in able for name in law.input_names]
        runs = pooled_runs(runs, cells, target, pool, unit == "plain")
    entries = [
        Entry(law, None, {}, (), refused[law.name])
        if refused[law.name]
        else entry_of(law, runs, inputs, target, objective, columns, list(dict.fromkeys(by)))
        for law in laws
    ]
    fitted = [one for one in entries if one.fit is not None]
    if not fitted:
        raise InputError(entries[0].refused)
    possible = [set(one.folds) for one in fitted if one.folds]
    shared = sorted(set.intersection(*possible)) if possible else []
    tested = [one for one in fitted if one.folds and shared]
    held = {one.law.name: [point for at in shared for point in one.folds[at]] for one in tested}
    residuals = {
        name: missed(
            np.array([one.predicted for one in points_]),
            np.array([one.measured for one in points_]),
            unit,
        )
        for name, points_ in held.items()
    }
    weights = _weights(residuals)
    candidates = sorted(
        (_candidate(one, held, residuals, weights, unit) for one in entries), key=_rank
    )
    count = max(map(len, residuals.values()), default=0)
    groups = _groups(held, fitted[0])
    return Comparison(
        candidates=tuple(candidates),
        unit=unit,
        rows=len(fitted[0].fit.points) if fitted[0].fit is not None else 0,
        tested=count,
        lead=_lead(candidates, residuals, groups, seed, unit),
        warnings=tuple(_warnings(candidates, count, unit)),
        missed=residuals,
        groups=groups,
    )


def duel(found: Comparison, first: str, second: str, seed: int = 42) -> Lead | None:
    """Whether one law of a comparison predicts better than another; None where one has no error."""
    errors = {one.law.name: one.error for one in found.candidates}
    if errors.get(first) is None or errors.get(second) is None:
        return None
    missed = found.missed
    return lead((first, second), missed[first], missed[second], found.groups, seed, found.unit)


def as_documents(found: Comparison) -> list[dict[str, Any]]:
    """The laws of a comparison as plain data for JSON, in the order of the ranking."""
    return [
        {
            "law": one.law.name,
            "held_out_error": one.error,
            "held_out_score": one.score,
            "stacking_weight": one.weight,
            "aicc": one.aicc,
            "bic": one.bic,
            "refused": one.refused,
            "fit": None if one.fit is None else fit_document(one.fit),
            "hold_out": [backtest_document(test) for test in one.backtests],
        }
        for one in found.candidates
    ]


def as_document(found: Comparison) -> dict[str, Any]:
    """A comparison as plain data for JSON."""
    first = found.lead
    return {
        "laws": as_documents(found),
        "rows": found.rows,
        "unit": found.unit,
        "left_out": found.tested,
        "lead": None
        if first is None
        else {
            "first": first.first,
            "second": first.second,
            "difference": first.difference,
            "low": first.low,
            "high": first.high,
            "probability": first.probability,
            "sure": first.sure,
            "text": first.text,
        },
        "warnings": [{"code": one.code, "text": one.text} for one in found.warnings],
    }


def _unit(laws: Sequence[Law], objective: Objective | None) -> Residual:
    units = {unit_of(law.objective if objective is None else objective) for law in laws}
    return "log" if units == {"log"} else "plain"


def _candidate(
    entry: Entry,
    held: Mapping[str, Sequence[HeldOut]],
    residuals: Mapping[str, Float[np.ndarray, " point"]],
    weights: Mapping[str, float],
    unit: Residual,
) -> Candidate:
    name = entry.law.name
    aicc, bic = None, None
    if entry.fit is not None:
        on = entry.fit.points
        miss = missed(predict_fit(entry.fit, on.values), on.measured, unit)
        aicc, bic = criteria(miss, len(entry.law.coefficients))
    error = float(np.abs(residuals[name]).mean()) if name in residuals else None
    scores = [one.score for one in held.get(name, ()) if one.score is not None]
    if entry.fit is not None and unit_of(entry.fit.objective_used) != unit:
        # A density of ln y is one of y, once it is divided by y.
        scores = [one.score - math.log(one.measured) for one in held.get(name, ()) if one.score]
    return Candidate(
        law=entry.law,
        error=error if error is not None and math.isfinite(error) else None,
        score=float(np.mean(scores)) if scores else None,
        weight=weights.get(name),
        aicc=aicc,
        bic=bic,
        fit=entry.fit,
        backtests=entry.backtests,
        refused=entry.refused,
    )


def _weights(residuals: Mapping[str, Float[np.ndarray, " point"]]) -> dict[str, float]:
    if not residuals:
        return {}
    found = stacked(np.stack(list(residuals.values()), axis=1))
    return dict(zip(residuals, map(float, found), strict=True))


def _lead(
    ranked: Sequence[Candidate],
    residuals: Mapping[str, Float[np.ndarray, " point"]],
    groups: Int[np.ndarray, " point"] | None,
    seed: int,
    unit: Residual,
) -> Lead | None:
    if len(ranked) < 2 or ranked[1].error is None:
        return None
    first, second = ranked[0].law.name, ranked[1].law.name
    return lead((first, second), residuals[first], residuals[second], groups, seed, unit)


def _groups(
    held: Mapping[str, Sequence[HeldOut]], entry: Entry
) -> Int[np.ndarray, " point"] | None:
    """The run of each left-out point, where runs have several."""
    if not held or entry.fit is None or entry.fit.points.cluster is None:
        return None
    return entry.fit.points.cluster[[one.row for one in next(iter(held.values()))]]


def _rank(one: Candidate) -> tuple[bool, float, float, str]:
    none = math.inf
    return (
        one.fit is None,
        none if one.error is None else one.error,
        none if one.aicc is None else one.aicc,
        one.law.name,
    )


def _warnings(ranked: Sequence[Candidate], count: int, unit: Residual) -> Iterator[Finding]:
    if count == 0:
        yield Finding(
            "not_tested",
            "there are too few scales to leave some out, so the ranking is by AICc: it says how "
            "well a form fits, not how well it extrapolates",
        )
    elif count < FEW:
        yield Finding(
            "few_left_out",
            f"only {count} left-out points decide the ranking: more scales would settle it",
        )
    fitted = [one for one in ranked if one.fit is not None]
    for name in (one.law.name for one in fitted):
        if name.partition(":")[0] == "broken":
            yield Finding(
                "cannot_foresee_breaks",
                f"{name} describes the breaks inside of the data; it cannot foresee another one "
                "beyond them, and neither can these left-out points",
            )
    for one in fitted:
        if count and one.error is None:
            impossible = one.weight is not None
            yield Finding(
                "impossible_predictions" if impossible else "too_few_rows",
                f"{one.law.name} has no held-out error: "
                + (
                    "it predicts values that are not positive for some left-out points"
                    if impossible
                    else "the rows below the left-out scales cannot determine it"
                ),
            )
    if len({unit_of(one.fit.objective_used) for one in fitted if one.fit is not None}) > 1:
        yield Finding(
            "mixed_residuals",
            f"the laws fit residuals of different kinds; all are compared by {unit} ones, which "
            "favours those that fit them",
        )
