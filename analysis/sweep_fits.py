"""The fits of a sweep file: one for each combination of a split, or the reason why there is none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from analysis.checks.checks import design_checks
from analysis.custom import any_law
from analysis.decisions import NOTHING, Decisions, decide, wanted_of, with_offer
from analysis.engine.objective import Objective
from analysis.finding import Finding
from analysis.fit import Fit, fit
from analysis.groups import Group, groups
from analysis.judgement.backtested import backtested
from analysis.judgement.compare import Comparison, compare
from analysis.judgement.extrapolation import reached
from analysis.judgement.holdout import Backtest
from analysis.judgement.rolling import Rolling
from analysis.law import Law
from analysis.runs import Omitted, Runs, is_number, is_positive, matches, rows_of
from analysis.summary import written
from analysis.thresholds import Threshold, as_runs, cautions
from sweeps.spec import FitSpec, Sweep
from trainers.schema import InputError

NEVER_REACHED = "never reached"


@dataclass(frozen=True)
class SweepFit:
    """A fit of the sweep file for one combination of its split; `fit` is None where refused.

    `ranking` sets the law beside its rivals, where the sweep file names some; `decisions` are those
    that it asks for.
    """

    name: str
    spec: FitSpec
    group: Group
    fit: Fit | None
    refused: str
    backtests: tuple[Backtest, ...]
    notes: tuple[Finding, ...]
    ranking: Comparison | None = None
    decisions: Decisions = NOTHING
    rolling: Rolling | None = None


def sweep_fits(
    sweep: Sweep, spec: FitSpec, runs: Runs, thresholds: Sequence[Threshold], resamples: int
) -> tuple[SweepFit, ...]:
    """The fits that one entry of `report.fits` asks for, to trials or to the rows of a threshold.

    Raises:
        InputError: the sweep names a law that does not exist.
    """
    of = next((one for one in thresholds if one.spec.name == spec.of), None)
    chosen = (runs if of is None else as_runs(of)).matching(spec.where)
    combinations = groups(sweep, spec.split, chosen) if spec.split else ((),)
    return tuple(
        _fit(sweep, spec, group, chosen.matching(dict(group)), of, resamples)
        for group in combinations
    )


def _fit(
    sweep: Sweep, spec: FitSpec, group: Group, runs: Runs, of: Threshold | None, resamples: int
) -> SweepFit:
    law = any_law(spec.law, spec.inputs).held(spec.fix, spec.tie)
    objective = _objective(spec, law)
    columns = [*spec.inputs.values(), spec.metric]
    missing = [name for name in columns if name not in runs.table.columns]
    if missing or not len(runs):
        words = f"no finished trial has {missing[0]}" if missing else "no finished trials"
        if of is not None:
            words = f"no value of {of.spec.field} that was tried is enough"
        return SweepFit(spec.name, spec, group, None, words, (), ())
    free = {spec.inputs[one.name] for one in law.inputs if not one.positive}
    free |= {spec.metric} if objective.residual == "plain" else set()
    pool = spec.pool if of is None else "none"  # a row of a threshold is pooled already
    unusable = _unusable(runs, columns, free, sweep.report.milestone_names)
    runs = runs.without(unusable)
    try:
        fitted = fit(
            law, runs, spec.inputs, spec.metric, objective=objective, pool=pool,
            bootstrap=resamples,
        )  # fmt: skip
    except InputError as error:
        return SweepFit(spec.name, spec, group, None, str(error), (), ())
    tests = backtested(fitted)
    notes = (
        *_mixed(sweep, spec, group, runs),
        *_never(unusable, spec.metric, len(runs)),
        *design_checks(sweep, runs, spec.inputs, spec.metric, pool=spec.pool),
    )
    if of is not None:  # its rows are no trials, of which designs are checked
        notes = cautions(of, (*spec.where.items(), *group))
    ranking = None
    if spec.rivals:
        laws = [law, *(any_law(text, spec.inputs) for text in spec.rivals)]
        ranking = compare(laws, runs, spec.inputs, spec.metric, objective=objective, pool=pool)
    decisions = decide(fitted, wanted_of(spec), reached(tests.largest))
    if of is None:  # one more row of a threshold is not one more run
        decisions = with_offer(decisions, fitted)
    return SweepFit(
        spec.name, spec, group, fitted, "", tests.largest, notes, ranking, decisions, tests.rolling
    )


def _objective(spec: FitSpec, law: Law) -> Objective:
    own = law.objective
    return replace(own, kind=spec.objective or own.kind, residual=spec.residual or own.residual)


def _unusable(
    runs: Runs, columns: Sequence[str], free: set[str], milestones: frozenset[str]
) -> list[Omitted]:
    """The finished trials whose values cannot enter a law; those in `free` need not be positive."""
    result = []
    for key, row in zip(runs.table.index, rows_of(runs.table), strict=True):
        bad = next(
            (
                name
                for name in columns
                if not (is_number if name in free else is_positive)(row[name])
            ),
            None,
        )
        if bad is not None:
            kind = "finite" if bad in free else "positive finite"
            reason = f"{bad} is {written(row[bad])}; a law needs a {kind} number"
            if bad in milestones and row[bad] == math.inf:
                reason = f"{bad} was {NEVER_REACHED}"
            result.append(Omitted(str(key), reason, "finished", row))
    return result


def _never(left_out: Sequence[Omitted], metric: str, fitted: int) -> tuple[Finding, ...]:
    """A warning where a fit of a milestone knows only the trials that reached it."""
    never = sum(one.reason == f"{metric} was {NEVER_REACHED}" for one in left_out)
    if not never:
        return ()
    return (
        Finding(
            "milestone_never_reached",
            f"{never} of {never + fitted} trials never reached {metric}; they would have needed more "
            "than they had, so the fit, which knows only the others, is too low where they lie",
        ),
    )


def _mixed(sweep: Sweep, spec: FitSpec, group: Group, runs: Runs) -> tuple[Finding, ...]:
    """A note when a cell pools trials that differ in an axis which the law does not know."""
    known = {*spec.inputs.values(), *dict(group)}
    rows = rows_of(runs.table)
    for axis in sweep.single_axes():
        fields = [field for field in axis.may_set() if field in runs.table.columns]
        if known & set(fields):
            continue
        for field in fields:
            first = rows[0][field]
            if not all(matches(row, {field: first}) for row in rows):
                return (
                    Finding(
                        "mixed_cells",
                        f"trials that differ in {field} are pooled; the law does not know it",
                    ),
                )
    return ()
