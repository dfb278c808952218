"""What `launch` and `reproduce` share: where trials train, what runs a planned sweep, what publishes it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sweeps.running.where import InProcess, OnRay
from trainers.schema import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import typer
    from rich.console import Console

    from sweeps.planning.cost import Price
    from sweeps.planning.plan import Plan
    from sweeps.publishing.late import LatePublisher
    from sweeps.publishing.publisher import Publisher
    from sweeps.running.drive import Train
    from sweeps.searching.drive import TrainSearch
    from sweeps.storage.ledger import Ledger
    from sweeps.workers import Workers


@dataclass(frozen=True)
class Means:
    """Where trials train, and on which devices the plan is priced."""

    where: InProcess | OnRay
    device: str
    workers: int
    wanted: Workers

    @property
    def here(self) -> bool:
        """Whether trials train on this machine, which is then the one to measure."""
        return isinstance(self.where, InProcess) or self.where.address is None

    def trainer(self, price: Price, ledger: Ledger) -> Train:
        """What trains packs; only packs for a cluster wait for Ray."""
        sweep = price.plan.sweep.name
        if isinstance(self.where, OnRay) and price.packs:
            from sweeps.running.launch import train_on_ray

            return partial(train_on_ray, ledger=ledger, sweep=sweep, there=self.where)
        from sweeps.running.inline import train_inline

        here = self.where if isinstance(self.where, InProcess) else InProcess()
        return partial(train_inline, ledger=ledger, sweep=sweep, here=here)

    def search_trainer(self) -> TrainSearch:
        """What trains the trials of a search."""
        match self.where:
            case InProcess() as here:
                from sweeps.searching.inline import search_inline

                return partial(search_inline, here=here)
            case OnRay() as there:
                from sweeps.searching.on_ray import search_on_ray

                return partial(search_on_ray, there=there)


def prices(trials: Plan, ledger: Ledger, means: Means) -> Callable[..., Price]:
    """What prices a plan, again and again, with the `rates` that it is given, if any."""
    from sweeps.planning.cost import price

    return partial(
        price, trials, ledger, device=means.device, workers=means.workers, wanted=means.wanted
    )


def driver(
    trials: Plan, ledger: Ledger, means: Means, publisher: LatePublisher | None, console: Console
) -> tuple[float, Callable[[], bool]]:
    """The seconds that a planned sweep takes, and what runs it."""
    from sweeps.planning.cost import refuse_beyond_limits
    from sweeps.planning.show import show_price

    first = prices(trials, ledger, means)()
    refuse_beyond_limits(first)
    show_price(first, console)
    return first.seconds, partial(run_priced, first, ledger, means, publisher, console)


def run_priced(
    first: Price, ledger: Ledger, means: Means, publisher: LatePublisher | None, console: Console
) -> bool:
    """Train what is open of a sweep; True when every trial has an outcome and none failed.

    Raises:
        SweepLocked: another driver runs this sweep.
        Interrupted: the user asked to stop; all is saved.
    """
    from sweeps.planning.cost import learn_from, try_out
    from sweeps.planning.show_shapes import show_shapes
    from sweeps.running.drive import drive

    priced = first
    if means.here and first.untried:
        try_out(first)
        priced = prices(first.plan, ledger, means)(rates=first.rates)
        show_shapes(priced, console)
    train = means.trainer(priced, ledger)
    done = drive(priced, ledger, train=train, publisher=publisher, console=console)
    learn_from(priced, ledger, device=means.device)
    return done


def publisher_of(
    trials: Plan, ledger: Ledger, tracking: str | None, console: Console
) -> LatePublisher | None:
    """What publishes to MLflow; nothing on a machine without it, whose folder is published elsewhere.

    Says so when MLflow does not answer; training does not wait for it.
    """
    if importlib.util.find_spec("mlflow") is None:
        console.print("MLflow is not installed: copy the storage folder, and `lawsweep sync` there")
        return None
    from sweeps.address import tracker_uri
    from sweeps.publishing.late import LatePublisher

    name, uri = trials.sweep.name, tracker_uri(tracking, ledger.root)
    if tracking is not None:
        from sweeps.publishing.reach import absence

        why = absence(uri)
        if why:
            text = (
                f"MLflow does not answer yet: {why}\n  if it stays so: lawsweep sync {name}, later"
            )
            console.print(text, style="yellow", markup=False, highlight=False)

    def made() -> Publisher:
        from sweeps.publishing.publisher import Publisher

        records = [trial.record() for trial in trials.trials]
        return Publisher(uri, ledger, trials.sweep, records)

    return LatePublisher(made)


def prepared(address: str | None, *, inline: bool, insecure: bool) -> str | None:
    """The address of the cluster once it may be joined; before anything has imported Ray."""
    from sweeps.running.joining import prepare_joining, prepare_own

    if inline and address is not None:
        raise InputError("--inline: expected no --address beside it")
    if insecure and address is None:
        raise InputError("--insecure: expected an --address beside it")
    if address is None:
        prepare_own()
        return None
    return prepare_joining(address, insecure=insecure, meanwhile=_import_torch)


def _import_torch() -> None:
    """Every plan needs it, and it takes as long as the cluster's answer."""
    import torch  # noqa: F401 # pyright: ignore[reportUnusedImport]


def checked_nodes(address: str, storage: Path, wanted: Workers, context: typer.Context) -> int:
    """The number of workers of a cluster, each of whose nodes has passed; we stay connected to it."""
    from sweeps.running.cluster import cluster
    from sweeps.running.nodes import checked

    context.with_resource(cluster(address, workers=0))
    return checked(address, storage, wanted)
