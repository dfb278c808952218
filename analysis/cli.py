"""The `lawsweep` command: fits, comparisons and reports here, sweeps from `sweeps.cli`.

Only here are imports inside functions, so that a command waits for what it needs and nothing else.
"""

from __future__ import annotations

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

from sweeps.cli import app as sweep_commands
from trainers.schema import InputError

if TYPE_CHECKING:
    from analysis.law import Law
    from analysis.reporting.decided import Decided
    from sweeps.spec import Sweep

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.add_typer(sweep_commands)

TableArgument = Annotated[Path, typer.Argument(metavar="TABLE.csv", help="One row for each run.")]
MapOption = Annotated[
    list[str],
    typer.Option("--map", metavar="NAME=COL ...", help="The column behind each input and target."),
]
WhereOption = Annotated[
    str, typer.Option("--where", metavar="EXPR", help="`column op value [and ...]`; rows to keep.")
]
ObjectiveOption = Annotated[
    str, typer.Option(help="huber, squares, laplace, student, normal or binomial [the law's own].")
]
ResidualOption = Annotated[str, typer.Option(help="log or plain [default: the law's own].")]
DeltaOption = Annotated[
    float | None, typer.Option(help="Huber delta, in natural-log units of the target [0.001].")
]
FixOption = Annotated[list[str], typer.Option("--fix", metavar="NAME=V", help="Not to be fitted.")]
TieOption = Annotated[
    list[str], typer.Option("--tie", metavar="A=B", help="Coefficient A is equal to B.")
]
PoolOption = Annotated[str, typer.Option(help="none, median or mean of rows with equal inputs.")]
ColumnOption = Annotated[str, typer.Option(metavar="COL")]
ReportOption = Annotated[
    Path | None, typer.Option("--report", metavar="DIR", help="Also write a report into a folder.")
]
SeedOption = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the resamples.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]

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
            if field == "law":
                coefficients[wanted.name] = [one.name for one in law.coefficients]
    for number, claim in enumerate(sweep.claims):
        if isinstance(claim, CoefficientClaim) and claim.coefficient not in coefficients[claim.fit]:
            text = f"expected one of {', '.join(coefficients[claim.fit])}, got {claim.coefficient}"
            place = ("claims", number, "coefficient")
            raise SpecError(f"claims[{number}].coefficient: {text}", place=place)


def _law(text: str, columns: Collection[str]) -> Law:
    """A law by its name, without waiting for what only formulas of users need."""
    from analysis.law import find_law

    if "=" not in text and not text.endswith((".yaml", ".yml")):
        return find_law(text)
    from analysis.custom import any_law

    return any_law(text, columns)


@app.command()
def report(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A sweep that was launched.")],
    storage: Annotated[Path, typer.Option(help="Folder of the ledger.")] = Path("lawsweep-data"),
    tracking: Annotated[
        str | None, typer.Option(help="MLflow URI [default: SQLite inside the storage folder].")
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
    from sweeps.tracking import attach_report, tracker_uri

    uri = tracker_uri(tracking, storage)
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
    law: Annotated[
        str, typer.Option(help="A name (`lawsweep laws`), a formula in quotes, or a YAML file.")
    ],
    mapping: MapOption = [],  # noqa: B006 - typer copies it
    where: WhereOption = "",
    objective: ObjectiveOption = "",
    residual: ResidualOption = "",
    delta: DeltaOption = None,
    fix: FixOption = [],  # noqa: B006
    tie: TieOption = [],  # noqa: B006
    pool: PoolOption = "none",
    noise: ColumnOption = "",
    censored: ColumnOption = "",
    counts: ColumnOption = "",
    cluster: ColumnOption = "",
    bootstrap: Annotated[int, typer.Option(help="Resamples; 0 for no intervals.")] = 1_000,
    resample: Annotated[
        str, typer.Option(help="auto, rows, clusters, replicates, residual or wild.")
    ] = "auto",
    level: Annotated[float, typer.Option(help="What intervals are to cover.")] = 0.95,
    hold_out: Annotated[
        str | None, typer.Option(metavar="largest:K", help="Also predict the K largest scales.")
    ] = None,
    predict: Annotated[
        list[str], typer.Option("--predict", metavar="NAME=V ...", help="What a new run gives.")
    ] = [],  # noqa: B006
    report_to: ReportOption = None,
    seed: SeedOption = 42,
    as_json: JsonOption = False,
) -> None:
    """Fit one law to a table of runs."""
    from rich.console import Console

    from analysis.reporting.files import finite
    from analysis.reporting.show import show_fit
    from analysis.request import Request
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
    laws: Annotated[str, typer.Option(metavar="A,B", help="Names of laws, or formulas.")],
    mapping: MapOption = [],  # noqa: B006
    where: WhereOption = "",
    objective: ObjectiveOption = "",
    residual: ResidualOption = "",
    delta: DeltaOption = None,
    pool: PoolOption = "none",
    cluster: ColumnOption = "",
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

    names = list(dict.fromkeys(name.strip() for name in laws.split(",")))
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
    setting: Annotated[list[str], typer.Option("--setting", metavar="COL", help="Tuned; 1 or 2.")],
    by: Annotated[list[str], typer.Option("--by", metavar="COL", help="A cell has equal ones.")],
    loss: Annotated[str, typer.Option(metavar="COL", help="What is to be small.")] = "loss",
    over: Annotated[
        list[str], typer.Option("--over", metavar="COL", help="The best follows a power law of it.")
    ] = [],  # noqa: B006
    along: Annotated[
        str, typer.Option(metavar="COL", help="Carry the best of the smallest to the larger ones.")
    ] = "",
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
    params: Annotated[str, typer.Option(metavar="COL")] = "params",
    tokens: Annotated[str, typer.Option(metavar="COL")] = "tokens",
    loss: Annotated[str, typer.Option(metavar="COL")] = "loss",
    level: Annotated[
        list[float], typer.Option("--level", help="FLOPs of a level [default: found].")
    ] = [],  # noqa: B006
    at: Annotated[
        float | None, typer.Option(help="FLOPs to foresee [ten times the largest].")
    ] = None,
    where: WhereOption = "",
    report_to: ReportOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the best size at equal compute by parabolas, and how far these mislead."""
    from analysis.reporting.table_decisions import isoflop_of_table

    _folder(report_to)
    found = isoflop_of_table(table, params, tokens, loss, where, level, at)
    _decided(found, report_to, as_json)


@app.command("laws")
def list_laws() -> None:
    """List the laws that can be fitted."""
    from rich.console import Console
    from rich.table import Table

    from analysis.law import all_laws

    shown = Table("law", "formula", "inputs", "source", box=None)
    for law in all_laws():
        shown.add_row(law.name, law.formula, ", ".join(law.input_names), law.source)
    Console().print(shown)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    # The matrices of a fit are small: threads that share one cost more than they bring.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    given = list(sys.argv[1:] if arguments is None else arguments)
    _given[:] = given
    try:
        code = app(args=_spread(given) or ["--help"], prog_name="lawsweep", standalone_mode=False)
    except InputError as error:
        return _failed(str(error), 2)
    except TyperException as error:
        return _failed(error.format_message(), 2)
    except (Abort, KeyboardInterrupt):
        return 130
    except OSError as error:
        return _failed(str(error), 1)
    return code if isinstance(code, int) else 0


def _failed(text: str, code: int) -> int:
    sys.stderr.write(f"lawsweep: {' '.join(text.split())}\n")
    return code


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
    if path is not None and path.exists() and not path.is_dir():
        raise InputError(f"--report {path}: expected a folder, got a file")


def _written_command() -> str:
    """The command that is running, as a person would type it again."""
    return shlex.join(["lawsweep", *_given])


def _largest(text: str | None) -> int | None:
    if text is None:
        return None
    matched = re.fullmatch(r"largest:(\d{1,6})", text)
    if matched is None or int(matched[1]) < 1:
        raise InputError(f"--hold-out: expected largest:K with K at least 1, got {text!r}")
    return int(matched[1])


if __name__ == "__main__":
    sys.exit(main())
