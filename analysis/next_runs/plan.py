"""Next runs: which to buy, by how much they narrow the interval of a decision for what they cost."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from analysis.allocation.cost_models import CostModel
from analysis.allocation.ranged import Ranged, brief, document, interval_words, ranged, ranged_log
from analysis.finding import Finding
from analysis.fit import Fit
from analysis.next_runs.candidates import Candidates, grid_of, priced, usual_cost
from analysis.next_runs.changes import spread_of
from analysis.next_runs.decision import Decision, Source, UndecidedError
from analysis.next_runs.purchase import TELLING, Spread, choose
from trainers.schema import InputError

MOST = 8  # runs of one purchase
REPEATS = 3  # runs at one place: a law that misfits there is not found out by more
SHOWN = 10
NAMED = 3
Names = Mapping[str, Mapping[str, str]]
"""What the runs of each fit call the inputs of its law."""

LITTLE = 0.05  # share of the interval: if less can be had, that is said


@dataclass(frozen=True)
class Purchase:
    """`count` runs at one place, each for `cost`.

    `alone` is the share of the interval that one of them would leave, `left` that which all of them
    leave after those before them.
    """

    source: str
    place: tuple[tuple[str, float], ...]
    count: int
    cost: float
    alone: float
    left: float


@dataclass(frozen=True)
class Offer:
    """All candidates of one fit; `alone` is the share of the interval that one run would leave.

    `gain` is how much narrower, in natural-log units, the interval gets for each unit of the cost.
    """

    source: str
    fitted: Fit
    candidates: Candidates
    alone: Float[np.ndarray, " candidate"]
    gain: Float[np.ndarray, " candidate"]


@dataclass(frozen=True)
class NextRuns:
    """The runs to buy for a decision, the most telling first, and what they would leave of its interval.

    `ranked` are single runs by what they tell for their cost. `noise` is the standard deviation that
    was taken for the error of one run, for each fit; `so_far` is what all runs so far cost.
    """

    decision: str
    now: Ranged
    after: Ranged
    left: float
    batch: tuple[Purchase, ...]
    ranked: tuple[Purchase, ...]
    offers: tuple[Offer, ...]
    budget: float
    spent: float
    unit: str
    noise: tuple[float, ...]
    so_far: float
    text: str = ""
    warnings: tuple[Finding, ...] = ()

    @property
    def names(self) -> Names:
        """The columns behind the inputs, fit by fit."""
        return {one.source: dict(one.fitted.inputs) for one in self.offers}


def next_runs(
    decision: Decision,
    *,
    cost: CostModel | None = None,
    budget: float | None = None,
    candidates: Sequence[Candidates] | None = None,
    most: int = MOST,
    repeats: int = REPEATS,
    noise: float | None = None,
) -> NextRuns:
    """Choose at most `most` runs, at most `repeats` at a place, for a budget in the unit of the cost.

    `candidates` are those of each source of the decision, by themselves a grid (`grid_of`). The budget
    is the cost of all runs so far unless given. `noise` is the standard deviation of one run (of
    ln loss where residuals are logarithms), by itself that of the rows.

    Raises:
        InputError: a number is not positive, candidates are missing, or the fit is of shares of counts.
        UndecidedError: the decision does not move with what is fitted, or there are no rows to spare.
    """
    for what, value in (("budget", budget), ("noise", noise), ("most", most), ("repeats", repeats)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"{what}: expected a positive number, got {value}")
    sources = decision.sources
    models = [usual_cost(one.fitted.law) if cost is None else cost for one in sources]
    if len({one.unit for one in models}) > 1:
        raise InputError("cost: expected one unit for the runs of both laws")
    pairs = list(zip(sources, models, strict=True))
    so_far = sum(_so_far(*one) for one in pairs)
    wanted = so_far if budget is None else float(budget)
    if candidates is None:
        candidates = [grid_of(one.fitted, model, most=wanted) for one, model in pairs]
    if len(candidates) != len(sources):
        raise InputError(f"candidates: expected {len(sources)} sets, got {len(candidates)}")
    of, sizes = spread_of(decision, candidates, noise)
    if not of.variance > 0:
        raise UndecidedError(
            f"{decision.words} does not move with the fit: what it depends on is held or on a bound"
        )
    costs = np.concatenate([one.cost for one in candidates])
    offers = _offers(sources, candidates, np.sqrt(of.left() / of.variance), costs)
    batch = _batch(of, offers, choose(of, costs, wanted, most, repeats))
    share = batch[-1].left if batch else 1.0
    now = _now(decision)
    found = NextRuns(
        decision=decision.words,
        now=now,
        after=_narrowed(now, share, log=decision.log),
        left=share,
        batch=batch,
        ranked=_ranked(offers),
        offers=offers,
        budget=wanted,
        spent=sum(one.count * one.cost for one in batch),
        unit=models[0].unit,
        noise=sizes,
        so_far=so_far,
    )
    return replace(found, text=_text(found), warnings=tuple(_warnings(found, decision)))


def as_document(found: NextRuns) -> dict[str, Any]:
    """The runs to buy as plain data for JSON."""
    return {
        "decision": found.decision,
        "now": document(found.now),
        "after": document(found.after),
        "share_left": found.left,
        "batch": [_purchase_document(one) for one in found.batch],
        "ranked": [_purchase_document(one) for one in found.ranked],
        "candidates": sum(len(one.candidates) for one in found.offers),
        "budget": found.budget,
        "cost_so_far": found.so_far,
        "spent": found.spent,
        "unit": found.unit,
        "noise": list(found.noise),
        "text": found.text,
        "warnings": [{"code": one.code, "text": one.text} for one in found.warnings],
    }


def _purchase_document(one: Purchase) -> dict[str, Any]:
    return {
        "fit": one.source,
        "place": dict(one.place),
        "count": one.count,
        "cost": one.cost,
        "share_left_alone": one.alone,
        "share_left": one.left,
    }


def _so_far(source: Source, cost: CostModel) -> float:
    return float(priced(source.fitted, source.fitted.points.values, cost).cost.sum())


def _offers(
    sources: Sequence[Source],
    candidates: Sequence[Candidates],
    alone: Float[np.ndarray, " candidate"],
    costs: Float[np.ndarray, " candidate"],
) -> tuple[Offer, ...]:
    cuts = np.cumsum([len(one) for one in candidates])[:-1]
    parts = np.split(alone, cuts), np.split(-np.log(np.maximum(alone, 1e-9)) / costs, cuts)
    return tuple(
        Offer(one.name, one.fitted, offered, left, gain)
        for one, offered, left, gain in zip(sources, candidates, *parts, strict=True)
    )


def _purchase(offers: Sequence[Offer], at: int, count: int, left: float) -> Purchase:
    """Runs at the candidate of that number, counted through all offers."""
    for one in offers:
        if at < len(one.candidates):
            place = tuple((name, float(each[at])) for name, each in one.candidates.values.items())
            cost = float(one.candidates.cost[at])
            return Purchase(one.source, place, count, cost, float(one.alone[at]), left)
        at -= len(one.candidates)
    raise ValueError("expected a candidate that is offered")


def _batch(of: Spread, offers: Sequence[Offer], chosen: Sequence[int]) -> tuple[Purchase, ...]:
    """Runs at one place are one purchase, which stands where the first of them was bought."""
    whole = of.variance
    result: list[Purchase] = []
    for place, count in Counter(chosen).items():
        for _ in range(count):
            of = of.after(place)
        result.append(_purchase(offers, place, count, math.sqrt(of.variance / whole)))
    return tuple(result)


def _ranked(offers: Sequence[Offer]) -> tuple[Purchase, ...]:
    gain = np.concatenate([one.gain for one in offers])
    alone = np.concatenate([one.alone for one in offers])
    telling = alone <= 1 - TELLING if (alone <= 1 - TELLING).any() else alone <= 1
    order = np.argsort(np.where(telling, -gain, np.inf), kind="stable")
    order = order[: min(SHOWN, int(telling.sum()))]
    return tuple(_purchase(offers, int(one), 1, float(alone[one])) for one in order)


def _now(decision: Decision) -> Ranged:
    by = ranged_log if decision.log else ranged
    return by(decision.sources[0].fitted, decision.value, decision.draws)


def _narrowed(now: Ranged, share: float, *, log: bool) -> Ranged:
    """The interval with its ends moved towards the value."""

    def moved(end: float | None) -> float | None:
        if end is None:
            return None
        if log:
            return now.value * (end / now.value) ** share
        return now.value + share * (end - now.value)

    return Ranged(now.value, moved(now.low), moved(now.high))


def place_words(one: Purchase, names: Names) -> str:
    """Where a run lies, in words."""
    columns = names.get(one.source, {})
    where = ", ".join(f"{columns.get(name, name)} {brief(value, 4)}" for name, value in one.place)
    return f"{where} of {one.source}" if one.source else where


def _text(found: NextRuns) -> str:
    now = f"{found.decision} is {brief(found.now.value)} ({interval_words(found.now)})"
    if not found.batch:
        most = f"{brief(found.budget)} {found.unit}"
        return f"{now}; no run for up to {most} narrows it by {TELLING:.1%} or more"
    named = [f"{one.count} at {place_words(one, found.names)}" for one in found.batch]
    more = sum(one.count for one in found.batch[NAMED:])
    count = sum(one.count for one in found.batch)
    return (
        f"{now}; {count} run{'s' * (count > 1)} for {brief(found.spent)} {found.unit} in all would leave "
        f"{found.left:.0%} of the interval ({interval_words(found.after)}): "
        f"{'; '.join(named[:NAMED])}{f'; {more} more' if more else ''}{_cheapest(found)}"
    )


def _cheapest(found: NextRuns) -> str:
    """The run that tells most for its cost, where the purchase begins with another one."""
    one = found.ranked[0]
    if one.place == found.batch[0].place and one.source == found.batch[0].source:
        return ""
    return (
        f". For its cost a run at {place_words(one, found.names)} tells most: alone it leaves "
        f"{one.alone:.1%} for {brief(one.cost)} {found.unit}"
    )


def _warnings(found: NextRuns, decision: Decision) -> Iterator[Finding]:
    lost = 1 - float(np.isfinite(decision.draws).mean())
    if lost > LITTLE:
        yield Finding(
            "decision_uncertain",
            f"{lost:.0%} of the resamples do not have {found.decision}; they were left out",
        )
    if found.left > 1 - LITTLE:
        yield Finding(
            "little_to_gain",
            f"no purchase of up to {brief(found.budget)} {found.unit} narrows the interval by more "
            f"than {1 - found.left:.1%}",
        )
    for one in decision.sources:
        if one.fitted.status != "converged":
            name = f" of {one.name}" if one.name else ""
            yield Finding(
                "fit_in_doubt",
                f"the fit{name} is {one.fitted.status}, so its draws are a poor guide to what a run "
                "would tell; see its warnings for the runs that would settle it",
            )
