"""The commands that find best settings and sizes in a table of runs."""

from __future__ import annotations

from analysis.commands.options import (
    AlongOption,
    AtOption,
    ByOption,
    ComputeOption,
    JsonOption,
    LossOption,
    OverOption,
    ParamsOption,
    ReportOption,
    SettingOption,
    TableArgument,
    TokensOption,
    WhereOption,
)
from analysis.commands.shared import check_folder, show_decision


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

    check_folder(report_to)
    show_decision(tuning_of_table(table, setting, by, loss, where, over, along), report_to, as_json)


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

    check_folder(report_to)
    found = isoflop_of_table(table, params, tokens, loss, where, level, at)
    show_decision(found, report_to, as_json)
