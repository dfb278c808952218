"""The sections of decisions: the best size for a budget, the scale for a target, the next runs."""

from collections.abc import Iterator, Sequence

from analysis.allocation.budgets import Allocation
from analysis.allocation.optimum import Best, share_words
from analysis.allocation.ranged import brief, interval_words
from analysis.allocation.reach import Reach
from analysis.decisions import Decisions
from analysis.fit import Fit
from analysis.next_runs.plan import NextRuns
from analysis.reporting.decision_tables import best_table, losses_table, runs_table
from analysis.reporting.decision_words import cost_words
from analysis.reporting.figures.allocation import best_size_picture, cost_curves_picture
from analysis.reporting.figures.next_runs import next_runs_pictures
from analysis.reporting.figures.reach import reach_picture
from analysis.reporting.sections import Section
from analysis.summary import number

UNASKED = (
    " This is here because the fit leaves a doubt; `narrow` asks for other runs, with a figure."
)


def allocation_sections(
    prefix: str, fitted: Fit, found: Allocation, unit: str = ""
) -> tuple[Section, ...]:
    """The best size and tokens at every budget, what other choices lose, and how they scale."""
    findings = (*found.warnings, *(one for best in found.best for one in best.warnings))
    made = [
        Section(
            "The best size for a budget",
            f"{found.text if len(found.best) == 1 else _in_short(found)}.",
            table=best_table(found),
            picture=cost_curves_picture(f"{prefix}-cost-curves", fitted, found, unit),
            findings=findings,
            note=_how(found),
        )
    ]
    others = losses_table(found)
    if others is not None:
        made.append(
            Section(
                "What other choices lose",
                _waste(found.best, found.cost.unit),
                table=others,
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
        f"{found.text[:1].upper()}{found.text[1:]}.",
        picture=reach_picture(f"{prefix}-reach", fitted, found, unit),
        findings=found.warnings,
        note=f"{found.level:.0%} interval over {found.draws} resamples; a resample that never comes to "
        "the target counts as one beyond every scale.",
    )


def next_runs_section(prefix: str, found: NextRuns, *, drawn: bool = True) -> tuple[Section, ...]:
    """The runs to buy, in the order in which they tell most, and the best single ones for their cost.

    Without `drawn` there is no figure, which takes longer than all the rest.
    """
    pictures = next_runs_pictures(f"{prefix}-next-runs", found) if drawn else ()
    made = [
        Section(
            f"The next runs, for {found.decision}",
            f"{found.text}.",
            table=runs_table(found, found.batch, batch=True),
            picture=pictures[0] if pictures else None,
            findings=found.warnings,
            note=_purchase_how(found) + ("" if drawn else UNASKED),
        )
    ]
    made.extend(Section(f"Runs of {offer.source}", picture=one, level=3)
                for offer, one in zip(found.offers[1:], pictures[1:], strict=False))  # fmt: skip
    if found.ranked:
        made.append(
            Section(
                "The most telling single runs for their cost",
                table=runs_table(found, found.ranked, batch=False),
                level=3,
                folded=not drawn,
            )
        )
    return tuple(made)


def decided_sections(
    prefix: str, fitted: Fit, found: Decisions, unit: str = ""
) -> Iterator[Section]:
    """Everything that was decided by a fit; `unit` is that of its target."""
    if found.allocation is not None:
        yield from allocation_sections(prefix, fitted, found.allocation, unit)
    for place, one in enumerate(found.reaches, 1):
        yield reach_section(f"{prefix}-{place}", fitted, one, unit)
    for place, one in enumerate(found.next_runs, 1):
        yield from next_runs_section(f"{prefix}-{place}", one)
    if found.offered is not None:
        yield from next_runs_section(f"{prefix}-offered", found.offered, drawn=False)
    if found.refused:
        yield Section("What could not be decided", "; ".join(found.refused) + ".")


def _in_short(found: Allocation) -> str:
    """The sizes at several budgets; the table has the rest."""
    return "; ".join(
        f"at {brief(one.budget)} {found.cost.unit} {brief(one.params.value)} parameters "
        f"({interval_words(one.params)})"
        for one in found.best
    ).replace("at ", "At ", 1)


def _waste(best: Sequence[Best], unit: str) -> str:
    """What not knowing the law better may cost, in words."""
    said = [
        f"{share_words(one.lost.high / abs(one.loss.value))} at {brief(one.budget)} {unit}"
        for one in best
        if one.lost.high is not None and one.inner
    ]
    if not said:
        return ""
    return (
        "The size recommended may itself be off, since the law is not known better: by that the loss is "
        f"higher by up to {', '.join(said)}. More runs could save no more than that."
    )


def _how(found: Allocation) -> str:
    held = "".join(f", {name} {number(value)}" for name, value in found.held)
    return (
        f"Cost: {cost_words(found.cost)}{held}. {found.level:.0%} intervals over {found.draws} "
        "resamples, each with an optimum of its own."
    )


def _purchase_how(found: NextRuns) -> str:
    noise = ", ".join(brief(one) for one in found.noise)
    return (
        "If the law holds where the runs are, and to first order: what a run tells follows from where it "
        f"and the runs so far lie, and from their noise (standard deviation of one run {noise}). The runs "
        f"may cost up to {brief(found.budget)} {found.unit}; all runs so far cost "
        f"{brief(found.so_far)}."
    )
