"""Words of a plot: what its axes, its legend and its small print say."""

from analysis.groups import Group
from analysis.plots import Line, Plot
from analysis.reporting.figures.canvas import short
from analysis.summary import conditions, written
from sweeps.plots import PlotSpec

# What fields and metrics that every trial may have are called, with their unit.
_NAMES = {
    "examples": "examples shown in training",
    "steps": "optimizer steps",
    "data.distinct": "distinct training examples",
    "data.prime.count": "priming examples",
    "encoding.base": "base in which numbers are written",
    "batch_size": "batch size (examples)",
    "optimizer.lr": "learning rate",
    "params": "non-embedding parameters",
    "tokens": "training tokens",
    "flops": "training FLOPs",
    "wall_s": "training time (seconds)",
    "accuracy": "accuracy (share of right answers)",
    "test_loss": "test loss (nats per token)",
}


def none_words(field: str) -> str:
    """What no value of a field means; without a number of distinct examples none comes again."""
    return "fresh" if field == "data.distinct" else "none"


def x_words(spec: PlotSpec) -> str:
    """The name of the horizontal axis."""
    if spec.x_label:
        return spec.x_label
    known = _NAMES.get(spec.x)
    if known is None:
        return short(spec.x, 56)
    return known if spec.over_training else f"{known} ({spec.x})" if "(" not in known else known


def y_words(shown: Plot) -> str:
    """The name of the vertical axis, with the unit where it is known."""
    spec = shown.spec
    if spec.y_label:
        return spec.y_label
    if shown.unit:
        return f"{short(', '.join(spec.y))} ({shown.unit})"
    return _NAMES.get(spec.y[0], spec.y[0]) if len(spec.y) == 1 else short(", ".join(spec.y))


def theory_words(spec: PlotSpec) -> str:
    """The entry of what a theory predicts."""
    return f"{short(spec.beside or '', 24)} (theory)"


def legend_title(spec: PlotSpec) -> str:
    """Of which fields the legend has the values."""
    return ", ".join(spec.by)


def group_words(line: Line, spec: PlotSpec, *, alone: bool) -> str:
    """The entry of a line in the legend; nothing where it is the only one and has no group."""
    values = ", ".join(_value(field, value) for field, value in line.group)
    if len(spec.y) == 1:
        return values if values or alone else line.metric
    return f"{line.metric}, {values}" if values else line.metric


def _value(field: str, value: object) -> str:
    return none_words(field) if value is None else written(value)


def small_print(shown: Plot, *, pale: bool) -> str:
    """What is pooled of how many trials, and which trials are meant."""
    counts = sorted({count for line in shown.lines for count in line.trials})
    low, high = counts[0], counts[-1]
    many = str(low) if low == high else f"{low} to {high}"
    trials = f"{many} trials ({shown.seeds} seed{'' if shown.seeds == 1 else 's'})"
    parts: list[str] = []
    if shown.pool == "each":
        what = "line" if shown.spec.over_training else "mark"
        parts.append(f"Each {what} is one trial: {many} of each setting, {shown.seeds} seeds")
    elif high == 1:
        parts.append("One trial of each setting, one seed")
    elif shown.spec.over_training:
        parts.append(f"The {shown.pool} of {trials}; shaded: from the lowest to the highest")
    else:
        known = any(dot.pooled.low is not None for line in shown.lines for dot in line.dots)
        interval = " and its 95 % interval" if known else ""
        also = "; pale: single trials" if pale else ""
        parts.append(f"The {shown.pool} of {trials}{interval}{also}")
    if shown.spec.where:
        parts.append(f"Only {_where(tuple(shown.spec.where.items()))}")
    if shown.cut:
        parts.append(f"{shown.cut} not drawn: no logarithm")
    return f"{'. '.join(parts)}."


def _where(group: Group) -> str:
    return conditions([(field, _value(field, value)) for field, value in group])
