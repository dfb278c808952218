"""The study of a sweep: every table, contrast, fit and verdict that its report shows."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.checks.checks import design_checks
from analysis.claims import Verdict, verdict
from analysis.contrast import Contrast, contrast
from analysis.custom import any_law
from analysis.decisions import NOTHING, Decisions, decide, wanted_of, with_offer
from analysis.engine.objective import Objective
from analysis.finding import Finding
from analysis.fit import RESAMPLES, Fit, fit
from analysis.isoflop.profiles import IsoFlop, isoflop
from analysis.judgement.backtested import backtested
from analysis.judgement.compare import Comparison, compare
from analysis.judgement.extrapolation import reached
from analysis.judgement.holdout import Backtest
from analysis.judgement.rolling import Rolling
from analysis.law import Law
from analysis.runs import Omitted, Runs, is_number, is_positive, matches, rows_of
from analysis.summary import Summary, conditions, summary, written
from analysis.tuning.drift import Drift, drift
from analysis.tuning.settings import Tuning, tuning
from analysis.tuning.transfer import Transfer, transfer
from sweeps.spec import FitSpec, IsoFlopSpec, Sweep, TableSpec, TuningSpec
from trainers.schema import InputError

Group = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Row:
    """One row of a table; `lists` holds what most of its trials have in each listed detail."""

    group: Group
    metrics: tuple[Summary | None, ...]
    beside: Summary | None
    lists: tuple[tuple[Any, ...], ...]
    trials: int
    omitted: int


@dataclass(frozen=True)
class Table:
    """A table of the sweep file with its rows."""

    spec: TableSpec
    rows: tuple[Row, ...]


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


@dataclass(frozen=True)
class SweepTuning:
    """The best settings that the sweep file asks for; `found` is None where refused."""

    spec: TuningSpec
    found: Tuning | None
    drifts: tuple[Drift, ...]
    carried: Transfer | None
    refused: str


@dataclass(frozen=True)
class SweepIsoFlop:
    """The IsoFLOP profiles that the sweep file asks for; `found` is None where refused."""

    spec: IsoFlopSpec
    found: IsoFlop | None
    refused: str


@dataclass(frozen=True)
class Best:
    """The finished trial that is best by the objective."""

    key: str
    value: float
    group: Group


@dataclass(frozen=True)
class Study:
    """Everything that the report of a sweep says."""

    sweep: Sweep
    finished: int
    omitted: tuple[Omitted, ...]
    best: Best | None
    verdicts: tuple[Verdict, ...]
    tables: tuple[Table, ...]
    contrasts: tuple[Contrast, ...]
    fits: tuple[SweepFit, ...]
    tunings: tuple[SweepTuning, ...] = ()
    isoflops: tuple[SweepIsoFlop, ...] = ()


def study(sweep: Sweep, runs: Runs, *, resamples: int = RESAMPLES) -> Study:
    """What the sweep file asks, answered from its finished trials.

    Raises:
        InputError: the sweep names a law that does not exist.
    """
    fits = tuple(one for spec in sweep.report.fits for one in _fits(sweep, spec, runs, resamples))
    left_out = {one.key for one in runs.omitted}
    unusable = {
        one.key: one
        for fitted in fits
        if fitted.fit is not None
        for one in fitted.fit.omitted
        if one.key not in left_out
    }
    return Study(
        sweep=sweep,
        finished=len(runs),
        omitted=(*runs.omitted, *unusable.values()),
        best=_best(sweep, runs),
        verdicts=tuple(verdict(claim, runs, fits) for claim in sweep.claims),
        tables=tuple(_table(sweep, spec, runs) for spec in sweep.report.tables),
        contrasts=tuple(contrast(sweep, spec, runs) for spec in sweep.report.contrasts),
        fits=fits,
        tunings=tuple(_tuning(spec, runs) for spec in sweep.report.tunings),
        isoflops=tuple(_isoflop(spec, runs) for spec in sweep.report.isoflops),
    )


def axis_fields(sweep: Sweep) -> tuple[str, ...]:
    """Every field that some axis sets, in the order of the file."""
    return tuple(dict.fromkeys(field for axis in sweep.axes for field in axis.may_set()))


def groups(sweep: Sweep, fields: Sequence[str], runs: Runs) -> tuple[Group, ...]:
    """The combinations of some fields that occur, also among omitted trials, in axis order."""
    orders: list[list[Any]] = []
    seen = [*rows_of(runs.table), *(one.fields for one in runs.omitted)]
    for field in fields:
        order: list[Any] = []
        listed = [value for axis in sweep.axes for value in axis.listed(field)]
        for value in [*listed, *(row[field] for row in seen if field in row)]:
            if not any(matches({field: one}, {field: value}) for one in order):
                order.append(value)
        orders.append(order)
    possible = [tuple(zip(fields, values, strict=True)) for values in itertools.product(*orders)]
    return tuple(group for group in possible if any(matches(row, dict(group)) for row in seen))


def _table(sweep: Sweep, spec: TableSpec, runs: Runs) -> Table:
    chosen = runs.matching(spec.where)
    rows = []
    for group in groups(sweep, spec.rows, chosen):
        inner = chosen.matching(dict(group))
        trials = rows_of(inner.table)
        rows.append(
            Row(
                group=group,
                metrics=tuple(_summary(trials, metric) for metric in spec.metrics),
                beside=_summary(trials, spec.beside) if spec.beside else None,
                lists=tuple(_by_most(trials, detail) for detail in spec.lists),
                trials=len(trials),
                omitted=len(inner.omitted),
            )
        )
    return Table(spec, tuple(rows))


def _summary(trials: Sequence[Mapping[str, Any]], metric: str) -> Summary | None:
    values = [trial.get(metric) for trial in trials]
    return summary([float(value) for value in values if is_number(value)])


def _by_most(trials: Sequence[Mapping[str, Any]], detail: str) -> tuple[Any, ...]:
    """The members of a detail that more than half of the trials have, in order."""
    held = [trial[detail] for trial in trials if isinstance(trial.get(detail), list | tuple)]
    members = sorted({member for one in held for member in one}, key=_sorting)
    return tuple(member for member in members if 2 * sum(member in one for one in held) > len(held))


def _sorting(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return (not number, float(value) if number else 0.0, str(value))


def _fits(sweep: Sweep, spec: FitSpec, runs: Runs, resamples: int) -> tuple[SweepFit, ...]:
    chosen = runs.matching(spec.where)
    combinations = groups(sweep, spec.split, chosen) if spec.split else ((),)
    return tuple(
        _fit(sweep, spec, group, chosen.matching(dict(group)), resamples) for group in combinations
    )


def _fit(sweep: Sweep, spec: FitSpec, group: Group, runs: Runs, resamples: int) -> SweepFit:
    law = any_law(spec.law, spec.inputs).held(spec.fix, spec.tie)
    objective = _objective(spec, law)
    columns = [*spec.inputs.values(), spec.metric]
    missing = [name for name in columns if name not in runs.table.columns]
    if missing or not len(runs):
        words = f"no finished trial has {missing[0]}" if missing else "no finished trials"
        return SweepFit(spec.name, spec, group, None, words, (), ())
    free = {spec.inputs[one.name] for one in law.inputs if not one.positive}
    free |= {spec.metric} if objective.residual == "plain" else set()
    runs = runs.without(_unusable(runs, columns, free))
    try:
        fitted = fit(
            law, runs, spec.inputs, spec.metric, objective=objective, pool=spec.pool,
            bootstrap=resamples,
        )  # fmt: skip
    except InputError as error:
        return SweepFit(spec.name, spec, group, None, str(error), (), ())
    tests = backtested(fitted)
    notes = (
        *_mixed(sweep, spec, group, runs),
        *design_checks(sweep, runs, spec.inputs, spec.metric, pool=spec.pool),
    )
    ranking = None
    if spec.rivals:
        laws = [law, *(any_law(text, spec.inputs) for text in spec.rivals)]
        ranking = compare(laws, runs, spec.inputs, spec.metric, objective=objective, pool=spec.pool)
    decisions = with_offer(decide(fitted, wanted_of(spec), reached(tests.largest)), fitted)
    return SweepFit(
        spec.name, spec, group, fitted, "", tests.largest, notes, ranking, decisions, tests.rolling
    )


def _tuning(spec: TuningSpec, runs: Runs) -> SweepTuning:
    try:
        found = tuning(
            runs.matching(spec.where), settings=spec.settings, fields=spec.by, target=spec.metric
        )
        drifts = tuple(drift(found, one, spec.over) for one in spec.settings if spec.over)
        carried = transfer(found, spec.along) if spec.along else None
    except InputError as error:
        return SweepTuning(spec, None, (), None, str(error))
    return SweepTuning(spec, found, drifts, carried, "")


def _isoflop(spec: IsoFlopSpec, runs: Runs) -> SweepIsoFlop:
    try:
        found = isoflop(
            runs.matching(spec.where),
            params=spec.params,
            tokens=spec.tokens,
            target=spec.metric,
            levels=spec.levels or None,
        )
    except InputError as error:
        return SweepIsoFlop(spec, None, str(error))
    return SweepIsoFlop(spec, found, "")


def _objective(spec: FitSpec, law: Law) -> Objective:
    own = law.objective
    return replace(own, kind=spec.objective or own.kind, residual=spec.residual or own.residual)


def _unusable(runs: Runs, columns: Sequence[str], free: set[str]) -> list[Omitted]:
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
            result.append(Omitted(str(key), reason, "finished", row))
    return result


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


def _best(sweep: Sweep, runs: Runs) -> Best | None:
    metric = sweep.objective.metric
    sign = 1.0 if sweep.objective.mode == "min" else -1.0
    scored = [
        (sign * row[metric], str(key), row)
        for key, row in zip(runs.table.index, rows_of(runs.table), strict=True)
        if is_number(row.get(metric))
    ]
    if not scored:
        return None
    _, key, row = min(scored, key=lambda one: one[:2])
    fields = [field for field in (*axis_fields(sweep), "seed") if field in row]
    return Best(key, float(row[metric]), tuple((field, row[field]) for field in fields))


def described(group: Group) -> str:
    """A group in words, `all trials` when nothing is held fixed."""
    return conditions(group) or "all trials"
