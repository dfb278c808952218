"""What the commands print for people; text from files is never read as markup."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from analysis.study import Study
from analysis.summary import between, number, stated
from analysis.trust import Trust


def show_claims(found: Study, console: Console) -> None:
    """The verdicts, one a line."""
    if not found.verdicts:
        return
    shown = Table("verdict", "claim", "published", "here", "trials", box=None)
    for one in found.verdicts:
        here = "no value" if one.value is None else number(one.value)
        if one.low is not None:
            here = f"{here} ({between(one.low, one.high)})"
        unsure = "" if one.sure or one.verdict == "not comparable" else ", uncertain"
        published = "" if one.published is None else stated(one.published)
        cells = (f"{one.verdict}{unsure}", one.say, published, here, str(one.trials))
        shown.add_row(*(cell.replace("[", r"\[") for cell in cells))
    console.print(shown)


def show_trust(judged: Trust, console: Console) -> None:
    """The verdict on a fit in one line, and every further reason for it."""
    console.print(judged.line, markup=False, highlight=False)
    for reason in judged.reasons[1:]:
        console.print(f"  and {reason}", markup=False, highlight=False)


def show_fit(document: dict[str, Any], console: Console) -> None:
    """A fit, with its warnings and its backtest."""
    shown = Table("coefficient", "value", "standard error", "95 % interval", box=None)
    for name, one in document["coefficients"].items():
        interval = (
            "none" if one["low"] is None else f"{number(one['low'])} to {number(one['high'])}"
        )
        shown.add_row(name, number(one["value"]), number(one["standard_error"]), interval)
    console.print(f"{document['law']}: {document['formula']}", markup=False, highlight=False)
    console.print(shown)
    console.print(
        f"{document['status']}; {document['rows']} rows, {len(document['omitted'])} left out; "
        f"objective {document['objective']:.10g}; {document['resamples']} resamples of "
        f"{document['resampled']}",
        markup=False,
        highlight=False,
    )
    for one in document["warnings"]:
        console.print(f"{one['code']}: {one['text']}", markup=False, highlight=False)
    test = document.get("hold_out")
    if test is not None:
        error = test["refused"] or f"mean error {test['error']:.2%}"
        console.print(
            f"without the largest {test['largest']}: {error}", markup=False, highlight=False
        )


def show_comparison(documents: Sequence[dict[str, Any]], console: Console) -> None:
    """Laws in the order of their ranking."""
    shown = Table("law", "held-out error", "AICc", "status", box=None)
    for one in documents:
        error = "none" if one["held_out_error"] is None else f"{one['held_out_error']:.2%}"
        status = one["refused"] or one["fit"]["status"]
        shown.add_row(one["law"], error, number(one["aicc"]), status)
    console.print(shown)
