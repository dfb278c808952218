"""The bounds of a claim against an estimate with its interval."""

import math

from analysis.claims.verdict import Decision, Found, Verdict, decided
from analysis.summary import stated
from sweeps.claim import BoundedClaim


def against_bounds(
    claim: BoundedClaim, found: Found, subject: str, *, of: str = "", left: str = ""
) -> Verdict:
    """The verdict by an estimate: its own place decides, its interval says how surely.

    `subject` is what was estimated, in words; `of` ends the bound, `left` ends the reason.
    """
    assert found.value is not None
    within = inside(claim, found.value)
    decision: Decision = "reproduced" if within else "not reproduced"
    bound = f"{bounds(claim)}{of}"
    said = f"{subject}, {found.here}, {_stands(claim, within)} {bound}"
    if found.low is None or found.high is None:
        reason, sure = f"{said}; {found.lacks}, so this is uncertain", False
    elif _crosses(claim, within, found.low, found.high):
        reason = (
            f"{said}, but its interval ({found.spread}) crosses the threshold, so this is uncertain"
        )
        sure = False
    else:
        reason, sure = f"{said}, and its whole interval ({found.spread}) agrees", True
    return decided(claim, bound, found, decision, f"{reason}{left}", sure=sure)


def inside(claim: BoundedClaim, value: float) -> bool:
    """Whether a value is what the claim allows."""
    above = claim.at_least is None or value >= claim.at_least
    return above and (claim.at_most is None or value <= claim.at_most)


def bounds(claim: BoundedClaim) -> str:
    """What the claim allows: `at least 0.9`, `0.6 to 0.62`."""
    if claim.at_least is None:
        return "" if claim.at_most is None else f"at most {stated(claim.at_most)}"
    if claim.at_most is None:
        return f"at least {stated(claim.at_least)}"
    return f"{stated(claim.at_least)} to {stated(claim.at_most)}"


def _crosses(claim: BoundedClaim, within: bool, low: float, high: float) -> bool:
    """Whether an interval holds values on both sides of what the claim allows."""
    if within:
        return not (inside(claim, low) and inside(claim, high))
    bottom = -math.inf if claim.at_least is None else claim.at_least
    top = math.inf if claim.at_most is None else claim.at_most
    return low <= top and high >= bottom


def _stands(claim: BoundedClaim, within: bool) -> str:
    if claim.at_least is None or claim.at_most is None:
        return "is" if within else "is not"
    return "lies within" if within else "lies outside"
