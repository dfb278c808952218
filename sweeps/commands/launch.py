"""The command that trains what is not finished of a sweep, here or on a cluster."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sweeps.commands.options import (
    DEFAULT_STORAGE,
    AddressOption,
    DeviceKindOption,
    ExecutionOption,
    GpusPerTrialOption,
    PacksPerGpuOption,
    SetOption,
    StorageOption,
    SweepArgument,
    TrackingOption,
    WorkersOption,
)
from sweeps.commands.planned import here, planned, show_search, surveyed
from sweeps.running.where import InProcess, OnRay
from sweeps.secrets import private_files
from trainers.schema import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeps.planning.cost import Price
    from sweeps.planning.plan import Plan
    from sweeps.publishing.late import LatePublisher
    from sweeps.publishing.publisher import Publisher
    from sweeps.running.drive import Train
    from sweeps.searching.drive import TrainSearch
    from sweeps.searching.outline import Outline
    from sweeps.storage.ledger import Ledger
    from sweeps.workers import Workers

_ASK_ABOVE_S = 3600.0


@dataclass(frozen=True)
class _Means:
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

    def warm_up(self, price: Price) -> None:
        """Let workers of a running cluster get ready; not before, as that would disturb the measuring."""
        if not self.here and price.packs:
            from sweeps.running.nodes import warm_up

            warm_up(self.wanted)

    def search_trainer(self) -> TrainSearch:
        """What trains the trials of a search."""
        match self.where:
            case InProcess() as here:
                from sweeps.searching.inline import search_inline

                return partial(search_inline, here=here)
            case OnRay() as there:
                from sweeps.searching.on_ray import search_on_ray

                return partial(search_on_ray, there=there)


def launch(
    context: typer.Context,
    sweep: SweepArgument,
    changes: SetOption = [],  # noqa: B006 - typer copies it
    storage: StorageOption = DEFAULT_STORAGE,
    tracking: TrackingOption = None,
    address: AddressOption = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Join a cluster without a token, on loopback only.")
    ] = False,
    asked: WorkersOption = None,
    device_kind: DeviceKindOption = None,
    packs_per_gpu: PacksPerGpuOption = None,
    gpus_per_trial: GpusPerTrialOption = None,
    execution: ExecutionOption = None,
    inline: Annotated[bool, typer.Option("--inline", help="Train here, without Ray.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a long sweep.")] = False,
    save_every: Annotated[
        float, typer.Option(min=0, help="Seconds between the checkpoints of a trial.")
    ] = 60.0,
    allow_drift: Annotated[
        bool,
        typer.Option("--allow-drift", help="Go on although code, torch or machine has changed."),
    ] = False,
    notify: Annotated[
        str | None,
        typer.Option(
            metavar="URL", envvar="LAWSWEEP_NOTIFY", help="A webhook to tell how the sweep ended."
        ),
    ] = None,
) -> None:
    """Train what is not finished. Also resumes: the same command, again. Ctrl-C stops cleanly."""
    from sweeps.planning.plan import Plan
    from sweeps.running.drift import refuse_drift
    from sweeps.running.stopping import Interrupted
    from sweeps.spec import SpecError, located
    from sweeps.storage.ledger import Ledger
    from sweeps.storage.sweep_folder import SweepLocked
    from sweeps.watching.notify import announced, hook_address

    context.with_resource(private_files())
    hook = hook_address(notify) if notify else None
    address = _prepared(address, inline=inline, insecure=insecure)
    console = Console()
    ledger = Ledger(storage)
    found = planned(sweep, changes, context.obj)
    trials = found if isinstance(found, Plan) else _suggested(found, ledger, inline=inline)
    device, workers = here()
    wanted = trials.sweep.workers.but(
        count=asked,
        device_kind=device_kind,
        packs_per_gpu=packs_per_gpu,
        gpus_per_trial=gpus_per_trial,
        execution=execution,
    )
    if inline and wanted.gpus_per_trial > 1:
        raise InputError(
            f"--inline: expected gpus_per_trial 1 beside it, got {wanted.gpus_per_trial}"
        )
    if address is None:
        workers = wanted.on_one_machine(device, workers)
    if storage.exists() and not storage.is_dir():
        raise InputError(f"--storage {storage}: expected a folder, got a file")
    if not allow_drift:
        refuse_drift(
            ledger,
            [trial.key for trial in trials.trials],
            trains_here=address is None,
            mode=wanted.mode,
        )
    if address is not None:
        workers = _checked(address, storage, wanted, context)
    publisher = _publisher(trials, ledger, tracking, console)
    where = (
        InProcess(device, save_every, allow_drift)
        if inline
        else OnRay(address, workers, save_every, wanted, allow_drift)
    )
    means = _Means(where, device, workers, wanted)
    driver = _driver if isinstance(found, Plan) else partial(_search_driver, found)
    try:
        seconds, run = driver(trials, ledger, means, publisher, console)
    except SpecError as error:  # beyond its own limits
        raise located(sweep, error) from error
    doubt = ledger.doubt()
    if doubt:  # others could change what the storage holds
        console.print(doubt, style="yellow", markup=False, highlight=False)
    if not yes and seconds > _ASK_ABOVE_S and sys.stdin.isatty():
        typer.confirm("Start?", abort=True)
    try:
        done = announced(run, hook, ledger, trials.sweep, console)
    except SweepLocked as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from error
    except Interrupted as error:
        typer.echo(f"{error}: every trial is saved; the same command goes on", err=True)
        raise typer.Exit(error.exit_code) from error
    if not done:
        raise typer.Exit(1)


def _prepared(address: str | None, *, inline: bool, insecure: bool) -> str | None:
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


def _suggested(searched: Outline, ledger: Ledger, *, inline: bool) -> Plan:
    """The trials that earlier launches of a search have suggested."""
    from sweeps.searching.book import so_far
    from sweeps.searching.inline import check_inline

    if inline:
        check_inline(searched.search)
    return so_far(searched, ledger)


def _driver(
    trials: Plan, ledger: Ledger, means: _Means, publisher: LatePublisher | None, console: Console
) -> tuple[float, Callable[[], bool]]:
    """The seconds that a planned sweep takes, and what runs it."""
    from sweeps.planning.cost import learn_from, price, refuse_beyond_limits, try_out
    from sweeps.planning.show import show_price
    from sweeps.planning.show_shapes import show_shapes
    from sweeps.running.drive import drive

    prices = partial(
        price, trials, ledger, device=means.device, workers=means.workers, wanted=means.wanted
    )
    first = prices()
    refuse_beyond_limits(first)
    means.warm_up(first)
    show_price(first, console)

    def run() -> bool:
        priced = first
        if means.here and first.untried:
            try_out(first)
            priced = prices(rates=first.rates)
            show_shapes(priced, console)
        train = means.trainer(priced, ledger)
        done = drive(priced, ledger, train=train, publisher=publisher, console=console)
        learn_from(priced, ledger, device=means.device)
        return done

    return first.seconds, run


def _search_driver(
    searched: Outline,
    trials: Plan,
    ledger: Ledger,
    means: _Means,
    publisher: LatePublisher | None,
    console: Console,
) -> tuple[float, Callable[[], bool]]:
    """The seconds that a search takes, and what runs it."""
    from sweeps.searching.drive import drive_search

    survey = surveyed(searched, ledger, means.device, means.workers)
    survey.check_budget()
    show_search(survey)
    train = means.search_trainer()
    run = partial(drive_search, searched, ledger, train=train, publisher=publisher, console=console)
    return survey.seconds, run


def _checked(address: str, storage: Path, wanted: Workers, context: typer.Context) -> int:
    """The number of workers of a cluster, each of whose nodes has passed; we stay connected to it."""
    from sweeps.running.cluster import cluster
    from sweeps.running.nodes import checked

    context.with_resource(cluster(address, workers=0))
    return checked(address, storage, wanted)


def _publisher(
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
