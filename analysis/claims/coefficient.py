"""Verdicts on claims of a fitted coefficient: whether its interval holds the claimed value."""

from analysis.claims.fitted import Meant
from analysis.claims.values import span
from analysis.claims.verdict import NOTHING, Found, Verdict, decided
from analysis.fit import Fit
from analysis.summary import number, stated
from analysis.uncertainty.intervals import named
from sweeps.claim import CoefficientClaim


def coefficient_verdict(claim: CoefficientClaim, meant: Meant) -> Verdict:
    """Check a claim of a coefficient against the fit that it is about."""
    expected = _expected(claim)
    fitted = meant.fit
    if fitted is None:
        return decided(claim, expected, NOTHING, "not comparable", meant.lacks)
    estimate = {one.name: one for one in fitted.coefficients}.get(claim.coefficient)
    if estimate is None:
        words = f"the law {fitted.law.name} has no coefficient {claim.coefficient}"
        return decided(claim, expected, NOTHING, "not comparable", words)
    found = Found(
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        here=number(estimate.value),
        spread=span(estimate.low, estimate.high),
        trials=meant.trials,
        seeds=meant.seeds,
        basis=named(fitted.interval_kind, fitted.level, len(fitted.draws), fitted.drawn),
    )
    if meant.lacks:
        return decided(claim, expected, found, "not comparable", meant.lacks)
    if fitted.status in ("not identified", "not converged"):
        why = next(one.text for one in fitted.warnings if one.status == fitted.status)
        words = f"the fit is {fitted.status}: {why}"
        return decided(claim, expected, found, "not comparable", words)
    if estimate.low is None or estimate.high is None:
        return decided(claim, expected, found, "not comparable", "the fit has no interval")
    if claim.within is None:
        return _by_interval(claim, expected, fitted, found, (estimate.low, estimate.high))
    return _by_estimate(claim, claim.within, expected, fitted, found, (estimate.low, estimate.high))


def _by_interval(
    claim: CoefficientClaim, expected: str, fitted: Fit, found: Found, ends: tuple[float, float]
) -> Verdict:
    """The claimed value must lie in the interval, and the rival outside of it."""
    said, doubt = f"the interval of {claim.coefficient}, {found.spread},", _doubt(fitted)
    claimed = stated(claim.value)
    rival = claim.against is not None and ends[0] <= claim.against <= ends[1]
    if not ends[0] <= claim.value <= ends[1]:
        also = f" and contains the rival {_rival(claim)}" if rival else ""
        words = f"{said} excludes {claimed}{also}{doubt}"
        return decided(claim, expected, found, "not reproduced", words, sure=not doubt)
    if rival:
        return _cannot_tell(claim, expected, found)
    also = f" and excludes the rival {_rival(claim)}" if claim.against is not None else ""
    words = f"{said} contains {claimed}{also}{doubt}"
    return decided(claim, expected, found, "reproduced", words, sure=not doubt)


def _by_estimate(
    claim: CoefficientClaim,
    within: float,
    expected: str,
    fitted: Fit,
    found: Found,
    ends: tuple[float, float],
) -> Verdict:
    """The estimate must lie near the claimed value, and the interval says how surely it does."""
    assert found.value is not None
    low, high = claim.value - within, claim.value + within
    near = low <= found.value <= high
    if near and claim.against is not None and ends[0] <= claim.against <= ends[1]:
        return _cannot_tell(claim, expected, found)
    lies = "lies within" if near else "lies outside"
    said = (
        f"the estimate of {claim.coefficient}, {found.here}, {lies} {stated(claim.value)} ± "
        f"{stated(within)}"
    )
    agrees = low <= ends[0] and ends[1] <= high if near else ends[1] < low or ends[0] > high
    doubt = _doubt(fitted)
    unsure = "" if doubt else ", so this is uncertain"  # said once
    words = (
        f"{said}, and its whole interval ({found.spread}) agrees"
        if agrees
        else f"{said}, but its interval ({found.spread}) crosses that{unsure}"
    )
    return decided(
        claim,
        expected,
        found,
        "reproduced" if near else "not reproduced",
        f"{words}{doubt}",
        sure=agrees and not doubt,
    )


def _cannot_tell(claim: CoefficientClaim, expected: str, found: Found) -> Verdict:
    words = (
        f"cannot tell apart: the interval of {claim.coefficient}, {found.spread}, contains both "
        f"{stated(claim.value)} and the rival {_rival(claim)}"
    )
    return decided(claim, expected, found, "not comparable", words, sure=False)


def _doubt(fitted: Fit) -> str:
    if not any(one.code == "lack_of_fit" for one in fitted.warnings):
        return ""
    return "; the form of the law does not fit the cells, so this is uncertain"


def _expected(claim: CoefficientClaim) -> str:
    near = "" if claim.within is None else f" ± {stated(claim.within)}"
    rival = "" if claim.against is None else f", against {_rival(claim)}"
    return f"{claim.coefficient} = {stated(claim.value)}{near}{rival}"


def _rival(claim: CoefficientClaim) -> str:
    return "" if claim.against is None else stated(claim.against)
