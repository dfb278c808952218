"""Sections on backtests: what a fit would have said of runs that it had not seen."""

from collections.abc import Sequence

import numpy as np

from analysis.fit import Fit
from analysis.judgement.holdout import Backtest, scale_of
from analysis.judgement.rolling import Rolling
from analysis.reporting.figures.held_out import backtest_picture
from analysis.reporting.figures.rolling import rolling_picture
from analysis.reporting.fit_words import held_words, off_words
from analysis.reporting.sections import Grid, Section
from analysis.summary import number


def backtest_section(
    prefix: str,
    fitted: Fit,
    tests: Sequence[Backtest],
    rolled: Rolling | None = None,
    unit: str = "",
) -> tuple[Section, ...]:
    """How far off the law was for scales that it had not seen: the largest, then one after another.

    Nothing without a backtest.
    """
    found = _largest(prefix, fitted, tests, unit) if tests else ()
    if rolled is not None and rolled.points:
        found = (*found, *_rolling(prefix, fitted, rolled, unit))
    return found


def _largest(prefix: str, fitted: Fit, tests: Sequence[Backtest], unit: str) -> tuple[Section, ...]:
    done = [one for one in tests if one.points]
    answer = (
        "No backtest could be done, so forecasts of this law are untested."
        if not done
        else "Fitted without its largest scales and asked to predict them, the law was "
        + ", ".join(off_words(fitted, one.points, one.error) for one in done)
        + " off on average"
        + (", in the order of the table." if len(done) > 1 else ".")
    )
    headers = (
        "left out",
        "fitted to",
        "reaches beyond by",
        "mean error",
        "in 95 % interval",
        "largest point",
    )
    return (
        Section(
            title="Backtests",
            answer=answer,
            table=Grid(headers, tuple(_test_row(fitted, one) for one in tests)),
            picture=backtest_picture(f"{prefix}-backtests", fitted.target, tests, unit),
            findings=tuple(dict.fromkeys(found for one in tests for found in one.warnings)),
            level=3,
        ),
    )


def _rolling(prefix: str, fitted: Fit, found: Rolling, unit: str) -> tuple[Section, Section]:
    steps = [one for one in found.steps if one.points]
    last = steps[-1]
    answer = (
        f"Fitted up to one scale after another, and asked for the next each time, the law was "
        f"{off_words(fitted, found.points, found.error)} off on average"
        f"{held_words(found.points, ' of ', '; {} runs lie inside of their 95 % prediction interval')}."
    )
    if len(steps) > 1:
        answer += (
            f" The last step, {last.reach:.3g} times beyond its data, was "
            f"{off_words(fitted, last.points, last.error)} off."
        )
    skipped = (
        f"The first {found.skipped} steps, from fewer than half of the rows, are left out: a law of "
        f"{len(fitted.law.coefficients)} coefficients is hard to fit to so few."
    )
    headers = ("fitted to", "predicted", "reaches beyond by", "mean error", "mean", "in interval")
    shown = Section(
        title="Scale by scale",
        answer=answer,
        picture=rolling_picture(f"{prefix}-rolling", fitted, found, unit),
        findings=found.warnings,
        note=skipped if found.skipped else "",
        level=3,
    )
    rows = tuple(_step_row(fitted, one) for one in steps)
    return shown, Section("Every step", table=Grid(headers, rows), level=3, folded=True)


def _test_row(fitted: Fit, one: Backtest) -> tuple[str, ...]:
    left = f"largest {'scale' if one.largest == 1 else f'{one.largest} scales'}"
    reach = f"{one.reach:.3g} times"
    if not one.points:
        return left, str(one.fitted), reach, "none", "none", one.refused
    scale = scale_of(fitted.law, fitted.points)
    last = max(one.points, key=lambda point: scale[point.row])
    words = f"predicted {number(last.predicted)}, measured {number(last.measured)}"
    error = off_words(fitted, one.points, one.error)
    return left, str(one.fitted), reach, error, held_words(one.points, " of ") or "none", words


def _step_row(fitted: Fit, one: Backtest) -> tuple[str, ...]:
    errors = [point.error for point in one.points if point.error is not None]
    mean = f"{100 * float(np.mean(errors)):+.2f} %"
    if one.error is None:
        mean = f"{float(np.mean([point.residual for point in one.points])):+.4g}"
    return (
        str(one.fitted),
        str(len(one.points)),
        f"{one.reach:.3g} times",
        off_words(fitted, one.points, one.error),
        mean,
        held_words(one.points, " of ") or "none",
    )
