"""Milestones: after how many examples or steps the curve of a trial first reached a level."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.curves import Curve
from analysis.runs import Runs
from analysis.summary import median_summary
from sweeps.plots import Milestone
from sweeps.spec import ReportSpec

NEVER = math.inf
"""The milestone of a trial whose curve ends without having reached it: larger than every number."""


def asked_curves(report: ReportSpec) -> tuple[str, ...]:
    """The metrics whose curves the report needs; none for most reports."""
    names = [one.metric for one in report.milestones]
    for plot in report.plots:
        if plot.over_training:
            names += [*plot.y, *([plot.beside] if plot.beside else [])]
    return tuple(dict.fromkeys(names))


def reached(curve: Curve, milestone: Milestone) -> float:
    """Where the curve first stands at the level or beyond; `NEVER` where it does not.

    That is a point at which the trial was tested, so at most one such interval too late; nothing is
    interpolated.
    """
    if milestone.at_least is not None:
        there = curve.values >= milestone.at_least
    else:
        assert milestone.at_most is not None  # a milestone has exactly one level
        there = curve.values <= milestone.at_most
    places = np.flatnonzero(there)
    return float(curve.over(milestone.by)[places[0]]) if len(places) else NEVER


@dataclass(frozen=True)
class Reached:
    """How many of the trials that have a curve reached a milestone, and the median of all."""

    spec: Milestone
    reached: int
    trials: int
    median: float | None


def counted(runs: Runs, milestone: Milestone) -> Reached:
    """What became of a milestone; its column is that of `with_milestones`."""
    column = runs.table[milestone.name] if milestone.name in runs.table.columns else []
    values = [float(value) for value in column if value is not None]
    pooled = median_summary(values)
    return Reached(
        milestone,
        sum(math.isfinite(value) for value in values),
        len(values),
        None if pooled is None else pooled.mean,
    )


def with_milestones(runs: Runs, milestones: Sequence[Milestone]) -> Runs:
    """The runs with a column for each milestone; None where a run has no curve of its metric."""
    if not milestones:
        return runs
    columns = {
        one.name: pd.Series(
            [_of_run(runs, str(key), one) for key in runs.table.index],
            index=runs.table.index,
            dtype=object,
        )
        for one in milestones
    }
    return Runs(runs.table.assign(**columns), runs.omitted, runs.curves)


def _of_run(runs: Runs, key: str, milestone: Milestone) -> float | None:
    curve = runs.curves.get(key, {}).get(milestone.metric)
    return None if curve is None else reached(curve, milestone)
