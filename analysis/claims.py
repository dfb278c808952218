"""Claims: what was published, what came out here, and a verdict that never hides a no."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from analysis.fit import Fit
from analysis.runs import Runs, is_number, matches, rows_of
from analysis.summary import INTERVAL, between, conditions, number, stated, summary
from analysis.uncertainty.intervals import named
from sweeps.spec import Claim, CoefficientClaim, MetricClaim

Decision = Literal["reproduced", "not reproduced", "not comparable"]


@runtime_checkable
class Fitted(Protocol):
    """A fit of the sweep file: its name, the fields that were held fixed, and how it went."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def group(self) -> tuple[tuple[str, Any], ...]: ...  # noqa: D102

    @property
    def fit(self) -> Fit | None: ...  # noqa: D102

    @property
    def refused(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Verdict:
    """What became of one claim; `expected` is its bound in words, `basis` names the interval.

    `sure` is false when the interval leaves the verdict open.
    """

    say: str
    verdict: Decision
    reason: str
    expected: str
    published: float | None
    value: float | None
    low: float | None
    high: float | None
    trials: int
    basis: str
    sure: bool
    note: str


def verdict(claim: Claim, runs: Runs, fits: Sequence[Fitted]) -> Verdict:
    """Check one claim of a sweep against its finished trials and its fits."""
    if isinstance(claim, MetricClaim):
        return _metric(claim, runs)
    return _coefficient(claim, fits)


def _metric(claim: MetricClaim, runs: Runs) -> Verdict:
    chosen = runs.matching(claim.where)
    rows = [row for row in rows_of(chosen.table) if is_number(row.get(claim.metric))]
    ours = summary(_numbers([row[claim.metric] for row in rows]))
    which = conditions(list(claim.where.items())) or "this sweep"

    def decided(decision: Decision, reason: str, sure: bool = True) -> Verdict:
        return Verdict(
            say=claim.say,
            verdict=decision,
            reason=reason,
            expected=_range(claim),
            published=claim.published,
            value=ours.mean if ours else None,
            low=ours.low if ours else None,
            high=ours.high if ours else None,
            trials=ours.count if ours else 0,
            basis=INTERVAL,
            sure=sure,
            note=claim.note,
        )

    if ours is None:
        left = len(chosen.omitted)
        also = f"; {left} did not finish" if left else ""
        return decided("not comparable", f"no finished trial of {which} has {claim.metric}{also}")
    for field, least in claim.needs.items():
        unmet = _unmet(field, least, rows)
        if unmet:
            return decided("not comparable", unmet)
    inside = _inside(claim, ours.mean)
    decision: Decision = "reproduced" if inside else "not reproduced"
    said = (
        f"the mean {claim.metric} of {_trials(ours.count)}, {number(ours.mean)}, "
        f"{_stands(claim, inside)} {_range(claim)}"
    )
    left = f"; {len(chosen.omitted)} more did not finish" if chosen.omitted else ""
    if ours.low is None or ours.high is None:
        words = f"{said}; one trial gives no interval, so this is uncertain{left}"
        return decided(decision, words, sure=False)
    spread = f"{number(ours.low)} to {number(ours.high)}"
    if _crosses(claim, inside, ours.low, ours.high):
        words = f"{said}, but its interval ({spread}) crosses the threshold, so this is uncertain"
        return decided(decision, f"{words}{left}", sure=False)
    return decided(decision, f"{said}, and its whole interval ({spread}) agrees{left}")


def _coefficient(claim: CoefficientClaim, fits: Sequence[Fitted]) -> Verdict:
    named = [one for one in fits if one.name == claim.fit]
    found = [one for one in named if matches(dict(one.group), claim.where)]
    fitted = found[0].fit if len(found) == 1 else None
    estimates = {one.name: one for one in fitted.coefficients} if fitted else {}
    estimate = estimates.get(claim.coefficient)
    rival = "" if claim.against is None else f", against {stated(claim.against)}"

    def decided(decision: Decision, reason: str, sure: bool = True) -> Verdict:
        return Verdict(
            say=claim.say,
            verdict=decision,
            reason=reason,
            expected=f"{claim.coefficient} = {stated(claim.published)}{rival}",
            published=claim.published,
            value=estimate.value if estimate else None,
            low=estimate.low if estimate else None,
            high=estimate.high if estimate else None,
            trials=sum(map(len, fitted.points.replicates)) if fitted else 0,
            basis=_basis(fitted),
            sure=sure,
            note=claim.note,
        )

    if len(found) != 1:
        which = conditions(list(claim.where.items())) or "any condition"
        return decided(
            "not comparable",
            f"{len(found)} of the {len(named)} fits {claim.fit} match {which}; the claim needs one",
        )
    if fitted is None:
        return decided("not comparable", f"the fit was refused: {found[0].refused}")
    if estimate is None:
        return decided(
            "not comparable", f"the law {fitted.law.name} has no coefficient {claim.coefficient}"
        )
    if fitted.status in ("not identified", "not converged"):
        words = next(one.text for one in fitted.warnings if one.status == fitted.status)
        return decided("not comparable", f"the fit is {fitted.status}: {words}")
    if estimate.low is None or estimate.high is None:
        return decided("not comparable", "the fit has no interval")
    spread = between(estimate.low, estimate.high)
    fits_badly = any(one.code == "lack_of_fit" for one in fitted.warnings)
    doubt = (
        "; the form of the law does not fit the cells, so this is uncertain" if fits_badly else ""
    )
    if not estimate.low <= claim.published <= estimate.high:
        also = ""
        if claim.against is not None and estimate.low <= claim.against <= estimate.high:
            also = f" and contains the rival {stated(claim.against)}"
        return decided(
            "not reproduced",
            f"the interval of {claim.coefficient}, {spread}, excludes "
            f"{stated(claim.published)}{also}{doubt}",
            sure=not fits_badly,
        )
    if claim.against is not None and estimate.low <= claim.against <= estimate.high:
        return decided(
            "not comparable",
            f"cannot tell apart: the interval of {claim.coefficient}, {spread}, contains both "
            f"{stated(claim.published)} and the rival {stated(claim.against)}",
            sure=False,
        )
    also = f" and excludes the rival {stated(claim.against)}" if claim.against is not None else ""
    return decided(
        "reproduced",
        f"the interval of {claim.coefficient}, {spread}, contains "
        f"{stated(claim.published)}{also}{doubt}",
        sure=not fits_badly,
    )


def _basis(fitted: Fit | None) -> str:
    if fitted is None:
        return "no interval"
    return named(fitted.interval_kind, fitted.level, len(fitted.draws), fitted.drawn)


def _unmet(field: str, least: float, rows: Sequence[dict[str, Any]]) -> str:
    """Why the trials are too small for the published figure; empty when they are not.

    A budget in steps leaves `budget.examples` empty; the metric `examples` then has the count.
    """
    last = field.rpartition(".")[2]
    values = [row[field] if is_number(row.get(field)) else row.get(last) for row in rows]
    numbers = _numbers(values)
    if len(numbers) < len(values):
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


def _inside(claim: MetricClaim, value: float) -> bool:
    above = claim.at_least is None or value >= claim.at_least
    return above and (claim.at_most is None or value <= claim.at_most)


def _crosses(claim: MetricClaim, inside: bool, low: float, high: float) -> bool:
    """Whether an interval holds values on both sides of what the claim allows."""
    if inside:
        return not (_inside(claim, low) and _inside(claim, high))
    bottom = -math.inf if claim.at_least is None else claim.at_least
    top = math.inf if claim.at_most is None else claim.at_most
    return low <= top and high >= bottom


def _range(claim: MetricClaim) -> str:
    if claim.at_least is None:
        return "" if claim.at_most is None else f"at most {stated(claim.at_most)}"
    if claim.at_most is None:
        return f"at least {stated(claim.at_least)}"
    return f"{stated(claim.at_least)} to {stated(claim.at_most)}"


def _stands(claim: MetricClaim, inside: bool) -> str:
    if claim.at_least is None or claim.at_most is None:
        return "is" if inside else "is not"
    return "lies within" if inside else "lies outside"


def _trials(count: int) -> str:
    return f"{count} trial" if count == 1 else f"{count} trials"


def _numbers(values: Sequence[Any]) -> list[float]:
    return [float(value) for value in values if is_number(value)]
