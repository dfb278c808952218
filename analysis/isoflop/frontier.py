"""The frontier of learning curves: at every compute the best size, and its power law."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from analysis.identify.findings import Finding
from analysis.isoflop.frontier_warnings import frontier_warnings
from analysis.runs import Omitted, Runs
from analysis.summary import number
from analysis.tuning.trend import Trend, drawn_trend, trend_document
from trainers.schema import InputError

GRID = 400  # levels of compute on a log scale
SMOOTH = 0.1  # width of the smoothing of a curve, in natural logs of compute
BLOCK = 2_000_000  # comparisons of a run, a resample and a level that are made at once


@dataclass(frozen=True)
class Curve:
    """One learning curve, by rising compute: the losses as measured and smoothed."""

    name: str
    params: float
    flops: Float[np.ndarray, " row"]
    tokens: Float[np.ndarray, " row"]
    loss: Float[np.ndarray, " row"]
    smooth: Float[np.ndarray, " row"]


@dataclass(frozen=True)
class Frontier:
    """The lower envelope of learning curves over compute, in FLOPs.

    `winner` is the place of the best curve at every level; only levels marked `inner` enter the
    power laws, those that neither the smallest nor the largest size wins. `draws` are
    (intercept, exponent) of the law of the size when whole curves are drawn again.
    """

    curves: tuple[Curve, ...]
    flops: Float[np.ndarray, " level"]
    loss: Float[np.ndarray, " level"]
    params: Float[np.ndarray, " level"]
    tokens: Float[np.ndarray, " level"]
    winner: Int[np.ndarray, " level"]
    inner: Bool[np.ndarray, " level"]
    params_law: Trend | None
    tokens_law: Trend | None
    draws: Float[np.ndarray, "draw 2"]
    omitted: tuple[Omitted, ...]
    warnings: tuple[Finding, ...]


def frontier(
    runs: Runs,
    *,
    curve: str = "run",
    params: str = "params",
    tokens: str = "tokens",
    flops: str | None = None,
    target: str = "loss",
    levels: int = GRID,
    smooth: float = SMOOTH,
    bootstrap: int = 1000,
    seed: int = 42,
) -> Frontier:
    """Find the size with the lowest loss at every compute, and how it grows.

    One row is one point of a learning curve; `curve` is the column that says of which. Runs of one
    size that ended after different numbers of tokens are a curve too (`curve` is then the size),
    and one without the error that schedules make. Without `flops` compute is 6 params tokens.
    Source: Hoffmann et al. 2022, arXiv:2203.15556, approach 1.

    Raises:
        InputError: a column is missing or not positive, or there are fewer than three curves.
    """
    if levels < 10 or bootstrap < 0 or not (np.isfinite(smooth) and smooth >= 0):
        raise InputError(
            "frontier: expected at least 10 levels, no negative bootstrap or smoothing, got "
            f"{levels}, {bootstrap} and {smooth}"
        )
    curves = _curves(runs, curve, params, tokens, flops, target, smooth)
    low = min(float(one.flops[0]) for one in curves)
    high = max(float(one.flops[-1]) for one in curves)
    grid = np.linspace(np.log(low), np.log(high), levels)
    loss = np.stack([_at(one, grid, np.log(one.smooth)) for one in curves])
    data = np.stack([_at(one, grid, np.log(one.tokens)) for one in curves])
    sizes = np.array([one.params for one in curves])
    everyone = np.ones((1, len(curves)), dtype=bool)
    winner = _winners(loss, everyone)[0]
    inner = _inner(winner[None], sizes, everyone)[0]
    place = np.arange(levels)
    logs = np.log(sizes)[winner]
    known = winner >= 0
    named = tuple((one.params, float(np.log(one.flops[-1]))) for one in curves)
    size_law, token_law, draws = None, None, np.zeros((0, 2))
    if len(np.unique(sizes[winner[inner]])) >= 2:
        drawn, given = _resampled(loss, sizes, bootstrap, seed)
        size_draws = _lines(grid, np.log(sizes)[drawn], given)
        token_draws = _lines(grid, data[drawn, place], given)
        draws = size_draws[np.isfinite(size_draws).all(axis=1)]
        size_law = _law("params", grid[inner], logs[inner], draws)
        kept = token_draws[np.isfinite(token_draws).all(axis=1)]
        token_law = _law("tokens", grid[inner], data[winner, place][inner], kept)
    return Frontier(
        curves,
        np.exp(grid[known]),
        np.exp(loss[winner, place][known]),
        sizes[winner][known],
        np.exp(data[winner, place][known]),
        winner[known],
        inner[known],
        size_law,
        token_law,
        draws,
        runs.omitted,
        tuple(frontier_warnings(named, grid, winner, inner, len(draws), bootstrap)),
    )


def as_document(found: Frontier) -> dict[str, Any]:
    """The frontier as plain values for JSON; compute in FLOPs."""
    return {
        "curves": len(found.curves),
        "levels": {
            "flops": found.flops.tolist(),
            "loss": found.loss.tolist(),
            "params": found.params.tolist(),
            "tokens": found.tokens.tolist(),
            "inner": found.inner.tolist(),
        },
        "params": None if found.params_law is None else trend_document(found.params_law),
        "tokens": None if found.tokens_law is None else trend_document(found.tokens_law),
        "warnings": [{"code": one.code, "text": one.text} for one in found.warnings],
    }


def as_table(found: Frontier) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Headers and cells: one row for every size on the frontier, from the smallest compute."""
    headers = ("size", "best from FLOPs", "to FLOPs", "tokens", "loss", "enters the power law")
    rows = []
    for size in np.unique(found.params):
        own = np.flatnonzero(found.params == size)
        first, last = own[0], own[-1]
        rows.append(
            (
                number(float(size)),
                number(float(found.flops[first])),
                number(float(found.flops[last])),
                f"{number(float(found.tokens[first]))} to {number(float(found.tokens[last]))}",
                f"{number(float(found.loss[first]))} to {number(float(found.loss[last]))}",
                "yes" if found.inner[own].any() else "no",
            )
        )
    return headers, tuple(rows)


def _curves(
    runs: Runs,
    curve: str,
    params: str,
    tokens: str,
    flops: str | None,
    target: str,
    smooth: float,
) -> tuple[Curve, ...]:
    if curve not in runs.table.columns:
        raise InputError(f"{curve}: expected a column that names the curves, there is none")
    size, data, loss = runs.numbers(params), runs.numbers(tokens), runs.numbers(target)
    compute = 6 * size * data if flops is None else runs.numbers(flops)
    names, member = np.unique(runs.table[curve].astype(str).to_numpy(), return_inverse=True)
    result = []
    order = np.lexsort((compute, member))
    for rows in np.split(order, np.flatnonzero(np.diff(member[order])) + 1):
        if len(rows) < 2:
            continue
        name = str(names[member[rows[0]]])
        own = size[rows]
        if own.max() > own.min() * (1 + 1e-9):
            raise InputError(f"{params}: expected one size in each curve, got several in {name}")
        y = np.log(loss[rows])
        smoothed = np.exp(_smoothed(np.log(compute[rows]), y, smooth)) if smooth else loss[rows]
        result.append(Curve(name, float(own[0]), compute[rows], data[rows], loss[rows], smoothed))
    if len({one.params for one in result}) < 3:
        raise InputError(
            f"{curve}: expected curves of at least 3 sizes with 2 rows each, got "
            f"{len({one.params for one in result})}"
        )
    return tuple(sorted(result, key=lambda one: (one.params, one.name)))


def _smoothed(
    x: Float[np.ndarray, " row"], y: Float[np.ndarray, " row"], width: float
) -> Float[np.ndarray, " row"]:
    """Local lines with a normal kernel: a straight curve stays as it is, and so do sparse rows."""
    result = np.empty_like(y)
    step = max(1, BLOCK // len(x))
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        away = x[None, :] - x[part, None]
        weight = np.exp(-0.5 * (away / width) ** 2)
        total, first, second = ((weight * away**power).sum(axis=1) for power in (0, 1, 2))
        level, slope = weight @ y, (weight * away) @ y
        spread = total * second - first**2
        flat = spread <= 1e-12 * total * total * width**2
        line = (second * level - first * slope) / np.where(flat, 1.0, spread)
        result[part] = np.where(flat, level / total, line)
    return result


def _at(
    one: Curve, grid: Float[np.ndarray, " level"], values: Float[np.ndarray, " row"]
) -> Float[np.ndarray, " level"]:
    """A curve's values at log compute, infinite where it has none."""
    x = np.log(one.flops)
    inside = (grid >= x[0] - 1e-9) & (grid <= x[-1] + 1e-9)
    return np.where(inside, np.interp(grid, x, values), np.inf)


def _winners(
    loss: Float[np.ndarray, "curve level"], given: Bool[np.ndarray, "draw curve"]
) -> Int[np.ndarray, "draw level"]:
    """The curve with the lowest loss among those given, -1 where none has a loss."""
    order = np.argsort(loss, axis=0, kind="stable")
    ranked = given[:, order]
    first = ranked.argmax(axis=1)
    winner = np.take_along_axis(order[None], first[:, None, :], axis=1)[:, 0, :]
    best = loss[winner, np.arange(loss.shape[1])]
    return np.where(ranked.any(axis=1) & np.isfinite(best), winner, -1)


def _inner(
    winner: Int[np.ndarray, "draw level"],
    sizes: Float[np.ndarray, " curve"],
    given: Bool[np.ndarray, "draw curve"],
) -> Bool[np.ndarray, "draw level"]:
    """Levels that neither the smallest nor the largest size given wins: beyond those the best size
    may be one that was not trained.
    """
    low = np.where(given, sizes, np.inf).min(axis=1)[:, None]
    high = np.where(given, sizes, -np.inf).max(axis=1)[:, None]
    best = sizes[winner]
    return (winner >= 0) & (best > low) & (best < high)


def _resampled(
    loss: Float[np.ndarray, "curve level"],
    sizes: Float[np.ndarray, " curve"],
    count: int,
    seed: int,
) -> tuple[Int[np.ndarray, "draw level"], Bool[np.ndarray, "draw level"]]:
    """The winners, and which levels are inner, when whole curves are drawn again.

    An envelope only knows whether a curve was drawn, not how often.
    """
    generator = np.random.default_rng(seed)
    curves, levels = loss.shape
    chosen = generator.integers(0, curves, (count, curves))
    given = np.zeros((count, curves), dtype=bool)
    np.put_along_axis(given, chosen, True, axis=1)
    winners = np.empty((count, levels), dtype=np.int64)
    step = max(1, BLOCK // (curves * levels))
    for start in range(0, count, step):
        winners[start : start + step] = _winners(loss, given[start : start + step])
    return winners, _inner(winners, sizes, given)


def _lines(
    x: Float[np.ndarray, " level"],
    y: Float[np.ndarray, "draw level"],
    used: Bool[np.ndarray, "draw level"],
) -> Float[np.ndarray, "draw 2"]:
    """Intercept and slope of every draw over the levels it uses; NaN where it uses too few."""
    weight = used.astype(np.float64)
    safe = np.where(used, y, 0.0)
    total = weight.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = weight @ x / total
        height = safe.sum(axis=1) / total
        away = (x[None, :] - middle[:, None]) * weight
        spread = (away**2).sum(axis=1)
        slope = (away * safe).sum(axis=1) / spread
    good = (total >= 3) & (spread > 1e-9)
    # One size alone has no slope; a line through it would say that the best size is constant.
    high = np.where(used, safe, -np.inf).max(axis=1)
    low = np.where(used, safe, np.inf).min(axis=1)
    good &= high > low
    found = np.stack([height - slope * middle, slope], axis=1)
    return np.where(good[:, None], found, np.nan)


def _law(
    name: str,
    x: Float[np.ndarray, " level"],
    y: Float[np.ndarray, " level"],
    draws: Float[np.ndarray, "draw 2"],
) -> Trend:
    lines = draws[:, :1] + draws[:, 1:] * x
    return drawn_trend(name, {"flops": np.exp(x)}, y, lines)
