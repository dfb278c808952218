"""What the commands print for people; text from files is never read as markup."""

from rich.console import Console
from rich.table import Table

from analysis.judgement.compare import Comparison
from analysis.judgement.trust import Trust
from analysis.reporting.decided import Decided
from analysis.reporting.fit_words import combination_words, rolling_words, trades_off
from analysis.reporting.show_decisions import show_decisions
from analysis.study import Study
from analysis.summary import between, number, stated
from analysis.table_fit import TableFit


def show_claims(found: Study, console: Console) -> None:
    """The verdicts, one a line."""
    if not found.verdicts:
        return
    shown = Table("verdict", "claim", "published", "here", "trials", box=None)
    for one in found.verdicts:
        here = "no value" if one.value is None else number(one.value)
        if one.low is not None:
            here = f"{here} ({between(one.low, one.high)})"
        unsure = "" if one.sure or one.verdict == "not comparable" else ", uncertain"
        published = "" if one.published is None else stated(one.published)
        cells = (f"{one.verdict}{unsure}", one.say, published, here, str(one.trials))
        shown.add_row(*(cell.replace("[", r"\[") for cell in cells))
    console.print(shown)


def show_trust(judged: Trust, console: Console) -> None:
    """The verdict on a fit in one line, and every further reason for it."""
    console.print(judged.line, markup=False, highlight=False)
    for reason in judged.reasons[1:]:
        console.print(f"  and {reason}", markup=False, highlight=False)


def show_fit(found: TableFit, console: Console) -> None:
    """A fit of a table: whether to trust it, its coefficients, its warnings, its backtests."""
    fitted = found.fit

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    show_trust(found.trust, console)
    say(f"{fitted.law.name}: {fitted.law.formula}")
    level = f"{fitted.level:.0%} interval"
    shown = Table("coefficient", "value", "standard error", level, "meaning", box=None)
    for one in fitted.coefficients:
        spread = "none" if one.low is None else between(one.low, one.high)
        cells = (one.name, number(one.value), number(one.standard_error), spread, one.meaning)
        shown.add_row(*(cell.replace("[", r"\[") for cell in cells))
    console.print(shown)
    say(
        f"{fitted.status}; {fitted.rows} rows, {len(fitted.omitted)} left out; objective "
        f"{fitted.objective:.10g} ({fitted.objective_used.kind} of {fitted.objective_used.residual} "
        f"residuals); {len(fitted.draws)} resamples of {fitted.drawn}"
    )
    for finding in (*fitted.warnings, *found.checks):
        say(f"{finding.code}: {finding.text}")
    if trades_off(fitted):
        say(combination_words(fitted))
    asked = () if found.asked_for is None else (found.asked_for,)
    for test in (*found.backtests, *asked):
        error = test.refused if test.error is None else f"mean error {test.error:.2%}"
        scales = "scale" if test.largest == 1 else f"{test.largest} scales"
        say(f"without the largest {scales} ({test.reach:.3g} times beyond the rest): {error}")
    rolled = found.rolling
    if rolled is None:
        say("backtests and checks of every row: skipped, there are too many rows")
    else:
        say(rolling_words(fitted, rolled))
        for finding in rolled.warnings:
            say(f"{finding.code}: {finding.text}")
    for one in found.foreseen:
        where = ", ".join(f"{name} {number(value)}" for name, value in one.place)
        run = ""
        if one.run is not None:
            run = f"; one new run {between(float(one.run.low[0]), float(one.run.high[0]))}"
        say(f"at {where}: {number(one.value)}{run}; {one.far.text}")
    show_decisions(found.decisions, console)


def show_comparison(found: Comparison, console: Console) -> None:
    """Laws in the order of their ranking."""
    shown = Table("law", "held-out error", "AICc", "weight", "status", box=None)
    for one in found.candidates:
        error = "none"
        if one.error is not None:
            error = f"{one.error:.2%}" if found.unit == "log" else number(one.error)
        status = one.refused if one.fit is None else one.fit.status
        weight = "none" if one.weight is None else f"{one.weight:.2f}"
        shown.add_row(one.law.name, error, number(one.aicc), weight, status.replace("[", r"\["))
    console.print(shown)
    if found.lead is not None:
        console.print(found.lead.text, markup=False, highlight=False)
    for finding in found.warnings:
        console.print(f"{finding.code}: {finding.text}", markup=False, highlight=False)


def show_decided(found: Decided, console: Console) -> None:
    """A decision: its sentences, its tables, its warnings."""
    for sentence in found.sentences:
        console.print(sentence, markup=False, highlight=False)
    for grid in found.tables:
        shown = Table(*(one.replace("[", r"\[") for one in grid.headers), box=None)
        for row in grid.rows:
            shown.add_row(*(cell.replace("[", r"\[") for cell in row))
        console.print(shown)
    for finding in found.warnings:
        console.print(f"{finding.code}: {finding.text}", markup=False, highlight=False)
