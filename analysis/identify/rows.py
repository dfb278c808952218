"""Whether a few rows carry a fit: which ones, what they share, how far it moves without them."""

import itertools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from analysis.engine.compiled import Vectors
from analysis.engine.objective import row_loss
from analysis.engine.refit import misfit
from analysis.engine.solver import refine
from analysis.engine.surface import Problems, natural, one_problem
from analysis.finding import Finding
from analysis.identify.evidence import Evidence, is_perfect
from analysis.uncertainty.resamples import resamples

SHARE, MOST = 0.02, 5  # rows that are few: one in fifty, and no more than five
GATE = 1.0  # standard errors of the whole fit: rows that move it by less are not looked at closer
CARRIED = 2.5  # standard errors of the rest by which the rows move it; chance gives about 1
AGAIN = 200  # resamples from which the standard error of the rest is taken
STEPS = 60  # Newton steps of one fit: ample for a standard error
ROWS = 5_000  # beyond it five rows carry nothing
NORMAL = 1.349  # from the 25th to the 75th percentile of a normal distribution


def carried(on: Evidence) -> Iterator[Finding]:
    """The finding that a few rows decide an exponent or a floor."""
    rows, size = len(on.on), len(on.names)
    few = max(1, min(MOST, round(SHARE * rows)))
    skip = len(on.draws) < 2 or on.of.objective.fits_scale or on.of.objective.kind == "binomial"
    if skip or not size + few < rows <= ROWS or is_perfect(on):
        return
    places = [
        place
        for place, one in enumerate(on.of.law.coefficients)
        if (one.starts is not None or place in on.floors) and not on.at_bound[place]
    ]
    groups = _groups(on, places, few)
    if not len(groups):
        return
    weight = np.ones((len(groups), rows))
    np.put_along_axis(weight, groups, 0.0, axis=1)
    surface, problems = on.of.surface, one_problem(on.of.surface)
    part = Problems(problems.target, weight, problems.low, problems.high)
    starts = np.repeat(on.inside[None], len(groups), axis=0)
    ended = refine(surface, part, starts, steps=STEPS).vectors
    without = natural(surface, ended)
    moved = np.abs(without - on.best)[:, places] / _error(on.draws)[places]
    number = int(np.argmax(moved.max(axis=1)))
    if moved[number].max() < GATE:
        return
    shift = (without[number] - on.best[0]) / _error(_again(on, weight[number], ended[[number]]))
    far = [place for place in places if abs(shift[place]) > CARRIED]
    if far:
        numbers = ", ".join(
            f"{on.names[place]} goes from {on.best[0, place]:.4g} to {without[number, place]:.4g} "
            f"({abs(shift[place]):.1f} standard errors)"
            for place in far
        )
        yield Finding(
            "few_rows_carry",
            f"{few} of {rows} rows carry the fit: without them {numbers}. "
            f"{_described(on, groups[number])}; repeat them, or run their neighbours, before the "
            "fit is used",
        )


def _groups(on: Evidence, places: list[int], few: int) -> Int[np.ndarray, "group few"]:
    """For each coefficient the rows that pull it up most, and down most.

    Their pull is one step of reweighted least squares from the optimum; coefficients on a bound stay.
    """
    surface, size = on.of.surface, len(on.names)
    free = np.flatnonzero(~on.at_bound)
    columns = [on.inside[None, [place]] for place in range(size)]
    parts = surface.compiled.derivatives.run(columns, surface.runs, surface.centre)[: size + 1]
    model, *first = (np.broadcast_to(one, (1, len(on.on)))[0] for one in parts)
    jacobian = np.stack(first)[free] / (model if surface.compiled.logarithmic else 1.0)
    unit = 1.0 if surface.relative is None else surface.relative
    losses = row_loss(surface.objective, misfit(on.of, on.best) / unit, surface.censored)
    curved = jacobian * (losses.curve[0] / unit**2)
    inverse = np.linalg.pinv(curved @ jacobian.T, hermitian=True)
    pull = -inverse @ (jacobian * (losses.first[0] / unit))
    order = [np.argsort(pull[np.flatnonzero(free == place)[0]], kind="stable") for place in places]
    ends = [part for one in order for part in (one[:few], one[-few:])]
    return np.array(ends, dtype=np.int64).reshape(-1, few)


def _again(
    on: Evidence, kept: Float[np.ndarray, " run"], start: Float[np.ndarray, "1 variable"]
) -> Vectors:
    """The coefficients of resamples of the rows that are kept."""
    drawn = resamples(on.on, on.pool, "auto", AGAIN, on.seed)
    surface, problems = on.of.surface, one_problem(on.of.surface)
    target, weight = problems.target, np.repeat(kept[None], AGAIN, axis=0)
    if drawn.weight is not None:
        weight = weight * drawn.weight
    if drawn.measured is not None:
        target = np.log(drawn.measured) if surface.compiled.logarithmic else drawn.measured
    again = Problems(target, weight, problems.low, problems.high)
    starts = np.repeat(start, AGAIN, axis=0)
    return natural(surface, refine(surface, again, starts, steps=STEPS).vectors)


def _error(draws: Vectors) -> Float[np.ndarray, " coefficient"]:
    """A standard error that a few wild resamples do not change."""
    low, high = np.percentile(draws, [25, 75], axis=0)
    return np.maximum((high - low) / NORMAL, np.finfo(np.float64).tiny)


def _described(on: Evidence, group: Int[np.ndarray, " few"]) -> str:
    """What sets the rows apart: an extreme target, an extreme input, an extreme ratio of two."""
    law, values = on.of.law, on.on.values
    logs = {law.target: on.on.measured, **{name: values[name] for name in law.input_names}}
    positive = [one.name for one in law.inputs if one.positive]
    for first, second in itertools.combinations(positive, 2):
        logs[f"{second}/{first}"] = values[second] / values[first]
    inside = np.zeros(len(on.on), dtype=bool)
    inside[group] = True
    words: list[str] = []
    for name, column in logs.items():
        low, high = column[inside].min(), column[inside].max()
        span = f"{low:.3g} to {high:.3g}" if len(group) > 1 else f"{low:.3g}"
        rest = column[~inside]
        if low > rest.max():
            words.append(f"the largest {name} ({span}, the rest up to {rest.max():.3g})")
        elif high < rest.min():
            words.append(f"the smallest {name} ({span}, the rest from {rest.min():.3g})")
        elif "/" in name and len(group) > 1 and (high < np.median(rest) or low > np.median(rest)):
            words.append(f"{name} of {span} (median of the rest {np.median(rest):.3g})")
    if words:
        return f"They have {', and '.join(words)}"
    return f"They are rows {', '.join(str(place + 1) for place in sorted(group))} of those fitted"
