"""The results of the catalogue on a terminal: a row for each claim, grouped by topic and sweep."""

from collections import Counter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.reporting.results_text import MARKS, verdict_counts
from analysis.reporting.terminal import plain
from analysis.results import ClaimRow, Results, SweepResult, Word, claim_rows

_STYLES: dict[Word, str] = {
    "reproduced": "green",
    "not reproduced": "bold red",
    "not comparable": "yellow",
    "unfinished": "cyan",
    "not run": "dim",
}


_WIDE = 110  # signs, from which a verdict stands on one line
_PUBLISHED, _SEEDS = 9, 5


def show_results(found: Results, console: Console) -> None:
    """All claims by topic and sweep, and below them how many came out how."""
    console.print(_table(console, heads=True))
    for topic in found.topics:
        console.print()
        console.print(plain(topic.name or "Without a topic", "bold"))
        for one in topic.sweeps:
            console.print(_sweep(one))
            table = _table(console, heads=False)
            for row in claim_rows(one):
                if row.word != "not run":  # there may be many; RESULTS.md lists them
                    table.add_row(*_cells(row))
            if table.row_count:
                console.print(table)
    console.print()
    console.print(plain(verdict_counts(found), "bold"))
    if found.made.cost:
        console.print(plain(f"All of it took {found.made.cost}.", "dim"))


def _table(console: Console, *, heads: bool) -> Table:
    """An empty table; those of all sweeps have columns of the same widths."""
    wide = console.width >= _WIDE
    table = Table(
        box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", show_header=heads
    )
    ours, verdict = (30, 25) if wide else (18, 14)
    rest = console.width - 2 - _PUBLISHED - 2 - ours - 2 - _SEEDS - 2 - verdict - 2 - 1
    table.add_column("", width=1)
    table.add_column("claim", width=max(16, rest))
    table.add_column("published", width=_PUBLISHED, justify="right")
    table.add_column("ours, with its interval", width=ours)
    table.add_column("seeds", width=_SEEDS, justify="right")
    table.add_column("verdict", width=verdict)
    return table


def show_sweep(one: SweepResult, took: str, console: Console) -> None:
    """How one sweep went, in a line, as soon as it is known."""
    counted = Counter[Word](row.word for row in claim_rows(one))
    said = Text.assemble(plain(one.sweep.name, "bold"), f" took {took}: ")
    parts = [plain(f"{count} {word}", _STYLES[word]) for word, count in counted.items()]
    said.append(Text(", ").join(parts) if parts else Text("it has no claims"))
    console.print(said)
    if one.problem:
        console.print(plain(f"  {one.problem}", "red"))


def _sweep(one: SweepResult) -> Text:
    """The name of a sweep, and what it cost or would cost."""
    if one.study is None and not one.ended:
        claims = "1 claim" if len(one.sweep.claims) == 1 else f"{len(one.sweep.claims)} claims"
        words = one.problem or f"{claims} not run{f', {one.planned}' if one.planned else ''}"
    elif one.is_done:
        words = one.cost
    else:
        words = f"{one.ended:,} of {one.trials:,} trials ended; {one.problem or one.cost}"
    style = "red" if one.problem else "dim"
    return Text.assemble(plain(one.sweep.name, "cyan"), plain(f"  {words}", style))


def _cells(row: ClaimRow) -> tuple[Text, ...]:
    style = _STYLES[row.word]
    spread = plain(f" ({row.spread})", "dim") if row.spread else Text()
    return (
        plain(MARKS[row.word], style),
        plain(row.claim.say),
        plain(row.published),
        Text.assemble(plain(row.here), spread),
        plain("" if row.verdict is None else f"{row.verdict.found.seeds}"),
        plain(row.words, style),
    )
