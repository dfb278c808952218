"""Words of figures: how a point, its misfit and an axis are called."""

from collections.abc import Sequence

from analysis.fit import Fit
from analysis.reporting.figures.canvas import short
from analysis.summary import number


def target_words(fitted: Fit, unit: str = "") -> str:
    """The name of the axis of what was measured, with its unit."""
    return f"{short(fitted.target, 30)}{f' ({short(unit, 30)})' if unit else ''}"


def level_words(fitted: Fit) -> str:
    """Which interval a fit gives: `95 % interval`."""
    return f"{100 * fitted.level:g} % interval"


def input_words(fitted: Fit, name: str) -> str:
    """The name of an input's axis: its column, and what it means where the column is not it."""
    column = dict(fitted.inputs)[name]
    meaning = next(one.meaning for one in fitted.law.inputs if one.name == name)
    return short(f"{column} ({meaning})" if len(column) + len(meaning) < 40 else column)


def place_words(fitted: Fit, at: int, names: Sequence[str] = ()) -> str:
    """Which point this is: its name where it has one, its inputs, its number of replicates."""
    inputs = ", ".join(
        f"{column} {number(float(fitted.points.values[name][at]))}"
        for name, column in fitted.inputs
    )
    count = len(fitted.points.replicates[at])
    cell = f", {count} trials" if fitted.pool != "none" else ""
    known = f"{names[at]}: " if len(names) == fitted.rows else ""
    return f"{known}{inputs}{cell}"


def misfit_words(fitted: Fit, at: int, law: float) -> str:
    """What was measured at a point, what the law gives, and how far apart they are."""
    measured = float(fitted.points.measured[at])
    least = fitted.points.censored is not None and bool(fitted.points.censored[at])
    apart = f" ({100 * (measured / law - 1):+.2f} %)" if law > 0 else ""
    return f"measured {'at least ' if least else ''}{number(measured)}, law {number(law)}{apart}"
