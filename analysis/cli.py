"""The `lawsweep` command: fits, comparisons and reports here, sweeps from `sweeps.cli`.

Only here are imports inside functions, so that a command waits for what it needs and nothing else.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import re
import shlex
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import Abort, TyperException

from analysis.options import (
    AlongOption,
    AtOption,
    BootstrapOption,
    BudgetOption,
    ByOption,
    CensoredOption,
    ClusterOption,
    ComputeOption,
    CostOption,
    CountsOption,
    DeltaOption,
    FixOption,
    HeldOption,
    HoldOutOption,
    JsonOption,
    LawName,
    LawOption,
    LawsOption,
    LevelOption,
    LossOption,
    MapOption,
    ModeOption,
    NarrowOption,
    NoiseOption,
    ObjectiveOption,
    OverOption,
    ParamsOption,
    PoolOption,
    PredictOption,
    ReachOption,
    ReportOption,
    ResampleOption,
    ResidualOption,
    ScaleOption,
    SeedOption,
    SettingOption,
    SpendOption,
    SplitOption,
    StillOption,
    TableArgument,
    TieOption,
    TokensOption,
    WhereOption,
)
from sweeps.cli import app as sweep_commands
from sweeps.secrets import masked, private_files
from trainers.schema import InputError

if TYPE_CHECKING:
    from analysis.law import Law
    from analysis.reporting.decided import Decided
    from sweeps.spec import FitSpec, Sweep

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.add_typer(sweep_commands)

_PAIR = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.+")
_given: list[str] = []  # what was typed, for the report that says how to make it again


@app.callback()
def lawsweep(context: typer.Context) -> None:
    """One sweep file in: trained models, tracked runs, fitted scaling laws and a report out."""
    context.obj = _check_laws  # `sweeps` cannot know laws, yet planning must refuse a wrong one


def _check_laws(sweep: Sweep) -> None:
    """Refuse a fit that the report could not make, before anything trains for it.

    Raises:
        SpecError: a law, an input of it or a coefficient that a claim names does not exist.
    """
    from sweeps.spec import CoefficientClaim, SpecError

    coefficients: dict[str, list[str]] = {}
    for number, wanted in enumerate(sweep.report.fits):
        place = ("report", "fits", number)
        for field, text in (("law", wanted.law), *(("rivals", one) for one in wanted.rivals)):
            try:
                law = _law(text, wanted.inputs)
                law = law.held(wanted.fix, wanted.tie) if field == "law" else law
            except InputError as error:
                raise SpecError(
                    f"report.fits[{number}].{field}: {error}", place=(*place, field)
                ) from error
            if field == "law" and set(wanted.inputs) != set(law.input_names):
                text = f"expected {', '.join(law.input_names)}, got {', '.join(wanted.inputs)}"
                raise SpecError(f"report.fits[{number}].inputs: {text}", place=(*place, "inputs"))
            if field == "law" and _decides(wanted):
                try:
                    _check_decisions(wanted, law)
                except InputError as error:
                    raise SpecError(f"report.fits[{number}]: {error}", place=place) from error
            if field == "law":
                coefficients[wanted.name] = [one.name for one in law.coefficients]
    for number, claim in enumerate(sweep.claims):
        if isinstance(claim, CoefficientClaim) and claim.coefficient not in coefficients[claim.fit]:
            text = f"expected one of {', '.join(coefficients[claim.fit])}, got {claim.coefficient}"
            place = ("claims", number, "coefficient")
            raise SpecError(f"claims[{number}].coefficient: {text}", place=place)


def _decides(wanted: FitSpec) -> bool:
    """Whether anything is to be decided by a fit."""
    return any(
        (wanted.budgets, wanted.reach, wanted.narrow, wanted.cost, wanted.held, wanted.spend)
    )


def _check_decisions(wanted: FitSpec, law: Law) -> None:
    from analysis.decisions import check, wanted_of

    check(wanted_of(wanted), law, wanted.metric)


def _law(text: str, columns: Collection[str]) -> Law:
    """A law by its name, without waiting for what only formulas of users need."""
    from analysis.law import find_law

    if "=" not in text and not text.endswith((".yaml", ".yml")):
        return find_law(text)
    from analysis.custom import any_law

    return any_law(text, columns)


@app.command()
def report(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A sweep that was launched.")],
    storage: Annotated[Path, typer.Option(file_okay=False, help="Folder of the ledger.")] = Path(
        "lawsweep-data"
    ),
    tracking: Annotated[
        str | None,
        typer.Option(
            envvar="LAWSWEEP_TRACKING",
            help="MLflow URI [default: SQLite inside the storage folder].",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write [default: beside the sweep's ledger].")
    ] = None,
) -> None:
    """Write the report of a sweep: claims, tables, laws and figures in one HTML file."""
    if tracking is None and not (storage / "mlflow.db").is_file():
        raise InputError(
            f"--storage {storage}: expected a folder with a published sweep, there is no mlflow.db"
        )
    if out is not None and out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: expected a folder, got a file")
    from rich.console import Console

    from analysis.reporting.report import write_report
    from analysis.reporting.show import show_claims
    from analysis.study import study
    from analysis.tracked import load_runs
    from sweeps.address import tracker_uri
    from sweeps.tracking import attach_report, check_artifacts

    context.with_resource(private_files())
    uri = tracker_uri(tracking, storage)
    check_artifacts(uri, name, storage)
    sweep, runs = load_runs(uri, name)
    found = study(sweep, runs)
    folder = out or storage / "sweeps" / sweep.name / "report"
    page = write_report(found, folder)
    attach_report(uri, name, folder)
    console = Console()
    show_claims(found, console)
    console.print(f"{page.resolve()}", soft_wrap=True, markup=False, highlight=False)


@app.command()
def fit(
    table: TableArgument,
    law: LawOption,
    mapping: MapOption = [],  # noqa: B006 - typer copies it
    where: WhereOption = "",
    objective: ObjectiveOption = "",
    residual: ResidualOption = "",
    delta: DeltaOption = None,
    fix: FixOption = [],  # noqa: B006
    tie: TieOption = [],  # noqa: B006
    pool: PoolOption = "none",
    noise: NoiseOption = "",
    censored: CensoredOption = "",
    counts: CountsOption = "",
    cluster: ClusterOption = "",
    bootstrap: BootstrapOption = 1_000,
    resample: ResampleOption = "auto",
    level: LevelOption = 0.95,
    hold_out: HoldOutOption = None,
    predict: PredictOption = [],  # noqa: B006
    budget: BudgetOption = [],  # noqa: B006
    cost: CostOption = "",
    held: HeldOption = [],  # noqa: B006
    reach: ReachOption = [],  # noqa: B006
    narrow: NarrowOption = [],  # noqa: B006
    spend: SpendOption = None,
    report_to: ReportOption = None,
    seed: SeedOption = 42,
    as_json: JsonOption = False,
) -> None:
    """Fit one law to a table of runs."""
    from rich.console import Console

    from analysis.decisions import Wanted
    from analysis.reporting.files import finite
    from analysis.reporting.show import show_fit
    from analysis.request import Request, numbers_of
    from analysis.table_fit import document_of, table_fit

    request = Request(
        table, mapping, where, objective, residual, delta, fix, tie, pool, noise, censored, counts,
        cluster,
    )  # fmt: skip
    _folder(report_to)
    largest = _largest(hold_out)
    found = table_fit(
        request, law, bootstrap=bootstrap, resample=resample, level=level, seed=seed,
        largest=largest, places=predict,
        wanted=Wanted(
            tuple(budget), cost, numbers_of("--held", held), tuple(reach), tuple(narrow), spend
        ),
    )  # fmt: skip
    page = None
    if report_to is not None:
        from analysis.reporting.table_report import write_table_report

        page = write_table_report(found, report_to, _written_command())
    if as_json:
        typer.echo(json.dumps(finite(document_of(found)), indent=1))
    else:
        show_fit(found, Console())
        if page is not None:
            Console().print(f"{page.resolve()}", soft_wrap=True, markup=False, highlight=False)


@app.command()
def compare(
    table: TableArgument,
    laws: LawsOption,
    mapping: MapOption = [],  # noqa: B006
    where: WhereOption = "",
    objective: ObjectiveOption = "",
    residual: ResidualOption = "",
    delta: DeltaOption = None,
    pool: PoolOption = "none",
    cluster: ClusterOption = "",
    report_to: ReportOption = None,
    seed: SeedOption = 42,
    as_json: JsonOption = False,
) -> None:
    """Rank laws by how well they predict the largest scales from the others."""
    from rich.console import Console

    from analysis.judgement.compare import as_document
    from analysis.judgement.compare import compare as compared
    from analysis.reporting.files import finite
    from analysis.reporting.show import show_comparison
    from analysis.request import Request, asked

    # A comma inside of parentheses belongs to a formula: min(a, b).
    names = list(dict.fromkeys(one.strip() for one in re.split(r",(?![^()]*\))", laws)))
    _folder(report_to)
    request = Request(table, mapping, where, objective, residual, delta, (), (), pool,
                      cluster=cluster)  # fmt: skip
    of = asked(request, names)
    found = compared(
        of.laws, of.runs, of.inputs, of.target, objective=of.objective, pool=of.pool,
        columns=of.columns, seed=seed,
    )  # fmt: skip
    page = None
    if report_to is not None:
        from analysis.reporting.report import write_comparison

        page = write_comparison(found, (), report_to, source=table.name, command=_written_command())
    if as_json:
        document = {**as_document(found), "rows": len(of.runs)}
        typer.echo(json.dumps(finite(document), indent=1))
    else:
        show_comparison(found, Console())
        if page is not None:
            Console().print(f"{page.resolve()}", soft_wrap=True, markup=False, highlight=False)


@app.command()
def tuning(
    table: TableArgument,
    setting: SettingOption,
    by: ByOption,
    loss: LossOption = "loss",
    over: OverOption = [],  # noqa: B006
    along: AlongOption = "",
    where: WhereOption = "",
    report_to: ReportOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the best learning rate, batch or decay of every cell by a local bowl, not the argmin."""
    from analysis.reporting.table_decisions import tuning_of_table

    _folder(report_to)
    _decided(tuning_of_table(table, setting, by, loss, where, over, along), report_to, as_json)


@app.command()
def isoflop(
    table: TableArgument,
    params: ParamsOption = "params",
    tokens: TokensOption = "tokens",
    loss: LossOption = "loss",
    level: ComputeOption = [],  # noqa: B006
    at: AtOption = None,
    where: WhereOption = "",
    report_to: ReportOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the best size at equal compute by parabolas, and how far these mislead."""
    from analysis.reporting.table_decisions import isoflop_of_table

    _folder(report_to)
    found = isoflop_of_table(table, params, tokens, loss, where, level, at)
    _decided(found, report_to, as_json)


@app.command()
def crossover(
    table: TableArgument,
    law: LawOption,
    split: SplitOption,
    along: ScaleOption = "",
    held: StillOption = [],  # noqa: B006
    mode: ModeOption = "min",
    mapping: MapOption = [],  # noqa: B006
    where: WhereOption = "",
    objective: ObjectiveOption = "",
    residual: ResidualOption = "",
    delta: DeltaOption = None,
    fix: FixOption = [],  # noqa: B006
    tie: TieOption = [],  # noqa: B006
    pool: PoolOption = "none",
    cluster: ClusterOption = "",
    bootstrap: BootstrapOption = 1_000,
    report_to: ReportOption = None,
    seed: SeedOption = 42,
    as_json: JsonOption = False,
) -> None:
    """Fit a law to two groups of runs, and find the scale at which the better one changes."""
    from analysis.reporting.crossing_report import crossing_of_table
    from analysis.request import Request

    _folder(report_to)
    request = Request(table, mapping, where, objective, residual, delta, fix, tie, pool,
                      cluster=cluster)  # fmt: skip
    found = crossing_of_table(
        request, law, split, along=along, held=held, mode=mode, bootstrap=bootstrap, seed=seed
    )
    _decided(found, report_to, as_json)


@app.command("laws")
def list_laws(name: LawName = None) -> None:
    """List the laws that can be fitted; with a name, one of them in full."""
    from rich.console import Console

    from analysis.law import all_laws
    from analysis.reporting.show_laws import show_law, show_laws

    if name is None:
        show_laws(all_laws(), Console())
    elif "=" in name:
        raise InputError("law: expected a name or a YAML file; a formula says all that it is")
    else:
        show_law(_law(name, ()), name, Console())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    # What torch, Ray and MLflow make on import stays: looking through it for garbage, again and again
    # and once more at the end, takes a third of their time.
    gc.set_threshold(50_000, 50, 50)
    atexit.register(gc.freeze)
    # The matrices of a fit are small: threads that share one cost more than they bring.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    given = list(sys.argv[1:] if arguments is None else arguments)
    _given[:] = given
    strange = next((one for one in given if not _is_text(one)), None)
    if strange is not None:
        return _failed(f"expected arguments in UTF-8, got {strange!r}", 2)
    try:
        code = app(args=_spread(given) or ["--help"], prog_name="lawsweep", standalone_mode=False)
    except InputError as error:
        return _failed(str(error), 2)
    except TyperException as error:
        return _failed(error.format_message(), 2)
    except (Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has enough; nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _failed(str(error), 1)
    return code if isinstance(code, int) else 0


def _failed(text: str, code: int) -> int:
    line = " ".join(masked(text).split())
    words = "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)
    sys.stderr.write(f"lawsweep: {words}\n")
    return code


def _is_text(argument: str) -> bool:
    """Whether an argument was text in UTF-8, and not other bytes."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _spread(arguments: Sequence[str]) -> list[str]:
    """`--map a=b c=d` as `--map a=b --map c=d`: an option of typer takes one value at a time."""
    result: list[str] = []
    mapping = False
    for place, argument in enumerate(arguments):
        if argument == "--map":
            mapping = True
        elif argument.startswith("-"):
            mapping = False
        elif mapping and _PAIR.fullmatch(argument) and arguments[place - 1] != "--map":
            result.append("--map")
        result.append(argument)
    return result


def _decided(found: Decided, folder: Path | None, as_json: bool) -> None:
    from rich.console import Console

    from analysis.reporting.files import finite, write_page
    from analysis.reporting.show import show_decided

    page = None
    if folder is not None:
        page = write_page(found.page(_written_command()), found.document, folder)
    if as_json:
        typer.echo(json.dumps(finite(found.document), indent=1))
        return
    show_decided(found, Console())
    if page is not None:
        Console().print(f"{page.resolve()}", soft_wrap=True, markup=False, highlight=False)


def _folder(path: Path | None) -> None:
    if path is None:
        return
    if path.exists() and not path.is_dir():
        raise InputError(f"--report {path}: expected a folder, got a file")
    above = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise InputError(f"--report {path}: expected a folder that can be written, {above} cannot")


def _written_command() -> str:
    """The command that is running, as a person would type it again."""
    return masked(shlex.join(["lawsweep", *_given]))


def _largest(text: str | None) -> int | None:
    if text is None:
        return None
    matched = re.fullmatch(r"largest:(\d{1,6})", text)
    if matched is None or int(matched[1]) < 1:
        raise InputError(f"--hold-out: expected largest:K with K at least 1, got {text!r}")
    return int(matched[1])


if __name__ == "__main__":
    sys.exit(main())
