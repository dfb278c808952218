"""What the terminal says of decisions by a fit: sentences, what other choices lose, runs, warnings."""

from rich.console import Console
from rich.table import Table

from analysis.allocation.optimum import share_words
from analysis.allocation.ranged import brief, interval_words
from analysis.decisions import Decisions
from analysis.reporting.decision_tables import runs_table
from analysis.reporting.decision_words import decided_words


def show_decisions(found: Decisions, console: Console) -> None:
    """Every decision that was asked for, and every warning about it."""

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    for sentence in decided_words(found):
        say(sentence)
    if found.allocation is not None:
        size = found.allocation.size_exponent
        say(
            f"The best size rises with the power {size.value:.3f} ({interval_words(size)}) of the cost "
            f"in {found.allocation.cost.unit}."
        )
        for best in found.allocation.best:
            if best.as_good is not None:
                low, high = map(brief, best.as_good)
                say(
                    f"At {brief(best.budget)} {found.allocation.cost.unit} sizes from {low} to {high} "
                    f"lose at most 0.1 %; not knowing the law better loses at most "
                    f"{share_words((best.lost.high or 0.0) / abs(best.loss.value))}."
                )
    for runs in found.next_runs:
        table = runs_table(runs, runs.batch, batch=True)
        if table is None:
            continue
        shown = Table(*(one.replace("[", r"\[") for one in table.headers), box=None)
        for row in table.rows:
            shown.add_row(*(cell.replace("[", r"\[") for cell in row))
        console.print(shown)
    for finding in found.warnings:
        say(f"{finding.code}: {finding.text}")
