"""Train the trials of a search in this process, one after the other."""

import threading
from collections.abc import Iterator

from sweeps.planning.cost import Pack, PricedTrial
from sweeps.running.inline import train_inline
from sweeps.running.where import InProcess
from sweeps.search import Search
from sweeps.searching.book import Book
from sweeps.storage.ledger import Ledger
from trainers.schema import InputError


def check_inline(search: Search) -> None:
    """Refuse what only Ray Tune can do.

    Raises:
        InputError: the searcher or the scheduler is one of Ray Tune's.
    """
    by, stopped = search.searcher.kind, search.scheduler.kind
    if by != "random" or stopped != "none":
        raise InputError(
            "--inline: expected searcher random and scheduler none, since the others are Ray Tune's,"
            f" got {by} and {stopped}"
        )


def search_inline(
    book: Book,
    ledger: Ledger,
    here: InProcess,
    *,
    lost: threading.Event | None = None,
) -> None:
    """Train until the search has all its trials; those that were interrupted come first.

    Raises:
        Halted: the disk is full.
        Interrupted: the user asked to stop.
    """
    folder = ledger.sweep(book.outline.sweep.name)

    def packs() -> Iterator[Pack]:
        while not folder.stop_requested() and (entry := book.next()) is not None:
            yield Pack((PricedTrial(entry.trial, "new", 0, 0.0),))

    train_inline(packs(), ledger, book.outline.sweep.name, here, lost=lost)
