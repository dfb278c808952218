"""Thresholds: the smallest value of a field at which a metric, pooled over trials, reaches a level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.finding import Finding
from analysis.groups import Group, groups
from analysis.runs import Omitted, Runs, has_value, is_number, matches, rows_of
from analysis.summary import Summary, conditions, number, pooled, stated
from sweeps.plots import ThresholdSpec
from sweeps.spec import Sweep


@dataclass(frozen=True)
class Tried:
    """One value of the field: the metric pooled there, and whether that is enough."""

    value: float
    metric: Summary
    enough: bool


@dataclass(frozen=True)
class ThresholdRow:
    """One group: the smallest value that is enough, None where none of those tried is."""

    group: Group
    smallest: float | None
    tried: tuple[Tried, ...]

    @property
    def below(self) -> float | None:
        """The largest smaller value that was tried: the true threshold lies above it."""
        smaller = [one.value for one in self.tried if self.smallest and one.value < self.smallest]
        return max(smaller, default=None)

    @property
    def lapses(self) -> tuple[float, ...]:
        """Larger values that are not enough, although a smaller one was."""
        if self.smallest is None:
            return ()
        return tuple(
            one.value for one in self.tried if one.value > self.smallest and not one.enough
        )

    @property
    def at(self) -> Summary | None:
        """The metric at the smallest value that is enough."""
        return next((one.metric for one in self.tried if one.value == self.smallest), None)


@dataclass(frozen=True)
class Threshold:
    """A threshold of the sweep file with its rows."""

    spec: ThresholdSpec
    pool: str  # mean or median
    rows: tuple[ThresholdRow, ...]


def threshold(sweep: Sweep, spec: ThresholdSpec, runs: Runs) -> Threshold:
    """Pool the metric at each numeric value of the field, group by group, over everything else.

    Trials without such a number, and values of the field that are none, are left out.
    """
    is_milestone = spec.metric in sweep.report.milestone_names
    pool = spec.pool or ("median" if is_milestone else "mean")
    chosen = runs.matching(spec.where)
    found = [
        _row(spec, pool, group, rows_of(chosen.matching(dict(group)).table))
        for group in (groups(sweep, spec.by, chosen) if spec.by else ((),))
    ]
    return Threshold(spec, pool, tuple(row for row in found if row.tried))


def _row(
    spec: ThresholdSpec, pool: str, group: Group, rows: Sequence[Mapping[str, Any]]
) -> ThresholdRow:
    known = [row for row in rows if is_number(row.get(spec.field)) and has_value(row, spec.metric)]
    tried: list[Tried] = []
    for value in sorted({float(row[spec.field]) for row in known}):
        numbers = [float(row[spec.metric]) for row in known if matches(row, {spec.field: value})]
        middle = pooled(numbers, pool)
        assert middle is not None  # some row has the value
        tried.append(Tried(value, middle, _is_enough(spec, middle.mean)))
    smallest = next((one.value for one in tried if one.enough), None)
    return ThresholdRow(group, smallest, tuple(tried))


def _is_enough(spec: ThresholdSpec, value: float) -> bool:
    if spec.at_least is not None:
        return value >= spec.at_least
    return spec.at_most is not None and value <= spec.at_most


def as_runs(found: Threshold) -> Runs:
    """The rows as runs of a fit, with a column for each field of `by` and one for the threshold.

    Rows where no value was enough are omitted.
    """
    name = found.spec.name
    rows = {f"row {place}": one for place, one in enumerate(found.rows, 1)}
    kept = {key: one for key, one in rows.items() if one.smallest is not None}
    columns = {
        field: pd.Series([dict(one.group)[field] for one in kept.values()], dtype=object)
        for field in found.spec.by
    }
    columns[name] = pd.Series([one.smallest for one in kept.values()], dtype=object)
    table = pd.DataFrame(columns)
    table.index = pd.Index(list(kept), dtype=object)
    omitted = tuple(
        Omitted(
            f"{key} of {name}",
            f"no {found.spec.field} that was tried is enough",
            "never",
            dict(one.group),
        )
        for key, one in rows.items()
        if one.smallest is None
    )
    return Runs(table, omitted)


def cautions(found: Threshold, group: Group = ()) -> tuple[Finding, ...]:
    """What a reader of these rows, or of a fit of those of a group, must know of them."""
    spec, rows = found.spec, [one for one in found.rows if matches(dict(one.group), dict(group))]
    reached = [one for one in rows if one.smallest is not None]
    noted: list[Finding] = []
    never = len(rows) - len(reached)
    if reached and len(reached) < 8:
        noted.append(
            Finding(
                "few_thresholds",
                f"there {'is' if len(reached) == 1 else 'are'} {len(reached)} "
                f"row{'' if len(reached) == 1 else 's'} of {spec.name}, each from many trials: what is "
                "fitted to so few points says little, and its interval knows nothing of the trials",
            )
        )
    if never:
        noted.append(
            Finding(
                "threshold_never_reached",
                f"in {never} of {len(rows)} rows no {spec.field} that was tried was enough; their "
                "thresholds are larger than all that was tried, and no fit knows them",
            )
        )
    at_edge = [one for one in reached if one.below is None]
    if at_edge:
        which = "; ".join(conditions(one.group) or "all trials" for one in at_edge[:4])
        noted.append(
            Finding(
                "threshold_at_the_edge",
                f"in {len(at_edge)} of {len(reached)} rows the smallest {spec.field} that was tried was "
                f"enough already, so the true threshold may be smaller ({which})",
            )
        )
    lapsed = [one for one in reached if one.lapses]
    if lapsed:
        first = lapsed[0]
        noted.append(
            Finding(
                "threshold_not_kept",
                f"in {len(lapsed)} of {len(reached)} rows some larger {spec.field} was not enough "
                f"(such as {number(first.lapses[0])} after {number(first.smallest)})",
            )
        )
    return tuple(noted)


def level_words(at_least: float | None, at_most: float | None) -> str:
    """A level in words: `at least 0.5`. One of the two is given."""
    if at_least is not None:
        return f"at least {stated(at_least)}"
    assert at_most is not None
    return f"at most {stated(at_most)}"
