"""How the best learning rate, batch size or decay moves with scale, as a power law with intervals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.identify.findings import Finding
from analysis.runs import is_positive
from analysis.summary import between, conditions, number
from analysis.tuning.optimum import Optimum
from analysis.tuning.settings import Tuning
from analysis.tuning.trend import Trend, trend, trend_document
from trainers.schema import InputError, shown


@dataclass(frozen=True)
class Drift:
    """The power law of the best value of one setting; `used` are the cells that it goes through.

    A slope whose interval contains 0 is what a parametrisation that transfers would give; it shows
    no more than that when the interval is wide.
    """

    setting: str
    trend: Trend
    used: tuple[Optimum, ...]
    left: tuple[Optimum, ...]
    warnings: tuple[Finding, ...]

    def still(self, name: str) -> bool | None:
        """Whether the interval of a slope contains 0; None when there is no interval."""
        slope = self.trend.slope(name)
        if slope.low is None or slope.high is None:
            return None
        return slope.low <= 0 <= slope.high


def drift(found: Tuning, setting: str, over: Sequence[str]) -> Drift:
    """Regress ln of the best `setting` on ln of fields of the cells, weighted by their errors.

    Cells without a vertex inside the values tried are left out.

    Raises:
        InputError: `over` are no positive fields of the cells, or too few cells have a vertex.
    """
    if setting not in found.settings:
        raise InputError(
            f"setting: expected one of {', '.join(found.settings)}, got {shown(setting)}"
        )
    if not over or not set(over) <= set(found.fields):
        raise InputError(
            f"over: expected fields of the cells ({', '.join(found.fields) or 'none'}), "
            f"got {', '.join(over) or 'none'}"
        )
    place = found.settings.index(setting)
    used = found.found
    inputs = {name: np.array([_positive(one, name) for one in used]) for name in over}
    logs = np.log([one.best[place] for one in used if one.best is not None])
    law = trend(setting, inputs, logs, found.together(place, used))
    left = tuple(one for one in found.optima if one.refused)
    return Drift(setting, law, used, left, tuple(_warnings(setting, law, left)))


def as_document(found: Drift) -> dict[str, Any]:
    """The power law as plain values for JSON."""
    return {
        **trend_document(found.trend),
        "contains_zero": {name: found.still(name) for name in found.trend.inputs},
        "cells": [dict(one.cell.fields) for one in found.used],
        "left_out": [{"cell": dict(one.cell.fields), "reason": one.refused} for one in found.left],
        "warnings": [{"code": one.code, "text": one.text} for one in found.warnings],
    }


def as_table(found: Drift) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Headers and cells: one row an exponent."""
    headers = ("exponent of", "value", "standard error", "95 % interval", "contains 0")
    rows = []
    for one in found.trend.slopes:
        has = one.low is not None
        zero = {None: "", True: "yes", False: "no"}[found.still(one.name)]
        spread = between(one.low, one.high) if has else "none"
        rows.append((one.name, number(one.value), number(one.standard_error), spread, zero))
    return headers, tuple(rows)


def _positive(one: Optimum, name: str) -> float:
    value = dict(one.cell.fields)[name]
    if not is_positive(value):
        raise InputError(f"{name}: expected a positive number in every cell, got {shown(value)}")
    return float(value)


def _warnings(setting: str, law: Trend, left: Sequence[Optimum]) -> Iterator[Finding]:
    if law.spare == 0:
        yield Finding(
            "no_spare_cells",
            f"{law.points} cells for {law.points} coefficients: nothing tests the power law of "
            f"{setting}, and it has no interval; one more scale would give one",
            "not identified",
        )
    elif law.spare < 3:
        yield Finding(
            "few_cells",
            f"only {law.spare} cells more than coefficients, so the interval of the exponent is "
            "wide; two more scales would narrow it most",
        )
    for one in law.slopes:
        if one.low is None or one.high is None:
            continue
        if one.low <= 0 <= one.high:
            most = max(abs(one.low), abs(one.high))
            yield Finding(
                "still",
                f"the best {setting} may not depend on {one.name}: the interval of the exponent, "
                f"{between(one.low, one.high)}, contains 0; it allows a factor of up to "
                f"{2**most:.2f} for each doubling of {one.name}",
            )
        else:
            yield Finding(
                "moves",
                f"the best {setting} changes by a factor {2**one.value:.3f} "
                f"({2**one.low:.3f} to {2**one.high:.3f}) for each doubling of {one.name}",
            )
    if left:
        where = "; ".join(conditions(one.cell.fields) or "all runs" for one in left[:4])
        more = "" if len(left) <= 4 else f" and {len(left) - 4} more"
        yield Finding(
            "cells_left_out",
            f"{len(left)} cells without a usable best {setting} are left out ({where}{more}); if "
            "their best values lie beyond those tried, the exponent is too close to 0",
        )
