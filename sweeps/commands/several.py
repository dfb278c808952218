"""Many sweeps in one go: where they train, what each costs, and training them one after the other."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from sweeps.commands.launching import Means, checked_nodes, prepared, publisher_of, run_priced
from sweeps.commands.launching import prices as prices_of
from sweeps.commands.planned import here
from sweeps.running.where import InProcess, OnRay
from sweeps.secrets import masked
from trainers.schema import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from sweeps.commands.work import Work
    from sweeps.planning.pace.rates import Rates
    from sweeps.spec import Sweep
    from sweeps.storage.ledger import Ledger

_SURE_AFTER_S = 60.0  # of planned training, how far the plan is off can be told


@dataclass(frozen=True)
class Place:
    """Where sweeps are trained and kept: a storage folder, and this machine or a cluster."""

    ledger: Ledger
    tracking: str | None
    address: str | None
    inline: bool
    device: str
    workers: int

    def means(self, sweep: Sweep) -> Means:
        """Where the trials of one sweep train."""
        wanted, count = sweep.workers, self.workers
        if self.address is None:
            count = wanted.on_one_machine(self.device, count)
        ray = OnRay(self.address, count, 60.0, wanted)
        return Means(InProcess(self.device) if self.inline else ray, self.device, count, wanted)


def place(
    storage: Path,
    tracking: str | None,
    address: str | None,
    *,
    inline: bool,
    context: typer.Context,
) -> Place:
    """The place with these settings; a cluster is joined until the command ends.

    Raises:
        InputError: there is no cluster at the address, or its nodes do not see the storage.
    """
    from sweeps.storage.ledger import Ledger
    from sweeps.workers import Workers

    address = prepared(address, inline=inline, insecure=False)
    device, workers = here()
    if address is not None:
        workers = checked_nodes(address, storage, Workers(), context)
    return Place(Ledger(storage), tracking, address, inline, device, workers)


def priced(several: Sequence[Work], there: Place) -> tuple[Work, ...]:
    """Every sweep with what is left of it; what is known of this device is known to all of them."""
    from sweeps.storage import durable

    durable.make_folder(there.ledger.root)  # else what was measured would not be kept
    rates: Rates | None = None
    found: list[Work] = []
    for work in several:
        price = prices_of(work.plan, there.ledger, there.means(work.plan.sweep))(rates=rates)
        rates = price.rates
        found.append(replace(work, price=price))
    return tuple(found)


def train(work: Work, there: Place, console: Console) -> str:
    """Train what is left of a sweep and publish it; returns what went wrong, "" where nothing did.

    Trials that failed, or were left open, are in the ledger and no trouble here.

    Raises:
        Interrupted: the user asked to stop; all is saved.
    """
    from sweeps.planning.cost import refuse_beyond_limits
    from sweeps.running.drift import refuse_drift
    from sweeps.running.stopping import Interrupted

    ledger, means = there.ledger, there.means(work.plan.sweep)
    try:
        # again, since an earlier sweep may have trained the same trials
        rates = None if work.price is None else work.price.rates
        price = prices_of(work.plan, ledger, means)(rates=rates)
        refuse_beyond_limits(price)
        keys = [each.trial.key for each in price.open]
        refuse_drift(ledger, keys, trains_here=means.here, mode=means.wanted.mode)
        publisher = publisher_of(work.plan, ledger, there.tracking, console)
        run_priced(price, ledger, means, publisher, console)
    except Interrupted:
        raise
    except Exception as error:  # noqa: BLE001 - the other sweeps go on, and this one is said to have failed
        return trouble(error)
    return ""


def trouble(error: Exception) -> str:
    """What went wrong with one sweep, in a line; where it was nobody's mistake, its kind too."""
    words = " ".join(masked(str(error)).split())
    return words if isinstance(error, InputError) else f"{type(error).__name__}: {words}"


@contextmanager
def one_session(there: Place, several: Sequence[Work]) -> Iterator[None]:
    """One connection to Ray for all of these: a new one would cost seconds for each."""
    is_joined = there.address is not None
    if there.inline or is_joined or not any(work.left for work in several):
        yield
        return
    from sweeps.running.cluster import cluster

    with cluster(None, there.workers):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Between trainings a signal ends the block at once, and a training when it is saved; both are said.

    Raises:
        typer.Exit: a signal came, with the exit code that says which.
    """
    from sweeps.running.stopping import Interrupted

    came: list[int] = []

    def ask(number: int, frame: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except (KeyboardInterrupt, Interrupted) as error:
        number = came[0] if came else signal.SIGINT
        stopped = error if isinstance(error, Interrupted) else Interrupted(number)
        typer.echo(f"{stopped}: every trial is saved; the same command goes on", err=True)
        raise typer.Exit(stopped.exit_code) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Pace:
    """How long all of it still takes, by the plan and by how far the plan was off until now."""

    def __init__(self, several: Sequence[Work]) -> None:
        self._left_s = {work.sweep.name: work.seconds for work in several}
        self._planned_s = 0.0
        self._took_s = 0.0
        self._began = time.monotonic()

    def begin(self, now: Callable[[], float] = time.monotonic) -> None:
        """A sweep begins."""
        self._began = now()

    def end(self, name: str, now: Callable[[], float] = time.monotonic) -> float:
        """A sweep is done, with its report; returns the seconds that it took."""
        took = now() - self._began
        self._planned_s += self._left_s.pop(name, 0.0)
        self._took_s += took
        return took

    @property
    def left_s(self) -> float:
        """Seconds until all of them are done."""
        sure = self._planned_s >= _SURE_AFTER_S
        slower = min(4.0, max(0.25, self._took_s / self._planned_s)) if sure else 1.0
        return slower * sum(self._left_s.values())
