"""The options of the commands on tables: what each asks of its user, in the panels of their help."""

from pathlib import Path
from typing import Annotated

import typer

DATA, METHOD, ROWS, DOUBT, QUESTIONS, OUTPUT = (
    "What is fitted",
    "What the fit makes small",
    "What is known of every row",
    "Intervals",
    "Questions",
    "Output",
)

TableArgument = Annotated[
    Path,
    typer.Argument(
        metavar="TABLE.csv",
        help="A file with a header and one row for each run; commas, semicolons or tabs between cells.",
    ),
]
LawName = Annotated[
    str | None, typer.Argument(metavar="NAME", help="One of them, or a YAML file, in full.")
]
MapOption = Annotated[
    list[str],
    typer.Option(
        "--map",
        metavar="NAME=COL ...",
        help="The column behind each input and behind the target of the law; without it, the column "
        "of that name.",
        rich_help_panel=DATA,
    ),
]
WhereOption = Annotated[
    str,
    typer.Option(
        "--where",
        metavar="EXPR",
        help="Rows to keep, such as \"loss < 3.4 and dataset == 'c4'\": comparisons by "
        "< <= > >= == != that are joined by `and`. The others are counted and listed.",
        rich_help_panel=DATA,
    ),
]
PoolOption = Annotated[
    str,
    typer.Option(
        metavar="HOW",
        help="Fit every row (none), or the median or mean of the rows with equal inputs.",
        rich_help_panel=DATA,
    ),
]
FixOption = Annotated[
    list[str],
    typer.Option(
        "--fix",
        metavar="NAME=V",
        help="A coefficient that is known and not to be fitted.",
        rich_help_panel=DATA,
    ),
]
TieOption = Annotated[
    list[str],
    typer.Option(
        "--tie",
        metavar="A=B",
        help="A coefficient A that is to be equal to the coefficient B.",
        rich_help_panel=DATA,
    ),
]
ObjectiveOption = Annotated[
    str,
    typer.Option(
        metavar="KIND",
        help="The loss of a residual: huber, squares, laplace, student, normal (needed with "
        "--censored) or binomial (needed with --counts).",
        show_default="the law's own",
        rich_help_panel=METHOD,
    ),
]
ResidualOption = Annotated[
    str,
    typer.Option(
        metavar="OF",
        help="Residuals of the logarithm of the target (log), or of the target as it is (plain).",
        show_default="the law's own",
        rich_help_panel=METHOD,
    ),
]
DeltaOption = Annotated[
    float | None,
    typer.Option(
        metavar="NUMBER",
        help="The residual from which huber is linear, in natural-log units of the target.",
        show_default="0.001",
        rich_help_panel=METHOD,
    ),
]
NoiseOption = Annotated[
    str,
    typer.Option(
        metavar="COL",
        help="The column with the standard error of the target, in its unit.",
        rich_help_panel=ROWS,
    ),
]
CensoredOption = Annotated[
    str,
    typer.Option(
        metavar="COL",
        help="The column that is 1 where the target is only a lower bound of what it would have "
        "become, and else 0.",
        rich_help_panel=ROWS,
    ),
]
CountsOption = Annotated[
    str,
    typer.Option(
        metavar="COL",
        help="The column that says of how many the target is a share.",
        rich_help_panel=ROWS,
    ),
]
ClusterOption = Annotated[
    str,
    typer.Option(
        metavar="COL",
        help="The column that is equal in rows that belong together, such as checkpoints of one run.",
        rich_help_panel=ROWS,
    ),
]
BootstrapOption = Annotated[
    int,
    typer.Option(metavar="COUNT", help="Resamples; 0 for no intervals.", rich_help_panel=DOUBT),
]
ResampleOption = Annotated[
    str,
    typer.Option(
        metavar="WHAT",
        help="What a resample draws again: rows, clusters (needs --cluster), replicates (needs "
        "--pool), residual, wild (residuals with random signs), counts (needs --counts), covariance "
        "(coefficients from their covariance, for very many rows), or auto, which chooses among these.",
        rich_help_panel=DOUBT,
    ),
]
LevelOption = Annotated[
    float,
    typer.Option(metavar="SHARE", help="How often intervals are to cover.", rich_help_panel=DOUBT),
]
SeedOption = Annotated[
    int,
    typer.Option(
        min=0,
        max=2**32 - 1,
        metavar="NUMBER",
        help="Of the resamples: the same seed gives the same bytes.",
        rich_help_panel=DOUBT,
    ),
]
HoldOutOption = Annotated[
    str | None,
    typer.Option(
        metavar="largest:K",
        help="How far off is the law at the K largest scales, fitted without them?",
        rich_help_panel=QUESTIONS,
    ),
]
PredictOption = Annotated[
    list[str],
    typer.Option(
        "--predict",
        metavar="NAME=V ...",
        help="What would a new run give at these inputs?",
        rich_help_panel=QUESTIONS,
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="DIR",
        help="Also write a report into this folder: HTML, Markdown, JSON, and figures as SVG and PNG.",
        rich_help_panel=OUTPUT,
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document instead of text.", rich_help_panel=OUTPUT),
]

LawOption = Annotated[
    str,
    typer.Option(
        metavar="LAW",
        help="A name that `lawsweep laws` lists, a formula such as 'loss = E + b / x^c', or a YAML "
        "file with one.",
        rich_help_panel=DATA,
    ),
]
BudgetOption = Annotated[
    list[float],
    typer.Option(
        "--budget",
        metavar="COST",
        help="Which size and how many tokens are best at this cost?",
        rich_help_panel=QUESTIONS,
    ),
]
CostOption = Annotated[
    str,
    typer.Option(
        metavar="MODEL",
        help="The cost of a run: 6nd, `transformer context=T vocabulary=V aspect=A` (the last two may "
        "be left out), or a formula; then `served=T` for tokens to be served, and "
        "`throughput=FLOPS` to count GPU hours.",
        show_default="6nd",
        rich_help_panel=QUESTIONS,
    ),
]
HeldOption = Annotated[
    list[str],
    typer.Option(
        "--held",
        metavar="NAME=V",
        help="Another input of the law, at every budget.",
        rich_help_panel=QUESTIONS,
    ),
]
ReachOption = Annotated[
    list[float],
    typer.Option(
        "--reach",
        metavar="TARGET",
        help="At which scale does the law come to this target?",
        rich_help_panel=QUESTIONS,
    ),
]
NarrowOption = Annotated[
    list[str],
    typer.Option(
        "--narrow",
        metavar="WHAT",
        help="Which runs are to be bought next, to narrow the interval of this: a coefficient, "
        "best_size=BUDGET, reach=TARGET or 'loss NAME=V ...'?",
        rich_help_panel=QUESTIONS,
    ),
]
SpendOption = Annotated[
    float | None,
    typer.Option(
        metavar="COST",
        help="What the next runs may cost in all.",
        show_default="what all rows cost",
        rich_help_panel=QUESTIONS,
    ),
]
LawsOption = Annotated[
    str,
    typer.Option(
        metavar="A,B",
        help="Names of laws, formulas or files, with commas between them.",
        rich_help_panel=DATA,
    ),
]
SettingOption = Annotated[
    list[str],
    typer.Option(
        "--setting",
        metavar="COL",
        help="A column that was tuned; one or two of them.",
        rich_help_panel=DATA,
    ),
]
ByOption = Annotated[
    list[str],
    typer.Option(
        "--by",
        metavar="COL",
        help="A column whose values stay apart, such as the size.",
        rich_help_panel=DATA,
    ),
]
LossOption = Annotated[
    str,
    typer.Option(metavar="COL", help="The column that is to be small.", rich_help_panel=DATA),
]
OverOption = Annotated[
    list[str],
    typer.Option(
        "--over",
        metavar="COL",
        help="How does the best setting move as a power of this column?",
        rich_help_panel=QUESTIONS,
    ),
]
AlongOption = Annotated[
    str,
    typer.Option(
        metavar="COL",
        help="What is lost by using the best setting at the smallest of this column at the larger?",
        rich_help_panel=QUESTIONS,
    ),
]
ParamsOption = Annotated[
    str,
    typer.Option(metavar="COL", help="The column of parameters.", rich_help_panel=DATA),
]
TokensOption = Annotated[
    str,
    typer.Option(metavar="COL", help="The column of tokens.", rich_help_panel=DATA),
]
ComputeOption = Annotated[
    list[float],
    typer.Option(
        "--level",
        metavar="FLOPS",
        help="The compute of a level.",
        show_default="found in the table",
        rich_help_panel=DATA,
    ),
]
AtOption = Annotated[
    float | None,
    typer.Option(
        metavar="FLOPS",
        help="Which size is best at this compute?",
        show_default="ten times the largest",
        rich_help_panel=QUESTIONS,
    ),
]
SplitOption = Annotated[
    str,
    typer.Option(
        metavar="COL[=A,B]",
        help="The column that tells two groups of runs apart; of more than two values, two.",
        rich_help_panel=DATA,
    ),
]
ScaleOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="The input that grows; `compute` for a law of params and tokens at equal tokens per "
        "parameter.",
        show_default="the only input",
        rich_help_panel=QUESTIONS,
    ),
]
StillOption = Annotated[
    list[str],
    typer.Option(
        "--held",
        metavar="NAME=V",
        help="Another input of the law, or with `--along compute` the ratio of tokens to parameters.",
        show_default="the geometric mean of the runs",
        rich_help_panel=QUESTIONS,
    ),
]
ModeOption = Annotated[
    str,
    typer.Option(
        metavar="min|max", help="Whether less or more is better.", rich_help_panel=QUESTIONS
    ),
]
