"""The command that trains the catalogue's sweeps and says what of them was reproduced."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.commands.declared import check_laws
from sweeps.commands.options import (
    DEFAULT_STORAGE,
    AddressOption,
    StorageOption,
    TrackingOption,
)
from sweeps.secrets import private_files
from sweeps.shipped import CATALOG, SCALES, Scale, of_scale
from trainers.schema import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from analysis.results import SweepResult
    from sweeps.commands.several import Place
    from sweeps.commands.work import Work


def reproduce(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME]...",
            help="Sweeps of the catalogue, or topics of it; without any, all of --scale.",
        ),
    ] = [],  # noqa: B006 - typer copies it
    scale: Annotated[
        str,
        typer.Option(metavar="cpu|paper", help="For two cores, or of the published size on a GPU."),
    ] = "cpu",
    storage: StorageOption = DEFAULT_STORAGE,
    tracking: TrackingOption = None,
    address: AddressOption = None,
    inline: Annotated[bool, typer.Option("--inline", help="Train here, without Ray.")] = False,
    only_report: Annotated[
        bool, typer.Option("--only-report", help="Train nothing: say what the storage holds.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="The text to write, with its figures in docs/results beside it "
            "[default: RESULTS.md in the storage folder].",
        ),
    ] = None,
    catalogue: Annotated[
        Path,
        typer.Option(
            file_okay=False,
            help="A folder of sweep files with cpu/ and paper/, like the shipped one.",
        ),
    ] = CATALOG,
    yes: Annotated[
        bool, typer.Option("--yes", help="Train paper scale also on a machine without a GPU.")
    ] = False,
) -> None:
    """Train sweeps of the catalogue, skip what is finished, and say which claims were reproduced.

    The same command goes on after Ctrl-C. It ends in 1 where a sweep failed or is not finished.
    """
    kind = _scale(scale)
    if only_report and (inline or address is not None):
        raise InputError("--only-report: expected neither --inline nor --address beside it")
    if storage.exists() and not storage.is_dir():
        raise InputError(f"--storage {storage}: expected a folder, got a file")
    text = storage / "RESULTS.md" if out is None else out
    if text.is_dir():
        raise InputError(f"--out {text}: expected a file, got a folder")
    from rich.console import Console

    from analysis.commands.reproducing import result, results, write_results
    from analysis.reporting.results_table import show_results
    from sweeps.commands.several import interruptible, one_session, place, priced
    from sweeps.commands.spent import code_now
    from sweeps.commands.work import chosen, show_work, worked_out

    context.with_resource(private_files())
    console, code = Console(), code_now()  # before figures are written into the same checkout
    several = worked_out(chosen(names, kind, catalogue), storage, check_laws)
    # those of paper scale stand in the table as well: what they claim, and what they would take
    beside = of_scale("paper", catalogue) if kind == "cpu" and not names else ()
    others = worked_out(beside, storage, check_laws)
    with interruptible():
        if only_report:
            done = [result(work, storage, tracking, text, "") for work in several]
        else:
            there = place(storage, tracking, address, inline=inline, context=context)
            _refuse_without_gpu(several, there, yes=yes)
            several = priced(several, there)
            show_work(several, there.workers, console)
            with one_session(there, several):
                done = _trained(several, there, text, console)
        rest = [result(work, storage, tracking, text, "") for work in others]
        found = results([*done, *rest], (*several, *others), storage, code)
    write_results(found, text)
    show_results(found, console)
    console.print(f"{text.resolve()}", soft_wrap=True, markup=False, highlight=False)
    if any(one.problem or (not only_report and not one.is_done) for one in done):
        typer.echo("reproduce: not every sweep could be finished, as said above", err=True)
        raise typer.Exit(1)


def _trained(
    several: Sequence[Work], there: Place, text: Path, console: Console
) -> list[SweepResult]:
    """Train one sweep after the other, and say at once what came of each."""
    from analysis.commands.reproducing import result
    from analysis.reporting.results_table import show_sweep
    from sweeps.commands.several import Pace, train
    from sweeps.commands.work import says_when, worked_out
    from sweeps.wording import duration

    storage, pace = there.ledger.root, Pace(several)
    found: list[SweepResult] = []
    for number, work in enumerate(several, 1):
        name = work.sweep.name
        if work.left:
            console.rule(f"{number} of {len(several)}: {name}", align="left", style="dim")
            left = f"about {says_when(pace.left_s)}, until all of them are done"
            console.print(left, style="dim", highlight=False)
        pace.begin()
        problem = train(work, there, console)
        (now,) = worked_out([work.file], storage, check_laws)
        found.append(result(now, storage, there.tracking, text, problem))
        show_sweep(found[-1], duration(pace.end(name)), console)
    return found


def _refuse_without_gpu(several: Sequence[Work], there: Place, *, yes: bool) -> None:
    """Refuse what would take days on processors, unless it is wanted all the same.

    Raises:
        InputError: a sweep of paper scale has trials left, and there is no GPU here.
    """
    from analysis.commands.reproducing import gpu_hours, hours_in_words

    large = [work for work in several if work.scale == "paper" and work.left]
    if large and there.address is None and there.device == "cpu" and not yes:
        names = ", ".join(work.sweep.name for work in large)
        raise InputError(
            f"--scale paper: expected a GPU for {names}, found none; that is work for about"
            f" {hours_in_words(sum(map(gpu_hours, large)))}, which --yes starts here all the same"
        )


def _scale(text: str) -> Scale:
    """The scale of this name.

    Raises:
        InputError: there is none.
    """
    for one in SCALES:
        if one == text:
            return one
    raise InputError(f"--scale: expected {' or '.join(SCALES)}, got {text!r}")
