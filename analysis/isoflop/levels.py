"""The levels of an IsoFLOP analysis: the runs of each, their parabola, and whether it can be used."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from analysis.isoflop.compute_levels import LEAST
from analysis.tuning import bowl
from analysis.tuning.bowl import Bowl, fit_bowl

Scale = Literal["log", "plain"]
Edge = Literal["", "smaller", "larger"]

PRIOR = 4  # degrees of freedom that the common variance counts for in that of one level
SEEN = 2.0  # standard errors of its curvature by which a parabola must open upwards


@dataclass(frozen=True)
class Level:
    """The runs of one level of compute, by size; `refused` says why it enters no power law.

    `product` is size x tokens, `loss` is moved to the level's compute, `weight` is that of the
    plain loss, `curve` the parabola of (ln) loss in ln size, and `edge` where its vertex lies
    beyond the sizes tried.
    """

    flops: float
    product: float
    params: Float[np.ndarray, " run"]
    tokens: Float[np.ndarray, " run"]
    loss: Float[np.ndarray, " run"]
    weight: Float[np.ndarray, " run"]
    curve: Bowl | None
    edge: Edge
    refused: str


@dataclass(frozen=True)
class Measured:
    """What is known of every run; `error` is the standard error of its loss, None if unknown."""

    params: Float[np.ndarray, " run"]
    tokens: Float[np.ndarray, " run"]
    flops: Float[np.ndarray, " run"]
    loss: Float[np.ndarray, " run"]
    error: Float[np.ndarray, " run"] | None


@dataclass(frozen=True)
class Levels:
    """The levels, the variance of a run about each parabola at weight 1, and how sure that is.

    `spare` are the degrees of freedom of the variances, infinite when errors are known. `typical`
    is the variance common to all levels. `spread` is the largest ln ratio of a run's compute to
    that of its level.
    """

    levels: tuple[Level, ...]
    variance: tuple[float, ...]
    spare: tuple[float, ...]
    typical: float
    spread: float

    @property
    def used(self) -> tuple[int, ...]:
        """The levels that have a vertex to use."""
        return tuple(place for place, one in enumerate(self.levels) if not one.refused)


def make_levels(
    on: Measured, member: Int[np.ndarray, " run"], flops: Float[np.ndarray, " level"], scale: Scale
) -> Levels:
    """Fit the parabola of every level; `member` is the level of each run, -1 for none."""
    order = np.argsort(on.params, kind="stable")
    groups = [order[member[order] == place] for place in range(len(flops))]
    away = np.log(on.flops) - np.log(flops)[np.maximum(member, 0)]
    loss = _moved(on, groups, away, scale)
    plain = [
        _level(on, loss, one, float(mean), scale) for one, mean in zip(groups, flops, strict=True)
    ]
    variance, spare, typical = _noise(plain, on.error is not None)
    spread = max(float(np.abs(away[one]).max()) for one in groups)
    judged = tuple(_judged(one, noise) for one, noise in zip(plain, variance, strict=True))
    return Levels(judged, variance, spare, typical, spread)


def parabola_data(
    level: Level, scale: Scale
) -> tuple[Float[np.ndarray, "run 1"], Float[np.ndarray, " run"], Float[np.ndarray, " run"]]:
    """Natural log of the size, (ln) loss and its weight: what the parabola is fitted to."""
    x = np.log(level.params)[:, None]
    if scale == "log":
        return x, np.log(level.loss), level.weight * level.loss**2
    return x, level.loss, level.weight


def parabola(
    level: Level, scale: Scale, params: Float[np.ndarray, " point"]
) -> Float[np.ndarray, " point"]:
    """The loss of a level's parabola at some sizes; NaN where there is none."""
    if level.curve is None:
        return np.full(len(params), np.nan)
    found = bowl.value(level.curve, np.log(params)[:, None])
    return np.exp(found) if scale == "log" else found


def _level(
    on: Measured,
    loss: Float[np.ndarray, " run"],
    runs: Int[np.ndarray, " member"],
    flops: float,
    scale: Scale,
) -> Level:
    error = on.error[runs] if on.error is not None else loss[runs] if scale == "log" else 1.0
    bare = Level(
        flops,
        float(np.exp((np.log(on.params[runs]) + np.log(on.tokens[runs])).mean())),
        on.params[runs],
        on.tokens[runs],
        loss[runs],
        np.ones(len(runs)) / np.square(error),
        None,
        "",
        "",
    )
    sizes = len(np.unique(bare.params))
    if sizes < LEAST:
        words = f"{sizes} different sizes; a parabola that is tested needs {LEAST}"
        return replace(bare, refused=words)
    return replace(bare, curve=fit_bowl(*parabola_data(bare, scale)))


def _noise(
    levels: Sequence[Level], known: bool
) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """The variance at every level with its degrees of freedom, and the common variance.

    A level has few runs to spare, so its variance is drawn towards the common one, which is the
    median over levels and not the mean: one level with a wild run must not blur the others.
    """
    if known:
        return (1.0,) * len(levels), (float(np.inf),) * len(levels), 1.0
    curves = [one.curve for one in levels]
    each = [one.misfit / special.chdtri(one.spare, 0.5) for one in curves if one is not None]
    typical = float(np.median(each)) if len(each) else 0.0
    spare = tuple(PRIOR + (0 if one is None else one.spare) for one in curves)
    misfits = [0.0 if one is None else one.misfit for one in curves]
    variance = [
        (PRIOR * typical + misfit) / free for misfit, free in zip(misfits, spare, strict=True)
    ]
    return tuple(variance), tuple(float(one) for one in spare), typical


def _judged(level: Level, variance: float) -> Level:
    """The level with its edge, or the reason why its vertex is not to be used."""
    if level.refused or level.curve is None:
        return replace(level, refused=level.refused or "its sizes do not determine a parabola")
    if not bowl.convex(level.curve):
        return replace(
            level, refused="its parabola opens downwards: no size tried is near the best"
        )
    if bowl.certainty(level.curve, variance) < SEEN:
        return replace(level, refused="its parabola is flat within the noise")
    best = float(bowl.vertex(level.curve)[0])
    sizes = np.log(level.params)
    if best < sizes[0] or best > sizes[-1]:
        edge = "smaller" if best < sizes[0] else "larger"
        return replace(level, edge=edge, refused=f"its best size is {edge} than any that was tried")
    return level


def _moved(
    on: Measured,
    groups: Sequence[Int[np.ndarray, " _"]],
    away: Float[np.ndarray, " run"],
    scale: Scale,
) -> Float[np.ndarray, " run"]:
    """The losses moved to the compute of their level along the slope of the best losses.

    Near the best size the loss changes with compute as the best loss does, to first order.
    """
    heights, means = [], []
    for runs in groups:
        level = _level(on, on.loss, runs, 1.0, scale)
        if level.curve is not None and bowl.convex(level.curve):
            height = bowl.lowest(level.curve)
            heights.append(height if scale == "log" else np.log(max(height, 1e-300)))
            means.append(float(np.log(on.flops[runs]).mean()))
    if len(heights) < 2 or np.abs(away).max() < 1e-9:
        return on.loss
    slope = float(np.polyfit(means, heights, 1)[0])
    inside = np.abs(away) < 1.0
    return np.where(inside, on.loss * np.exp(-slope * np.where(inside, away, 0.0)), on.loss)
