"""The fit that a claim is about: the one of its name that its conditions leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from analysis.claims.values import seeds, unmet
from analysis.fit import Fit
from analysis.judgement.compare import Comparison
from analysis.runs import Runs, matches, rows_of
from analysis.summary import conditions
from sweeps.claim import CoefficientClaim, LawClaim
from sweeps.spec import FitSpec


@runtime_checkable
class Fitted(Protocol):
    """A fit of the sweep file: its name, the fields that were held fixed, and how it went."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def spec(self) -> FitSpec: ...  # noqa: D102

    @property
    def group(self) -> tuple[tuple[str, Any], ...]: ...  # noqa: D102

    @property
    def fit(self) -> Fit | None: ...  # noqa: D102

    @property
    def refused(self) -> str: ...  # noqa: D102

    @property
    def ranking(self) -> Comparison | None: ...  # noqa: D102


@dataclass(frozen=True)
class Meant:
    """The fit of a claim with how many trials and seeds it rests on, or why there is none."""

    one: Fitted | None
    fit: Fit | None
    trials: int
    seeds: int
    lacks: str = ""


def meant(claim: CoefficientClaim | LawClaim, runs: Runs, fits: Sequence[Fitted]) -> Meant:
    """The fit that a claim is about; `lacks` says what makes it incomparable."""
    named = [one for one in fits if one.name == claim.fit]
    found = [one for one in named if matches(dict(one.group), claim.where)]
    if len(found) != 1:
        which = conditions(list(claim.where.items())) or "any condition"
        words = (
            f"{len(found)} of the {len(named)} fits {claim.fit} match {which}; the claim needs one"
        )
        return Meant(None, None, 0, 0, words)
    one = found[0]
    if one.fit is None:
        return Meant(one, None, 0, 0, f"the fit was refused: {one.refused}")
    rows = rows_of(runs.matching({**one.spec.where, **dict(one.group)}).table)
    count = sum(map(len, one.fit.points.replicates))
    return Meant(one, one.fit, count, seeds(rows), unmet(claim.needs, rows))
