"""What a plot of the sweep file shows, as numbers: metrics over a field or over training, by group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from analysis.curves import Curve
from analysis.groups import Group, groups
from analysis.runs import Runs, has_value, is_number, matches, rows_of
from analysis.summary import Summary, pooled
from sweeps.plots import PlotSpec
from sweeps.spec import Sweep

Vector = Float[np.ndarray, " point"]
Own = Float[np.ndarray, " _"]
"""At the points of one trial, of which another may have more."""


@dataclass(frozen=True)
class Dot:
    """A metric at one value of the plot's field: pooled, of every trial, and what a theory says."""

    x: Any
    pooled: Summary
    values: tuple[float, ...]
    beside: float | None


@dataclass(frozen=True)
class Training:
    """A metric over training: the middle of all trials, the lowest and the highest at each place."""

    x: Vector
    middle: Vector
    low: Vector
    high: Vector
    each: tuple[tuple[Own, Own], ...]
    beside: Vector | None


@dataclass(frozen=True)
class Line:
    """One metric of one group: dots over a field, or its training, or nothing if no trial has it."""

    metric: str
    group: Group
    dots: tuple[Dot, ...] = ()
    training: Training | None = None

    @property
    def trials(self) -> tuple[int, ...]:
        """How many trials stand behind each of its points."""
        if self.training is not None:
            return (len(self.training.each),)
        return tuple(len(dot.values) for dot in self.dots)


@dataclass(frozen=True)
class Plot:
    """A plot of the sweep file; `missing` says why there is nothing to draw."""

    spec: PlotSpec
    pool: str  # mean, median or each
    lines: tuple[Line, ...]
    seeds: int
    unit: str = ""  # of milestones
    missing: str = ""

    @property
    def cut(self) -> int:
        """How many trials' values cannot be drawn, because the axis is logarithmic."""
        if "y" not in self.spec.log:
            return 0
        dots = [dot for line in self.lines for dot in line.dots]
        return sum(value <= 0 for dot in dots for value in dot.values)


def plot(sweep: Sweep, spec: PlotSpec, runs: Runs) -> Plot:
    """The numbers behind a plot, from finished trials; lines without a value are left out."""
    units = {one.name: one.by for one in sweep.report.milestones if one.name in spec.y}
    pool = spec.pool or ("median" if units else "mean")
    unit = units[spec.y[0]] if len({units.get(name) for name in spec.y}) == 1 and units else ""
    chosen = runs.matching(spec.where)
    make = _over_training if spec.over_training else _over_field
    lines = [
        make(sweep, spec, pool, metric, group, chosen.matching(dict(group)))
        for metric in spec.y
        for group in (groups(sweep, spec.by, chosen) if spec.by else ((),))
    ]
    kept = tuple(line for line in lines if line.trials)
    missing = ""
    if not kept:
        what = f"a curve of {', '.join(spec.y)}" if spec.over_training else ", ".join(spec.y)
        missing = f"no finished trial has {what}"
    seeds = len({row.get("seed") for row in rows_of(chosen.table)})
    return Plot(spec, pool, kept, seeds, unit, missing)


def _over_field(
    sweep: Sweep, spec: PlotSpec, pool: str, metric: str, group: Group, runs: Runs
) -> Line:
    rows = [row for row in rows_of(runs.table) if spec.x in row and has_value(row, metric)]
    dots: list[Dot] = []
    for value in _values(sweep, spec.x, rows):
        here = [row for row in rows if matches(row, {spec.x: value})]
        numbers = [float(row[metric]) for row in here]
        middle = pooled(numbers, pool)
        assert middle is not None  # the value was seen in some row
        theory = [row.get(spec.beside or "") for row in here]
        beside = [float(one) for one in theory if is_number(one)]
        dots.append(
            Dot(value, middle, tuple(numbers), sum(beside) / len(beside) if beside else None)
        )
    return Line(metric, group, tuple(dots))


def _values(sweep: Sweep, field: str, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The values of a field that occur: numbers by size, then others in axis order, none at the end."""
    order: list[Any] = []
    listed = [value for axis in sweep.axes for value in axis.listed(field)]
    for value in [*listed, *(row[field] for row in rows)]:
        known = any(matches({field: one}, {field: value}) for one in order)
        if not known and any(matches(row, {field: value}) for row in rows):
            order.append(value)
    numbers = sorted(value for value in order if is_number(value))
    others = [value for value in order if not is_number(value) and value is not None]
    return [*numbers, *others, *([None] if None in order else [])]


def _over_training(
    sweep: Sweep, spec: PlotSpec, pool: str, metric: str, group: Group, runs: Runs
) -> Line:
    curves = _curves(runs, metric)
    if not curves:
        return Line(metric, group)
    unit = "steps" if spec.x == "steps" else "examples"
    each = tuple((one.over(unit), one.values) for one in curves)
    x = np.unique(np.concatenate([places for places, _ in each]))
    stacked = _stacked(each, x)
    middle = _middle(stacked, pool)
    theory = [(one.over(unit), one.values) for one in _curves(runs, spec.beside)]
    return Line(
        metric,
        group,
        training=Training(
            x,
            middle,
            np.nanmin(stacked, axis=0),
            np.nanmax(stacked, axis=0),
            each,
            _middle(_stacked(theory, x), pool) if theory else None,
        ),
    )


def _curves(runs: Runs, metric: str | None) -> list[Curve]:
    """The curves of a metric, without points that are no numbers."""
    found = [runs.curves.get(str(key), {}).get(metric or "") for key in runs.table.index]
    result: list[Curve] = []
    for one in found:
        if one is not None and np.isfinite(one.values).any():
            fine = np.isfinite(one.values)
            result.append(Curve(one.steps[fine], one.values[fine], one.batch_size))
    return result


def _stacked(each: Sequence[tuple[Own, Own]], x: Vector) -> Float[np.ndarray, "trial point"]:
    """Curves at common places, linear between their own points; NaN beyond a curve's ends."""
    return np.stack([np.interp(x, own, values, left=np.nan, right=np.nan) for own, values in each])


def _middle(stacked: Float[np.ndarray, "trial point"], pool: str) -> Vector:
    """The mean or the median over the trials that there are at each place; NaN where there is none."""
    known = np.isfinite(stacked).any(axis=0)
    result = np.full(stacked.shape[1], np.nan)
    pooled = np.nanmean if pool == "mean" else np.nanmedian
    result[known] = pooled(stacked[:, known], axis=0)
    return result
