"""What a fit says in one line: what is determined all the same, and how it did scale by scale."""

from collections.abc import Sequence

import numpy as np

from analysis.fit import Fit
from analysis.judgement.holdout import HeldOut
from analysis.judgement.rolling import Rolling
from analysis.judgement.trust import percent, rounded
from analysis.summary import number

TRADED = {"correlated", "tradeoff", "weak", "wide", "collinear"}  # codes of warnings


def trades_off(fitted: Fit) -> bool:
    """Whether some warning says that single coefficients are not to be quoted alone."""
    return bool(TRADED & {one.code for one in fitted.warnings}) and bool(fitted.combinations)


def combination_words(fitted: Fit) -> str:
    """What is determined all the same; empty where no coefficients trade off."""
    if not trades_off(fitted):
        return ""
    said = []
    for one in fitted.combinations:
        value, spread = rounded(one.value, one.low, one.high)
        said.append(f"{one.name} = {value}{f' ({spread})' if spread else ''}")
    middle = fitted.combinations[0].meaning.removeprefix("the law at ")
    return f"determined all the same, at {middle}: {'; '.join(said)}"


def rolling_words(fitted: Fit, found: Rolling) -> str:
    """How far off the law was when it was fitted up to each scale and asked for the next."""
    steps = [one for one in found.steps if one.points]
    if not steps:
        return "scale by scale: not tested, there are too few scales"
    far = max(one.reach for one in steps)
    held = held_words(found.points, " of ", "; {} runs inside of their 95 % prediction interval")
    return (
        f"scale by scale ({len(steps)} step{'' if len(steps) == 1 else 's'}, up to {far:.3g} times "
        f"beyond): {off_words(fitted, found.points, found.error)} off on average{held}"
    )


def off_words(fitted: Fit, points: Sequence[HeldOut], error: float | None) -> str:
    """How far off forecasts were on average: in per cent, or in the unit of the target."""
    if error is not None:
        return percent(error)
    return f"{number(float(np.mean([abs(one.residual) for one in points])))} {fitted.target}"


def held_words(points: Sequence[HeldOut], between: str, words: str = "{}") -> str:
    """How many points lie inside of their prediction interval; empty where there is none."""
    inside = [one.units for one in points if one.units is not None]
    if not inside:
        return ""
    return words.format(f"{sum(abs(unit) <= 1 for unit in inside)}{between}{len(inside)}")
