"""The sections of one fit: its coefficients, what they determine together, figures and residuals."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from analysis.engine.compiled import gradient
from analysis.finding import Finding
from analysis.fit import Fit, predict_fit
from analysis.judgement.trust import Trust, rounded
from analysis.reporting.figures.coefficients import tradeoff_picture
from analysis.reporting.figures.curve import default_forecast, forecast_picture
from analysis.reporting.figures.residuals import residual_picture
from analysis.reporting.figures.slices import slices_picture
from analysis.reporting.figures.surface import surface_picture
from analysis.reporting.figures.words import level_words
from analysis.reporting.fit_words import trades_off
from analysis.reporting.sections import Grid, Section
from analysis.summary import between, number
from analysis.uncertainty.intervals import named

ALIKE = 0.8  # correlation over the resamples from which a pair of coefficients gets a figure
LISTED = 200  # rows of the table of residuals

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def coefficient_section(
    title: str, fitted: Fit, judged: Trust | None, notes: Sequence[Finding] = (), *, level: int = 2
) -> Section:
    """The verdict, the coefficients with their intervals, every warning, and the formula fitted.

    `judged` is None where the verdict stands above already.
    """
    return Section(
        title=title,
        answer="" if judged is None else f"{judged.line}.",
        table=Grid(
            ("coefficient", "value", level_words(fitted), "standard error"),
            tuple(
                (
                    f"{one.name}\n{one.meaning}",
                    number(one.value),
                    "none" if one.low is None else between(one.low, one.high),
                    number(one.standard_error),
                )
                for one in fitted.coefficients
            ),
        ),
        findings=(*fitted.warnings, *notes),
        note=_how(fitted),
        code=f"{fitted.law.formula}\n{fitted_formula(fitted)}",
        level=3 if level == 3 else 2,
    )


def combination_section(fitted: Fit, *, level: int = 2) -> Iterator[Section]:
    """What the runs determine although single coefficients trade off; nothing where they do not."""
    if not trades_off(fitted):
        return
    rows = []
    for one in fitted.combinations:
        value, spread = rounded(one.value, one.low, one.high)
        rows.append((f"{one.name}\n{one.meaning}", value, spread or "none"))
    known = {one.name: one for one in fitted.combinations}
    answer = "Coefficients make up for each other here; these combinations of them are determined better."
    if "a" in known:
        value, spread = rounded(known["a"].value, known["a"].low, known["a"].high)
        grows = f"compute^{value}{f' ({spread})' if spread else ''}"
        answer += f" For the least loss at given compute, params grow as {grows}."
    yield Section(
        title="What is determined all the same",
        answer=answer,
        table=Grid(("combination", "value", level_words(fitted)), tuple(rows)),
        level=3 if level == 3 else 2,
    )


def fit_figures(
    prefix: str,
    fitted: Fit,
    names: Sequence[str] = (),
    unit: str = "",
    *,
    curve: bool = True,
) -> tuple[Section, ...]:
    """The figures that show whether a law follows its runs; `curve` is false where one is above."""
    found: list[Section] = []
    if len(fitted.inputs) == 1 and curve:
        shown = forecast_picture(f"{prefix}-curve", fitted, default_forecast(fitted), unit)
        found.append(Section("The law and the runs", picture=shown, level=3))
    slices = slices_picture(f"{prefix}-slices", fitted, unit)
    if slices is not None:
        found.append(Section("The law and the runs", picture=slices, level=3))
    surface = surface_picture(f"{prefix}-surface", fitted, unit=unit)
    if surface is not None:
        found.append(Section("The whole surface", picture=surface, level=3))
    found.append(
        Section(
            "Residuals",
            picture=residual_picture(f"{prefix}-residuals", fitted, names, unit),
            level=3,
        )
    )
    pair = _alike(fitted)
    if pair is not None:
        found.append(_tradeoff(prefix, fitted, *pair))
    return tuple(found)


def runs_section(fitted: Fit, names: Sequence[str] = ()) -> Section:
    """Every fitted row with its residual, the largest first; folded, since it is long."""
    law = predict_fit(fitted, fitted.points.values)
    measured = fitted.points.measured
    apart = measured / law - 1 if (law > 0).all() else measured - law
    order = np.argsort(-np.abs(apart), kind="stable")[:LISTED].tolist()
    known = len(names) == fitted.rows
    headers = (
        *(("run",) if known else ()),
        *(column for _, column in fitted.inputs),
        f"{fitted.target}, measured",
        "fitted",
        "measured less fitted",
    )

    def cells(at: int) -> tuple[str, ...]:
        return (
            *((names[at],) if known else ()),
            *(number(fitted.points.values[name].item(at)) for name, _ in fitted.inputs),
            number(measured.item(at)),
            number(law.item(at)),
            f"{100 * apart[at]:+.2f} %" if (law > 0).all() else f"{apart[at]:+.4g}",
        )

    rows = tuple(map(cells, order))
    left = fitted.rows - len(rows)
    return Section(
        title="Every fitted row" if not left else f"The {LISTED} rows of largest residual",
        table=Grid(headers, rows),
        note="The largest residual comes first."
        + (f" {left} rows of smaller residual are not shown." if left else ""),
        folded=True,
    )


def fitted_formula(fitted: Fit) -> str:
    """The formula with the numbers in it, to copy."""
    values = {one.name: one.value for one in fitted.coefficients}

    def put(found: re.Match[str]) -> str:
        name = found.group()
        if name not in values:
            return name
        text = f"{values[name]:.6g}"
        return f"({text})" if text.startswith("-") else text

    return _NAME.sub(put, fitted.law.formula)


def _how(fitted: Fit) -> str:
    rows = "rows" if fitted.pool == "none" else f"cells, each the {fitted.pool} of its trials"
    inputs = "".join(f"{name} is {column}; " for name, column in fitted.inputs if name != column)
    used = fitted.objective_used
    kind = {
        "huber": f"sum of Huber losses, delta {used.delta:g}",
        "squares": "sum of squares",
        "binomial": "negative log-likelihood of the counts",
    }.get(used.kind, f"negative log-likelihood, {used.kind} errors")
    of = "" if used.kind == "binomial" else f" of {used.residual} residuals"
    spread = named(fitted.interval_kind, fitted.level, len(fitted.draws), fitted.drawn)
    resampled = f"{spread}, seed {fitted.seed}" if len(fitted.draws) else spread
    return (
        f"Status: {fitted.status}. {fitted.rows} {rows}; {inputs}objective {fitted.objective:.6g} "
        f"({kind}{of}); intervals: {resampled}. Law: {fitted.law.source}."
    )


def _alike(fitted: Fit) -> tuple[int, int] | None:
    """The two exponents or floors that trade off most over the resamples."""
    draws = fitted.draws
    if len(draws) < 20 or draws.shape[1] < 2:
        return None
    values = {one.name: one.value for one in fitted.coefficients}
    slopes = gradient(fitted.law, values, fitted.points.values)
    exponents = {fitted.law.place[one.name] for one in fitted.law.nonlinear}
    # An amplitude follows its own exponent in every fit; a floor or another exponent is news.
    floors = {place for place in range(slopes.shape[1]) if np.ptp(slopes[:, place]) < 1e-12}
    moving = [place for place in sorted(exponents | floors) if draws[:, place].std() > 0]
    best: tuple[float, tuple[int, int]] | None = None
    for at, first in enumerate(moving):
        for second in moving[at + 1 :]:
            together = abs(float(np.corrcoef(draws[:, first], draws[:, second])[0, 1]))
            if together > ALIKE and (best is None or together > best[0]):
                best = together, (first, second)
    return None if best is None else best[1]


def _tradeoff(prefix: str, fitted: Fit, first: int, second: int) -> Section:
    one, other = fitted.coefficients[first], fitted.coefficients[second]
    shown = tradeoff_picture(
        f"{prefix}-tradeoff",
        one.name,
        other.name,
        fitted.draws[:, [first, second]],
        (one.value, other.value),
    )
    return Section(
        f"{one.name} and {other.name} trade off",
        answer="Runs of the same kind would have given any pair in this cloud.",
        picture=shown,
        level=3,
        folded=True,
    )
