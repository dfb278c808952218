"""The backtests of a fit: without its largest scales, and scale by scale, in one go."""

from dataclasses import dataclass

from analysis.fit import Fit
from analysis.judgement.holdout import Backtest, largest_cuts, predicted, scale_of
from analysis.judgement.rolling import Rolling, judged, steps_of

MANY = 5  # coefficients, beyond which fits of few points take longer than the fit itself


@dataclass(frozen=True)
class Backtested:
    """What a fit foretells of runs that it has not seen: `largest` leaves out the largest scales,
    `rolling` fits up to each scale and predicts the next.
    """

    largest: tuple[Backtest, ...]
    rolling: Rolling


def backtested(fitted: Fit) -> Backtested:
    """Both backtests, as `backtests` and `rolling` make them, from the optimum of the fit.

    A law of more than five coefficients is not rolled where fewer than half of the
    points are fitted.
    """
    law, on = fitted.law, fitted.points
    scale = scale_of(law, on)
    largest = largest_cuts(on, scale)
    steps = steps_of(scale, on.cluster, len(law.coefficients) + 1)
    made = [one for one in steps if len(law.coefficients) <= MANY or 2 * one.kept.sum() >= len(on)]
    found = predicted(law, on, fitted.objective_used, [*largest, *made], fitted.vector)
    return Backtested(
        found[: len(largest)], judged(found[len(largest) :], skipped=len(steps) - len(made))
    )
