"""The best settings of one cell: the vertex of its quadratic, where it lies, and how sure it is."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from analysis import bowl
from analysis.bowl import Bowl
from analysis.hyper_cells import Cell, Noise

Edge = Literal["", "below", "above"]
SEEN = 2.0  # standard errors of its curvature by which a quadratic must open upwards


@dataclass(frozen=True)
class Optimum:
    """The best settings of one cell: vertex of the quadratic of (ln) loss in ln settings.

    `best` and its 95 % interval are in units of the settings, `errors` and `covariance` of their
    natural logs. `argmin` is the best setting tried. `edge` says for each setting whether the
    vertex lies beyond what was tried, `border` whether the best tried one is an outermost one.
    `used` are the points of the quadratic; `refused` says why there is no vertex to use.
    """

    cell: Cell
    curve: Bowl | None
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


def optimum_of(
    cell: Cell, curve: Bowl | None, used: Bool[np.ndarray, " point"] | None, noise: Noise
) -> Optimum:
    """The vertex of a cell's quadratic, or in words why there is none to use."""
    axes = cell.x.shape[1]
    low, high = cell.x.min(axis=0), cell.x.max(axis=0)
    lowest = int(cell.y.argmin())
    border = tuple(bool(one) for one in (cell.x[lowest] == low) | (cell.x[lowest] == high))
    argmin = tuple(float(one) for one in np.exp(cell.x[lowest]))
    nothing = np.full((axes, axes), np.nan)
    blank = ("",) * axes
    if curve is None or used is None:
        levels = min(len(np.unique(np.round(column, 9))) for column in cell.x.T)
        words = (
            f"{len(cell.y)} settings with {levels} levels; a quadratic needs {bowl.terms(axes)} "
            "with 3 levels"
            if len(cell.y) < bowl.terms(axes) or levels < 3
            else "no quadratic round the best setting opens upwards"
        )
        return Optimum(
            cell, None, np.zeros(len(cell.y), dtype=bool), None, (), (), (), nothing, None, argmin,
            float(cell.y[lowest]), blank, border, words,
        )  # fmt: skip
    at = bowl.vertex(curve)
    covariance = bowl.vertex_covariance(curve, noise.variance)
    errors = np.sqrt(np.diag(covariance))
    edge = tuple[Edge, ...](
        "below" if one < least else "above" if one > most else ""
        for one, least, most in zip(at, low - 1e-9, high + 1e-9, strict=True)
    )
    refused = ""
    if any(edge):
        refused = "the best setting lies beyond those tried"
    elif bowl.certainty(curve, noise.variance) < SEEN:
        refused = "the loss is flat within the noise round the best setting"
    with np.errstate(over="ignore"):
        half = noise.quantile * errors if noise.spare > 0 else np.full(axes, np.inf)
        bounds = np.exp(at - half), np.exp(at + half)
        best = np.exp(at)
    return Optimum(
        cell,
        curve,
        used,
        tuple(float(one) for one in best),
        tuple(float(one) for one in errors),
        tuple(float(one) for one in bounds[0]),
        tuple(float(one) for one in bounds[1]),
        covariance,
        bowl.lowest(curve),
        argmin,
        float(cell.y[lowest]),
        edge,
        border,
        refused,
    )
