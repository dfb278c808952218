"""Contrasts: what changes when one field takes another value and everything else is equal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.runs import Runs, is_number, matches, rows_of, same
from analysis.summary import Summary, summary
from sweeps.spec import ContrastSpec, Sweep


@dataclass(frozen=True)
class Difference:
    """The metric at `value` less the metric at the base, over `pairs` pairs of equal trials.

    `unpaired` counts the trials at `value` or at the base that have no partner.
    """

    group: tuple[tuple[str, Any], ...]
    value: Any
    base_mean: float | None
    mean: float | None
    difference: Summary | None
    unpaired: int


@dataclass(frozen=True)
class Contrast:
    """A contrast of the sweep file with its differences."""

    spec: ContrastSpec
    rows: tuple[Difference, ...]


def contrast(sweep: Sweep, spec: ContrastSpec, runs: Runs) -> Contrast:
    """Pair the trials that differ in one field only, replicate by replicate.

    Fields that share an axis with the contrast's field change together with it, so they need not
    be equal.
    """
    axes = sweep.single_axes()
    together = {field for axis in axes if spec.field in axis.may_set() for field in axis.may_set()}
    fields = [field for axis in axes for field in axis.may_set() if field not in together]
    equal = [*fields, "seed"]
    rows = [row for row in rows_of(runs.matching(spec.where).table) if _has(row, spec)]
    order = _distinct(
        [value for axis in sweep.axes for value in axis.listed(spec.field)]
        + [row[spec.field] for row in rows]
    )
    differences = []
    for group in _groups(sweep, spec, rows):
        inner = [row for row in rows if matches(row, dict(group))]
        base = [row for row in inner if same(row[spec.field], spec.base)]
        for value in order:
            other = [row for row in inner if same(row[spec.field], value)]
            if same(value, spec.base) or not other:
                continue
            pairs = [
                (one, partner)
                for one in other
                for partner in base
                if all(same(one.get(field), partner.get(field)) for field in equal)
            ]
            differences.append(
                Difference(
                    group=group,
                    value=value,
                    base_mean=_mean([partner[spec.metric] for _, partner in pairs]),
                    mean=_mean([one[spec.metric] for one, _ in pairs]),
                    difference=summary([one[spec.metric] - two[spec.metric] for one, two in pairs]),
                    unpaired=len(base) + len(other) - 2 * len(pairs),
                )
            )
    return Contrast(spec, tuple(differences))


def _has(row: Mapping[str, Any], spec: ContrastSpec) -> bool:
    return spec.field in row and is_number(row.get(spec.metric))


def _groups(
    sweep: Sweep, spec: ContrastSpec, rows: list[dict[str, Any]]
) -> list[tuple[tuple[str, Any], ...]]:
    """The combinations of the contrast's rows, in axis order."""
    result: list[tuple[tuple[str, Any], ...]] = [()]
    for field in spec.rows:
        values = _distinct(
            [value for axis in sweep.axes for value in axis.listed(field)]
            + [row[field] for row in rows if field in row]
        )
        result = [(*group, (field, value)) for group in result for value in values]
    return [group for group in result if any(matches(row, dict(group)) for row in rows)]


def _distinct(values: list[Any]) -> list[Any]:
    result: list[Any] = []
    for value in values:
        if not any(same(value, one) for one in result):
            result.append(value)
    return result


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
