"""Sensitivity: what the exponents would be under other objectives and without some of the rows."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from analysis.engine.objective import Objective
from analysis.engine.refit import misfit, setup
from analysis.finding import Finding
from analysis.fit import Fit
from analysis.judgement.deletion import determined, outliers
from analysis.judgement.influence import exponents
from analysis.judgement.rolling import groups_of
from analysis.judgement.subsets import Part, searched

DELTAS = (1e-3, 1e-2, 1e-1)
LARGEST_LOSSES = 0.02  # share of the rows
EXACT = 1e-9  # residuals that are rounding
SAFE = 3  # digits that are quoted without a second thought


@dataclass(frozen=True)
class Variant:
    """The same law fitted in another way; `vector` holds its coefficients in the law's order.

    `agreed` is as in `Part`: two searches found the same optimum.
    """

    what: str
    rows: int
    coefficients: tuple[tuple[str, float], ...]
    converged: bool
    agreed: bool


@dataclass(frozen=True)
class Range:
    """An exponent over all variants, and how many of its digits are the same in each of them."""

    name: str
    value: float
    low: float
    high: float
    lowest: str
    highest: str
    digits: int
    text: str


@dataclass(frozen=True)
class Sensitivity:
    """A fit under choices that could as well have been made otherwise; the first is the fit."""

    variants: tuple[Variant, ...]
    ranges: tuple[Range, ...]
    warnings: tuple[Finding, ...]


def sensitivity(fitted: Fit) -> Sensitivity:
    """Fit again under other objectives, and without the smallest or largest scales or outliers.

    Every variant is searched on its own. Many scales are left out by the eighth of the rows.
    """
    law = fitted.law
    first = Variant(
        "as fitted",
        fitted.rows,
        tuple((one.name, one.value) for one in fitted.coefficients),
        fitted.status != "not converged",
        bool(fitted.agreed),
    )
    variants = [first]
    for what, part in (*_objectives(fitted), *_rows(fitted)):
        numbers = map(float, part.vector[0])
        variants.append(
            Variant(
                what,
                len(part.setup.points),
                tuple(zip(law.place, numbers, strict=True)),
                part.converged,
                part.agreed,
            )
        )
    ranges = tuple(_range(name, variants) for name in exponents(fitted))
    return Sensitivity(tuple(variants), ranges, tuple(_warnings(fitted, ranges, variants)))


def as_document(found: Sensitivity) -> dict[str, Any]:
    """A sensitivity study as plain data for JSON."""
    return {
        "variants": [
            {
                "what": one.what,
                "rows": one.rows,
                "coefficients": dict(one.coefficients),
                "converged": one.converged,
                "searches_agree": one.agreed,
            }
            for one in found.variants
        ],
        "ranges": [
            {
                "name": one.name,
                "value": one.value,
                "low": one.low,
                "high": one.high,
                "lowest": one.lowest,
                "highest": one.highest,
                "digits": one.digits,
                "text": one.text,
            }
            for one in found.ranges
        ],
        "warnings": [{"code": one.code, "text": one.text} for one in found.warnings],
    }


def digits_in_common(low: float, high: float) -> int:
    """How many significant digits all numbers between two have in common, up to a unit of the last.

    0.342 and 0.348 have two, 0.342 and 0.453 none.
    """
    size = max(abs(low), abs(high))
    if high <= low:
        return 15
    if low <= 0 <= high:
        return 0
    first = math.floor(math.log10(size))
    return max(math.floor(first + 1 - math.log10(high - low) + 1e-9), 0)


def _objectives(fitted: Fit) -> Iterator[tuple[str, Part]]:
    used, on = fitted.objective_used, fitted.points
    if used.kind == "binomial" or (on.censored is not None and on.censored.any()):
        return  # no other objective can use counts or censored rows
    plain = replace(used, delta=Objective().delta)
    others: dict[str, Objective] = {
        **{f"Huber, delta {one:g}": replace(used, kind="huber", delta=one) for one in DELTAS},
        "least squares": replace(plain, kind="squares"),
    }
    # A law that misses nothing has no spread that could be fitted.
    if np.abs(misfit(fitted.setup, fitted.vector)).max() > EXACT:
        others["Laplace"] = replace(plain, kind="laplace")
        others["Student t"] = replace(plain, kind="student")
    for what, objective in others.items():
        same = objective.kind == used.kind
        if not same or (used.kind == "huber" and objective.delta != used.delta):
            yield what, searched(setup(fitted.law, on, objective), fitted.vector)


def _rows(fitted: Fit) -> Iterator[tuple[str, Part]]:
    for what, out in _left_out(fitted):
        if out.any() and determined(fitted.law, fitted.points, ~out):
            of = setup(fitted.law, fitted.points.part(~out), fitted.objective_used)
            yield f"without {what}", searched(of, fitted.vector)


def _left_out(fitted: Fit) -> Iterator[tuple[str, Bool[np.ndarray, " run"]]]:
    law, on = fitted.law, fitted.points
    scale = np.sum(
        [
            np.log(on.values[one.name]) if one.positive else on.values[one.name]
            for one in law.inputs
        ],
        axis=0,
    )
    group = groups_of(scale)
    for word, out in (("smallest", group == 0), ("largest", group == group.max(initial=0))):
        yield f"the {_counted(out)} of the {word} scale", out
    count = math.ceil(LARGEST_LOSSES * len(on))
    # All rows of an equal value go together.
    most = on.measured >= np.sort(on.measured)[-count]
    yield f"the {_counted(most)} of the largest {fitted.target}", most
    far = outliers(fitted.setup, fitted.vector)
    yield f"the {_counted(far)} far from the law that fits the others", far


def _counted(out: Bool[np.ndarray, " run"]) -> str:
    count = int(out.sum())
    return f"{count} row{'' if count == 1 else 's'}"


def _range(name: str, variants: Sequence[Variant]) -> Range:
    values = [dict(one.coefficients)[name] for one in variants]
    low, high = min(values), max(values)
    lowest, highest = (variants[values.index(one)].what for one in (low, high))
    digits = digits_in_common(low, high)
    if digits >= SAFE:
        text = f"{name} is {_rounded(values[0], digits)} whatever was chosen"
    else:
        text = (
            f"{name} is {low:.3g} ({lowest}) to {high:.3g} ({highest}) depending on choices that "
            "nobody can defend: do not quote three digits"
        )
    return Range(name, values[0], low, high, lowest, highest, digits, text)


def _rounded(value: float, digits: int) -> str:
    return f"{value:.{min(digits, 4)}g}"


def _warnings(
    fitted: Fit, ranges: Sequence[Range], variants: Sequence[Variant]
) -> Iterator[Finding]:
    for one in ranges:
        known = fitted.coefficient(one.name)
        if one.digits >= SAFE:
            continue
        text = one.text
        if known.low is not None and known.high is not None:
            if known.low <= one.low and one.high <= known.high:
                continue  # the interval says as much
            text += f"; the interval {known.low:.3g} to {known.high:.3g} does not cover that"
        yield Finding("choices_matter", text)
    doubtful = [one.what for one in variants[1:] if not one.converged or not one.agreed]
    if doubtful:
        yield Finding(
            "variants_uncertain",
            f"two searches did not agree, or did not converge, for: {'; '.join(doubtful)}",
        )
