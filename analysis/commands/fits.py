"""The commands that fit laws to a table of runs: one law, several ranked, or one for two groups."""

from __future__ import annotations

import json
import re

import typer

from analysis.commands.options import (
    BootstrapOption,
    BudgetOption,
    CensoredOption,
    ClusterOption,
    CostOption,
    CountsOption,
    DeltaOption,
    FixOption,
    HeldOption,
    HoldOutOption,
    JsonOption,
    LawOption,
    LawsOption,
    LevelOption,
    MapOption,
    ModeOption,
    NarrowOption,
    NoiseOption,
    ObjectiveOption,
    PoolOption,
    PredictOption,
    ReachOption,
    ReportOption,
    ResampleOption,
    ResidualOption,
    ScaleOption,
    SeedOption,
    SpendOption,
    SplitOption,
    StillOption,
    TableArgument,
    TieOption,
    WhereOption,
)
from analysis.commands.shared import check_folder, largest_of, show_decision, written_command


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
    check_folder(report_to)
    largest = largest_of(hold_out)
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

        page = write_table_report(found, report_to, written_command())
    if as_json:
        typer.echo(json.dumps(finite(document_of(found)), indent=1))
    else:
        show_fit(found, Console())
        if page is not None:
            Console().print(f"{page.resolve()}", soft_wrap=True, markup=False, highlight=False)


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
    check_folder(report_to)
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

        page = write_comparison(found, (), report_to, source=table.name, command=written_command())
    if as_json:
        document = {**as_document(found), "rows": len(of.runs)}
        typer.echo(json.dumps(finite(document), indent=1))
    else:
        show_comparison(found, Console())
        if page is not None:
            Console().print(f"{page.resolve()}", soft_wrap=True, markup=False, highlight=False)


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

    check_folder(report_to)
    request = Request(table, mapping, where, objective, residual, delta, fix, tie, pool,
                      cluster=cluster)  # fmt: skip
    found = crossing_of_table(
        request, law, split, along=along, held=held, mode=mode, bootstrap=bootstrap, seed=seed
    )
    show_decision(found, report_to, as_json)
