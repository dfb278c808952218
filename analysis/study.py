"""The study of a sweep: every table, contrast, fit and verdict that its report shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.claims.judge import verdict
from analysis.claims.verdict import Verdict
from analysis.contrast import Contrast, contrast
from analysis.fit import RESAMPLES
from analysis.groups import Group, axis_fields, groups
from analysis.isoflop.profiles import IsoFlop, isoflop
from analysis.milestones import Reached, counted
from analysis.plots import Plot, plot
from analysis.runs import Omitted, Runs, has_value, is_number, rows_of
from analysis.summary import Summary, conditions, pooled
from analysis.sweep_fits import SweepFit, sweep_fits
from analysis.thresholds import Threshold, threshold
from analysis.tuning.drift import Drift, drift
from analysis.tuning.settings import Tuning, tuning
from analysis.tuning.transfer import Transfer, transfer
from sweeps.spec import IsoFlopSpec, Sweep, TableSpec, TuningSpec
from trainers.schema import InputError


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
    plots: tuple[Plot, ...] = ()
    milestones: tuple[Reached, ...] = ()
    thresholds: tuple[Threshold, ...] = ()


def study(sweep: Sweep, runs: Runs, *, resamples: int = RESAMPLES) -> Study:
    """What the sweep file asks, answered from its finished trials.

    Raises:
        InputError: the sweep names a law that does not exist.
    """
    thresholds = tuple(threshold(sweep, spec, runs) for spec in sweep.report.thresholds)
    fits = tuple(
        one
        for spec in sweep.report.fits
        for one in sweep_fits(sweep, spec, runs, thresholds, resamples)
    )
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
        verdicts=tuple(verdict(claim, sweep, runs, fits) for claim in sweep.claims),
        tables=tuple(_table(sweep, spec, runs) for spec in sweep.report.tables),
        contrasts=tuple(contrast(sweep, spec, runs) for spec in sweep.report.contrasts),
        fits=fits,
        tunings=tuple(_tuning(spec, runs) for spec in sweep.report.tunings),
        isoflops=tuple(_isoflop(spec, runs) for spec in sweep.report.isoflops),
        plots=tuple(plot(sweep, spec, runs) for spec in sweep.report.plots),
        milestones=tuple(counted(runs, one) for one in sweep.report.milestones),
        thresholds=thresholds,
    )


def _table(sweep: Sweep, spec: TableSpec, runs: Runs) -> Table:
    chosen = runs.matching(spec.where)
    milestones = sweep.report.milestone_names
    rows = []
    for group in groups(sweep, spec.rows, chosen):
        inner = chosen.matching(dict(group))
        trials = rows_of(inner.table)
        rows.append(
            Row(
                group=group,
                metrics=tuple(_summary(trials, metric, milestones) for metric in spec.metrics),
                beside=_summary(trials, spec.beside, milestones) if spec.beside else None,
                lists=tuple(_by_most(trials, detail) for detail in spec.lists),
                trials=len(trials),
                omitted=len(inner.omitted),
            )
        )
    return Table(spec, tuple(rows))


def _summary(
    trials: Sequence[Mapping[str, Any]], metric: str, milestones: frozenset[str]
) -> Summary | None:
    """The mean, or of a milestone the median, since never has a place in an order but in no sum."""
    if metric in milestones:
        reached = [float(trial[metric]) for trial in trials if has_value(trial, metric)]
        return pooled(reached, "median")
    return pooled([float(t[metric]) for t in trials if is_number(t.get(metric))], "mean")


def _by_most(trials: Sequence[Mapping[str, Any]], detail: str) -> tuple[Any, ...]:
    """The members of a detail that more than half of the trials have, in order."""
    held = [trial[detail] for trial in trials if isinstance(trial.get(detail), list | tuple)]
    members = sorted({member for one in held for member in one}, key=_sorting)
    return tuple(member for member in members if 2 * sum(member in one for one in held) > len(held))


def _sorting(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return (not number, float(value) if number else 0.0, str(value))


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
