"""Rolling backtests: fit up to each scale, predict the next, and see whether the law keeps up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from analysis.engine.compiled import Vectors
from analysis.engine.objective import Objective
from analysis.finding import Finding
from analysis.judgement.cuts import Cut, between, levels_of
from analysis.judgement.holdout import (
    Backtest,
    HeldOut,
    coverage_of,
    error_of,
    predicted,
    scaled,
    starts_of,
)
from analysis.judgement.holdout import (
    as_document as backtest_document,
)
from analysis.law import Law
from analysis.points import ROWS_ALONE, Columns, Points, Pool
from analysis.runs import Runs
from analysis.uncertainty.distributions import as_uneven, at_most

STEPS = 8  # more scales than this are put together into groups of about as many points each
BY_CHANCE = 0.05
LEANING = 0.2  # the same of steps, which are few: 6 of 7, or 4 of 4


@dataclass(frozen=True)
class Rolling:
    """Every step fits the points up to a scale and predicts those of the next one.

    `error`, `bias` and `coverage` are as in `Backtest`, over the points of all steps, each of which
    is predicted once; `too_high` counts the points predicted too high; `reach` is the farthest
    step; `skipped` counts the first steps that were not made, since a law of many coefficients is
    hard to fit to few points.
    """

    steps: tuple[Backtest, ...]
    error: float | None
    bias: float | None
    coverage: float | None
    too_high: int
    reach: float | None
    warnings: tuple[Finding, ...]
    skipped: int = 0

    @property
    def points(self) -> tuple[HeldOut, ...]:
        """The points of all steps."""
        return tuple(point for step in self.steps for point in step.points)


def rolling(
    law: Law,
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    *,
    pool: Pool = "none",
    objective: Objective | None = None,
    by: Sequence[str] = (),
    columns: Columns = ROWS_ALONE,
) -> Rolling:
    """Fit up to each scale and predict the next; scales and runs are treated as by `hold_out`.

    Raises:
        InputError: a column is not fit for a law.
    """
    on, scale = scaled(law, runs, inputs, target, pool, objective, by, columns)
    return rolled(law, on, scale, objective, starts_of(law, on, objective))


def rolled(
    law: Law,
    on: Points,
    scale: Float[np.ndarray, " run"],
    objective: Objective | None,
    start: Vectors | None,
) -> Rolling:
    """Rolling backtests of points whose scales are known, as logarithms."""
    made = steps_of(scale, on.cluster, len(law.coefficients) + 1)
    return judged(predicted(law, on, objective, made, start))


def steps_of(
    scale: Float[np.ndarray, " run"], cluster: Int[np.ndarray, " run"] | None, least: int
) -> tuple[Cut, ...]:
    """A cut below every scale (or group of scales) but the first that leaves `least` points."""
    group = groups_of(scale)
    top = int(group.max(initial=0))
    level = levels_of(scale)
    cuts: list[Cut] = []
    for at in range(1, top + 1):
        below = group < at
        above = len(np.unique(level[~below]))
        one = between(scale, cluster, below, group == at, above)
        if one.kept.sum() >= least:
            cuts.append(one)
    return tuple(cuts)


def groups_of(scale: Float[np.ndarray, " run"]) -> Int[np.ndarray, " run"]:
    """The number of each point's scale; many scales in groups of about as many points each."""
    level = levels_of(scale)
    if level.max(initial=0) < STEPS:
        return level
    counts = np.bincount(level)
    # A scale belongs where the middle of its points lies.
    middle = np.cumsum(counts) - counts / 2
    group = np.minimum((STEPS * middle / len(scale)).astype(np.int64), STEPS - 1)
    return np.unique(group, return_inverse=True)[1][level]


def judged(steps: tuple[Backtest, ...], skipped: int = 0) -> Rolling:
    """All steps together, with what a reader must know of them."""
    held = [point for step in steps for point in step.points]
    residuals = np.array([one.residual for one in held])
    done = [step for step in steps if step.points]
    too_high = int((residuals > 0).sum())
    coverage = coverage_of(held)
    return Rolling(
        steps=steps,
        error=error_of(held),
        bias=float(residuals.mean()) if held else None,
        coverage=coverage,
        too_high=too_high,
        reach=max((step.reach for step in done), default=None),
        warnings=tuple(_warnings(held, done, too_high, coverage)),
        skipped=skipped,
    )


def as_document(found: Rolling) -> dict[str, Any]:
    """Rolling backtests as plain data for JSON."""
    return {
        "error": found.error,
        "bias": found.bias,
        "coverage": found.coverage,
        "points": len(found.points),
        "too_high": found.too_high,
        "reach": found.reach,
        "steps_skipped": found.skipped,
        "warnings": [{"code": one.code, "text": one.text} for one in found.warnings],
        "steps": [backtest_document(step) for step in found.steps],
    }


def _warnings(
    held: Sequence[HeldOut], done: Sequence[Backtest], too_high: int, coverage: float | None
) -> list[Finding]:
    found: list[Finding] = []
    if not held:
        return [
            Finding(
                "no_backtest",
                "there are too few scales to fit some and predict the next: nothing tests how "
                "the law extrapolates",
            )
        ]
    most = max(too_high, len(held) - too_high)
    # The points of one step share a fit, so the steps must lean the same way too.
    middles = np.array([np.median([one.residual for one in step.points]) for step in done])
    way = "high" if too_high == most else "low"
    alike = int((middles > 0).sum() if way == "high" else (middles < 0).sum())
    leans = 2 * alike > len(done) and as_uneven(alike, len(done)) < LEANING
    if as_uneven(most, len(held)) < BY_CHANCE and leans:
        found.append(
            Finding(
                "biased",
                f"{most} of {len(held)} predictions of the next scale are too {way} (by "
                f"{_typical(held)} in the median): expect a prediction beyond the data to be too "
                f"{way} as well",
            )
        )
    judged_points = sum(one.units is not None for one in held)
    if coverage is not None:
        inside = round(coverage * judged_points)
        if at_most(inside, judged_points, 0.95) < BY_CHANCE:
            found.append(
                Finding(
                    "overconfident",
                    f"the 95 % prediction intervals held {inside} of {judged_points} points of "
                    "the next scale: the true uncertainty of an extrapolation is larger than "
                    "stated",
                )
            )
    return found


def _typical(held: Sequence[HeldOut]) -> str:
    """By how much the middle prediction is off: in per cent, or in the unit of the residual."""
    errors = [one.error for one in held if one.error is not None]
    if len(errors) == len(held):
        return f"{100 * abs(float(np.median(errors))):.2g} %"
    return f"{abs(float(np.median([one.residual for one in held]))):.2g}"
