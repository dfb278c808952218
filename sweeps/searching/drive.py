"""One driver, one search: lock it, suggest and train its trials, publish and watch meanwhile."""

import threading
from collections.abc import Mapping
from typing import Any, Protocol

from rich.console import Console

from sweeps.planning.cost import Price, PricedTrial
from sweeps.publishing.late import LatePublisher
from sweeps.publishing.provenance import write_provenance
from sweeps.running.drive import Hold, conclude, held, published, watched
from sweeps.searching.book import Book, kept
from sweeps.searching.outline import Outline
from sweeps.spec import resolved_text
from sweeps.storage.ledger import Ledger
from sweeps.storage.records import LedgerError
from sweeps.storage.sweep_folder import SweepFolder
from sweeps.watching.device_use import DeviceUse
from sweeps.watching.watch import Watch
from trainers.schema import InputError


class TrainSearch(Protocol):
    """What trains the trials of a book; it ends soon after `lost` is set."""

    def __call__(self, book: Book, ledger: Ledger, *, lost: threading.Event) -> None:
        """Train the trials.

        Raises:
            Halted: nothing can go on.
            Interrupted: the user asked to stop.
        """
        ...


def drive_search(
    outline: Outline,
    ledger: Ledger,
    *,
    train: TrainSearch,
    publisher: LatePublisher | None,
    console: Console,
) -> bool:
    """Suggest and train; True when the search has all its trials, each has an outcome and none failed.

    All that it knows of earlier launches it reads from the ledger. Trials that failed are tried again.

    Raises:
        SweepLocked: another driver runs this sweep, or has taken it over meanwhile.
        Interrupted: the user asked to stop; all is saved.
        InputError: there is no cluster at the address.
    """
    sweep = outline.sweep
    folder = ledger.sweep(sweep.name)
    with held(folder, console) as hold:
        records = [entry.trial.record() for entry in kept(outline, _stored(folder))]
        folder.write_plan(resolved_text(sweep), records)
        write_provenance(folder.path)
        watch = Watch(ledger, sweep, records, devices=DeviceUse())

        def grown(record: Mapping[str, Any]) -> None:
            records.append(dict(record))
            watch.extend([record])
            if publisher is not None:
                publisher.extend([record])

        book = Book(outline, ledger, grown)
        book.take_up(records)
        if publisher is not None:
            publisher.extend(records)
        with published(publisher, sweep.name, records, console):
            if not book.is_complete:
                with watched(watch, publisher, console):
                    train(book, ledger, lost=hold.lost)
    return _concluded(book, ledger, console, hold)


def _stored(folder: SweepFolder) -> list[dict[str, Any]]:
    try:
        return folder.trials()
    except LedgerError:  # not to be taken for none, and then written over
        raise
    except InputError:  # it was never launched
        return []


def _concluded(book: Book, ledger: Ledger, console: Console, hold: Hold) -> bool:
    """Say how the search ended."""
    trials = tuple(PricedTrial(entry.trial, "new", 0, 0.0) for entry in book.entries)
    done = conclude(Price(book.outline.samples, trials, (), 1), ledger, console, hold)
    missing = book.outline.search.trials - len(trials)
    if missing and not hold.halted:
        console.print(f"  {missing:,} trials were not suggested", style="yellow", highlight=False)
    return done and not missing
