"""The sections of a comparison of laws: the ranking, and every law's forecasts of the same rows."""

from collections.abc import Iterator, Sequence

from analysis.judgement.compare import Candidate, Comparison
from analysis.judgement.trust import brief, headlines, percent
from analysis.reporting.figures.held_out import ranking_picture
from analysis.reporting.sections import Grid, Section
from analysis.summary import number


def comparison_answer(found: Comparison) -> tuple[str, ...]:
    """Which law is best on rows that it did not see, by how much, and how sure that is."""
    first = found.candidates[0]
    if first.error is None:
        return ("No law could be tested on rows that it had not seen: the order is that of AICc.",)
    said = (
        f"{first.law.name} predicts the {found.tested} left-out points best: "
        f"{_error(first, found)} off on average."
    )
    rest = (
        f"{found.lead.text.rstrip('.')}."
        if found.lead is not None
        else "No other law could be tested on the same points."
    )
    return (said, rest)


def comparison_sections(found: Comparison, target: str) -> Iterator[Section]:
    """The table of the ranking with its figure, then what every law was fitted to be."""
    candidates = found.candidates
    shared = _shared(candidates)
    points = [
        (one.law.name, test.points)
        for one in candidates
        for test in one.backtests
        if test.largest == shared and test.error is not None
    ]
    scales = "" if shared is None else f" The figure leaves out the largest {_scales(shared)}."
    yield Section(
        "Ranking",
        "The law that predicts the largest scales from the smaller ones best stands first.",
        table=Grid(
            ("law", "held-out error", "weight", "AICc", "status"),
            tuple(
                (
                    f"{one.law.name}\n{one.law.formula}",
                    _error(one, found),
                    "none" if one.weight is None else f"{one.weight:.2f}",
                    "none" if one.aicc is None else f"{one.aicc:,.1f}",
                    one.refused or (one.fit.status if one.fit is not None else "no fit"),
                )
                for one in candidates
            ),
        ),
        picture=ranking_picture("ranking", points, target),
        findings=found.warnings,
        note="The held-out error is the mean absolute residual of left-out points"
        f"{' in natural logarithms, shown as per cent' if found.unit == 'log' else ''}: every law "
        "starts with the smallest half of the points and predicts one larger scale after another. "
        "The weight is a law's share in the best mix of all. A smaller AICc is better; it judges "
        f"the rows that a law has seen, so it knows nothing of extrapolation.{scales}",
    )
    yield Section(
        "Coefficients",
        table=Grid(
            ("law", "exponents", "warnings"),
            tuple(
                (
                    one.law.name,
                    ", ".join(each.text for each in headlines(one.fit)),
                    "; ".join(brief(each.text) for each in one.fit.warnings) or "no warnings",
                )
                for one in candidates
                if one.fit is not None
            ),
        ),
    )


def _error(one: Candidate, found: Comparison) -> str:
    if one.error is None:
        return "none"
    return percent(one.error) if found.unit == "log" else number(one.error)


def _shared(candidates: Sequence[Candidate]) -> int | None:
    """The most scales that every law with a backtest could leave out."""
    sets = [
        {test.largest for test in one.backtests if test.error is not None} for one in candidates
    ]
    sets = [one for one in sets if one]
    return max(set.intersection(*sets), default=None) if sets else None


def _scales(count: int) -> str:
    return "scale" if count == 1 else f"{count} scales"
