"""IsoFLOP: the best size at each level of compute and over compute, and how far a parabola misleads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from analysis.fit import Fit
from analysis.identify.findings import Finding
from analysis.isoflop.compute_levels import WIDTH, sort_by_compute
from analysis.isoflop.levels import Level, Measured, Scale, make_levels
from analysis.isoflop.routes import Route, Way, by_parabola, by_profile, by_surface, redrawn
from analysis.isoflop.two_power import TwoPower
from analysis.isoflop.warnings import isoflop_warnings
from analysis.runs import Omitted, Runs
from analysis.summary import number
from analysis.tuning.trend import Expected, trend_document
from trainers.schema import InputError


@dataclass(frozen=True)
class IsoFlop:
    """Best sizes by every way that could be taken, the parabola's first.

    `profiled` are the levels of `profile`. `noise` is the usual standard deviation of one run's
    (ln) loss about its parabola (1 when errors are given, in units of them). `draws` are intercept and
    exponent of the parabola's law of the size when the runs of every level are drawn again, and
    `resampled` the spread of ln size at each level. `there` is in FLOPs.
    """

    scale: Scale
    levels: tuple[Level, ...]
    routes: tuple[Route, ...]
    profile: TwoPower | None
    profiled: tuple[int, ...]
    noise: float
    there: float
    draws: Float[np.ndarray, "draw 2"]
    resampled: dict[int, float]
    omitted: tuple[Omitted, ...]
    warnings: tuple[Finding, ...]

    def route(self, way: Way) -> Route | None:
        """The route of one way, None when it could not be taken."""
        return next((one for one in self.routes if one.way == way), None)


def isoflop(
    runs: Runs,
    *,
    params: str = "params",
    tokens: str = "tokens",
    flops: str | None = None,
    target: str = "loss",
    noise: str | None = None,
    levels: Sequence[float] | None = None,
    width: float = WIDTH,
    scale: Scale = "log",
    surface: Fit | None = None,
    there: float | None = None,
    bootstrap: int = 1000,
    seed: int = 42,
) -> IsoFlop:
    """Find the best size at each level of compute, and what it is at `there` FLOPs.

    The first five arguments name columns; without `flops` compute is 6 params tokens, and `noise`
    is a column of standard errors of the target. `levels` are FLOPs; without them levels are found,
    with compute equal within a factor `width`. The parabola is one of ln loss, or with `plain` of
    the loss, in ln size. `there` is ten times the largest level unless given.
    Source: Hoffmann et al. 2022, arXiv:2203.15556, approach 2. What is wrong with it, and by how
    much: arXiv:2603.22339.

    Raises:
        InputError: a column is missing or not positive, or no level has enough sizes.
    """
    if there is not None and not (np.isfinite(there) and there > 0):
        raise InputError(f"there: expected a positive number of FLOPs, got {there}")
    if bootstrap < 0:
        raise InputError(f"bootstrap: expected 0 or more resamples, got {bootstrap}")
    size, data = runs.numbers(params), runs.numbers(tokens)
    on = Measured(
        size,
        data,
        6 * size * data if flops is None else runs.numbers(flops),
        runs.numbers(target),
        None if noise is None else runs.numbers(noise),
    )
    found = sort_by_compute(on.flops, on.params, levels, width)
    made = make_levels(on, found.level, found.flops, scale)
    there = 10 * float(found.flops.max()) if there is None else float(there)
    parabola = by_parabola(made, there)
    corrected, profile, profiled = by_profile(made, there, scale)
    fitted = None if surface is None else by_surface(made, there, surface)
    routes = tuple(one for one in (parabola, corrected, fitted) if one is not None)
    draws, resampled = np.zeros((0, 2)), dict[int, float]()
    if parabola is not None:
        draws, resampled = redrawn(made, parabola, scale, bootstrap, seed)
    left = tuple(
        Omitted(str(key), "its compute is that of no level")
        for key, level in zip(runs.table.index, found.level, strict=True)
        if level < 0
    )
    return IsoFlop(
        scale,
        made.levels,
        routes,
        profile,
        profiled,
        float(np.sqrt(made.typical)),
        there,
        draws,
        resampled,
        (*runs.omitted, *left),
        isoflop_warnings(made, routes, profile, there, len(left)),
    )


def as_document(found: IsoFlop) -> dict[str, Any]:
    """The analysis as plain values for JSON; compute in FLOPs, sizes in parameters."""
    profile = found.profile
    return {
        "there": found.there,
        "noise": found.noise,
        "levels": [
            {
                "flops": level.flops,
                "runs": len(level.params),
                "edge": level.edge,
                "refused": level.refused,
                "resampled": found.resampled.get(place),
                "best": {one.way: _best(one, place) for one in found.routes},
            }
            for place, level in enumerate(found.levels)
        ],
        "exponents": None
        if profile is None
        else {"alpha": profile.alpha, "beta": profile.beta, "at_bound": profile.bound},
        "routes": [
            {
                "way": one.way,
                "params": None if one.params is None else trend_document(one.params),
                "tokens": None if one.tokens is None else trend_document(one.tokens),
                "params_there": _expected(one.params_there),
                "tokens_there": _expected(one.tokens_there),
            }
            for one in found.routes
        ],
        "omitted": [{"key": one.key, "reason": one.reason} for one in found.omitted],
        "warnings": [{"code": one.code, "text": one.text} for one in found.warnings],
    }


def as_table(found: IsoFlop) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Headers and cells: one row a level, then one row a way for the wanted compute."""
    ways = tuple(one.way for one in found.routes)
    headers = ("FLOPs", "runs", *(f"best size, {way}" for way in ways), "note")
    rows: list[tuple[str, ...]] = []
    for place, level in enumerate(found.levels):
        cells: list[str] = []
        for route in found.routes:
            best = route.best[place]
            cells.append(
                ""
                if best is None
                else f"{number(best.params)} ({number(best.low)} to {number(best.high)})"
            )
        rows.append((number(level.flops), str(len(level.params)), *cells, level.refused))
    there = [_words(one.params_there) for one in found.routes]
    rows.append((number(found.there), "", *there, "power law"))
    return headers, tuple(rows)


def _words(one: Expected | None) -> str:
    if one is None:
        return ""
    if one.low is None or one.high is None:
        return number(one.value)
    return f"{number(one.value)} ({number(one.low)} to {number(one.high)})"


def _expected(one: Expected | None) -> dict[str, float | None] | None:
    return None if one is None else {"value": one.value, "low": one.low, "high": one.high}


def _best(route: Route, place: int) -> dict[str, float] | None:
    best = route.best[place]
    if best is None:
        return None
    return {
        "params": best.params,
        "tokens": best.tokens,
        "error": best.error,
        "low": best.low,
        "high": best.high,
    }
