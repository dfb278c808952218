"""The best settings of one cell: where the vertex lies, how sure it is, and the curve through it."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from analysis.isoflop.two_power import TwoPower, profile
from analysis.tuning import bowl
from analysis.tuning.bowl import Bowl
from analysis.tuning.cells import Cell
from analysis.tuning.vertices import Vertices

Edge = Literal["", "below", "above"]
SEEN = 2.0  # standard errors of its curvature by which a quadratic must open upwards


@dataclass(frozen=True)
class Optimum:
    """The best settings of one cell.

    `best` and its 95 % interval are in units of the settings, `errors` and `covariance` of their
    natural logs. `argmin` is the best setting tried. `edge` says for each setting whether the
    vertex lies beyond what was tried, `border` whether the best tried one is an outermost one.
    `used` are the points of `curve`, the cell's quadratic, and of its `level` of the common `shape`
    where there is one, whose vertex then is the best setting. `loss` is the lowest (ln) loss of
    that curve. `refused` says why there is no vertex to use.
    """

    cell: Cell
    curve: Bowl | None
    shape: TwoPower | None
    level: int
    used: Bool[np.ndarray, " point"]
    best: tuple[float, ...] | None
    errors: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    covariance: Float[np.ndarray, "axis axis"]
    loss: float | None
    argmin: tuple[float, ...]
    argmin_loss: float
    edge: tuple[Edge, ...]
    border: tuple[bool, ...]
    refused: str


def optimum_of(cell: Cell, place: int, found: Vertices) -> Optimum:
    """The best settings of the cell at that place, or in words why there are none to use."""
    axes = cell.x.shape[1]
    low, high = cell.x.min(axis=0), cell.x.max(axis=0)
    lowest = int(cell.y.argmin())
    here = cell.x[lowest]
    bare = Optimum(
        cell=cell,
        curve=None,
        shape=None,
        level=-1,
        used=np.zeros(len(cell.y), dtype=bool),
        best=None,
        errors=(),
        low=(),
        high=(),
        covariance=np.full((axes, axes), np.nan),
        loss=None,
        argmin=tuple(float(one) for one in np.exp(here)),
        argmin_loss=float(cell.y[lowest]),
        edge=("",) * axes,
        border=tuple(bool(one) for one in (here == low) | (here == high)),
        refused="",
    )
    near, at = found.near[place], found.log_best[place]
    if near is None or not np.isfinite(at).all():
        return replace(bare, **_nothing(bare))
    edge = tuple[Edge, ...](
        "below" if one < least else "above" if one > most else ""
        for one, least, most in zip(at, low - 1e-9, high + 1e-9, strict=True)
    )
    refused = ""
    if any(edge):
        refused = "the best setting lies beyond those tried"
    elif bowl.certainty(near.curve, found.noise.variance) < SEEN:
        refused = "the loss is flat within the noise round the best setting"
    errors = np.sqrt(np.diag(found.own[place]))
    with np.errstate(over="ignore", invalid="ignore"):
        half = found.noise.quantile * errors if found.noise.spare > 0 else np.full(axes, np.inf)
        bounds = np.exp(at - half), np.exp(at + half)
    whole = replace(
        bare,
        curve=near.curve,
        shape=found.profile,
        level=found.profiled.index(place) if found.profile is not None else -1,
        used=near.used,
        best=tuple(float(one) for one in np.exp(at)),
        errors=tuple(float(one) for one in errors),
        low=tuple(float(one) for one in bounds[0]),
        high=tuple(float(one) for one in bounds[1]),
        covariance=found.own[place],
        edge=edge,
        refused=refused,
    )
    return replace(whole, loss=float(curve_logs(whole, at[None])[0]))


def curve_logs(one: Optimum, x: Float[np.ndarray, "point axis"]) -> Float[np.ndarray, " point"]:
    """The (ln) loss of the cell's curve at some natural logs of the settings; NaN without one."""
    if one.curve is None:
        return np.full(len(x), np.nan)
    if one.shape is not None:
        return profile(one.shape, one.level, x[:, 0])
    return bowl.value(one.curve, x)


def _nothing(one: Optimum) -> dict[str, object]:
    """Why a cell has no vertex: too few settings, a loss that falls throughout, or no minimum."""
    axes, points = one.cell.x.shape[1], len(one.cell.y)
    levels = min(len(np.unique(np.round(column, 9))) for column in one.cell.x.T)
    if points < bowl.terms(axes) or levels < 3:
        words = f"{points} settings with {levels} levels; it takes {bowl.terms(axes)} and 3 levels"
        return {"refused": words}
    edge: list[Edge] = []
    for column, tried in zip(one.cell.x.T, np.log(one.argmin), strict=True):
        below, above = np.isclose(tried, column.min()), np.isclose(tried, column.max())
        edge.append("below" if below else "above" if above else "")
    if any(edge):
        return {"edge": tuple(edge), "refused": "the best setting lies beyond those tried"}
    return {"refused": "no curve round the best setting opens upwards"}
