"""The sections of decisions: the best size for a budget, the scale for a target, the next runs."""

from collections.abc import Sequence

from analysis.allocation.budgets import Allocation
from analysis.allocation.optimum import Best, share_words
from analysis.allocation.ranged import brief, cell, interval_words
from analysis.allocation.reach import Reach
from analysis.fit import Fit
from analysis.next_runs.plan import NextRuns, Purchase, place_words
from analysis.reporting.figures.allocation import best_size_picture, cost_curves_picture
from analysis.reporting.figures.next_runs import next_runs_pictures
from analysis.reporting.figures.reach import reach_picture
from analysis.reporting.sections import Grid, Section
from analysis.summary import number


def allocation_sections(
    prefix: str, fitted: Fit, found: Allocation, unit: str = ""
) -> tuple[Section, ...]:
    """The best size and tokens at every budget, what other choices lose, and how they scale."""
    findings = (*found.warnings, *(one for best in found.best for one in best.warnings))
    made = [
        Section(
            "The best size for a budget",
            f"{found.text}.",
            table=_best_table(found),
            picture=cost_curves_picture(f"{prefix}-cost-curves", fitted, found, unit),
            findings=findings,
            note=_how(found),
        )
    ]
    rows = [
        (
            brief(best.budget),
            other.what,
            number(other.params),
            number(other.tokens),
            _lost(best, at),
        )
        for best in found.best
        for at, other in enumerate(best.alternatives)
    ]
    if rows:
        headers = (found.cost.unit, "choice", "parameters", "tokens", f"higher {found.target}")
        made.append(
            Section(
                "What other choices lose",
                _waste(found.best),
                table=Grid(headers, tuple(rows)),
                level=3,
            )
        )
    made.append(
        Section(
            "How the best size scales",
            f"Between {brief(found.over[0])} and {brief(found.over[1])} {found.cost.unit} the best size "
            f"rises with the power {found.size_exponent.value:.3f} "
            f"({interval_words(found.size_exponent)}) of the cost, its tokens with the power "
            f"{found.token_exponent.value:.3f} ({interval_words(found.token_exponent)}).",
            picture=best_size_picture(f"{prefix}-best-size", fitted, found),
            level=3,
        )
    )
    return tuple(made)


def reach_section(prefix: str, fitted: Fit, found: Reach, unit: str = "") -> Section:
    """The scale at which a law comes to a target."""
    return Section(
        f"The scale for {found.name} {brief(found.target)}",
        f"{found.text}.",
        picture=reach_picture(f"{prefix}-reach", fitted, found, unit),
        findings=found.warnings,
        note=f"{found.level:.0%} interval over {found.draws} resamples; a resample that never comes to "
        "the target counts as one beyond every scale.",
    )


def next_runs_section(prefix: str, found: NextRuns) -> tuple[Section, ...]:
    """The runs to buy, in the order in which they tell most, and the best single ones for their cost."""
    pictures = next_runs_pictures(f"{prefix}-next-runs", found)
    made = [
        Section(
            f"The next runs, for {found.decision}",
            f"{found.text}.",
            table=_runs_table(found.batch, found.unit) if found.batch else None,
            picture=pictures[0] if pictures else None,
            findings=found.warnings,
            note="To first order, and if the law holds where the runs are: what a run tells follows from "
            "where it and the runs so far lie, and from their noise "
            f"(a standard deviation of {', '.join(brief(one) for one in found.noise)}).",
        )
    ]
    made.extend(Section(f"Runs of {offer.source}", picture=one, level=3)
                for offer, one in zip(found.offers[1:], pictures[1:], strict=False))  # fmt: skip
    if found.ranked:
        made.append(
            Section(
                "The most telling single runs for their cost",
                table=_runs_table(found.ranked, found.unit),
                level=3,
                folded=True,
            )
        )
    return tuple(made)


def _best_table(found: Allocation) -> Grid:
    headers = (
        found.cost.unit,
        "parameters",
        "tokens",
        "tokens per parameter",
        found.target,
        "as good",
    )
    return Grid(
        headers,
        tuple(
            (
                brief(one.budget),
                cell(one.params),
                cell(one.tokens),
                cell(one.ratio),
                cell(one.loss),
                ""
                if one.as_good is None
                else f"{brief(one.as_good[0])} to {brief(one.as_good[1])}\nparameters lose at most 0.1 %",
            )
            for one in found.best
        ),
    )


def _lost(best: Best, at: int) -> str:
    other = best.alternatives[at]
    size = abs(best.loss.value)
    most = other.lost.high
    interval = "" if most is None else f"\nup to {share_words(most / size)}"
    return f"{share_words(other.share)}{interval}"


def _waste(best: Sequence[Best]) -> str:
    """What not knowing the law better may cost, in words."""
    said = [
        f"{share_words(one.lost.high / abs(one.loss.value))} at {brief(one.budget)}"
        for one in best
        if one.lost.high is not None and one.inner
    ]
    if not said:
        return ""
    return (
        f"The size recommended may itself be off; that costs up to {', '.join(said)} of the loss, which is "
        "all that more runs could save."
    )


def _how(found: Allocation) -> str:
    held = "".join(f", {name} {number(value)}" for name, value in found.held)
    numbers = "".join(f", {name} {number(value)}" for name, value in found.cost.numbers)
    return (
        f"Cost: {found.cost.formula.split('=', 1)[1].strip()}{numbers}, in {found.cost.unit}{held}. "
        f"{found.level:.0%} intervals over {found.draws} resamples, each with an optimum of its own."
    )


def _runs_table(runs: Sequence[Purchase], unit: str) -> Grid:
    return Grid(
        ("runs", "where", f"cost of one ({unit})", "one alone leaves", "all so far leave"),
        tuple(
            (
                str(one.count),
                place_words(one),
                brief(one.cost),
                f"{one.alone:.1%}",
                f"{one.left:.1%}",
            )
            for one in runs
        ),
    )
