"""The report of one law fitted to a table, with everything that can be said about it."""

from collections.abc import Iterator
from pathlib import Path

from analysis.decisions import with_offer
from analysis.reporting.decision_sections import decided_sections
from analysis.reporting.doubt_sections import check_section, doubt_sections
from analysis.reporting.report import write_fit_report
from analysis.reporting.sections import Grid, Section
from analysis.summary import between, number
from analysis.table_fit import MANY, Foreseen, TableFit


def write_table_report(found: TableFit, folder: Path, command: str) -> Path:
    """Write the report into a folder; returns the path of its page."""
    first = (
        *_forecasts(found.foreseen),
        *decided_sections("decided", found.fit, with_offer(found.decisions, found.fit)),
    )
    sections = (*check_section(found.checks), *_doubts(found))
    return write_fit_report(
        found.fit,
        found.backtests,
        sections,
        folder,
        rolled=found.rolling,
        first=first,
        source=found.table.name,
        names=found.names,
        command=command,
    )


def _doubts(found: TableFit) -> Iterator[Section]:
    """How far the fit may be believed, where its rows are not so many that this would take hours."""
    if found.fit.rows <= MANY:
        yield from doubt_sections("doubt", found.fit, found.names)
        return
    yield Section(
        "What was not looked at",
        f"{found.fit.rows:,} rows are too many for backtests, checks of single rows, profiles of the "
        f"coefficients, other choices and influence: fit up to {MANY:,} rows to see these.",
    )


def _forecasts(foreseen: tuple[Foreseen, ...]) -> Iterator[Section]:
    if not foreseen:
        return
    rows = tuple(
        (
            ", ".join(f"{name} {number(value)}" for name, value in one.place),
            number(one.value),
            "none" if one.law is None else between(float(one.law.low[0]), float(one.law.high[0])),
            "none" if one.run is None else between(float(one.run.low[0]), float(one.run.high[0])),
            one.far.text,
        )
        for one in foreseen
    )
    first = foreseen[0]
    spread = "" if first.run is None else f" ({rows[0][3]} for one new run)"
    yield Section(
        "What new runs would give",
        f"At {rows[0][0]}: {rows[0][1]}{spread}.",
        table=Grid(
            ("at", "the law says", "interval of the law", "interval of one run", "how far"), rows
        ),
    )
