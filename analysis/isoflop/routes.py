"""The ways from the levels of an IsoFLOP analysis to the best size: parabola, profile, surface."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import special

from analysis.fit import Fit
from analysis.isoflop.levels import Level, Levels, Scale, parabola_data
from analysis.isoflop.surface_vertex import surface_vertex
from analysis.isoflop.two_power import Profile, TwoPower, two_power
from analysis.tuning import bowl
from analysis.tuning.bowl import vertices
from analysis.tuning.trend import Expected, Trend, drawn_trend, expected, trend

Way = Literal["parabola", "corrected", "surface"]


@dataclass(frozen=True)
class Best:
    """The best size at one level; `error` is the standard error of its natural log."""

    params: float
    tokens: float
    error: float
    low: float
    high: float


@dataclass(frozen=True)
class Route:
    """One way to the best size: at every level (None where it has none), and over compute.

    The power laws are of size and of tokens in FLOPs, None when fewer than two levels can be
    used; `params_there` and `tokens_there` are what they say at the wanted compute.
    """

    way: Way
    best: tuple[Best | None, ...]
    params: Trend | None
    tokens: Trend | None
    params_there: Expected | None
    tokens_there: Expected | None


def by_parabola(on: Levels, there: float) -> Route | None:
    """The vertices of the parabolas."""
    found = [(place, on.levels[place].curve) for place in on.used]
    curves = [(place, curve) for place, curve in found if curve is not None]
    if not curves:
        return None
    logs = np.array([bowl.vertex(curve)[0] for _, curve in curves])
    used = [place for place, _ in curves]
    errors = [float(bowl.vertex_covariance(one, on.variance[i])[0, 0]) for i, one in curves]
    spare = [on.spare[place] for place in used]
    return _route("parabola", on.levels, used, logs, np.diag(errors), spare, there)


def by_profile(
    on: Levels, there: float, scale: Scale
) -> tuple[Route | None, TwoPower | None, tuple[int, ...]]:
    """The vertices of the two-power profiles, the profiles, and the levels that they belong to.

    A level whose parabola has its vertex beyond the sizes tried takes no part.
    """
    used = on.used
    # Weights carry the variances, so that a level with more noise counts for less.
    noise = [on.variance[place] or 1.0 for place in used]
    profiles = [
        Profile(np.log(one.params), one.loss, one.weight / variance)
        for one, variance in zip((on.levels[place] for place in used), noise, strict=True)
    ]
    known = bool(np.isinf(on.spare).all())
    found = two_power(profiles, scale == "log", 1.0 if known else None) if profiles else None
    if found is None:
        return None, None, ()
    good = np.flatnonzero(np.isfinite(found.vertex))
    if not len(good):
        return None, found, used
    places = [used[place] for place in good]
    spare = [float(np.inf) if known else float(found.spare)] * len(places)
    covariance = found.covariance[np.ix_(good, good)]
    route = _route("corrected", on.levels, places, found.vertex[good], covariance, spare, there)
    return route, found, used


def by_surface(on: Levels, there: float, fitted: Fit) -> Route | None:
    """The best sizes of a fitted law of size and data at the compute of every level."""
    products = np.array([one.product for one in on.levels])
    flops = np.array([one.flops for one in on.levels])
    found = surface_vertex(fitted, products)
    good = np.flatnonzero(np.isfinite(found.log_params))
    if not len(good):
        return None
    draws = found.draws[np.isfinite(found.draws[:, good]).all(axis=1)][:, good]
    errors = draws.std(axis=0, ddof=1) if len(draws) > 1 else np.zeros(len(good))
    best: list[Best | None] = [None] * len(on.levels)
    for place, log, error in zip(good, found.log_params[good], errors, strict=True):
        best[place] = _best(float(log), float(products[place]), float(error), np.inf)
    if len(good) < 2:
        return Route("surface", tuple(best), None, None, None, None)
    over = {"flops": flops[good]}
    logs = found.log_params[good]
    data = np.log(products[good])
    size_law = drawn_trend("params", over, logs, draws)
    token_law = drawn_trend("tokens", over, data - logs, data - draws)
    return Route(
        "surface",
        tuple(best),
        size_law,
        token_law,
        expected(size_law, {"flops": there}),
        expected(token_law, {"flops": there}),
    )


def redrawn(
    on: Levels, route: Route, scale: Scale, count: int, seed: int
) -> tuple[Float[np.ndarray, "draw 2"], dict[int, float]]:
    """The parabola's law of the size when the runs of every level are drawn again, and the spread
    of the ln size of each level: half the distance of the percentiles 16 and 84, since the vertex
    of a resample may lie anywhere. Resamples without a minimum are left out.
    """
    generator = np.random.default_rng(seed)
    used = [place for place, best in enumerate(route.best) if best is not None]
    columns, spread = [], {}
    for place in used:
        x, y, weight = parabola_data(on.levels[place], scale)
        counts = generator.multinomial(len(y), np.full(len(y), 1 / len(y)), size=count)
        found, good = vertices(x, y, counts * weight)
        columns.append(np.where(good, found[:, 0], np.nan))
        if good.sum() >= max(20, count // 2):
            low, high = np.percentile(found[good, 0], [16, 84])
            spread[place] = float(high - low) / 2
    if route.params is None or count == 0:
        return np.zeros((0, 2)), spread
    logs = np.stack(columns, axis=1)
    logs = logs[np.isfinite(logs).all(axis=1)]
    x = np.log([on.levels[place].flops for place in used])
    errors = np.array([best.error for best in route.best if best is not None])
    weight = 1 / np.maximum(errors**2 + route.params.scatter**2, 1e-20)
    design = np.column_stack([np.ones(len(x)), x])
    projection = np.linalg.solve(
        (design * weight[:, None]).T @ design, (design * weight[:, None]).T
    )
    return logs @ projection.T, spread


def _route(
    way: Way,
    levels: Sequence[Level],
    used: Sequence[int],
    logs: Float[np.ndarray, " used"],
    covariance: Float[np.ndarray, "used used"],
    spare: Sequence[float],
    there: float,
) -> Route:
    best: list[Best | None] = [None] * len(levels)
    errors = np.sqrt(np.diag(covariance))
    for place, log, error, free in zip(used, logs, errors, spare, strict=True):
        best[place] = _best(float(log), levels[place].product, float(error), free)
    if len(used) < 2:
        return Route(way, tuple(best), None, None, None, None)
    over = {"flops": np.array([levels[place].flops for place in used])}
    data = np.log([levels[place].product for place in used])
    size_law = trend("params", over, logs, covariance)
    token_law = trend("tokens", over, data - logs, covariance)
    return Route(
        way,
        tuple(best),
        size_law,
        token_law,
        expected(size_law, {"flops": there}),
        expected(token_law, {"flops": there}),
    )


def _best(log: float, product: float, error: float, spare: float) -> Best:
    quantile = special.stdtrit(spare, 0.975) if np.isfinite(spare) else special.ndtri(0.975)
    half = float(quantile) * error
    return Best(
        float(np.exp(log)),
        product * float(np.exp(-log)),
        error,
        float(np.exp(log - half)),
        float(np.exp(log + half)),
    )
