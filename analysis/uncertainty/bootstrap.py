"""The bootstrap of a fit: draw again what varied, refit every resample, say how to read the draws."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special

from analysis.engine.compiled import Vectors, predict_many
from analysis.engine.refit import Optimum, Refitted, Setup, refit, setup
from analysis.points import Points, Pool
from analysis.uncertainty.covariance import covariance, normal_draws
from analysis.uncertainty.intervals import (
    PLAIN,
    Reading,
    of_clusters,
    of_replicates,
    of_residuals,
    of_rows,
)
from analysis.uncertainty.linearised import linearised
from analysis.uncertainty.resamples import (
    Resample,
    Resamples,
    chosen,
    redrawn_successes,
    resamples,
    residual_errors,
    usable,
    wild_errors,
)

OVERDISPERSED = 0.05  # probability by chance below which counts scatter more than counts do
LEAST_USABLE = 0.5  # share of resamples that must still determine the law


@dataclass(frozen=True)
class Bootstrap:
    """Coefficients of every usable resample, and in words what was drawn.

    `converged` is the share of refits that converged, `scatter` the standard error of every residual
    where its replicates tell it.
    """

    draws: Float[np.ndarray, "draw coefficient"]
    drawn: str
    converged: float
    scatter: Float[np.ndarray, " run"] | None
    reading: Reading


def bootstrap(
    of: Setup, found: Optimum, pool: Pool, resample: Resample, count: int, seed: int
) -> Bootstrap:
    """Draw `count` times and refit, each from every basin of the fit.

    Where "auto" would draw rows and too few of them determine the law, residuals are drawn instead; and
    counts, where these scatter about their fitted rates no more than counts do by chance. Without any
    resample, or where none could tell anything, there are no draws.

    Raises:
        InputError: what was asked for cannot be drawn from these points.
    """
    on, size = of.points, len(of.law.coefficients)
    kind = chosen(on, pool, resample, count)
    if count == 0:
        return _nothing(size, "nothing")
    if kind == "covariance":
        return _by_covariance(of, found, count, seed)
    if kind == "counts" or (resample == "auto" and kind == "rows" and _by_chance(of, found)):
        return _by_counts(of, found, count, seed)
    if kind in ("residual", "wild"):
        return _by_residuals(of, found, kind == "wild", count, seed)
    drawn = resamples(on, pool, kind, count, seed)
    if drawn.weight is not None:
        made = _by_weight(of, found, drawn, drawn.weight, kind == "clusters")
        censored = on.censored is not None and bool(on.censored.any())
        alone = resample == "auto" and kind == "rows" and on.counts is None and not censored
        if len(made.draws) or not alone or len(on) <= size:
            return made
        return _by_residuals(of, found, False, count, seed)
    again = _refitted(of, found.vectors, measured=drawn.measured)
    scatter = None
    if drawn.measured is not None:
        unit = np.log(drawn.measured) if of.objective.residual == "log" else drawn.measured
        scatter = unit.std(axis=0, ddof=1)
    # Medians of few replicates, drawn again, vary too much already.
    replicates = sum(map(len, on.replicates))
    reading = of_replicates(replicates, len(on)) if pool == "mean" else PLAIN
    return Bootstrap(again.vectors, drawn.drawn, float(again.converged.mean()), scatter, reading)


def sharp(of: Setup, found: Optimum) -> bool:
    """Whether few residuals of a fit lie where its objective is curved."""
    return linearised(of, found.vectors[:1], found.scale).sharp


def _by_weight(
    of: Setup,
    found: Optimum,
    drawn: Resamples,
    weight: Float[np.ndarray, "draw run"],
    whole: bool,
) -> Bootstrap:
    on, size = of.points, len(of.law.coefficients)
    least = {one.name: one.levels for one in of.law.inputs}
    good = usable(on, weight, least, size)
    # Weights cannot move a law that passes through every point: that is no interval at all.
    if good.mean() < LEAST_USABLE or len(on) == size:
        return _nothing(size, drawn.drawn)
    again = _refitted(of, found.vectors, weight=weight[good])
    # Few whole clusters are other designs each time: their draws vary enough as they are.
    reading = PLAIN if whole else of_rows(len(on), size, sharp(of, found))
    return Bootstrap(again.vectors, drawn.drawn, float(again.converged.mean()), None, reading)


def _by_residuals(of: Setup, found: Optimum, wild: bool, count: int, seed: int) -> Bootstrap:
    on, size = of.points, len(of.law.coefficients)
    words = "residuals" if not wild else "signs of residuals"
    if wild and on.cluster is not None:
        words = "signs of residuals, one for a cluster"
    if len(on) <= size:
        return _nothing(size, words)
    best = found.vectors[:1]
    at = linearised(of, best, found.scale)
    if wild:
        errors = wild_errors(at.freed, on.cluster, count, seed)
        clusters = 0 if on.cluster is None else int(on.cluster.max()) + 1
    else:
        errors, clusters = residual_errors(at.freed, at.sharp, count, seed), 0
    unit = row_unit(of, found.scale)
    predicted = predict_many(of.law, best, on.values)
    if of.objective.residual == "log":
        measured = predicted * np.exp(-errors * unit)
    else:
        measured = predicted - errors * unit
    again = _refitted(of, found.vectors, measured=measured)
    reading = of_clusters(clusters) if clusters else of_residuals(len(on), size)
    return Bootstrap(again.vectors, words, float(again.converged.mean()), None, reading)


def row_unit(of: Setup, scale: float | None) -> Float[np.ndarray, " run"]:
    """What residuals are divided by: the relative noise of each row, and the fitted scale."""
    relative = of.surface.relative
    unit = np.ones(len(of.points)) if relative is None else relative
    return unit if scale is None else unit * scale


def _by_chance(of: Setup, found: Optimum) -> bool:
    """Whether counts scatter about their fitted rates as counts do: Pearson's chi-square."""
    on = of.points
    spare = len(on) - len(of.law.coefficients)
    if on.counts is None:
        return False
    if spare < 1:
        return True
    rate = predict_many(of.law, found.vectors[:1], on.values)[0]
    variance = np.maximum(rate * (1 - rate), np.finfo(np.float64).tiny) / on.counts
    excess = float(((on.measured - rate) ** 2 / variance).sum())
    return float(special.chdtrc(spare, excess)) >= OVERDISPERSED


def _by_counts(of: Setup, found: Optimum, count: int, seed: int) -> Bootstrap:
    """Successes of every row from its fitted rate.

    A share of n is n draws: some of successes (a share of 1) and the others of failures (of 0), so
    another share is other weights of the same two rows.
    """
    on, size = of.points, len(of.law.coefficients)
    if on.counts is None:
        raise ValueError("expected counts")
    rate = predict_many(of.law, found.vectors[:1], on.values)[0]
    successes = redrawn_successes(rate, on.counts, count, seed)
    both = setup(of.law, _outcomes(on), of.objective)
    weight = np.concatenate([successes, on.counts - successes], axis=1)
    again = _refitted(both, found.vectors, weight=weight)
    return Bootstrap(
        again.vectors[:, :size],
        "counts, from their fitted rates",
        float(again.converged.mean()),
        None,
        PLAIN,
    )


def _outcomes(on: Points) -> Points:
    """Every row twice: as successes and as failures, each counted once."""
    rows = len(on)
    measured = np.concatenate([np.ones(rows), np.zeros(rows)])
    return Points(
        {name: np.concatenate([one, one]) for name, one in on.values.items()},
        measured,
        tuple(measured[:, None]),
        counts=np.ones(2 * rows),
    )


def _by_covariance(of: Setup, found: Optimum, count: int, seed: int) -> Bootstrap:
    best = found.vectors[:1]
    spread = covariance(of, best, found.scale)
    words = f"coefficients from their covariance ({spread.kind})"
    if spread.degrees < 1:
        return _nothing(best.shape[1], words)
    draws = normal_draws(of, best, spread, count, seed)
    reading = Reading(False, spread.degrees) if spread.degrees < 1_000 else PLAIN
    return Bootstrap(draws, words, 1.0, None, reading)


def _refitted(
    of: Setup,
    starts: Vectors,
    *,
    weight: Float[np.ndarray, "draw run"] | None = None,
    measured: Float[np.ndarray, "draw run"] | None = None,
) -> Refitted:
    """Every resample from every basin: no resample is searched less than the fit itself."""
    best: Refitted | None = None
    for start in starts:
        new = refit(of, start[None], weight=weight, measured=measured)
        if best is None:
            best = new
            continue
        better = new.value < best.value
        scale = None
        if new.scale is not None and best.scale is not None:
            scale = np.where(better, new.scale, best.scale)
        best = Refitted(
            np.where(better[:, None], new.vectors, best.vectors),
            np.where(better, new.value, best.value),
            scale,
            np.where(better, new.converged, best.converged),
        )
    if best is None:
        raise ValueError("expected at least one optimum to start from")
    return best


def _nothing(size: int, drawn: str) -> Bootstrap:
    return Bootstrap(np.empty((0, size)), drawn, 1.0, None, PLAIN)
