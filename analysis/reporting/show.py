"""What the commands print for people: the answer first, then what it rests on, then every warning."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console

from analysis.claims.verdict import Verdict
from analysis.fit import Fit
from analysis.judgement.compare import Candidate, Comparison
from analysis.judgement.holdout import Backtest
from analysis.judgement.trust import Trust, percent, rounded
from analysis.reporting.decided import Decided
from analysis.reporting.fit_words import rolling_words, trades_off
from analysis.reporting.sections import Grid
from analysis.reporting.show_decisions import show_decisions
from analysis.reporting.terminal import COLOURS, heading, plain, say, show_findings, show_grid
from analysis.runs import Omitted
from analysis.study import Study
from analysis.summary import between, number, stated
from analysis.table_fit import Foreseen, TableFit

REASONS = 3  # for leaving rows out that the terminal names; reports name all


def show_claims(found: Study, console: Console) -> None:
    """The verdicts, one a row: the claim, and below it what came out, was expected and published."""
    if found.verdicts:
        rows = tuple((one.words, _claim(one)) for one in found.verdicts)
        show_grid(console, Grid(("verdict", "claim"), rows))


def show_fit(found: TableFit, console: Console) -> None:
    """A fit of a table: whether to trust it, its coefficients, its forecasts, its warnings."""
    fitted = found.fit
    _trust(found.trust, console)
    heading(console, fitted.law.name)
    say(console, fitted.law.formula)
    console.print()
    show_grid(console, _coefficients(fitted), right=(1, 3))
    say(console, _how(fitted))
    if trades_off(fitted):
        middle = fitted.combinations[0].meaning.removeprefix("the law at ")
        heading(console, f"Determined all the same, at {middle}")
        show_grid(console, _combinations(fitted), right=(1,))
    _forecasts(found, console)
    if found.foreseen:
        heading(console, "New runs")
        show_grid(console, _foreseen(found.foreseen, fitted.level), right=(1,))
        for text in dict.fromkeys(one.far.text for one in found.foreseen):
            say(console, text)
    if found.decisions:
        heading(console, "Decisions")
        show_decisions(found.decisions, console)
    rolled = () if found.rolling is None else found.rolling.warnings
    findings = (*fitted.warnings, *rolled, *found.checks)
    if findings:
        heading(console, "Warnings")
        show_findings(console, findings)


def show_comparison(found: Comparison, console: Console) -> None:
    """Which law predicts best, and all of them in the order of their ranking."""
    best = found.candidates[0]
    if found.lead is not None:
        say(console, found.lead.text, "bold")
    elif best.error is not None:
        say(
            console, f"{best.law.name} alone could be tested on scales that it had not seen", "bold"
        )
    else:
        say(console, "No law could be tested on scales that it had not seen", "bold")
    console.print()
    headers = ("law", "held-out error", "AICc", "weight", "status")
    rows = tuple(_candidate(one, found.unit) for one in found.candidates)
    show_grid(console, Grid(headers, rows), right=(1, 2, 3))
    say(
        console,
        f"{found.rows} rows; the held-out error is the mean over {found.tested} rows, each predicted "
        "from smaller scales; the weight is that in the best mix of the laws",
        "dim",
    )
    if found.warnings:
        heading(console, "Warnings")
        show_findings(console, found.warnings)


def show_decided(found: Decided, console: Console) -> None:
    """A decision: its sentences, its tables, its warnings."""
    for sentence in found.sentences:
        say(console, sentence, "bold")
    for grid in found.tables:
        console.print()
        show_grid(console, grid)
    if found.warnings:
        heading(console, "Warnings")
        show_findings(console, found.warnings)


def _claim(one: Verdict) -> str:
    """A claim with its figures in a line of their own, and why where these do not settle it."""
    found = one.found
    here = f"{found.here}, interval {found.spread}," if found.spread else found.here
    trials = f" from {found.counted}" if found.trials else ""
    published = "" if one.published is None else f"; published {stated(one.published)}"
    lines = [one.say, f"here {here}{trials}; expected {one.expected_from}{published}"]
    settled = one.sure and one.verdict != "not comparable"
    lines += one.reasons[1:] if settled else one.reasons
    return "\n".join(lines)


def _trust(judged: Trust, console: Console) -> None:
    """The coefficients that matter, the verdict in its colour, and every reason for it."""
    line = plain(", ".join(one.text for one in judged.headlines), "bold")
    line.append(": ").append(plain(judged.verdict, f"bold {COLOURS[judged.verdict]}"))
    if len(judged.reasons) == 1:
        say(console, line.append(plain(f", because {judged.reasons[0]}")))
        return
    say(console, line.append(", because"))
    for reason in judged.reasons:
        say(console, f"- {reason}")


def _coefficients(fitted: Fit) -> Grid:
    rows = tuple(
        (
            one.name,
            number(one.value),
            "none" if one.low is None else between(one.low, one.high),
            number(one.standard_error),
            one.meaning,
        )
        for one in fitted.coefficients
    )
    level = f"{100 * fitted.level:.4g} % interval"
    return Grid(("coefficient", "value", level, "standard error", "meaning"), rows)


def _how(fitted: Fit) -> str:
    """How the coefficients came about."""
    used = fitted.objective_used
    delta = f", delta {used.delta:g}" if used.kind == "huber" else ""
    of = "" if used.kind == "binomial" else f" of {used.residual} residuals"
    again = (
        f"intervals from {len(fitted.draws):,} resamples of {fitted.drawn}"
        if len(fitted.draws)
        else "no intervals"
    )
    rows = f"{fitted.rows:,} rows" if fitted.pool == "none" else f"{fitted.rows:,} cells"
    return (
        f"{fitted.status}; {rows}{_left_out(fitted.omitted)}; objective {fitted.objective:.10g} "
        f"({used.kind}{of}{delta}); {again}"
    )


def _left_out(omitted: Sequence[Omitted]) -> str:
    """How many rows are not in the fit, and why."""
    if not omitted:
        return ", none left out"
    counted = Counter(one.reason for one in omitted)
    said = [
        f"{count:,} {reason if reason.startswith('left out') else f'left out: {reason}'}"
        for reason, count in counted.most_common(REASONS)
    ]
    more = sum(counted.values()) - sum(count for _, count in counted.most_common(REASONS))
    return f", {', '.join(said)}{f', {more:,} for other reasons' if more else ''}"


def _combinations(fitted: Fit) -> Grid:
    rows = tuple((one.name, *rounded(one.value, one.low, one.high)) for one in fitted.combinations)
    return Grid(("combination", "value", f"{100 * fitted.level:.4g} % interval"), rows)


def _forecasts(found: TableFit, console: Console) -> None:
    """How far off the law was at scales that it had not seen."""
    heading(console, "Forecasts of runs that were left out")
    if found.rolling is None:
        say(console, "not tested, and single rows not checked: there are too many rows for that")
    asked = () if found.asked_for is None else (found.asked_for,)
    tests = (*found.backtests, *asked)
    if tests:
        show_grid(
            console,
            Grid(("left out", "times beyond the rest", "mean error"), tuple(map(_test, tests))),
            right=(1, 2),
        )
    if found.rolling is not None:
        say(console, rolling_words(found.fit, found.rolling))


def _test(one: Backtest) -> tuple[str, str, str]:
    scales = "the largest scale" if one.largest == 1 else f"the largest {one.largest} scales"
    error = one.refused if one.error is None else percent(one.error)
    return scales, f"{one.reach:.3g}", error


def _foreseen(several: Sequence[Foreseen], level: float) -> Grid:
    rows: list[tuple[str, ...]] = []
    for one in several:
        ends = [
            "none" if each is None else between(float(each.low[0]), float(each.high[0]))
            for each in (one.law, one.run)
        ]
        where = ", ".join(f"{name} {number(value)}" for name, value in one.place)
        rows.append((where, number(one.value), *ends))
    share = f"{100 * level:.4g} %"
    return Grid(("at", "the law", f"{share} of the law", f"{share} of one new run"), tuple(rows))


def _candidate(one: Candidate, unit: str) -> tuple[str, ...]:
    error = "none"
    if one.error is not None:
        error = percent(one.error) if unit == "log" else number(one.error)
    status = one.refused if one.fit is None else one.fit.status
    weight = "none" if one.weight is None else f"{one.weight:.2f}"
    return one.law.name, error, number(one.aicc), weight, status
