"""What the terminal says of laws: all of them in a table, or one in full."""

import importlib
import math
import re
import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.engine.objective import Objective
from analysis.law import Coefficient, Law

LINES = 2  # of a formula in the table of all laws


def show_laws(laws: Sequence[Law], console: Console) -> None:
    """Every law with its inputs, what it is for, and its formula where that is short."""
    left = max(len(law.name) for law in laws) + 2
    width = max(20, console.width - left)
    for law in laws:
        what = Text(f"{law.name:<{left}}", style="bold")
        lines = textwrap.wrap(about(law)[0], width)
        inputs = f"{', '.join(law.input_names)}: "
        formula = textwrap.wrap(inputs + law.formula, width)
        if len(formula) > LINES:
            formula = [textwrap.shorten(inputs + law.formula, width, placeholder=" ...")]
        console.print(what + Text(lines[0], style="not bold"), soft_wrap=True)
        for line in lines[1:]:
            console.print(Text(" " * left + line), soft_wrap=True)
        for line in formula:
            console.print(Text(" " * left + line, style="dim"), soft_wrap=True)
    console.print(
        Text("\n`lawsweep laws NAME` says what its inputs and coefficients are, and how to fit it.")
    )


def show_law(law: Law, named: str, console: Console) -> None:
    """One law in full; `named` is what to give to `--law`."""
    sentence, body = about(law)
    _say(console, Text(law.name, style="bold"))
    _say(console, Text(sentence))
    console.print()
    lines = textwrap.wrap(law.formula, max(20, console.width - 2))
    _say(console, Text(textwrap.indent("\n".join(lines), "  ")))
    if body:
        console.print()
        for paragraph in body:
            _say(console, Text(paragraph))
    _inputs(law, console)
    _coefficients(law, console)
    console.print()
    _say(
        console,
        Text(f"Fitted by {_objective(law.objective)}; --objective and --residual change it."),
    )
    _say(console, Text(f"Needs at least {len(law.coefficients)} rows. Source: {law.source}."))
    console.print()
    _say(console, Text("To fit it (without --map where columns have these names):"))
    console.print(Text(f"  {example(law, named)}"), soft_wrap=True)


def about(law: Law) -> tuple[str, tuple[str, ...]]:
    """What a law is for: a sentence, and the paragraphs after it."""
    stem = law.name.partition(":")[0]
    if not re.fullmatch(r"[a-z][a-z0-9_]*", stem):
        return "A law of yours.", ()
    try:
        written = importlib.import_module(f"analysis.laws.{stem}").__doc__ or ""
    except ModuleNotFoundError:
        return "A law of yours.", ()
    first, *rest = (" ".join(one.split()) for one in written.strip().split("\n\n"))
    return first, tuple(rest)


def example(law: Law, named: str) -> str:
    """A command that fits the law to a table."""
    mapped = " ".join(f"{one}=COLUMN" for one in (*law.input_names, law.target))
    counts = " --counts COLUMN" if law.objective.kind == "binomial" else ""
    return f"lawsweep fit runs.csv --law {named} --map {mapped}{counts} --report report"


def _inputs(law: Law, console: Console) -> None:
    console.print()
    shown = Table("input", "what it is", "different values", box=None, pad_edge=False)
    for one in law.inputs:
        sign = "" if one.positive else ", which may be 0 or negative"
        cells = (one.name, f"{one.meaning}{sign}", f"at least {one.levels}")
        shown.add_row(*map(Text, cells))
    console.print(shown)


def _coefficients(law: Law, console: Console) -> None:
    console.print()
    shown = Table("coefficient", "what it is", "bounds", "searched", box=None, pad_edge=False)
    for one in law.coefficients:
        shown.add_row(*map(Text, (one.name, one.meaning, bounds(one), searched(one))))
    console.print(shown)


def bounds(one: Coefficient) -> str:
    """Between which numbers a coefficient lies."""
    of = f" times the mean {one.of}" if one.of else ""
    if math.isinf(one.low) and math.isinf(one.high):
        return "none"
    if math.isinf(one.high):
        return f"{_short(one.low)} or more{of}"
    if math.isinf(one.low):
        return f"{_short(one.high)} or less{of}"
    return f"{_short(one.low)} to {_short(one.high)}{of}"


def searched(one: Coefficient) -> str:
    """How the search finds a coefficient."""
    if one.starts is None:
        return "solved from the others"
    low, high = one.starts
    of = f" times the mean {one.of}" if one.of else ""
    return f"from {_short(low)} to {_short(high)}{of}{', by its logarithm' if one.log else ''}"


def _objective(used: Objective) -> str:
    of = "the logarithm of the target" if used.residual == "log" else "the target as it is"
    return {
        "huber": f"Huber losses of residuals of {of}, linear beyond {used.delta:g}",
        "squares": f"least squares of {of}",
        "binomial": "the likelihood of counts",
    }.get(used.kind, f"the likelihood of {used.kind} errors of {of}")


def _short(value: float) -> str:
    """A bound as it is written by hand: 1e6, and not 1e+06."""
    return re.sub(r"e\+?(-?)0*", r"e\1", f"{value:g}")


def _say(console: Console, text: Text) -> None:
    console.print(text)
