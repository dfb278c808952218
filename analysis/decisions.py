"""Decisions by a fit, as a command or a sweep file asks: best sizes, scales of targets, next runs."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from analysis.allocation.budgets import Allocation, allocation
from analysis.allocation.budgets import as_document as allocation_document
from analysis.allocation.cost_models import SIX_ND, CostModel
from analysis.allocation.cost_text import cost_of
from analysis.allocation.reach import Reach, reach
from analysis.allocation.reach import as_document as reach_document
from analysis.allocation.size_and_data import size_and_data
from analysis.finding import Finding
from analysis.fit import Fit
from analysis.judgement.trust import headlines
from analysis.law import Law
from analysis.next_runs.decision import UndecidedError, coefficient_of
from analysis.next_runs.decision_text import decision_of, written
from analysis.next_runs.plan import NextRuns, next_runs
from analysis.next_runs.plan import as_document as next_runs_document
from sweeps.spec import FitSpec
from trainers.schema import InputError

Asked = TypeVar("Asked")
One = TypeVar("One")

MANY = 20_000  # rows beyond which next runs are only looked for when asked
WEAK = frozenset({"weak", "flat", "wide", "tradeoff", "floor_uncertain", "at_bound", "vanished"})
"""Codes of warnings that say that a coefficient is badly known."""


@dataclass(frozen=True)
class Wanted:
    """What is to be decided.

    `budgets` are in the unit of `cost` (its text; empty is 6 N D), `held` are the law's other inputs
    there; `reach` are targets; `narrow` are decisions as text, whose next runs may cost `spend` in all
    (the cost of all runs so far unless given).
    """

    budgets: tuple[float, ...] = ()
    cost: str = ""
    held: tuple[tuple[str, float], ...] = ()
    reach: tuple[float, ...] = ()
    narrow: tuple[str, ...] = ()
    spend: float | None = None

    @property
    def model(self) -> CostModel | None:
        """The cost that was given.

        Raises:
            InputError: it cannot be read.
        """
        return cost_of(self.cost) if self.cost else None


@dataclass(frozen=True)
class Decisions:
    """What was decided; `refused` says what could not be, and why.

    `mistaken` are those of them that were asked wrongly; `offered` are next runs that nobody asked
    for, where a fit leaves a doubt.
    """

    allocation: Allocation | None = None
    reaches: tuple[Reach, ...] = ()
    next_runs: tuple[NextRuns, ...] = ()
    refused: tuple[str, ...] = ()
    mistaken: tuple[str, ...] = ()
    offered: NextRuns | None = None

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Everything that a reader of what was asked for must know, each once."""
        best = () if self.allocation is None else self.allocation.best
        general = () if self.allocation is None else self.allocation.warnings
        several = (*best, *self.reaches, *self.next_runs)
        return tuple(dict.fromkeys((*general, *(each for one in several for each in one.warnings))))

    def __bool__(self) -> bool:
        return bool(
            self.allocation or self.reaches or self.next_runs or self.refused or self.offered
        )


NOTHING = Decisions()


def wanted_of(spec: FitSpec) -> Wanted:
    """What a sweep file wants decided by one of its fits."""
    return Wanted(
        spec.budgets, spec.cost, tuple(spec.held.items()), spec.reach, spec.narrow, spec.spend
    )


def check(wanted: Wanted, law: Law, target: str = "") -> None:
    """Refuse what this law could not decide, before it is fitted; `target` is what the runs call it.

    Raises:
        InputError: an option cannot be read, or asks for what the law does not have.
    """
    held = dict(wanted.held)
    _ = wanted.model
    for what, numbers in (("budget", wanted.budgets), ("spend", (wanted.spend,))):
        for one in numbers:
            if one is not None and not (math.isfinite(one) and one > 0):
                raise InputError(f"{what}: expected a positive number, got {one:g}")
    if wanted.cost and not (wanted.budgets or wanted.narrow):
        raise InputError("cost: expected a budget or something to narrow beside it")
    if wanted.spend is not None and not wanted.narrow:
        raise InputError("spend: expected something to narrow beside it")
    if wanted.budgets:
        size_and_data(law, held)
    elif wanted.held and not any("best_size" in one for one in wanted.narrow):
        raise InputError("held: expected a budget beside it")
    for one in wanted.reach:
        if not math.isfinite(one):
            raise InputError(f"reach: expected a number, got {one}")
        if len(law.inputs) != 1 or not law.inputs[0].positive:
            names = ", ".join(law.input_names)
            raise InputError(f"reach: expected a law of one positive input, got one of {names}")
    for text in wanted.narrow:
        written(text, law, held, target or law.target)


def decide(fitted: Fit, wanted: Wanted, tested: float | None = None) -> Decisions:
    """Everything that is wanted of a fit; `tested` is how far backtests reached.

    Raises:
        InputError: as in `check`. What the runs do not allow is no error but among `refused`.
    """
    check(wanted, fitted.law, fitted.target)
    cost, held = wanted.model, dict(wanted.held)
    of = SIX_ND if cost is None else cost

    def sizes(budgets: tuple[float, ...]) -> Allocation:
        return allocation(fitted, budgets, cost=of, held=held, tested=tested)

    def scale(target: float) -> Reach:
        return reach(fitted, target, tested=tested)

    def runs(text: str) -> NextRuns:
        return next_runs(decision_of(text, fitted, cost, held), cost=cost, budget=wanted.spend)

    refused: list[InputError] = []
    allocations = _made(sizes, (wanted.budgets,) if wanted.budgets else (), refused)
    return Decisions(
        allocations[0] if allocations else None,
        _made(scale, wanted.reach, refused),
        _made(runs, wanted.narrow, refused),
        tuple(map(str, refused)),
        tuple(str(one) for one in refused if not isinstance(one, UndecidedError)),
    )


def with_offer(found: Decisions, fitted: Fit) -> Decisions:
    """The decisions, with next runs for the least known exponent where nobody asked for any."""
    return found if found.next_runs else replace(found, offered=unasked(fitted))


def unasked(fitted: Fit) -> NextRuns | None:
    """The next runs for the least known of the law's exponents, where the fit leaves a doubt.

    None where the fit leaves none, or next runs cannot be told or would take long.
    """
    doubt = fitted.status != "converged" or any(one.code in WEAK for one in fitted.warnings)
    names = [one.name for one in headlines(fitted)]
    known = [one for one in fitted.coefficients if one.name in names and one.low is not None]
    if not doubt or not known or fitted.rows > MANY:
        return None
    least = max(known, key=lambda one: _width(one.low, one.high) / max(abs(one.value), 1e-300))
    try:
        return next_runs(coefficient_of(fitted, least.name))
    except InputError:
        return None


def as_document(found: Decisions) -> dict[str, Any]:
    """What was decided as plain data for JSON; these names are public."""
    return {
        "allocation": None if found.allocation is None else allocation_document(found.allocation),
        "reach": [reach_document(one) for one in found.reaches],
        "next_runs": [next_runs_document(one) for one in found.next_runs],
        "refused": list(found.refused),
        "offered": None if found.offered is None else next_runs_document(found.offered),
    }


def _made(
    make: Callable[[Asked], One], each: Iterable[Asked], refused: list[InputError]
) -> tuple[One, ...]:
    """What can be made of each; why not is added to `refused`."""
    result: list[One] = []
    for one in each:
        try:
            result.append(make(one))
        except InputError as error:
            refused.append(error)
    return tuple(result)


def _width(low: float | None, high: float | None) -> float:
    return 0.0 if low is None or high is None else high - low
