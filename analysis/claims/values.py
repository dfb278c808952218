"""The trials of a claim: those that match, what they have of a metric, and whether they suffice."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.runs import is_number
from analysis.summary import number, stated
from sweeps.claim import CountedClaim

Row = Mapping[str, Any]


def value_of(row: Row, metric: str, milestones: frozenset[str]) -> float | None:
    """The metric of a trial; infinite where a milestone was never reached, None where it has none."""
    value = row.get(metric)
    if metric in milestones and value == math.inf:
        return math.inf
    return float(value) if is_number(value) else None


def passed(row: Row, metric: str, claim: CountedClaim, milestones: frozenset[str]) -> bool | None:
    """Whether a trial passed the level of a claim; None where it has no such metric."""
    if claim.is_ is not None:
        value = row.get(metric)
        return None if value is None else str(value) == claim.is_
    measured = value_of(row, metric, milestones)
    if measured is None:
        return None
    if claim.above is not None:
        return measured > claim.above
    return claim.below is not None and measured < claim.below


def level_words(metric: str, claim: CountedClaim) -> str:
    """The level of a claim: `accuracy above 0.43`."""
    if claim.is_ is not None:
        return f"{metric} {claim.is_}"
    if claim.above is not None:
        return f"{metric} above {stated(claim.above)}"
    return f"{metric} below {stated(claim.below or 0.0)}"


def seeds(rows: Sequence[Row]) -> int:
    """How many different seeds some trials have."""
    return len({str(row.get("seed")) for row in rows if row.get("seed") is not None})


def unmet(needs: Mapping[str, float], rows: Sequence[Row]) -> str:
    """Why the trials are too small for the published figure; empty when they are not."""
    return next((words for one in needs.items() if (words := _unmet(*one, rows))), "")


def _unmet(field: str, least: float, rows: Sequence[Row]) -> str:
    """A budget in steps leaves `budget.examples` empty; the metric `examples` then has the count."""
    last = field.rpartition(".")[2]
    values = [row[field] if is_number(row.get(field)) else row.get(last) for row in rows]
    numbers = [float(value) for value in values if is_number(value)]
    if len(numbers) < len(values) or not numbers:
        return f"the published figure needs {field} of at least {stated(least)}; it is not known"
    had = min(numbers)
    if had >= least:
        return ""
    if last in ("examples", "steps", "tokens"):
        return (
            f"the published figure took at least {stated(least)} {last}; "
            f"these trials saw {number(had)}"
        )
    needed = f"the published figure needs {field} of at least {stated(least)}"
    return f"{needed}; here it is {number(had)}"


def quantity(value: float | None) -> str:
    """A number, or that it is beyond every number."""
    return "never" if value == math.inf else number(value)


def span(low: float | None, high: float | None) -> str:
    """An interval in words; empty where there is none."""
    return "" if low is None or high is None else f"{quantity(low)} to {quantity(high)}"


def counted(count: int, noun: str) -> str:
    """`1 trial`, `8 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def left_out(count: int) -> str:
    """How many trials did not finish, as the end of a sentence."""
    return f"; {count} more did not finish" if count else ""
