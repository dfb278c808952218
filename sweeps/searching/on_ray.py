"""Train the trials of a search on Ray, each suggested when a worker is free for it."""

import threading
from collections.abc import Iterator

from sweeps.planning.cost import Pack, PricedTrial
from sweeps.running.launch import hand_out
from sweeps.running.where import OnRay
from sweeps.searching.book import Book
from sweeps.searching.judge import Judge
from sweeps.storage.ledger import Ledger
from trainers.engine.execution import Execution


def search_on_ray(
    book: Book,
    ledger: Ledger,
    there: OnRay,
    *,
    lost: threading.Event | None = None,
) -> None:
    """Train until the search has all its trials; those that were interrupted come first.

    Raises:
        Halted: no worker can go on.
        Interrupted: the user asked to stop.
        InputError: there is no cluster at the address.
        OSError: a trial could not be stored, so it was not started.
    """
    sweep, search = book.outline.sweep, book.outline.search
    judge = Judge(book, ledger)
    for entry in book.entries:
        judge.take_in(entry)
    book.tell(judge.take_in)

    execution = Execution(there.wanted.mode or "eager")

    def left(at_once: int) -> Iterator[tuple[Pack, ...]]:
        while (entry := book.next()) is not None:
            if judge.goes_on(entry):
                trial = PricedTrial(entry.trial, "new", 0, 0.0)
                yield (Pack((trial,), execution=execution),)

    hand_out(
        left,
        ledger,
        sweep.name,
        there,
        lost=lost,
        most=search.at_once or search.trials,
        judge=judge,
        judged_by=sweep.objective.metric,
    )
