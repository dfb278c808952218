"""What is lost when settings tuned in a small cell are used in a larger one, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from analysis.identify.findings import Finding
from analysis.runs import is_positive, same
from analysis.summary import conditions, number
from analysis.tuning import bowl
from analysis.tuning.optimum import Optimum, curve_logs
from analysis.tuning.settings import Tuning
from trainers.schema import InputError, shown


@dataclass(frozen=True)
class Regret:
    """The loss of the target cell at the source's best settings less that at its own best ones.

    `regret` is what the target's quadratic says, with a 95 % interval: relative to the loss on a
    log scale, else in units of the loss; None where one of the cells has no vertex. `inside` says
    whether the settings lie among the points of that quadratic; `measured` is the mean loss between
    the neighbouring settings tried, against the quadratic's lowest (one setting only).
    """

    source: Optimum
    target: Optimum
    regret: float | None
    low: float | None
    high: float | None
    inside: bool
    measured: float | None


@dataclass(frozen=True)
class Transfer:
    """The regrets of every cell against the smallest cell along one field."""

    along: str
    settings: tuple[str, ...]
    relative: bool
    regrets: tuple[Regret, ...]
    warnings: tuple[Finding, ...]


def transfer(found: Tuning, along: str) -> Transfer:
    """Carry the best settings of the smallest cell along a field to all larger ones.

    Cells are compared where all their other fields are equal.

    Raises:
        InputError: `along` is no positive field of the cells.
    """
    if along not in found.fields:
        raise InputError(
            f"along: expected one of {', '.join(found.fields) or 'no fields'}, got {shown(along)}"
        )
    for one in found.optima:
        value = dict(one.cell.fields)[along]
        if not is_positive(value):
            raise InputError(f"{along}: expected positive numbers, got {shown(value)}")
    regrets: list[Regret] = []
    for family in _families(found.optima, along):
        regrets += [_regret(found, family[0], target) for target in family[1:]]
    if not regrets:
        raise InputError(f"{along}: expected cells that differ in it alone, there are none")
    relative = found.scale == "log"
    return Transfer(
        along, found.settings, relative, tuple(regrets), _warnings(found, along, regrets)
    )


def as_document(found: Transfer) -> dict[str, Any]:
    """The regrets as plain values for JSON."""
    return {
        "along": found.along,
        "relative": found.relative,
        "regrets": [
            {
                "source": dict(one.source.cell.fields),
                "target": dict(one.target.cell.fields),
                "regret": one.regret,
                "low": one.low,
                "high": one.high,
                "inside": one.inside,
                "measured": one.measured,
            }
            for one in found.regrets
        ],
        "warnings": [{"code": one.code, "text": one.text} for one in found.warnings],
    }


def as_table(found: Transfer) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Headers and cells: one row a target cell."""
    headers = ("tuned at", "used at", *found.settings, "loss above the best", "95 % interval")
    rows = []
    for one in found.regrets:
        carried = [""] * len(found.settings)
        if one.source.best is not None:
            carried = [number(value) for value in one.source.best]
        rows.append(
            (
                conditions(one.source.cell.fields),
                conditions(one.target.cell.fields),
                *carried,
                "" if one.regret is None else _written(one.regret, found.relative),
                ""
                if one.low is None or one.high is None
                else f"{_written(one.low, found.relative)} to {_written(one.high, found.relative)}",
            )
        )
    return headers, tuple(rows)


def _families(optima: Sequence[Optimum], along: str) -> list[list[Optimum]]:
    """Cells with equal other fields, each family from the smallest along the field."""
    families: list[tuple[list[Any], list[Optimum]]] = []
    for one in optima:
        other = [value for name, value in one.cell.fields if name != along]
        family = next((each for known, each in families if same(known, other)), None)
        if family is None:
            families.append((other, [one]))
        else:
            family.append(one)
    return [sorted(each, key=lambda one: dict(one.cell.fields)[along]) for _, each in families]


def _regret(found: Tuning, source: Optimum, target: Optimum) -> Regret:
    if source.refused or target.refused or target.curve is None or source.best is None:
        return Regret(source, target, None, None, None, False, None)
    carried = np.log(np.array(source.best))
    points = target.cell.x[target.used]
    inside = bool((carried >= points.min(axis=0)).all() and (carried <= points.max(axis=0)).all())
    lost = _rise(found, source, target, carried)
    low, high = (None, None) if lost[1] is None else (lost[1], lost[2])
    measured = _measured(target, carried)
    return Regret(
        source,
        target,
        _relative(found, lost[0]),
        None if low is None else _relative(found, low),
        None if high is None else _relative(found, high),
        inside,
        None if measured is None else _relative(found, measured),
    )


def _rise(
    found: Tuning, source: Optimum, target: Optimum, carried: Float[np.ndarray, " axis"]
) -> tuple[float, float | None, float | None]:
    """How much the target's (ln) loss rises from its best settings to those carried to it.

    The interval is the rise over the interval of the distance, and reaches 0 when that does;
    the error of the curvature widens it.
    """
    curve, noise, best = target.curve, found.noise, np.log(np.array(target.best))
    if curve is None:
        raise ValueError("a cell without a curve has no regret")
    away = carried - best
    known = bool(np.isfinite(noise.quantile))
    if target.shape is None:
        together = source.covariance + target.covariance
        size, low, high = bowl.rise(
            curve, away, together, noise.variance, noise.quantile if known else 0.0
        )
        return (size, low, high) if known else (size, None, None)
    lowest = target.loss or 0.0
    size = float(curve_logs(target, carried[None])[0]) - lowest
    if not known:
        return size, None, None
    both = found.together(0, (source, target))
    half = noise.quantile * float(np.sqrt(max(0.0, both[0, 0] + both[1, 1] - 2 * both[0, 1])))
    ends = np.array([away[0] - half, away[0] + half])
    rises = np.sqrt(np.maximum(curve_logs(target, (best[0] + ends)[:, None]) - lowest, 0.0))
    distance = float(np.sqrt(max(size, 0.0)))
    bend = noise.quantile * distance / (2 * bowl.certainty(curve, noise.variance))
    least = 0.0 if ends[0] <= 0 <= ends[1] else float(rises.min())
    low = max(0.0, distance - float(np.hypot(distance - least, bend)))
    return size, low**2, (distance + float(np.hypot(float(rises.max()) - distance, bend))) ** 2


def _relative(found: Tuning, lost: float) -> float:
    return float(np.expm1(min(lost, 700.0))) if found.scale == "log" else lost


def _measured(target: Optimum, carried: Float[np.ndarray, " axis"]) -> float | None:
    x = target.cell.x
    if x.shape[1] > 1 or target.loss is None or not x.min() <= carried[0] <= x.max():
        return None
    order = np.argsort(x[:, 0])
    return float(np.interp(carried[0], x[order, 0], target.cell.y[order])) - target.loss


def _written(value: float, relative: bool) -> str:
    return f"{value:.3%}" if relative else number(value)


def _warnings(found: Tuning, along: str, regrets: Sequence[Regret]) -> tuple[Finding, ...]:
    result: list[Finding] = []
    relative = found.scale == "log"
    known = [one for one in regrets if one.regret is not None]
    if known:
        worst = max(known, key=lambda one: one.regret or 0.0)
        spread = (
            ""
            if worst.low is None or worst.high is None
            else f" ({_written(worst.low, relative)} to {_written(worst.high, relative)})"
        )
        result.append(
            Finding(
                "regret",
                f"settings tuned at the smallest {along} cost up to "
                f"{_written(worst.regret or 0.0, relative)}{spread} of {found.target} at "
                f"{conditions(worst.target.cell.fields)}",
            )
        )
    outside = [one for one in known if not one.inside]
    if outside:
        result.append(
            Finding(
                "outside",
                f"in {len(outside)} cells the carried settings lie outside the points of the "
                "quadratic, whose loss there is an extrapolation and mostly too low; run them",
            )
        )
    lost = len(regrets) - len(known)
    if lost:
        result.append(
            Finding("no_regret", f"{lost} pairs of cells have no regret, as one has no vertex")
        )
    return tuple(result)
