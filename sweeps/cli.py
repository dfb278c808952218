"""The commands that plan, launch and watch sweeps; `analysis.cli` mounts them.

Only here are imports inside functions, so that a command waits for what it needs and nothing else.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from sweeps.secrets import private_files
from trainers.schema import InputError

if TYPE_CHECKING:
    from types import ModuleType

    from pydantic import BaseModel

    from sweeps.planning.cost import Price
    from sweeps.planning.plan import Plan
    from sweeps.publishing.publisher import Publisher
    from sweeps.running.drive import Train
    from sweeps.searching.drive import TrainSearch
    from sweeps.searching.outline import Outline
    from sweeps.searching.survey import Survey
    from sweeps.spec import Sweep
    from sweeps.storage.ledger import Ledger
    from sweeps.workers import Workers

    Check = Callable[[Sweep], None]

app = typer.Typer(add_completion=False, no_args_is_help=True)

SweepArgument = Annotated[str, typer.Argument(metavar="SWEEP", help="A file, or a catalogue name.")]
SetOption = Annotated[
    list[str], typer.Option("--set", metavar="F=V", help="Change one field for this launch.")
]
StorageOption = Annotated[Path, typer.Option(help="Folder of the ledger, seen by every node.")]
TrackingOption = Annotated[
    str | None,
    typer.Option(
        envvar="LAWSWEEP_TRACKING", help="MLflow URI [default: SQLite inside the storage folder]."
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, max=100_000, help="How many at once, where the cluster grows."
    ),
]
DeviceKindOption = Annotated[
    str | None, typer.Option(help="The kind of GPU to train on, as Ray names it: A100, H100, T4.")
]
PacksPerGpuOption = Annotated[
    int | None, typer.Option(min=1, max=64, help="How many packs share a GPU.")
]
NameArgument = Annotated[str | None, typer.Argument(help="One of them, with its fields.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]

DEFAULT_STORAGE = Path("lawsweep-data")

_ASK_ABOVE_S = 3600.0
_PUBLISH_S = 3600.0


@app.command()
def plan(
    context: typer.Context,
    sweep: SweepArgument,
    changes: SetOption = [],  # noqa: B006 - typer copies it
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
) -> None:
    """Show every trial with its price, before anything starts."""
    from sweeps.planning.cost import price
    from sweeps.planning.show import plan_document, show_price
    from sweeps.storage.ledger import Ledger

    device, workers = _here()
    searched = _searched(sweep, changes, context.obj)
    if searched is not None:
        _show_search(_surveyed(searched, Ledger(storage), device, workers), as_json=as_json)
        return
    priced = price(
        _planned(sweep, changes, context.obj), Ledger(storage), device=device, workers=workers
    )
    if as_json:
        typer.echo(json.dumps(plan_document(priced), indent=1))
    else:
        show_price(priced, Console())


@app.command()
def launch(
    context: typer.Context,
    sweep: SweepArgument,
    changes: SetOption = [],  # noqa: B006
    storage: StorageOption = DEFAULT_STORAGE,
    tracking: TrackingOption = None,
    address: Annotated[
        str | None, typer.Option(help="A running Ray cluster: host:port, or auto.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Join a cluster without a token, on loopback only.")
    ] = False,
    asked: WorkersOption = None,
    device_kind: DeviceKindOption = None,
    packs_per_gpu: PacksPerGpuOption = None,
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
    from sweeps.planning.cost import price
    from sweeps.planning.show import show_price
    from sweeps.running.drift import refuse_drift
    from sweeps.running.drive import drive
    from sweeps.running.joining import prepare_joining, prepare_own
    from sweeps.running.stopping import Interrupted
    from sweeps.storage.ledger import Ledger
    from sweeps.storage.sweep_folder import SweepLocked
    from sweeps.watching.notify import announced, hook_address

    context.with_resource(private_files())
    hook = hook_address(notify) if notify else None
    if inline and address is not None:
        raise InputError("--inline: expected no --address beside it")
    if insecure and address is None:
        raise InputError("--insecure: expected an --address beside it")
    if address is None:
        prepare_own()
    else:
        address = prepare_joining(address, insecure=insecure)
    console = Console()
    ledger = Ledger(storage)
    searched = _searched(sweep, changes, context.obj)
    planned = (
        _planned(sweep, changes, context.obj) if searched is None else _so_far(searched, ledger)
    )
    if searched is not None and inline:
        _check_inline(searched)
    device, workers = _here()
    wanted = planned.sweep.workers.but(
        count=asked, device_kind=device_kind, packs_per_gpu=packs_per_gpu
    )
    workers = wanted.on_one_machine(device, workers)
    if storage.exists() and not storage.is_dir():
        raise InputError(f"--storage {storage}: expected a folder, got a file")
    if not allow_drift:
        keys = [trial.key for trial in planned.trials]
        refuse_drift(ledger, keys, trains_here=address is None)
    if address is not None:
        workers = _checked(address, storage, wanted)
    _ask_tracker(tracking, storage, planned.sweep.name, console)
    publisher = _publisher(planned, ledger, tracking, console)
    priced = price(planned, ledger, device=device, workers=workers)
    if searched is None:
        show_price(priced, console)
        seconds = priced.seconds
    else:
        surveyed = _surveyed(searched, ledger, device, workers)
        surveyed.check_budget()
        _show_search(surveyed)
        seconds = surveyed.seconds
    _doubt(ledger, console)
    if not yes and seconds > _ASK_ABOVE_S and sys.stdin.isatty():
        typer.confirm("Start?", abort=True)
    try:
        if searched is None:
            train = _trainer(
                priced, ledger, address, wanted, inline, device, save_every, allow_drift
            )
            run = partial(drive, priced, ledger, train=train, publisher=publisher, console=console)
        else:
            train_search = _search_trainer(
                address, workers, wanted, inline, device, save_every, allow_drift
            )
            run = _search_driver(searched, ledger, train_search, publisher, console)
        done = announced(run, hook, ledger, planned.sweep, console)
    except SweepLocked as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from error
    except Interrupted as error:
        typer.echo(f"{error}: every trial is saved; the same command goes on", err=True)
        raise typer.Exit(error.exit_code) from error
    if not done:
        raise typer.Exit(1)


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(help="A sweep; without it, all of them.")] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
) -> None:
    """Say where sweeps stand, from the ledger alone: also when no driver lives."""
    from sweeps.storage.ledger import Ledger
    from sweeps.watching.status import show_status, status_document

    ledger = Ledger(storage)
    names = ledger.sweeps() if name is None else (name,)
    if as_json:
        typer.echo(json.dumps(status_document(ledger, names), indent=1))
    else:
        show_status(ledger, names, Console())


@app.command()
def rerun(key: str, storage: StorageOption = DEFAULT_STORAGE) -> None:
    """Train one trial again in the foreground, from its stored config; nothing is written.

    Every point is compared with the ledger's: the same config must give the same bits.
    """
    from sweeps.inspecting.rerun import rerun_trial
    from sweeps.storage.ledger import Ledger

    if not rerun_trial(Ledger(storage), key, Console()):
        typer.echo("rerun: some points differ from the ledger's", err=True)
        raise typer.Exit(1)


@app.command()
def predict(
    key: Annotated[str, typer.Argument(help="A trial's key, or how it begins.")],
    questions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[QUESTION ...]", help='As in "160 120"; without one, test examples.'
        ),
    ] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    examples: Annotated[
        int, typer.Option(min=1, max=10_000, help="Test examples to show where nothing is asked.")
    ] = 10,
    as_json: JsonOption = False,
) -> None:
    """Ask a trained trial for answers; without a question, show its own test examples."""
    from sweeps.inspecting.predict import ask, prediction_document, show_predictions
    from sweeps.storage.ledger import Ledger

    answered = ask(Ledger(storage), key, tuple(questions or ()), examples)
    if as_json:
        typer.echo(json.dumps(prediction_document(answered), indent=1))
    else:
        show_predictions(answered, Console())


@app.command()
def sync(
    context: typer.Context,
    name: str,
    storage: StorageOption = DEFAULT_STORAGE,
    tracking: TrackingOption = None,
) -> None:
    """Publish to MLflow what is not yet published; to another server with --tracking."""
    from sweeps.publishing.publisher import Publisher
    from sweeps.storage.ledger import Ledger
    from sweeps.tracking import tracker_uri

    context.with_resource(private_files())
    folder = Ledger(storage).sweep(name)
    sweep, trials = folder.sweep(), folder.trials()
    publisher = Publisher(tracker_uri(tracking, storage), Ledger(storage), sweep, trials)
    published = publisher.stop(timeout_s=_PUBLISH_S)  # and close the runs of a killed driver
    if published.locked:
        typer.echo(f"sync: {published.error}", err=True)
        raise typer.Exit(3)
    if published.error is not None:
        typer.echo(f"sync: {published.points_left:,} points wait: {published.error}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{name}: {published.points_sent:,} points sent, nothing is left to publish")


@app.command()
def gc(
    name: Annotated[str | None, typer.Argument(help="A sweep; without it, all of them.")] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    keep: Annotated[
        str,
        typer.Option(
            metavar="last|best:K|none",
            help="Of which ended trials the newest checkpoint stays: all, the K best of a sweep, none.",
        ),
    ] = "last",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say it, and remove nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Free the room that checkpoints of ended trials take; what is open stays as it is.

    Metrics and outcomes stay. With `last`, predictions can be asked of all trials as before; of a trial
    that keeps no checkpoint they cannot.
    """
    from sweeps.inspecting.freed import freed_document, show_freed
    from sweeps.inspecting.freeing import Keep, free
    from sweeps.storage.ledger import Ledger
    from sweeps.storage.sweep_folder import SweepLocked

    kept = Keep.parsed(keep)
    if not storage.is_dir():
        raise InputError(f"--storage {storage}: expected the storage folder of sweeps, found none")
    say = partial(typer.echo, err=True)
    try:
        freed = free(Ledger(storage), name, kept, dry=dry_run, say=say)
    except SweepLocked as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from error
    if as_json:
        typer.echo(json.dumps(freed_document(freed, keep=keep, dry=dry_run), indent=1))
    else:
        show_freed(freed, Console(), dry=dry_run)


@app.command()
def ui(
    context: typer.Context,
    storage: StorageOption = DEFAULT_STORAGE,
    tracking: TrackingOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
) -> None:
    """Serve MLflow on this machine alone, and print the links to each sweep's own pages."""
    from sweeps.inspecting.serve import LOG, serve
    from sweeps.tracking import tracker_uri

    context.with_resource(private_files())
    uri = tracker_uri(tracking, storage)
    if tracking is None and not (storage / "mlflow.db").exists():
        raise InputError(f"{storage}: expected a sweep that was launched here, found none")
    try:
        code = serve(storage, uri, port, Console())
    except KeyboardInterrupt:
        return
    if code:
        typer.echo(f"ui: the server ended with exit code {code}, see {storage / LOG}", err=True)
        raise typer.Exit(1)


@app.command()
def tasks(name: NameArgument = None) -> None:
    """List the tasks that a trial can train on; with a name, its fields."""
    from trainers.data import tasks as folder
    from trainers.data.task import Task

    _list_plugins("task", folder, Task, name)


@app.command()
def positions(name: NameArgument = None) -> None:
    """List the position encodings of a transformer; with a name, its fields."""
    from trainers.models import positions as folder
    from trainers.models.position import Position

    _list_plugins("position", folder, Position, name)


@app.command()
def encodings(name: NameArgument = None) -> None:
    """List the ways in which questions and answers are written; with a name, its fields."""
    from trainers.data import encodings as folder
    from trainers.data.encoding import Encoding

    _list_plugins("encoding", folder, Encoding, name)


@app.command()
def models(name: NameArgument = None) -> None:
    """List the models that a trial can train; with a name, its fields."""
    from trainers import models as folder
    from trainers.models.model import Model

    _list_plugins("model", folder, Model, name)


@app.command()
def catalog() -> None:
    """List the sweeps that ship with lawsweep."""
    from sweeps.spec import catalog as files
    from sweeps.spec import load

    table = Table("sweep", "what it asks", "source", box=None, pad_edge=False)
    for file in files():
        sweep = load(str(file))
        table.add_row(file.stem, sweep.report.question or sweep.about, sweep.source)
    Console().print(table)


@app.command()
def doctor(
    storage: StorageOption = DEFAULT_STORAGE,
    tracking: TrackingOption = None,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster to look at.")] = None,
) -> None:
    """Say whether this machine is ready; with --address, whether a cluster and its nodes are."""
    from sweeps.inspecting.doctor import check

    more = [*_tracker_findings(tracking, storage), *_cluster_findings(address, storage)]
    if not check(storage, more, Console()):
        typer.echo("doctor: this machine is not ready", err=True)
        raise typer.Exit(1)


def _tracker_findings(tracking: str | None, storage: Path) -> list[tuple[str, str, str]]:
    """Whether MLflow answers where runs would be published."""
    if importlib.util.find_spec("mlflow") is None:
        return []
    from sweeps.publishing.reach import absence
    from sweeps.secrets import masked
    from sweeps.tracking import tracker_uri

    try:
        uri = tracker_uri(tracking, storage)
        return [("MLflow", masked(uri), absence(uri))]
    except InputError as error:
        return [("MLflow", "", str(error))]


def _cluster_findings(address: str | None, storage: Path) -> list[tuple[str, str, str]]:
    """This user's token; and of a cluster, who is let in and what its nodes have."""
    from sweeps.running.survey import admission, token_finding

    found = [token_finding()]
    if address is None:
        return found
    place, finding = admission(address)
    if place is None:
        return [*found, finding]
    from sweeps.running.nodes import findings

    return [*found, finding, *findings(place, storage)]


def _planned(name_or_path: str, changes: list[str], check: Check | None) -> Plan:
    """The plan of a sweep; `check` knows what only the packages above this one can refuse."""
    from sweeps.planning.plan import plan as planned
    from sweeps.spec import SpecError, load, located

    try:
        sweep = load(name_or_path, changes)
        if check is not None:
            check(sweep)
        return planned(sweep)
    except SpecError as error:
        raise located(name_or_path, error) from error


def _searched(name_or_path: str, changes: list[str], check: Check | None) -> Outline | None:
    """What is known of a search from its file; None where the sweep plans all its trials."""
    from sweeps.spec import SpecError, load, located

    try:
        sweep = load(name_or_path, changes)
        if sweep.search is None:
            return None
        if check is not None:
            check(sweep)
        from sweeps.searching.outline import outline

        return outline(sweep, sweep.search)
    except SpecError as error:
        raise located(name_or_path, error) from error


def _so_far(searched: Outline, ledger: Ledger) -> Plan:
    """The trials that earlier launches of a search have suggested."""
    from sweeps.searching.book import so_far

    return so_far(searched, ledger)


def _check_inline(searched: Outline) -> None:
    """Refuse a search that only Ray Tune can do."""
    from sweeps.searching.inline import check_inline

    check_inline(searched.search)


def _surveyed(searched: Outline, ledger: Ledger, device: str, workers: int) -> Survey:
    """What there is of a search, and what it costs."""
    from sweeps.searching.survey import survey

    return survey(searched, ledger, device=device, workers=workers)


def _show_search(surveyed: Survey, *, as_json: bool = False) -> None:
    """Print a search with its price."""
    from sweeps.searching.survey import show_survey, survey_document

    if as_json:
        typer.echo(json.dumps(survey_document(surveyed), indent=1))
    else:
        show_survey(surveyed, Console())


def _search_trainer(
    address: str | None,
    workers: int,
    wanted: Workers,
    inline: bool,
    device: str,
    save_every_s: float,
    allow_drift: bool,
) -> TrainSearch:
    """What trains the trials of a search: this process, or a Ray cluster."""
    if inline:
        from sweeps.searching.inline import search_inline

        return partial(
            search_inline, device=device, save_every_s=save_every_s, allow_drift=allow_drift
        )
    from sweeps.searching.on_ray import search_on_ray

    return partial(
        search_on_ray,
        address=address,
        workers=workers,
        wanted=wanted,
        save_every_s=save_every_s,
        allow_drift=allow_drift,
    )


def _search_driver(
    searched: Outline,
    ledger: Ledger,
    train: TrainSearch,
    publisher: Publisher | None,
    console: Console,
) -> Callable[[], bool]:
    """The driver of a search, ready to run."""
    from sweeps.searching.drive import drive_search

    return partial(
        drive_search, searched, ledger, train=train, publisher=publisher, console=console
    )


def _trainer(
    price: Price,
    ledger: Ledger,
    address: str | None,
    wanted: Workers,
    inline: bool,
    device: str,
    save_every_s: float,
    allow_drift: bool,
) -> Train:
    """What trains packs: this process, or a Ray cluster; only the latter waits for Ray."""
    name = price.plan.sweep.name
    if inline or not price.packs:
        from sweeps.running.inline import train_inline

        return partial(
            train_inline,
            ledger=ledger,
            sweep=name,
            device=device,
            save_every_s=save_every_s,
            allow_drift=allow_drift,
        )
    from sweeps.running.launch import train_on_ray

    return partial(
        train_on_ray,
        ledger=ledger,
        sweep=name,
        address=address,
        workers=price.workers,
        wanted=wanted,
        save_every_s=save_every_s,
        allow_drift=allow_drift,
    )


def _doubt(ledger: Ledger, console: Console) -> None:
    """Say so when others could change what the storage holds."""
    doubt = ledger.doubt()
    if doubt:
        console.print(doubt, style="yellow", markup=False, highlight=False)


def _ask_tracker(tracking: str | None, storage: Path, name: str, console: Console) -> None:
    """Say so when MLflow does not answer; training does not wait for it."""
    if importlib.util.find_spec("mlflow") is None:
        return
    from sweeps.publishing.reach import absence
    from sweeps.tracking import tracker_uri

    why = absence(tracker_uri(tracking, storage))
    if why:
        text = f"MLflow does not answer yet: {why}\n  if it stays so: lawsweep sync {name}, later"
        console.print(text, style="yellow", markup=False, highlight=False)


def _checked(address: str, storage: Path, wanted: Workers) -> int:
    """The number of workers of a cluster, each of whose nodes has passed."""
    from sweeps.running.nodes import checked

    return checked(address, storage, wanted)


def _publisher(
    planned: Plan, ledger: Ledger, tracking: str | None, console: Console
) -> Publisher | None:
    """What publishes to MLflow; nothing on a machine without it, whose folder is published elsewhere."""
    if importlib.util.find_spec("mlflow") is None:
        console.print("MLflow is not installed: copy the storage folder, and `lawsweep sync` there")
        return None
    from sweeps.publishing.publisher import Publisher
    from sweeps.tracking import tracker_uri

    records = [trial.record() for trial in planned.trials]
    return Publisher(tracker_uri(tracking, ledger.root), ledger, planned.sweep, records)


def _here() -> tuple[str, int]:
    """The device of this machine and the number of its workers."""
    import torch

    from sweeps.planning.cost import cpu_workers

    if torch.cuda.is_available():
        return "cuda", torch.cuda.device_count()
    return "cpu", cpu_workers()


def _list_plugins(title: str, folder: ModuleType, base: type[BaseModel], name: str | None) -> None:
    from sweeps.inspecting.plugin_help import show_plugin, show_plugins

    if name is None:
        show_plugins(title, folder, base, Console())
    else:
        show_plugin(title, folder, base, name, Console())
