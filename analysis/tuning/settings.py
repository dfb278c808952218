"""The best learning rate, batch size or decay of every cell of a sweep, by a local bowl."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from analysis.identify.findings import Finding
from analysis.runs import Omitted, Runs
from analysis.summary import conditions, number
from analysis.tuning.cells import Scale, cells, first_noise
from analysis.tuning.neighbourhood import Noise
from analysis.tuning.optimum import Optimum, curve_logs, optimum_of
from analysis.tuning.vertices import by_common_shape, by_quadratic
from analysis.tuning.warnings import tuning_warnings
from trainers.schema import InputError


@dataclass(frozen=True)
class Tuning:
    """The best settings of every cell; `noise` is that of one run's (ln) loss.

    `joint` is for each setting the covariance over cells of the logs of its best values.
    """

    settings: tuple[str, ...]
    fields: tuple[str, ...]
    target: str
    scale: Scale
    optima: tuple[Optimum, ...]
    noise: Noise
    joint: Float[np.ndarray, "axis cell cell"]
    omitted: tuple[Omitted, ...]
    warnings: tuple[Finding, ...]

    @property
    def found(self) -> tuple[Optimum, ...]:
        """The cells whose vertex can be used."""
        return tuple(one for one in self.optima if not one.refused)

    def together(self, place: int, optima: Sequence[Optimum]) -> Float[np.ndarray, "some some"]:
        """The covariance of the logs of the best values of one setting over some of the cells."""
        at = [place for one in optima for place, own in enumerate(self.optima) if own is one]
        return self.joint[place][np.ix_(at, at)]


def tuning(
    runs: Runs,
    *,
    settings: Sequence[str],
    fields: Sequence[str],
    target: str = "loss",
    noise: str | None = None,
    scale: Scale = "log",
) -> Tuning:
    """Find the best settings in every cell of equal `fields`.

    One or two positive `settings`; `noise` is a column of standard errors of the target. The
    argmin of a grid is beside the best setting by up to half a step, and by more where a lucky run
    won; the vertex of a curve through its neighbours is not. With one setting the curves of all
    cells share a skewed shape, since a loss that rises more steeply on one side moves the vertex of
    a quadratic; with two settings, or too few points, they are quadratics. Runs without a usable
    loss are listed, and noted where they lie next to the best setting.

    Raises:
        InputError: a column is missing, a setting is not positive, or no run has a loss.
    """
    names = tuple(settings)
    if not 1 <= len(names) <= 2 or len(set(names)) < len(names):
        raise InputError(f"settings: expected one or two columns, got {', '.join(names) or 'none'}")
    if set(names) & set(fields):
        raise InputError(f"fields: expected other columns than the settings {', '.join(names)}")
    found, omitted = cells(runs, names, fields, target, noise, scale)
    if not found:
        raise InputError(f"{target}: expected at least one run with a usable value, got none")
    first = first_noise(found, noise is not None)
    shaped = by_common_shape(found, first) if len(names) == 1 else None
    vertices = by_quadratic(found, first) if shaped is None else shaped
    optima = tuple(optimum_of(cell, place, vertices) for place, cell in enumerate(found))
    noted = tuning_warnings(names, optima, vertices.noise, len(omitted))
    return Tuning(
        names,
        tuple(fields),
        target,
        scale,
        optima,
        vertices.noise,
        vertices.joint,
        (*runs.omitted, *omitted),
        tuple(noted),
    )


def curve_value(
    found: Tuning, place: int, settings: Float[np.ndarray, "point axis"]
) -> Float[np.ndarray, " point"]:
    """The loss of the curve of one cell at some settings; NaN where it has none."""
    value = curve_logs(found.optima[place], np.log(settings))
    return np.exp(value) if found.scale == "log" else value


def as_document(found: Tuning) -> dict[str, Any]:
    """The best settings as plain values for JSON."""
    shape = next((one.shape for one in found.optima if one.shape is not None), None)
    return {
        "settings": list(found.settings),
        "target": found.target,
        "shape": None if shape is None else {"fall": shape.alpha, "rise": shape.beta},
        "noise": {"deviation": float(np.sqrt(found.noise.variance)), "from": found.noise.source},
        "cells": [
            {
                "cell": dict(one.cell.fields),
                "best": None
                if one.best is None
                else dict(zip(found.settings, one.best, strict=True)),
                "low": _finite(found.settings, one.low),
                "high": _finite(found.settings, one.high),
                "errors": _finite(found.settings, one.errors),
                "loss": one.loss,
                "argmin": dict(zip(found.settings, one.argmin, strict=True)),
                "edge": dict(zip(found.settings, one.edge, strict=True)),
                "at_border": dict(zip(found.settings, one.border, strict=True)),
                "points": len(one.cell.y),
                "used": int(one.used.sum()),
                "refused": one.refused,
            }
            for one in found.optima
        ],
        "omitted": [{"key": one.key, "reason": one.reason} for one in found.omitted],
        "warnings": [{"code": one.code, "text": one.text} for one in found.warnings],
    }


def as_table(found: Tuning) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Headers and cells: one row a cell."""
    headers = (
        *found.fields,
        *(f"best {name}" for name in found.settings),
        *(f"best {name} tried" for name in found.settings),
        "settings used",
        "note",
    )
    rows = []
    for one in found.optima:
        best = [
            "" if one.best is None else _interval(one, place)
            for place in range(len(found.settings))
        ]
        tried = [number(value) for value in one.argmin]
        known = [conditions([field])[len(field[0]) + 1 :] for field in one.cell.fields]
        used = f"{int(one.used.sum())} of {len(one.cell.y)}"
        rows.append((*known, *best, *tried, used, one.refused))
    return headers, tuple(rows)


def _interval(one: Optimum, place: int) -> str:
    if one.best is None:
        return ""
    text = number(one.best[place])
    if not np.isfinite(one.high[place]):
        return text
    return f"{text} ({number(one.low[place])} to {number(one.high[place])})"


def _finite(names: Sequence[str], values: Sequence[float]) -> dict[str, float | None]:
    return {
        name: value if np.isfinite(value) else None
        for name, value in zip(names, values, strict=False)
    }
