"""Write a study, a fit of a table or a comparison of laws as a folder that a colleague can read."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from analysis.fit import Fit
from analysis.judgement.compare import Comparison
from analysis.judgement.entries import with_interval
from analysis.judgement.holdout import Backtest
from analysis.judgement.rolling import Rolling
from analysis.judgement.trust import trust
from analysis.reporting.answer import about_fits, answer
from analysis.reporting.backtest_sections import backtest_section
from analysis.reporting.comparison_sections import comparison_answer, comparison_sections
from analysis.reporting.files import write_page
from analysis.reporting.fit_sections import (
    coefficient_section,
    combination_section,
    fit_figures,
    runs_section,
)
from analysis.reporting.page import Judged, Page
from analysis.reporting.plot_sections import plot_sections
from analysis.reporting.sections import Grid, Section
from analysis.reporting.study_json import comparison_data, fit_data, study_data
from analysis.reporting.sweep_sections import (
    LISTED,
    best_sections,
    claim_sections,
    contrast_sections,
    decision_sections,
    law_sections,
    omitted_section,
    reproduce_sections,
    table_sections,
)
from analysis.reporting.threshold_sections import milestone_sections, threshold_sections
from analysis.runs import Omitted
from analysis.study import Study, described
from sweeps.shipped import catalog
from sweeps.spec import resolved_text


def write_report(study: Study, folder: Path, sections: Sequence[Section] = ()) -> Path:
    """Write the report of a sweep; `sections` come after its laws. Returns the page's path."""
    sweep = study.sweep
    replicates = f"{sweep.replicates} replicate{'' if sweep.replicates == 1 else 's'}"
    facts = [f"{study.finished} finished trials"]
    facts += [f"after {sweep.source}"] if sweep.source else []
    shipped = sweep.name in {file.stem for file in catalog()}
    fits_said = set(about_fits(study))
    judged = tuple(
        Judged(
            f"{one.name}{f', {described(one.group)}' if one.group else ''}",
            trust(one.fit, one.backtests),
            one.fit.law.formula,
        )
        for one in study.fits
        if one.fit is not None
    )
    refused = [
        sentence
        for one, sentence in zip(study.fits, about_fits(study), strict=True)
        if one.fit is None
    ]
    opened, *rest = answer(study)
    rest = [one for one in rest if one not in fits_said]
    page = Page(
        title=sweep.name,
        about=sweep.about,
        facts=" · ".join([*facts, f"{replicates} of each setting"]),
        question=sweep.report.question,
        judged=judged,
        answer=(opened, *refused, *rest),
        sections=(
            *claim_sections(study),
            *plot_sections(study),
            *law_sections(study),
            *decision_sections(study),
            *sections,
            *milestone_sections(study),
            *threshold_sections(study),
            *table_sections(study),
            *contrast_sections(study),
            *best_sections(study),
            omitted_section(study),
            *reproduce_sections(study, resolved_text(sweep), shipped=shipped),
        ),
    )
    return write_page(page, study_data(study), folder)


def write_fit_report(
    fitted: Fit,
    tests: Sequence[Backtest],
    sections: Sequence[Section],
    folder: Path,
    *,
    rolled: Rolling | None = None,
    first: Sequence[Section] = (),
    source: str = "a table",
    unit: str = "",
    names: Sequence[str] = (),
    command: str = "",
) -> Path:
    """Write the report of one fit of a table; returns the page's path.

    `first` comes right after the coefficients, `sections` after the backtests. `source` says whose
    table it is, `unit` is that of the target, `names` are those of the rows that were fitted,
    `command` is what makes the same report again.
    """
    judged = trust(fitted, tests)
    page = Page(
        title=f"{fitted.law.name}: {source}",
        about="",
        facts=f"{fitted.rows} rows fitted · {_left_out(fitted.omitted)} · target {fitted.target}"
        + (f" in {unit}" if unit else ""),
        question="",
        judged=(Judged("", judged, fitted.law.formula),),
        answer=(),
        sections=(
            coefficient_section("Coefficients", fitted, None),
            *combination_section(fitted, level=3),
            *first,
            *_opened(fit_figures("fit", fitted, names, unit)),
            *_opened(backtest_section("fit", fitted, tests, rolled, unit)),
            *sections,
            runs_section(fitted, names),
            _omitted_rows(fitted.omitted),
            *_command(command),
        ),
    )
    data = fit_data(fitted, judged, tests, rolled, (*first, *sections))
    return write_page(page, data, folder)


def write_comparison(
    found: Comparison,
    sections: Sequence[Section],
    folder: Path,
    *,
    source: str = "a table",
    command: str = "",
) -> Path:
    """Write the report of a comparison of laws, the best first; returns the page's path.

    The best law is fitted with resamples, so that its exponents have intervals.
    """
    best = found.candidates[0]
    if best.fit is not None and not len(best.fit.draws):
        best = replace(best, fit=with_interval(best.fit))
        found = replace(found, candidates=(best, *found.candidates[1:]))
    omitted = () if best.fit is None else best.fit.omitted
    target = "target" if best.fit is None else best.fit.target
    page = Page(
        title=f"{len(found.candidates)} laws compared: {source}",
        about="",
        facts=f"{found.rows} rows · {_left_out(omitted)} · target {target}",
        question="Which law predicts the runs that it has not seen?",
        judged=()
        if best.fit is None
        else (Judged(best.law.name, trust(best.fit, best.backtests), best.law.formula),),
        answer=comparison_answer(found),
        sections=(
            *comparison_sections(found, target),
            *sections,
            _omitted_rows(omitted),
            *_command(command),
        ),
    )
    return write_page(page, comparison_data(found, sections), folder)


def _opened(sections: Sequence[Section]) -> tuple[Section, ...]:
    """Sections of which the first has a heading of its own, and the others stand below it."""
    return tuple(replace(one, level=3 if place else 2) for place, one in enumerate(sections))


def _left_out(omitted: Sequence[Omitted]) -> str:
    return f"{len(omitted)} left out" if omitted else "none left out"


def _omitted_rows(omitted: Sequence[Omitted]) -> Section:
    """Every row that was left out, by its reason."""
    if not omitted:
        return Section("Rows left out", "None: every row of the table was fitted.")
    reasons = Counter(one.reason for one in omitted)
    rows = []
    for reason, count in reasons.items():
        keys = [one.key for one in omitted if one.reason == reason]
        more = f" and {count - LISTED} more" if count > LISTED else ""
        rows.append((reason, str(count), ", ".join(keys[:LISTED]) + more))
    return Section(
        "Rows left out",
        f"{len(omitted)} {'row is' if len(omitted) == 1 else 'rows are'} not in the fit.",
        table=Grid(("reason", "rows", "which"), tuple(rows)),
    )


def _command(command: str) -> tuple[Section, ...]:
    if not command:
        return ()
    return (Section("To reproduce", "The same command gives the same bytes:", code=command),)
