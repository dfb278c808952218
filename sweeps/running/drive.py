"""One driver, one sweep: lock it, store its plan, train what is open, publish and watch meanwhile."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console

from sweeps.planning.cost import Pack, Price
from sweeps.publishing.late import LatePublisher, Published
from sweeps.publishing.provenance import write_provenance
from sweeps.running.breaker import Breaker, alike
from sweeps.running.halted import Halted
from sweeps.secrets import masked
from sweeps.spec import resolved_text
from sweeps.storage.ledger import Ledger
from sweeps.storage.sweep_folder import SweepFolder, SweepLocked
from sweeps.watching.device_use import DeviceUse
from sweeps.watching.forecast import Forecast
from sweeps.watching.progress import Screen
from sweeps.watching.watch import Watch
from trainers.result import Outcome

_LOOK_EVERY_S = 1.0
_MOST_REASONS = 3
_LAST_PASS_S = 60.0  # a tracker that is away longer is caught up with by `sync`
_POINT_S, _TRIAL_S = 0.001, 0.1  # to send one, from a tracker that is slow
_SAY_AFTER_S = 5.0


class Train(Protocol):
    """What trains packs; it ends soon after `lost` is set: another driver has the sweep then."""

    def __call__(self, packs: Sequence[Pack], *, lost: threading.Event) -> None:
        """Train the packs.

        Raises:
            Halted: nothing can go on.
            Interrupted: the user asked to stop.
        """
        ...


def drive(
    price: Price,
    ledger: Ledger,
    *,
    train: Train,
    publisher: LatePublisher | None,
    console: Console,
) -> bool:
    """Train the open trials of a plan; True when every trial has an outcome and none failed.

    Trials that failed before are tried again. Without a publisher nothing is published; `lawsweep sync`
    does so later, also on another machine.

    Raises:
        SweepLocked: another driver runs this sweep, or has taken it over meanwhile.
        Interrupted: the user asked to stop; all is saved.
        InputError: there is no cluster at the address.
    """
    sweep = price.plan.sweep
    folder = ledger.sweep(sweep.name)
    with held(folder, console) as hold:
        records = [trial.record() for trial in price.plan.trials]
        folder.write_plan(resolved_text(sweep), records)
        if price.packs:
            write_provenance(folder.path)
        for trial in price.trials:
            if trial.state in {"failed", "stopped"}:
                ledger.trial(trial.trial.key).reopen()
        with published(publisher, sweep.name, records, console):
            if price.packs:
                watch = Watch(ledger, sweep, records, _forecast(price), DeviceUse())
                with watched(watch, publisher, console):
                    train(price.packs, lost=hold.lost)
    return conclude(price, ledger, console, hold)


@dataclass
class Hold:
    """What a driver has while no other has its sweep, and why it could not go on, if so."""

    lost: threading.Event  # another driver has the sweep now
    breaker: Breaker
    halted: str = ""


@contextmanager
def held(folder: SweepFolder, console: Console) -> Iterator[Hold]:
    """Have a sweep while the block runs; what halts the block ends it, and is kept.

    Raises:
        SweepLocked: another driver runs this sweep, or has taken it over meanwhile.
    """
    with folder.lock(lambda text: console.print(text, markup=False, highlight=False)) as lease:
        folder.clear_stop()
        hold = Hold(lease.lost, Breaker(folder))
        hold.breaker.reset()
        try:
            yield hold
        except Halted as error:
            hold.halted = str(error)
        finally:
            if not lease.lost.is_set():
                folder.clear_stop()
        if lease.lost.is_set():
            who = folder.owner() or "another process"
            raise SweepLocked(f"sweep {folder.path.name} is run by {who} now")


@contextmanager
def published(
    publisher: LatePublisher | None,
    name: str,
    records: Sequence[Mapping[str, Any]],
    console: Console,
) -> Iterator[None]:
    """Publish while the block runs, and what is left after it; `records` may grow meanwhile."""
    if publisher is None:
        yield
        return
    publisher.start()
    try:
        yield
    finally:
        _publish_rest(publisher, name, records, console)


def _forecast(price: Price) -> Forecast:
    """What the plan expects, for the time that is left."""
    packs = tuple(tuple(each.trial.key for each in pack.trials) for pack in price.packs)
    widths = tuple(pack.width for pack in price.packs)
    seconds = {each.trial.key: each.seconds for each in price.trials}
    return Forecast(price.workers, packs, seconds, widths)


def _publish_rest(
    publisher: LatePublisher, name: str, records: Sequence[Mapping[str, Any]], console: Console
) -> None:
    """Publish what is left, in a time that even all points of these trials would need; say so."""
    points = sum(record["config"]["evaluation"]["points"] for record in records)
    limit_s = _LAST_PASS_S + _POINT_S * points + _TRIAL_S * len(records)
    text = f"publishing what is left; Ctrl-C leaves it to `lawsweep sync {name}`"
    notice = threading.Timer(_SAY_AFTER_S, console.print, [text], {"highlight": False})
    notice.daemon = True
    notice.start()
    try:
        _say_what_waits(publisher.stop(limit_s), name, console)
    finally:
        notice.cancel()


def _say_what_waits(published: Published, name: str, console: Console) -> None:
    """Say what the tracker does not have yet, if anything."""
    if published.error is not None:
        text = f"{published.points_left:,} points are not published yet: {published.error}"
        console.print(text, style="yellow", markup=False, highlight=False)
        console.print(f"  later: lawsweep sync {name}", highlight=False)


@contextmanager
def watched(watch: Watch, publisher: LatePublisher | None, console: Console) -> Iterator[None]:
    """Show the sweep's progress from the ledger while the block trains."""
    over = threading.Event()

    def look() -> None:
        with Screen(console) as screen:
            while True:
                last = over.wait(_LOOK_EVERY_S)
                snapshot = watch.snapshot()
                if publisher is not None:
                    publisher.expect(snapshot.left_s)
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


def conclude(price: Price, ledger: Ledger, console: Console, hold: Hold) -> bool:
    """Say how the sweep ended."""
    ended = {each.trial.key: each.state for each in price.trials if not each.is_open}
    outcomes = {each.trial.key: ledger.trial(each.trial.key).outcome() for each in price.open}
    names = Counter[str](ended.values())
    names.update("open" if outcome is None else outcome.name for outcome in outcomes.values())
    counted = ", ".join(f"{number:,} {name}" for name, number in names.most_common())
    console.print(f"[bold]{price.plan.sweep.name}[/]: {counted}", highlight=False)
    if hold.halted:
        console.print(
            f"  stopped: {masked(hold.halted)}",
            style="red",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    _say_what_failed(outcomes, ledger, console)
    if names["open"]:
        waiting = [each.trial.config for each in price.open if outcomes[each.trial.key] is None]
        for line in hold.breaker.lines(waiting):
            console.print(f"  {line}", style="red", markup=False, highlight=False, soft_wrap=True)
        for line in _left_open([config.key() for config in waiting], ledger):
            console.print(f"  {line}", style="red", markup=False, highlight=False, soft_wrap=True)
        console.print("  the same command goes on with the open ones")
    if names["finished"]:
        console.print(f"  what it says: lawsweep report {price.plan.sweep.name}", highlight=False)
    return set(names) <= {"finished", "diverged", "stopped"}


def _say_what_failed(
    outcomes: Mapping[str, Outcome | None], ledger: Ledger, console: Console
) -> None:
    """One line for each kind of failure, with its number and where the first traceback is."""
    failed: dict[str, list[tuple[str, str]]] = {}
    for key, outcome in outcomes.items():
        if outcome is not None and outcome.name == "failed":
            failed.setdefault(alike(outcome.reason), []).append((key, outcome.reason))
    for found in sorted(failed.values(), key=len, reverse=True)[:_MOST_REASONS]:
        key, reason = found[0]
        notes = ledger.trial(key).attempts()[-1] / "notes.txt"
        where = f"traceback: {notes}" if notes.exists() else f"its folder: {notes.parent}"
        console.print(
            f"  {len(found):,} failed: {reason}",
            style="red",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        console.print(f"  {where}", markup=False, highlight=False, soft_wrap=True)


def _left_open(keys: Sequence[str], ledger: Ledger) -> list[str]:
    """Why workers did not go on with trials, a line for each reason."""
    reasons = Counter(ledger.trial(key).left_open() for key in keys)
    return [
        f"{number:,} were left open: {reason}"
        for reason, number in reasons.most_common(_MOST_REASONS)
        if reason is not None
    ]
