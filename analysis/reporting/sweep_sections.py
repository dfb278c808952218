"""The sections of a sweep: claims, tables, contrasts, laws, trials left out, how to reproduce."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from analysis.claims.verdict import Verdict
from analysis.contrast import Contrast
from analysis.groups import axis_fields
from analysis.reporting.answer import signed
from analysis.reporting.backtest_sections import backtest_section
from analysis.reporting.comparison_sections import comparison_sections
from analysis.reporting.decision_sections import decided_sections
from analysis.reporting.doubt_sections import doubt_sections
from analysis.reporting.figures.curve import Curve, curves_picture
from analysis.reporting.figures.sweep import contrast_picture, table_picture
from analysis.reporting.fit_sections import (
    coefficient_section,
    combination_section,
    fit_figures,
)
from analysis.reporting.sections import Grid, Picture, Section
from analysis.reporting.tuning_sections import isoflop_sections, tuning_sections
from analysis.runs import Omitted
from analysis.study import Row, Study, Table, described
from analysis.summary import (
    INTERVAL,
    MEDIAN_INTERVAL,
    Summary,
    between,
    conditions,
    number,
    stated,
    when,
    written,
)
from analysis.sweep_fits import SweepFit

LISTED = 100  # trials left out for one reason that are listed one by one


def claim_sections(study: Study) -> Iterator[Section]:
    """Every claim with its verdict, in the order of the sweep file."""
    if study.verdicts:
        intervals = dict.fromkeys(
            one.found.basis for one in study.verdicts if one.found.low is not None
        )
        tried = study.sweep.tried
        notes = [f"Intervals: {'; '.join(intervals)}."] if intervals else []
        notes += [f"Tried before the bounds were fixed: {tried}"] if tried else []
        yield Section(
            "Claims",
            table=Grid(
                ("verdict", "claim", "expected", "here", "from"),
                tuple(_claim(one) for one in study.verdicts),
            ),
            note=" ".join(notes),
        )


def table_sections(study: Study) -> Iterator[Section]:
    """Every table of the sweep file with its figure."""
    for place, table in enumerate(study.tables, 1):
        yield Section(
            table.spec.title,
            answer=_only(table.spec.where),
            table=_grid(table),
            picture=table_picture(f"table-{place}", table),
            note=f"{_pooled(study, table)}; it includes how much the settings that are not named change "
            f"the metric. {table.spec.note}".strip(),
        )


def _pooled(study: Study, table: Table) -> str:
    """How the metrics of a table are pooled; a milestone has a median."""
    named = study.sweep.report.milestone_names & set(table.spec.metrics)
    if not named:
        return f"Means over all trials of the row, with the {INTERVAL}"
    medians = f"{', '.join(sorted(named))}: medians, with the {MEDIAN_INTERVAL}"
    if len(named) == len(table.spec.metrics):
        return medians
    return f"{medians}; else means over all trials of the row, with the {INTERVAL}"


def contrast_sections(study: Study) -> Iterator[Section]:
    """Every contrast of the sweep file with its figure."""
    for place, one in enumerate(study.contrasts, 1):
        yield Section(
            one.spec.title,
            answer=_only(one.spec.where),
            table=_differences(one),
            picture=contrast_picture(f"contrast-{place}", one),
            note="Each pair differs in this field only, and has the same replicate; 95 % Student t "
            f"interval over pairs. {_without_never(study, one)}{one.spec.note}".strip(),
        )


def _without_never(study: Study, one: Contrast) -> str:
    """What a contrast of a milestone leaves out."""
    if one.spec.metric not in study.sweep.report.milestone_names:
        return ""
    return "Trials that never reached the milestone are in no pair. "


def law_sections(study: Study) -> Iterator[Section]:
    """Every fit of the sweep file: one figure for its splits, then each split by itself."""
    for spec in study.sweep.report.fits:
        group = [one for one in study.fits if one.name == spec.name]
        if not group:
            continue
        unit = f" ({spec.unit})" if spec.unit else ""
        one_input = [one for one in group if one.fit is not None and len(one.fit.inputs) == 1]
        curves = [Curve(conditions(one.group), one.fit) for one in one_input if one.fit is not None]
        yield Section(
            f"Law {spec.name}: {spec.metric}{unit}",
            answer=_only(spec.where),
            picture=curves_picture(f"fit-{spec.name}", curves, spec.unit),
            note=spec.note,
        )
        for place, one in enumerate(group, 1):
            yield from _split(one, f"fit-{spec.name}-{place}", alone=len(group) == 1)


def decision_sections(study: Study) -> Iterator[Section]:
    """Best settings and best sizes, as the sweep file asks for them."""
    for one in study.tunings:
        if one.found is None:
            yield Section(f"Best {' and '.join(one.spec.settings)}", f"None: {one.refused}.")
        else:
            yield from tuning_sections(
                f"tuning-{one.spec.name}", one.found, one.drifts, one.carried
            )
    for one in study.isoflops:
        if one.found is None:
            yield Section("IsoFLOP profiles", f"None: {one.refused}.")
        else:
            yield from isoflop_sections(f"isoflop-{one.spec.name}", one.found)


def omitted_section(study: Study) -> Section:
    """Every trial that no fit and no table uses, and why."""
    if not study.omitted:
        return Section(
            "Trials left out", "None: every trial finished and every value could be used."
        )
    fields = axis_fields(study.sweep)
    seen: dict[str, int] = {}
    rows: list[tuple[str, ...]] = []
    for one in study.omitted:
        seen[one.reason] = seen.get(one.reason, 0) + 1
        if seen[one.reason] <= LISTED:
            rows.append(_omitted(one, fields))
    more = [f"{count - LISTED} more: {reason}" for reason, count in seen.items() if count > LISTED]
    return Section(
        "Trials left out",
        f"{len(study.omitted)} {'trial is' if len(study.omitted) == 1 else 'trials are'} in no "
        "table and no fit, for the reason beside each.",
        table=Grid(("trial", "outcome", *fields, "seed", "reason"), tuple(rows)),
        note=f"{'; '.join(more)} (all are in study.json)." if more else "",
    )


def best_sections(study: Study) -> Iterator[Section]:
    """The finished trial that is best by the objective."""
    if study.best is not None:
        where = f" with {conditions(study.best.group)}" if study.best.group else ""
        yield Section(
            "Best trial",
            f"{study.sweep.objective.metric} {number(study.best.value)}{where}.",
            note=f"Trial {study.best.key}. The best of many trials is better than it would be again.",
        )


def reproduce_sections(study: Study, resolved: str, *, shipped: bool) -> Iterator[Section]:
    """The commands, and the sweep file with every default filled in."""
    name = study.sweep.name
    file = name if shipped else f"{name}.yaml"
    yield Section(
        "To reproduce",
        "The sweep ships with lawsweep:"
        if shipped
        else f"Save the sweep file below as {name}.yaml, then:",
        code=f"lawsweep launch {file}\nlawsweep report {name}",
    )
    yield Section(
        "The sweep file with every default filled in", code=resolved, level=3, folded=True
    )


def _split(one: SweepFit, prefix: str, *, alone: bool) -> Iterator[Section]:
    title = described(one.group) if not alone else f"Coefficients of {one.name}"
    if one.fit is None:
        yield Section(title, f"no fit: {one.refused}.", level=3)
        return
    yield coefficient_section(title, one.fit, None, one.notes, level=3)
    ranking = ()
    if one.ranking is not None:
        ranking = tuple(
            replace(each, picture=_renamed(each.picture, prefix))
            for each in comparison_sections(one.ranking, one.spec.metric)
        )
    figures = ()
    if alone or len(one.fit.inputs) > 1:
        figures = fit_figures(prefix, one.fit, unit=one.spec.unit, curve=False)
    asked = (
        *combination_section(one.fit),
        *ranking,
        *decided_sections(prefix, one.fit, one.decisions, one.spec.unit),
    )
    why = (
        *figures,
        *backtest_section(prefix, one.fit, one.backtests, one.rolling, one.spec.unit),
        *doubt_sections(prefix, one.fit),
    )
    for section, fold in (*((each, False) for each in asked), *((each, not alone) for each in why)):
        # Of several fits each says its answers; who wants to see why can unfold them.
        name = section.title if alone else f"{title}: {section.title}"
        yield replace(section, title=name, level=3, folded=section.folded or fold)


def _renamed(drawn: Picture | None, prefix: str) -> Picture | None:
    return None if drawn is None else replace(drawn, name=f"{prefix}-{drawn.name}")


def _claim(one: Verdict) -> tuple[str, ...]:
    found = one.found
    published = "" if one.published is None else f"published: {stated(one.published)}"
    return (
        one.words.replace(", ", "\n"),
        "\n".join((one.say, *one.reasons)),
        "\n".join(part for part in (one.expected, one.origin, published) if part),
        f"{found.here}\n{found.spread}" if found.spread else found.here,
        found.counted
        if found.seeds in (0, found.trials)
        else f"{found.counted}\n{found.seeds} seeds",
    )


def _only(where: Mapping[str, Any]) -> str:
    return f"Only trials with {conditions(list(where.items()))}." if where else ""


def _grid(table: Table) -> Grid:
    spec = table.spec
    headers = (
        *spec.rows,
        *spec.metrics,
        *((spec.beside,) if spec.beside else ()),
        *(f"{detail}, in most trials" for detail in spec.lists),
        "trials",
    )
    return Grid(headers, tuple(_row(row, beside=bool(spec.beside)) for row in table.rows))


def _row(row: Row, *, beside: bool) -> tuple[str, ...]:
    more = f"\n{row.omitted} more did not finish" if row.omitted else ""
    return (
        *(written(value) for _, value in row.group),
        *(_mean(one, row.trials) for one in row.metrics),
        *((_mean_only(row.beside),) if beside else ()),
        *(written(list(members)) or "nothing" for members in row.lists),
        f"{row.trials}{more}",
    )


def _mean(one: Summary | None, trials: int) -> str:
    if one is None:
        return "no value"
    small = [] if one.low is None or one.low == one.high else [between(one.low, one.high)]
    if one.low is not None and one.high == math.inf:
        small = [] if one.low == one.high else [f"{when(one.low)} to never"]
    small += [f"of {one.count}"] if one.count != trials else []
    small += [f"{one.never} of {one.count} never"] if one.never else []
    middle = when(one.mean) if one.pool == "median" else number(one.mean)
    return "\n".join([middle, ", ".join(small)]) if small else middle


def _mean_only(one: Summary | None) -> str:
    return "no value" if one is None else number(one.mean)


def _differences(one: Contrast) -> Grid:
    spec = one.spec
    return Grid(
        (
            *spec.rows,
            spec.field,
            f"{spec.metric} at {written(spec.base)}",
            f"{spec.metric} here",
            "difference",
            "pairs",
        ),
        tuple(
            (
                *(written(value) for _, value in row.group),
                written(row.value),
                "no value" if row.base_mean is None else number(row.base_mean),
                "no value" if row.mean is None else number(row.mean),
                "no pairs"
                if row.difference is None
                else f"{signed(row.difference.mean)}\n"
                f"{between(row.difference.low, row.difference.high)}",
                f"{0 if row.difference is None else row.difference.count}"
                + (f"\n{row.unpaired} trials without a partner" if row.unpaired else ""),
            )
            for row in one.rows
        ),
    )


def _omitted(one: Omitted, fields: Sequence[str]) -> tuple[str, ...]:
    return (
        one.key,
        one.outcome,
        *(written(one.fields[field]) if field in one.fields else "" for field in fields),
        written(one.fields["seed"]) if "seed" in one.fields else "",
        one.reason,
    )
