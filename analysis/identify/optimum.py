"""What the optimum of a fit tells: the search, bounds, exponents, terms that vanish, other optima."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analysis.engine.refit import curvature_at
from analysis.engine.surface import natural
from analysis.finding import Finding
from analysis.identify.evidence import Evidence, allowance, is_perfect, limits
from analysis.identify.flatness import Flat
from analysis.identify.settling import settle

FLAT = 1e-10  # least eigenvalue of the scaled curvature, below which a direction is not determined
WEAK = 2.0  # an interval whose ends differ by this factor: the number is known to an order only
UNKNOWN = 10.0  # and by this one: not even that
LOWER = 1e-6  # relative fall of the objective that is no rounding
OTHER = 0.25  # relative difference of an exponent in two optima that a reader would call two


@dataclass(frozen=True)
class Weak:
    """Findings about weak coefficients, and the names of these coefficients."""

    findings: tuple[Finding, ...]
    named: frozenset[str]


def search(on: Evidence, flats: tuple[Flat, ...]) -> Iterator[Finding]:
    """Whether the optimum was found."""
    if not on.found.converged:
        yield Finding(
            "not_converged",
            "the solver stopped before the optimum; the coefficients are not to be used",
            "not converged",
        )
    if not on.found.agreed:
        yield Finding(
            "searches_disagree",
            "two independent searches ended in different optima; the better one is shown, and a "
            "still better one may exist",
        )
    better = max((flat.better for flat in flats), default=0.0)
    if on.found.agreed and better > LOWER * abs(on.found.value):
        yield Finding(
            "better_optimum",
            f"with a coefficient held elsewhere the objective falls by {better:.2g} (from "
            f"{on.found.value:.6g}): both searches missed a better optimum",
        )
    if is_perfect(on):
        yield Finding(
            "perfect",
            "the law passes through every row up to rounding: these numbers were computed by it, "
            "or there are too few of them; no interval means anything",
        )


def bounds(on: Evidence, known: frozenset[str]) -> Iterator[Finding]:
    """Coefficients on a bound that the data push against; of those in `known` more is said."""
    low, high = limits(on.of)
    surface = on.of.surface
    for place in np.flatnonzero(on.at_bound):
        one = on.of.law.coefficients[place]
        below = on.inside[place] <= surface.low[place]
        why = f"the data ask for more than the law permits; {settle(on, int(place))}"
        yield Finding(
            "at_bound",
            f"{one.name} ({one.meaning}) sits on its {'lower' if below else 'upper'} bound "
            f"{(low if below else high)[place]:g}: "
            f"{'the data do not determine it' if one.name in known else why}",
            "at a bound",
        )


def curvature(on: Evidence, known: frozenset[str]) -> Iterator[Finding]:
    """Directions of the coefficients in which the objective does not change at all."""
    size = len(on.names)
    bends = curvature_at(on.of, on.best, on.found.scale).majorant[0, :size, :size]
    free = np.flatnonzero(~on.at_bound)
    inner = bends[np.ix_(free, free)]
    scale = np.sqrt(np.diag(inner))
    dead = [on.names[free[place]] for place in np.flatnonzero(scale == 0)]
    if dead and not known.issuperset(dead):
        yield Finding(
            "no_influence",
            f"{', '.join(dead)} changes no prediction, because its term has vanished; runs in "
            "which that term is larger would determine it",
            "not identified",
        )
    if dead:
        return
    values, directions = np.linalg.eigh(inner / np.outer(scale, scale))
    if len(values) and values[0] < FLAT:
        heavy = np.flatnonzero(np.abs(directions[:, 0]) > 0.3)
        names = ", ".join(on.names[free[place]] for place in heavy)
        yield Finding(
            "flat",
            f"{names} can change together without changing the fit; only a combination of them "
            f"is determined; {settle(on, int(free[heavy[0]]))}",
            "not identified",
        )


def weak(on: Evidence, flats: tuple[Flat, ...]) -> Weak:
    """Coefficients that can change by a factor without a worse fit than noise explains."""
    if not flats:
        return Weak((), frozenset())
    found: list[Finding] = []
    known: set[int] = set()
    rise = _rise(on)
    for flat in flats:
        if not flat.open_low:
            continue
        if flat.place in on.floors:
            known.add(flat.place)
            found.append(
                Finding(
                    "floor_uncertain",
                    f"{on.names[flat.place]} may be anything from 0 to {flat.high:.3g} ({rise}): the "
                    f"data do not show an irreducible loss; {settle(on, flat.place)}",
                )
            )
        elif flat.place in _amplitudes(on):
            others = _shapes(on, flat.place)
            known |= {flat.place, *others}
            names = "".join(f", nor its {on.names[place]}" for place in others)
            found.append(
                Finding(
                    "vanished",
                    f"the data do not show the term of {on.names[flat.place]}{names}: without it "
                    f"the fit is as good ({rise}); {settle(on, flat.place)}",
                    "not identified",
                )
            )
    for flat in flats:
        if flat.place not in known and flat.factor >= WEAK and _counts(on, flat.place):
            known.add(flat.place)
            found.append(_weak(on, flat, rise))
    return Weak(tuple(found), frozenset(on.names[place] for place in known))


def _weak(on: Evidence, flat: Flat, rise: str) -> Finding:
    one = on.of.law.coefficients[flat.place]
    what = one.name if one.starts or flat.place in on.floors else f"{one.name}'s term"
    ends = f"{flat.low:.3g}{' or less' * flat.open_low} to {flat.high:.3g}"
    ends += " or more" * flat.open_high
    if what != one.name:
        ends += " at the middle of the inputs"
    unknown = flat.open_low or flat.open_high or flat.factor >= UNKNOWN
    words = ""
    if _is_exponent(on, flat.place) and flat.open_low:
        words = "; near 0 its term is a logarithm, which a constant can replace"
    return Finding(
        "weak",
        f"{what} is weakly identified: it may be anything from {ends} ({rise}){words}; "
        f"{settle(on, flat.place)}",
        "not identified" if unknown else "",
    )


def _rise(on: Evidence) -> str:
    """By how much the objective may rise, in words."""
    noise = f"too little for {len(on.on)} rows to tell from noise"
    if on.of.objective.fits_scale or on.of.objective.kind == "binomial":
        return f"the log likelihood falls by at most {allowance(on):.2f}, {noise}"
    return f"the objective rises by at most {100 * allowance(on) / on.found.value:.2g} %, {noise}"


def steep(on: Evidence) -> Iterator[Finding]:
    """Exponents above 1 beside a constant: a term that only the smallest runs show."""
    surface = on.of.surface
    if not surface.compiled.constants:
        return
    _, bases = surface.compiled.bases(
        on.inside[None, : len(on.names)], surface.runs, surface.centre
    )
    for place, basis in zip(surface.compiled.linear, bases, strict=True):
        for other in _shapes(on, place):
            if not _is_exponent(on, other) or on.best[0, other] <= 1:
                continue
            term = np.sort(np.abs(basis[0]))[::-1]
            half = int(np.searchsorted(np.cumsum(term), term.sum() / 2)) + 1
            yield Finding(
                "steep",
                f"{on.names[other]} is {on.best[0, other]:.3g}: above 1 a term dies out quickly, "
                f"and {half} of {len(term)} rows make half of it; whether they were trained like "
                f"the rest decides the fit; {settle(on, other)}",
            )


def optima(on: Evidence, flats: tuple[Flat, ...]) -> Iterator[Finding]:
    """Other optima that fit as well with other exponents."""
    law = on.of.law
    places = [place for place, one in enumerate(law.coefficients) if one.starts is not None]
    limit = on.found.value + max(allowance(on), len(on.on) * on.of.surface.rounding)
    for vector, value in zip(
        on.found.solution.vectors[1:], on.found.solution.value[1:], strict=True
    ):
        if value > limit:
            continue
        other = natural(on.of.surface, vector[None])[0]
        apart = [place for place in places if _apart(on, flats, other[place], place)]
        if apart:
            here = ", ".join(f"{on.names[place]} {on.best[0, place]:.3g}" for place in apart)
            there = ", ".join(f"{on.names[place]} {other[place]:.3g}" for place in apart)
            yield Finding(
                "several_optima",
                f"{there} fits as well as {here}, and no value in between does; "
                f"{settle(on, apart[0])}",
                "not identified",
            )
            return


def _apart(on: Evidence, flats: tuple[Flat, ...], other: float, place: int) -> bool:
    value = float(on.best[0, place])
    if abs(other - value) <= OTHER * max(abs(other), abs(value)):
        return False
    inside = [flat.low <= other <= flat.high for flat in flats if flat.place == place]
    return not any(inside)


def _is_exponent(on: Evidence, place: int) -> bool:
    one = on.of.law.coefficients[place]
    return one.starts is not None and not one.log and not one.of and "exponent" in one.meaning


def _amplitudes(on: Evidence) -> tuple[int, ...]:
    """The linear coefficients that are sizes of terms: not constants, and never negative."""
    made = on.of.surface.compiled
    return tuple(
        place
        for place in made.linear
        if place not in made.constants and on.of.law.coefficients[place].low == 0
    )


def _shapes(on: Evidence, place: int) -> tuple[int, ...]:
    """The coefficients that shape the term of a linear one: its exponents and scales."""
    made = on.of.surface.compiled
    pairs = [pair for pair in made.derivatives.pairs if place in pair]
    both = {one for pair in pairs for one in pair} - {place, *made.linear}
    return tuple(sorted(both))


def _counts(on: Evidence, place: int) -> bool:
    """Whether a factor means something for a coefficient: a signed linear one may be near 0."""
    one = on.of.law.coefficients[place]
    return one.starts is not None or one.low == 0
