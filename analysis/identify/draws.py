"""What the resamples of a fit tell: wide exponents, coefficients that move together, lack of fit."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from scipy import special

from analysis.engine.refit import misfit
from analysis.finding import Finding
from analysis.identify.evidence import Evidence, limits
from analysis.identify.settling import settle
from analysis.uncertainty.known_noise import chi_square

FEWEST = 20  # resamples from which a share or a correlation means something
BY_CHANCE = 1e-3  # probability below which a misfit is not put down to replicates
WIDE = 0.5  # share of what is searched for an exponent that its interval may cover
OFTEN = 0.1  # share of resamples on a bound: more than the tails of a 95 % interval explain
EXCESS = 1.5  # chi-square per degree of freedom from which a reader is told, also of many rows
LINKED = 0.99  # correlation at which one number of a pair says nothing without the other


def resampled(on: Evidence, known: frozenset[str]) -> Iterator[Finding]:
    """The findings from resamples; coefficients in `known` have been spoken of already."""
    if on.refitted < 0.99:
        yield Finding(
            "resamples_not_converged",
            f"only {on.refitted:.0%} of the resamples converged; the intervals are not to be "
            "trusted",
        )
    if len(on.draws) >= FEWEST:
        yield from _exponents(on, known)
        yield from _floors(on, known)
        yield from _linked(on)
    yield from _form(on)
    yield from _noise(on)
    yield from _resampling(on)


def _exponents(on: Evidence, known: frozenset[str]) -> Iterator[Finding]:
    low, high = limits(on.of)
    for place, one in enumerate(on.of.law.coefficients):
        if one.starts is None or one.name in known:
            continue
        column, ends = on.draws[:, place], np.array([low[place], high[place]])
        least, most = np.percentile(column, [2.5, 97.5])
        stuck = float(((column <= ends[0]) | (column >= ends[1])).mean())
        width, whole = most - least, ends[1] - ends[0]
        if one.log:
            width, whole = np.log(most / least), np.log(ends[1] / ends[0])
        if width > WIDE * whole:
            yield Finding(
                "wide",
                f"{one.name} may be anything from {least:.3g} to {most:.3g}, more than half of "
                f"what the law permits; {settle(on, place)}",
                "not identified",
            )
        elif stuck > OFTEN:
            yield Finding(
                "resamples_at_bound",
                f"{one.name} ends on a bound in {stuck:.0%} of the resamples; {settle(on, place)}",
                "not identified",
            )


def _floors(on: Evidence, known: frozenset[str]) -> Iterator[Finding]:
    for floor in on.floors:
        level, name = on.draws[:, floor], on.names[floor]
        share = float((level <= 0).mean())
        if share > OFTEN and name not in known:
            yield Finding(
                "floor_uncertain",
                f"{name} is at its lower bound in {share:.0%} of the resamples: the data do not "
                f"show an irreducible loss; {settle(on, floor)}",
            )
        for place, one in enumerate(on.of.law.coefficients):
            column = on.draws[:, place]
            if (
                {name, one.name} & known
                or one.starts is None
                or level.std() == 0
                or column.std() == 0
            ):
                continue
            together = float(np.corrcoef(level, column)[0, 1])
            if abs(together) > 0.9 and column.std() > 0.1 * abs(float(np.median(column))):
                yield Finding(
                    "tradeoff",
                    f"{name} and {one.name} trade off (correlation {together:.2f} over the "
                    "resamples): another irreducible loss would give another exponent; "
                    f"{settle(on, floor)}",
                )


def _linked(on: Evidence) -> Iterator[Finding]:
    """Pairs of coefficients of which one says nothing without the other, in one sentence."""
    columns = np.stack([_straight(on, place) for place in range(len(on.names))])
    moving = np.flatnonzero(columns.std(axis=1) > 0)
    together = np.corrcoef(columns[moving]) if len(moving) > 1 else np.eye(1)
    pairs = [
        f"{on.names[moving[row]]} and {on.names[moving[column]]} ({together[row, column]:.4f})"
        for row in range(len(moving))
        for column in range(row + 1, len(moving))
        if abs(together[row, column]) > LINKED
    ]
    if pairs:
        yield Finding(
            "correlated",
            f"{', '.join(pairs)} move together over the resamples: the interval of one alone says "
            "little; quote predictions, and the combinations of this fit",
        )


def _straight(on: Evidence, place: int) -> Float[np.ndarray, " draw"]:
    """The draws of a coefficient, as logarithms where all are positive."""
    column = on.draws[:, place]
    return np.log(column) if (column > 0).all() else column


def _form(on: Evidence) -> Iterator[Finding]:
    """A chi-square test of lack of fit against pure error: Draper and Smith 1998, section 2.1."""
    residual, scatter = misfit(on.of, on.best)[0], on.scatter
    spare = len(residual) - len(on.names)
    if scatter is None or spare < 1 or (scatter == 0).any():
        return
    excess = float(((residual / scatter) ** 2).sum())
    chance = float(special.chdtrc(spare, excess))
    if chance < BY_CHANCE:
        yield Finding(
            "lack_of_fit",
            f"the cells lie {np.sqrt(excess / spare):.1f} times further from the law than their "
            "replicates explain: another form may be right, and the interval does not cover that",
        )


def _noise(on: Evidence) -> Iterator[Finding]:
    """Residuals much larger or smaller than the noise that is known of the rows."""
    found = chi_square(on.of, on.best)
    if found is None:
        return
    sigmas = float(np.sqrt(found.per_degree))
    words = (
        f"the residuals are {sigmas:.2g} times the noise that the rows state (chi-square "
        f"{found.value:.4g} for {found.degrees} degrees of freedom)"
    )
    if found.chance < BY_CHANCE and found.per_degree > EXCESS:
        yield Finding(
            "noise_exceeded",
            f"{words}; the form is wrong, or that noise leaves something out, such as the seed; "
            "three or more seeds at a few settings would tell which: the law is wrong if they "
            "scatter by no more than their stated noise",
        )
    elif found.chance > 1 - BY_CHANCE and found.per_degree < 1 / EXCESS:
        yield Finding(
            "noise_overstated",
            f"{words}; the noise is stated too large, or the law has been fitted to it; three or "
            "more seeds at one setting would tell",
        )


def _resampling(on: Evidence) -> Iterator[Finding]:
    asked, kept = on.asked, len(on.draws)
    if asked == 0:
        return
    if kept == 0:
        yield Finding(
            "no_interval",
            f"too few different {on.drawn} to resample: most resamples cannot determine the law, "
            "so there are no intervals",
        )
    elif kept < 0.95 * asked:
        yield Finding(
            "weak_resamples",
            f"{asked - kept} of {asked} resamples could not determine the law and were left out",
        )
    fewest = min(map(len, on.on.replicates))
    if on.pool == "none":
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
