"""One driver, one sweep: lock it, store its plan, train what is open, publish and watch meanwhile."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from sweeps.planning.cost import Pack, Price
from sweeps.publishing.provenance import write_provenance
from sweeps.spec import resolved_text
from sweeps.storage.ledger import Ledger
from sweeps.watching.progress import Screen
from sweeps.watching.watch import Watch

if TYPE_CHECKING:
    from sweeps.publishing.publisher import Published, Publisher

_LOOK_EVERY_S = 1.0
_LAST_PASS_S = 60.0  # a tracker that is away longer is caught up with by `sync`


def drive(
    price: Price,
    ledger: Ledger,
    *,
    train: Callable[[Sequence[Pack]], None],
    publisher: "Publisher | None",
    console: Console,
) -> bool:
    """Train the open trials of a plan; True when every trial has an outcome and none failed.

    Without a publisher nothing is published; `lawsweep sync` does so later, also on another machine.

    Raises:
        SweepLocked: another driver runs this sweep.
        Interrupted: the user asked to stop; all is saved.
        InputError: there is no cluster at the address.
    """
    sweep = price.plan.sweep
    folder = ledger.sweep(sweep.name)
    with folder.lock():
        folder.clear_stop()
        records = [trial.record() for trial in price.plan.trials]
        folder.write_plan(resolved_text(sweep), records)
        if price.packs:
            write_provenance(folder.path)
        if publisher is not None:
            publisher.start()
        try:
            if price.packs:
                with _watched(Watch(ledger, sweep, records), publisher, console):
                    train(price.packs)
        finally:
            if publisher is not None:
                _say_what_waits(publisher.stop(_LAST_PASS_S), sweep.name, console)
            folder.clear_stop()
    return _conclude(price, ledger, console)


def _say_what_waits(published: "Published", name: str, console: Console) -> None:
    if published.error is not None:
        console.print(
            f"[yellow]{published.points_left:,} points are not published yet: {published.error}[/]\n"
            f"  later: lawsweep sync {name}",
            highlight=False,
        )


@contextmanager
def _watched(watch: Watch, publisher: "Publisher | None", console: Console) -> Iterator[None]:
    """Show the sweep's progress from the ledger while the block trains."""
    over = threading.Event()

    def look() -> None:
        with Screen(console) as screen:
            while True:
                last = over.wait(_LOOK_EVERY_S)
                snapshot = watch.snapshot()
                if publisher is not None:
                    publisher.seconds_left = snapshot.left_s
                screen.update(snapshot)
                if last:
                    return

    watcher = threading.Thread(target=look, name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _conclude(price: Price, ledger: Ledger, console: Console) -> bool:
    """Say how the sweep ended."""
    outcomes = [(each.trial.key, ledger.trial(each.trial.key).outcome()) for each in price.trials]
    names = Counter("open" if outcome is None else outcome.name for _, outcome in outcomes)
    counted = ", ".join(f"{number} {name}" for name, number in names.most_common())
    console.print(f"[bold]{price.plan.sweep.name}[/]: {counted}", highlight=False)
    reasons = Counter(o.reason for _, o in outcomes if o is not None and o.name == "failed")
    for reason, number in reasons.most_common(3):
        first = next(key for key, o in outcomes if o is not None and o.reason == reason)
        notes = ledger.trial(first).attempts()[-1] / "notes.txt"
        console.print(f"  [red]{number} failed: {reason}[/]\n  traceback: {notes}", highlight=False)
    if names["open"]:
        console.print(
            "  the open ones lost their worker too often; the same command goes on with them"
        )
    if names["finished"]:
        console.print(f"  what it says: lawsweep report {price.plan.sweep.name}", highlight=False)
    return set(names) <= {"finished", "diverged", "stopped"}
