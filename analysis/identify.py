"""What the data of a fit cannot tell: bounds, levels, ranges and coefficients that trade off."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from analysis.law import Law
from analysis.points import Points, Pool

COLLINEAR, NEARLY_COLLINEAR = 0.9999, 0.98  # correlation of two log inputs
FLAT = 1e-10  # least eigenvalue of the scaled curvature, below which a direction is not determined
BY_CHANCE = 1e-3  # probability below which a misfit is not put down to replicates
WIDE = 0.5  # share of an exponent's permitted range that its interval may cover


@dataclass(frozen=True)
class Finding:
    """A warning: a code that stays, words for people, and the status that it forces, if any."""

    code: str
    text: str
    status: Literal["", "at a bound", "not identified", "not converged"] = ""


def findings(
    *,
    law: Law,
    on: Points,
    constants: tuple[str, ...],
    best: Float[np.ndarray, "1 coefficient"],
    majorant: Float[np.ndarray, "coefficient coefficient"],
    at_bound: Bool[np.ndarray, " coefficient"],
    converged: bool,
    agreed: bool,
    refitted: float,
    draws: Float[np.ndarray, "draw coefficient"],
    drawn: str,
    asked: int,
    pool: Pool,
    misfit: Float[np.ndarray, " run"],
    scatter: Float[np.ndarray, " run"] | None,
) -> tuple[Finding, ...]:
    """Everything that a reader of the fit must know, the gravest first.

    `constants` names the coefficients that stand alone, such as a floor; `refitted` is the share
    of resamples that converged;
    `misfit` is each point's residual and `scatter` its standard error from its replicates.
    """
    found = [
        *_solver(converged, agreed, refitted),
        *_design(law, on),
        *_bounds(law, best, at_bound),
        *_flatness(law, majorant, at_bound),
        *_spread(law, constants, draws),
        *_form(law, misfit, scatter),
        *_resampling(on, pool, asked, len(draws), drawn),
    ]
    return tuple(sorted(found, key=lambda one: not one.status))


def _solver(converged: bool, agreed: bool, refitted: float) -> Iterator[Finding]:
    if not converged:
        yield Finding(
            "not_converged",
            "the solver stopped before the optimum; the coefficients are not to be used",
            "not converged",
        )
    if not agreed:
        yield Finding(
            "searches_disagree",
            "two independent searches ended in different optima; the better one is shown, and a "
            "still better one may exist",
        )
    if refitted < 0.99:
        yield Finding(
            "resamples_not_converged",
            f"only {refitted:.0%} of the resamples converged; the intervals are not to be trusted",
        )


def _design(law: Law, on: Points) -> Iterator[Finding]:
    size = len(law.coefficients)
    if len(on) == size:
        yield Finding(
            "no_spare_rows",
            f"{size} rows for {size} coefficients: the law passes through every point, "
            "so nothing tests it",
        )
    for one in law.inputs:
        values = on.values[one.name]
        levels = int(on.levels(one.name).max()) + 1
        if levels < one.levels + 2:
            yield Finding(
                "few_levels",
                f"{one.name} has {levels} levels; {one.levels} are the least that determine the "
                f"law, and at least {one.levels + 2} are needed to test it",
            )
        if values.max() < 10 * values.min():
            ratio = values.max() / values.min()
            yield Finding(
                "short_range",
                f"{one.name} spans a factor of {ratio:.3g}; an exponent is weakly determined "
                "within a factor of 10",
            )
    names = law.input_names
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            both = np.log([on.values[first], on.values[second]])
            together = abs(float(np.corrcoef(both)[0, 1]))
            if together > NEARLY_COLLINEAR:
                yield Finding(
                    "collinear",
                    f"{first} and {second} rise together (correlation of their logs "
                    f"{together:.5f}), so their effects cannot be told apart",
                    "not identified" if together > COLLINEAR else "",
                )


def _bounds(
    law: Law,
    best: Float[np.ndarray, "1 coefficient"],
    at_bound: Bool[np.ndarray, " coefficient"],
) -> Iterator[Finding]:
    for place in np.flatnonzero(at_bound):
        one = law.coefficients[place]
        bound = one.low if _below(one.low, one.high, best[0, place]) else one.high
        yield Finding(
            "at_bound",
            f"{one.name} ({one.meaning}) sits on its bound {bound:g}: the data ask for more than "
            "the law permits, or do not determine it",
            "at a bound",
        )


def _below(low: float, high: float, value: float) -> bool:
    """Whether a value that stands on one of its bounds stands on the lower one."""
    return not np.isfinite(high) or abs(value - low) <= abs(high - value)


def _flatness(
    law: Law,
    majorant: Float[np.ndarray, "coefficient coefficient"],
    at_bound: Bool[np.ndarray, " coefficient"],
) -> Iterator[Finding]:
    free = np.flatnonzero(~at_bound)
    inner = majorant[np.ix_(free, free)]
    scale = np.sqrt(np.diag(inner))
    dead = [law.coefficients[free[place]].name for place in np.flatnonzero(scale == 0)]
    if dead:
        yield Finding(
            "no_influence",
            f"{', '.join(dead)} changes no prediction, because its term has vanished",
            "not identified",
        )
        return
    values, directions = np.linalg.eigh(inner / np.outer(scale, scale))
    if len(values) and values[0] < FLAT:
        heavy = np.flatnonzero(np.abs(directions[:, 0]) > 0.3)
        names = ", ".join(law.coefficients[free[place]].name for place in heavy)
        yield Finding(
            "flat",
            f"{names} can change together without changing the fit; only a combination of them "
            "is determined",
            "not identified",
        )


def _spread(
    law: Law, constants: tuple[str, ...], draws: Float[np.ndarray, "draw coefficient"]
) -> Iterator[Finding]:
    """What the resamples say about exponents and floors."""
    if len(draws) < 20:
        return
    floors = [name for name in constants if law.coefficient(name).low == 0]
    for one in law.nonlinear:
        column = draws[:, law.place[one.name]]
        low, high = np.percentile(column, [2.5, 97.5])
        if high - low > WIDE * (one.high - one.low):
            yield Finding(
                "wide",
                f"{one.name} may be anything from {low:.3g} to {high:.3g}, more than half of what "
                "the law permits",
                "not identified",
            )
        stuck = float(((column <= one.low) | (column >= one.high)).mean())
        if stuck > 0.1:
            yield Finding(
                "resamples_at_bound",
                f"{one.name} ends on a bound in {stuck:.0%} of the resamples",
                "not identified",
            )
        for floor in floors:
            level = draws[:, law.place[floor]]
            if level.std() == 0 or column.std() == 0:
                continue
            together = float(np.corrcoef(level, column)[0, 1])
            if abs(together) > 0.9 and column.std() > 0.1 * abs(float(np.median(column))):
                yield Finding(
                    "tradeoff",
                    f"{floor} and {one.name} trade off (correlation {together:.2f} over the "
                    "resamples): another irreducible loss would give another exponent; larger "
                    "scales would separate them",
                )
    for floor in floors:
        share = float((draws[:, law.place[floor]] <= 0).mean())
        if share > 0.1:
            yield Finding(
                "floor_uncertain",
                f"{floor} is at its lower bound in {share:.0%} of the resamples: the data do not "
                "show an irreducible loss",
            )


def _form(
    law: Law, misfit: Float[np.ndarray, " run"], scatter: Float[np.ndarray, " run"] | None
) -> Iterator[Finding]:
    """A chi-square test of lack of fit against pure error: Draper and Smith 1998, section 2.1."""
    spare = len(misfit) - len(law.coefficients)
    if scatter is None or spare < 1 or (scatter == 0).any():
        return
    excess = float(((misfit / scatter) ** 2).sum())
    chance = float(special.chdtrc(spare, excess))
    if chance < BY_CHANCE:
        yield Finding(
            "lack_of_fit",
            f"the cells lie {np.sqrt(excess / spare):.1f} times further from the law than their "
            "replicates explain: another form may be right, and the interval does not cover that",
        )


def _resampling(on: Points, pool: Pool, asked: int, kept: int, drawn: str) -> Iterator[Finding]:
    if asked == 0:
        return
    if kept == 0:
        yield Finding(
            "no_interval",
            f"too few different {drawn} to resample: most resamples cannot determine the law, so "
            "there are no intervals",
        )
    elif kept < 0.95 * asked:
        yield Finding(
            "weak_resamples",
            f"{asked - kept} of {asked} resamples could not determine the law and were left out",
        )
    fewest = min(map(len, on.replicates))
    if pool == "none":
        return
    if fewest == 1:
        yield Finding(
            "few_replicates",
            "some cells have one replicate only, so cells were resampled instead of replicates",
        )
    elif fewest < 5:
        yield Finding(
            "few_replicates",
            f"the smallest cell has {fewest} replicates; intervals from fewer than 5 are narrow",
        )
