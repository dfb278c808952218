"""Influence: what a fit would be without single rows, without whole runs, and without groups."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from analysis.engine.compiled import Vectors, predict_many
from analysis.engine.refit import Setup, misfit, refit, setup
from analysis.finding import Finding
from analysis.fit import Fit
from analysis.judgement.deletion import determined, extremes, moving_set, noise_of, outliers
from analysis.judgement.subsets import missed, searched, unit_of
from analysis.law import Values
from trainers.schema import InputError

BUDGET = 1_000_000  # rows of all the refits together; beyond it only the loudest rows are left out
Sets = Bool[np.ndarray, "set run"]

SET, SHARE = 5, 0.1  # rows of a most influential set, at most this share of them
MANY = 2_000  # rows beyond which no five of them are looked for
LOUD, FRAGILE = 1.0, 2.0  # standard errors by which an exponent must move to be worth a warning


@dataclass(frozen=True)
class Case:
    """The fit without some rows (places among the points), and how far it moves.

    `coefficients` are those without them, `change` their change in standard errors of the fit with
    them, `prediction` the change of the prediction at the largest scale, in the unit of residuals,
    and `distance` that of Cook: squared changes of all predictions over the coefficients in number
    and the residual variance. Source: Cook 1977, Detection of influential observation in linear
    regression, Technometrics 19, 15. `agreed` says that no better optimum was found by a search
    without these rows; it is None for single rows, which are fitted from the optimum with them.
    """

    rows: tuple[int, ...]
    why: str
    coefficients: tuple[tuple[str, float], ...]
    change: tuple[tuple[str, float], ...]
    prediction: float
    distance: float
    agreed: bool | None


@dataclass(frozen=True)
class Influence:
    """A fit without each row (or run), and without groups of rows.

    `standard_errors` are the units of `Case.change`: of the bootstrap, or else of the jackknife.
    `names` gives the name of every row.
    """

    cases: tuple[Case, ...]
    groups: tuple[Case, ...]
    names: tuple[str, ...]
    standard_errors: tuple[tuple[str, float], ...]
    warnings: tuple[Finding, ...]

    def movers(self, coefficient: str, count: int = 5) -> tuple[Case, ...]:
        """The single rows (or runs) that move a coefficient most."""
        change = [abs(dict(one.change)[coefficient]) for one in self.cases]
        return tuple(self.cases[at] for at in np.argsort(change, kind="stable")[::-1][:count])


@dataclass(frozen=True)
class _Whole:
    """The fit of all rows, with which others are compared."""

    of: Setup
    vector: Vectors
    errors: Float[np.ndarray, " coefficient"]
    at: Values

    def cases(
        self, sets: Sets, whys: Sequence[str], vectors: Vectors, agreed: Sequence[bool | None]
    ) -> tuple[Case, ...]:
        """The fits without some sets of rows beside the fit with them."""
        law, noise = self.of.law, noise_of(self.of)
        names = [one.name for one in law.coefficients]
        before, after = (misfit(self.of, one) / noise for one in (self.vector, vectors))
        variance = float((before**2).sum()) / (before.shape[1] - len(names))
        moved = ((after - before) ** 2).sum(axis=1) / len(names)
        distance = moved / variance if variance > 0 else np.zeros(len(sets))
        old, new = (predict_many(law, one, self.at)[:, 0] for one in (self.vector, vectors))
        further = missed(new, np.repeat(old, len(new)), unit_of(self.of.objective))
        change = self.changes(vectors)
        return tuple(
            Case(
                rows=tuple(int(row) for row in np.flatnonzero(one)),
                why=whys[at],
                coefficients=tuple(zip(names, map(float, vectors[at]), strict=True)),
                change=tuple(zip(names, map(float, change[at]), strict=True)),
                prediction=float(further[at]),
                distance=float(distance[at]),
                agreed=agreed[at],
            )
            for at, one in enumerate(sets)
        )

    def changes(self, vectors: Vectors) -> Vectors:
        """Changes of the coefficients in their standard errors."""
        shift = vectors - self.vector
        return np.divide(shift, self.errors, out=np.zeros_like(shift), where=self.errors > 0)


def influence(
    fitted: Fit, *, names: Sequence[str] | None = None, at: Values | None = None
) -> Influence:
    """Refit without every row, or without every run where rows belong to runs, and without groups.

    The groups are the rows that lie far from the law even when they are not fitted, those of them
    that are the largest or smallest of their kind, and for every exponent the five rows without
    which it changes most. Of more than a thousand rows only those with the largest residuals are left
    out by themselves. `names` are what rows are called (by their inputs, unless given); `at` is
    one place at which the change of the prediction is measured, the largest scale unless given.

    Raises:
        InputError: there are not as many names as rows, or no row is to spare.
    """
    of, on, law = fitted.setup, fitted.points, fitted.law
    if names is not None and len(names) != len(on):
        raise InputError(f"names: expected one for each of {len(on)} rows, got {len(names)}")
    if len(on) <= len(law.coefficients):
        raise InputError(
            f"influence: expected more than {len(law.coefficients)} rows for "
            f"{len(law.coefficients)} coefficients, got {len(on)}"
        )
    names = _names(fitted) if names is None else tuple(names)
    sets = _single(of, fitted.vector)
    good = np.array([determined(law, on, ~one) for one in sets], dtype=bool)
    alone, needed = sets[good], sets[~good]
    vectors = np.empty((0, len(law.coefficients)))
    if len(alone):
        vectors = refit(of, fitted.vector, weight=1.0 - alone).vectors
    place = _top(fitted) if at is None else at
    whole = _Whole(of, fitted.vector, _errors(fitted, vectors), place)
    cases = whole.cases(alone, [""] * len(alone), vectors, [None] * len(alone))
    whys, groups = _groups(fitted, alone, vectors)
    parts = [searched(setup(law, on.part(~one), of.objective), fitted.vector) for one in groups]
    grouped = whole.cases(
        groups,
        whys,
        np.array([one.vector[0] for one in parts]).reshape(len(parts), len(law.place)),
        [one.agreed for one in parts],
    )
    errors = tuple(zip(law.place, map(float, whole.errors), strict=True))
    warnings = tuple(_warnings(fitted, cases, grouped, names, needed))
    return Influence(cases, grouped, names, errors, warnings)


def as_document(found: Influence) -> dict[str, Any]:
    """An influence study as plain data for JSON."""

    def plain(one: Case) -> dict[str, Any]:
        return {
            "rows": [found.names[row] for row in one.rows],
            "why": one.why,
            "coefficients": dict(one.coefficients),
            "change_in_standard_errors": dict(one.change),
            "prediction_change": one.prediction,
            "distance": one.distance,
        }

    return {
        "standard_errors": dict(found.standard_errors),
        "cases": [plain(one) for one in found.cases],
        "groups": [plain(one) for one in found.groups],
        "warnings": [{"code": one.code, "text": one.text} for one in found.warnings],
    }


def _single(of: Setup, vector: Vectors) -> Sets:
    """The sets of one row, or of one run; of many, those with the largest residuals."""
    on, count = of.points, len(of.points)
    group = (
        np.arange(count) if on.cluster is None else np.unique(on.cluster, return_inverse=True)[1]
    )
    size = int(group.max()) + 1
    most = max(BUDGET // count, SET)
    residual = np.abs(misfit(of, vector)[0]) / noise_of(of)
    loud = np.zeros(size)
    np.maximum.at(loud, group, residual)
    chosen = np.sort(np.argsort(-loud, kind="stable")[:most])
    return group[None] == chosen[:, None]


def _errors(fitted: Fit, vectors: Vectors) -> Float[np.ndarray, " coefficient"]:
    known = [one.standard_error for one in fitted.coefficients]
    if all(one is not None for one in known):
        return np.array(known, dtype=np.float64)
    count = len(vectors)
    if count < 2:
        return np.zeros(vectors.shape[1])
    return np.sqrt((count - 1) * vectors.var(axis=0))


def _top(fitted: Fit) -> Values:
    """The inputs of the row of the largest scale."""
    on = fitted.points
    scale = np.zeros(len(on))
    for one in fitted.law.inputs:
        scale += np.log(on.values[one.name]) if one.positive else 0.0
    place = int(np.argmax(scale))
    return {name: values[[place]] for name, values in on.values.items()}


def _names(fitted: Fit) -> tuple[str, ...]:
    on = fitted.points
    return tuple(
        ", ".join(
            f"{name} {value:.4g}"
            for name, value in [
                *((name, values[row]) for name, values in on.values.items()),
                (fitted.target, on.measured[row]),
            ]
        )
        for row in range(len(on))
    )


def _groups(
    fitted: Fit, alone: Sets, vectors: Vectors
) -> tuple[list[str], Bool[np.ndarray, "group run"]]:
    """Groups of rows with what they are; a group that is two things is listed once."""
    of, count = fitted.setup, len(fitted.points)
    out = outliers(of, fitted.vector)
    named = [*extremes(of, fitted.target, out)]
    if out.sum() > 1:
        named.append(("far from the law that fits the others", out))
    size = min(SET, int(SHARE * count))
    lone = alone.sum(axis=1) == 1
    if size > 1 and lone.any() and count <= MANY:
        for one in exponents(fitted):
            shift = np.full(count, np.nan)
            column = fitted.law.place[one]
            shift[np.argmax(alone[lone], axis=1)] = (vectors - fitted.vector)[lone, column]
            rows = moving_set(of, fitted.vector, column, shift, size)
            named.append((f"chosen to move {one} most", rows))
    whys: dict[bytes, list[str]] = {}
    kept: dict[bytes, np.ndarray] = {}
    for why, rows in named:
        if rows.any() and determined(fitted.law, fitted.points, ~rows):
            whys.setdefault(rows.tobytes(), []).append(why)
            kept[rows.tobytes()] = rows
    return (
        [" and ".join(one) for one in whys.values()],
        np.array(list(kept.values()), dtype=bool).reshape(len(kept), count),
    )


def exponents(fitted: Fit) -> list[str]:
    """The coefficients that are worth following: those that do not enter linearly, or else all."""
    found = [one.name for one in fitted.law.nonlinear]
    return found or [one.name for one in fitted.law.coefficients]


def _warnings(
    fitted: Fit,
    cases: Sequence[Case],
    groups: Sequence[Case],
    names: Sequence[str],
    needed: Sets,
) -> Iterator[Finding]:
    watched = exponents(fitted)
    values = {one.name: one.value for one in fitted.coefficients}

    def moved(one: Case, least: float) -> list[str]:
        change, now = dict(one.change), dict(one.coefficients)
        return [
            f"{name} is {now[name]:.3g} instead of {values[name]:.3g} "
            f"({abs(change[name]):.1f} standard errors)"
            for name in sorted(watched, key=lambda name: -abs(change[name]))
            if abs(change[name]) > least
        ]

    said: set[int] = set()
    for one in groups:
        if 2 * len(said & set(one.rows)) > len(one.rows):
            continue  # most of these rows were named already
        chosen = one.why.startswith("chosen")
        words = moved(one, FRAGILE if chosen else LOUD)
        said |= set(one.rows if words else ())
        if words and chosen:
            yield Finding(
                "fragile",
                f"{len(one.rows)} of {len(names)} rows are enough to change the answer: without "
                f"{_listed(one, names)}, {' and '.join(words)}",
            )
        elif words:
            yield Finding(
                "outlying_group",
                f"without the {len(one.rows)} rows {one.why} ({_listed(one, names)}), "
                f"{' and '.join(words)}: find out what is different about them before the "
                "exponent is quoted",
            )
    loudest = sorted(cases, key=lambda one: -max(abs(dict(one.change)[name]) for name in watched))
    for one in loudest[:1]:
        words = moved(one, LOUD)
        if words:
            yield Finding(
                "influential_row" if len(one.rows) == 1 else "influential_run",
                f"without {_listed(one, names)} alone, {' and '.join(words)}",
            )
    if len(needed):
        rows = [names[int(row)] for row in np.flatnonzero(needed.any(axis=0))[:SET]]
        yield Finding(
            "irreplaceable",
            f"the law cannot be determined without {'; '.join(rows)}: a second run like it would "
            "show whether it can be trusted",
        )


def _listed(one: Case, names: Sequence[str]) -> str:
    shown = "; ".join(names[row] for row in one.rows[:SET])
    return shown if len(one.rows) <= SET else f"{shown}; and {len(one.rows) - SET} more"
