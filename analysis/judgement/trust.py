"""Whether to trust a fit, in one line: the exponents, a verdict, and the reasons for it."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import special

from analysis.fit import Estimate, Fit, predict_fit
from analysis.judgement.holdout import Backtest
from analysis.judgement.subsets import unit_of
from analysis.summary import number

Verdict = Literal["trust", "with care", "do not use"]
VERDICTS: tuple[Verdict, ...] = ("trust", "with care", "do not use")

# Where a verdict turns is a judgement, not a theorem; these are the points that we chose.
WIDE = 0.5  # width of a 95 % interval, as a share of its coefficient
LEVEL = 0.95  # of the prediction intervals of backtests
BY_CHANCE = 0.05  # probability below which so many forecasts outside are no chance
WORSE = 3.0  # a left-out scale may be missed by this many times the misfit of the fitted points
CLOSE = 1e-3  # a relative error of a forecast that is no reason for doubt, however close the fit
EXPLAINED = 0.5  # share of the variance of the runs that a law of them should account for
COVERED = ("correlated",)  # a single interval has it in it already: it is as wide as it must be
DISAGREE = "searches_disagree"
CLAUSE = 20  # characters, below which a clause says too little by itself
SHOWN = 3  # coefficients that the line names; the table has them all


@dataclass(frozen=True)
class Headline:
    """A coefficient as the first line of a report gives it, in digits that its interval allows."""

    name: str
    meaning: str
    value: str
    interval: str

    @property
    def text(self) -> str:
        """`c = 0.90 (0.74 to 1.00)`."""
        return f"{self.name} = {self.value}" + (f" ({self.interval})" if self.interval else "")


@dataclass(frozen=True)
class Trust:
    """A verdict on a fit; `reasons` are the gravest first, `level` is what its intervals cover."""

    headlines: tuple[Headline, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    level: float

    @property
    def line(self) -> str:
        """Everything in one line, with the first reason."""
        found = ", ".join(one.text for one in self.headlines)
        more = len(self.reasons) - 1
        rest = f" ({more} more reason{'' if more == 1 else 's'} below)" if more > 0 else ""
        return f"{found}: {self.verdict}, because {self.reasons[0]}{rest}"


def trust(fitted: Fit, tests: Sequence[Backtest] = (), *, reach: float | None = None) -> Trust:
    """Judge a fit by its status, its searches, its intervals, its warnings and its backtests.

    `reach` is how many times beyond the largest fitted scale the law is to be used, if that is
    known; a distance that no backtest has tried asks for care.
    """
    doubts = [
        *_status(fitted),
        *_intervals(fitted),
        *_explained(fitted),
        *_held_out(fitted, tests, reach),
    ]
    said = (*COVERED, DISAGREE)
    doubts += [
        (1, brief(one.text)) for one in fitted.warnings if not one.status and one.code not in said
    ]
    doubts.sort(key=lambda one: -one[0])
    grave = max((severity for severity, _ in doubts), default=0)
    reasons = tuple(dict.fromkeys(text for _, text in doubts)) or (_praise(fitted, tests),)
    return Trust(headlines(fitted), VERDICTS[grave], reasons, fitted.level)


def headlines(fitted: Fit) -> tuple[Headline, ...]:
    """The exponents of a law; where it has none, the other coefficients."""
    return tuple(
        Headline(one.name, one.meaning, *rounded(one.value, one.low, one.high))
        for one in _named(fitted)[:SHOWN]
    )


def rounded(value: float, low: float | None, high: float | None) -> tuple[str, str]:
    """A value and its interval, to two digits of the interval's half-width."""
    if low is None or high is None:
        return number(value), ""
    half = (high - low) / 2
    if not math.isfinite(half) or half <= 0:
        return number(value), f"{number(low)} to {number(high)}"
    decimals = 1 - math.floor(math.log10(half))
    ends = [abs(one) for one in (value, low, high) if one]
    if decimals > 6 or max(ends) >= 1e6 or min(ends) < 1e-4:
        return number(value), f"{number(low)} to {number(high)}"
    return (
        f"{value:,.{max(0, decimals)}f}",
        f"{low:,.{max(0, decimals)}f} to {high:,.{max(0, decimals)}f}",
    )


def percent(share: float) -> str:
    """A share in per cent, with one decimal, or two below one per cent."""
    return f"{100 * share:.{2 if abs(share) < 0.01 else 1}f} %"


def brief(text: str) -> str:
    """The first clause of a warning: what is wrong, without its numbers and its remedy."""
    whole = text.rstrip(". ")
    ends = [found.start() for found in re.finditer(r"[:;] |\. |$", whole)]
    return whole[: next((end for end in ends if end >= CLAUSE), len(whole))]


def _named(fitted: Fit) -> tuple[Estimate, ...]:
    """The exponents; without any, the coefficients that do not enter linearly, or else all."""
    formula = fitted.law.formula
    powers = [
        one for one in fitted.coefficients if re.search(rf"\^\s*\(?-?\s*{one.name}\b", formula)
    ]
    inner = [fitted.coefficient(one.name) for one in fitted.law.nonlinear]
    return tuple(powers) or tuple(inner) or fitted.coefficients


def _status(fitted: Fit) -> Iterator[tuple[int, str]]:
    for one in fitted.warnings:
        if one.status:
            mild = one.status == "at a bound" and not _exponent_at_bound(fitted)
            yield (1 if mild else 2), brief(one.text)
        elif one.code == DISAGREE:
            yield 2, brief(one.text)
    if fitted.status != "converged" and not any(one.status for one in fitted.warnings):
        yield 2, f"the fit is {fitted.status}"
    if not fitted.agreed and all(one.code != DISAGREE for one in fitted.warnings):
        yield 2, "two independent searches ended at different coefficients"


def _exponent_at_bound(fitted: Fit) -> bool:
    """Whether one of the named coefficients sits on a bound, as far as its bounds are numbers."""
    for one in _named(fitted):
        bounds = fitted.law.coefficient(one.name)
        room = 1e-6 * max(abs(one.value), 1e-12)
        if bounds.of or not bounds.low + room < one.value < bounds.high - room:
            return True
    return False


def _intervals(fitted: Fit) -> Iterator[tuple[int, str]]:
    named = _named(fitted)
    if any(one.low is None for one in named):
        yield 1, "there is no interval, so nothing says how far other runs would move the result"
        return
    # An interval of another level is judged as if it were one of 95 %.
    usual = float(special.ndtri(0.975) / special.ndtri((1 + fitted.level) / 2))
    for one in named:
        if one.low is None or one.high is None:
            continue
        if (one.high - one.low) * usual > WIDE * abs(one.value):
            yield 1, f"{one.name} may be anything from {_interval(one)}"


def _interval(one: Estimate) -> str:
    return rounded(one.value, one.low, one.high)[1]


def _explained(fitted: Fit) -> Iterator[tuple[int, str]]:
    """Whether the law tells the runs apart at all, in the residuals that it was fitted in."""
    measured, law = fitted.points.measured, predict_fit(fitted, fitted.points.values)
    if fitted.objective_used.residual == "log" and (measured > 0).all() and (law > 0).all():
        measured, law = np.log(measured), np.log(law)
    spread = float(((measured - measured.mean()) ** 2).sum())
    share = 1 - float(((measured - law) ** 2).sum()) / spread if spread > 0 else 1.0
    if share < EXPLAINED:
        yield (
            1,
            f"the law accounts for {percent(max(share, 0.0))} of the differences between the runs "
            "only, so something else matters as much",
        )


def _held_out(
    fitted: Fit, tests: Sequence[Backtest], reach: float | None
) -> Iterator[tuple[int, str]]:
    done = [one for one in tests if one.points]
    if not done:
        yield 1, "no scale could be left out and predicted, so its forecasts are untested"
        return
    tried = max(one.reach for one in done)
    if reach is not None and reach > tried * (1 + 1e-9):
        yield (
            1,
            f"it is to be used {reach:.3g} times beyond the largest scale, and backtests have "
            f"tried {tried:.3g} times only",
        )
    if not all(math.isfinite(point.residual) for one in done for point in one.points):
        yield 2, "fitted without its largest scales it predicts no finite value there"
        return
    surprise = _surprise(fitted, done)
    if all(_useless(fitted, one) for one in done):
        yield (
            2 if surprise else 1,
            f"fitted without {_left_out(done[0])} and asked to predict them it is "
            f"{_off(fitted, done[0])} off, no better than taking the nearest run for an answer",
        )
    elif surprise:
        yield 1, surprise


def _surprise(fitted: Fit, done: Sequence[Backtest]) -> str:
    """What is alarming about the forecasts, in words; empty if they are as good as they claim."""
    test = max(done, key=lambda one: len(one.points))
    units = [one.units for one in test.points if one.units is not None]
    if units:
        outside = sum(abs(one) > 1 for one in units)
        chance = float(special.bdtrc(outside - 1, len(units), 1 - LEVEL)) if outside else 1.0
        if chance < BY_CHANCE and not _close(test):
            return (
                f"fitted without {_left_out(test)} and asked to predict them it is "
                f"{_off(fitted, test)} off, and {outside} of {len(units)} lie outside of their "
                "95 % prediction interval"
            )
        return ""
    test = min(done, key=lambda one: one.largest)
    usual = _usual_misfit(fitted)
    error = test.error
    if usual is not None and error is not None and error > WORSE * usual and not _close(test):
        return (
            f"fitted without {_left_out(test)} and asked to predict them it is {percent(error)} "
            f"off, though it passes the runs it has seen within {percent(usual)}"
        )
    return ""


def _left_out(test: Backtest) -> str:
    if test.largest == 1:
        return "the runs of the largest scale"
    return f"the runs of the {test.largest} largest scales"


def _off(fitted: Fit, test: Backtest) -> str:
    """How far off a backtest was on average: in per cent, or in the unit of the target."""
    if test.error is not None:
        return percent(test.error)
    return f"{number(float(np.mean([abs(one.residual) for one in test.points])))} {fitted.target}"


def _close(test: Backtest) -> bool:
    """Whether the forecasts are so good that a stricter test would only find rounding."""
    return test.error is not None and test.error < CLOSE


def _usual_misfit(fitted: Fit) -> float | None:
    """The mean relative misfit of the fitted points, as if no coefficient had been spent on them."""
    measured = fitted.points.measured
    spare = len(measured) - len(fitted.coefficients)
    if spare < 1 or (measured <= 0).any():
        return None
    misfit = np.abs(predict_fit(fitted, fitted.points.values) / measured - 1)
    return float(misfit.mean() * math.sqrt(len(measured) / spare))


def _useless(fitted: Fit, test: Backtest) -> bool:
    """Whether the nearest point that was kept is as good a forecast, point by point, on average."""
    held = np.zeros(fitted.rows, dtype=bool)
    rows = [one.row for one in test.points]
    if max(rows) >= fitted.rows or len(set(rows)) == fitted.rows:
        return False
    held[rows] = True
    places = np.stack([_spread(fitted.points.values[name]) for name in fitted.law.input_names])
    apart = ((places[:, rows][:, :, None] - places[:, None, ~held]) ** 2).sum(axis=0)
    guess = fitted.points.measured[~held][apart.argmin(axis=1)]
    measured = fitted.points.measured[rows]
    if unit_of(fitted.objective_used) == "log":
        guess, measured = np.log(guess), np.log(measured)
    off = np.mean([abs(one.residual) for one in test.points])
    return bool(off >= np.abs(guess - measured).mean())


def _spread(values: Float[np.ndarray, " run"]) -> Float[np.ndarray, " run"]:
    """Positions between 0 and 1, logarithmic where all values are positive."""
    at = np.log(values) if (values > 0).all() else values
    width = float(np.ptp(at))
    return (at - at.min()) / width if width else at - at


def _praise(fitted: Fit, tests: Sequence[Backtest]) -> str:
    done = [one for one in tests if one.points]
    test = min(done, key=lambda one: one.largest)
    return (
        "two independent searches agree, the intervals are narrow, and fitted without "
        f"{_left_out(test)} and asked to predict them it is {_off(fitted, test)} off; tested up to "
        f"{max(one.reach for one in done):.3g} times beyond its data, not further"
    )
