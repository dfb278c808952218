"""Milestones and thresholds of a sweep file as sections of its report, and as data."""

import math
from collections.abc import Iterator
from typing import Any

from analysis.reporting.sections import Grid, Section
from analysis.study import Study
from analysis.summary import between, conditions, number, when, written
from analysis.thresholds import Threshold, ThresholdRow, cautions, level_words


def milestone_sections(study: Study) -> Iterator[Section]:
    """Every milestone: what it is, and how many trials reached it."""
    if not study.milestones:
        return
    yield Section(
        "Milestones",
        "Where the curve of a trial first reached a level. A trial that never did counts as larger "
        "than every number.",
        table=Grid(
            ("milestone", "where", "reached", "median of all"),
            tuple(
                (
                    one.spec.name,
                    f"{one.spec.metric} {level_words(one.spec.at_least, one.spec.at_most)}",
                    f"{one.reached} of {one.trials}",
                    "no value"
                    if one.median is None
                    else f"{when(one.median)} {one.spec.by if math.isfinite(one.median) else ''}",
                )
                for one in study.milestones
            ),
        ),
        note="A milestone lies at one of the points at which a trial was tested; nothing is "
        "interpolated between them.",
    )


def threshold_sections(study: Study) -> Iterator[Section]:
    """Every threshold with a row for each group."""
    for one in study.thresholds:
        spec = one.spec
        pool = one.pool
        level = level_words(spec.at_least, spec.at_most)
        only = f" Only trials with {conditions(list(spec.where.items()))}." if spec.where else ""
        yield Section(
            spec.title or f"Smallest {spec.field}: {spec.name}",
            f"The smallest {spec.field} at which the {pool} {spec.metric} is {level}.{only}",
            table=Grid(
                (*spec.by, spec.name, "the next smaller", f"{spec.metric} there", "tried"),
                tuple(_row(row) for row in one.rows),
            ),
            findings=cautions(one),
            note=spec.note,
        )


def _row(row: ThresholdRow) -> tuple[str, ...]:
    at = row.at
    metric = "no value"
    if at is not None:
        interval = f"\n{between(at.low, at.high)}" if at.low is not None else ""
        metric = f"{when(at.mean)}{interval}"
    tried = ", ".join(number(one.value) for one in row.tried)
    return (
        *(written(value) for _, value in row.group),
        "never" if row.smallest is None else number(row.smallest),
        "none was tried" if row.smallest is not None and row.below is None else number(row.below),
        metric,
        f"{len(row.tried)}\n{tried}",
    )


def threshold_data(one: Threshold) -> dict[str, Any]:
    """A threshold as plain data for JSON; these names are public."""
    return {
        "name": one.spec.name,
        "field": one.spec.field,
        "metric": one.spec.metric,
        "pool": one.pool,
        "rows": [
            {
                "fields": dict(row.group),
                "smallest": row.smallest,
                "below": row.below,
                "tried": [
                    {
                        "value": each.value,
                        "metric": each.metric.mean,
                        "trials": each.metric.count,
                        "enough": each.enough,
                    }
                    for each in row.tried
                ],
            }
            for row in one.rows
        ],
        "warnings": [{"code": each.code, "text": each.text} for each in cautions(one)],
    }


def milestone_data(study: Study) -> list[dict[str, Any]]:
    """The milestones as plain data for JSON; a median of never is null."""
    return [
        {
            "name": one.spec.name,
            "metric": one.spec.metric,
            "by": one.spec.by,
            "reached": one.reached,
            "trials": one.trials,
            "median": one.median,
        }
        for one in study.milestones
    ]
