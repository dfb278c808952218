"""What the inputs of a fit can tell, whatever was measured: rows, levels, ranges, collinear inputs."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from analysis.engine.compiled import predict_many
from analysis.engine.refit import optimum, setup
from analysis.finding import Finding
from analysis.identify.evidence import Evidence
from analysis.law import Input, find_law

COLLINEAR = 1e-4  # share of the spread across all inputs' directions: 1 - correlation of two
NEARLY_COLLINEAR = 0.02  # below it an exponent needs tenfold the runs that a crossed design needs
TINY = 3.0  # a factor: within it x^-0.3 changes by a quarter, and a constant and it look alike
PART = 0.1  # of the largest weight in a direction: inputs below it are not named
UNMOVED = 1e-9  # relative change of a prediction that is rounding
DIGITS = 4  # two measurements that agree in more digits than these are copies


def design(on: Evidence) -> Iterator[Finding]:
    """The findings that follow from the inputs alone."""
    yield from _rows(on)
    for one in on.of.law.inputs:
        yield from _one_input(on, one)
    yield from _collinear(on)


def _rows(on: Evidence) -> Iterator[Finding]:
    size, rows = len(on.names), len(on.on)
    if rows == size:
        yield Finding(
            "no_spare_rows",
            f"{size} rows for {size} coefficients: the law passes through every point, "
            f"so nothing tests it; {size} more runs would",
        )
    copies = _copies(on)
    if copies:
        yield Finding(
            "duplicates",
            f"{copies} of {rows} rows repeat another row in every digit, inputs and "
            f"{on.of.law.target}: copies make the intervals too narrow; remove them, or name the "
            "column of their cluster",
        )


def _copies(on: Evidence) -> int:
    """How many rows are copies of earlier ones; values of few digits may agree by chance."""
    if on.pool != "none":
        return 0
    measured = on.on.measured
    table = np.stack([*on.on.values.values(), measured])
    _, first = np.unique(table, axis=1, return_index=True)
    rest = np.setdiff1d(np.arange(len(measured)), first)
    return sum(float(f"{one:.{DIGITS - 1}e}") != one for one in measured[rest].tolist())


def _one_input(on: Evidence, one: Input) -> Iterator[Finding]:
    values = on.on.values[one.name]
    levels = int(on.on.levels(one.name).max()) + 1
    if levels <= one.levels:
        yield Finding(
            "few_levels",
            f"{one.name} has {levels} levels, the least that determine the law, so nothing tests "
            f"its shape; runs at 2 more values of {one.name} would",
        )
    if one.positive and values.max() < TINY * values.min():
        low, high = values.min(), values.max()
        yield Finding(
            "short_range",
            f"{one.name} spans a factor of {high / low:.3g} only ({low:.3g} to {high:.3g}), over "
            f"which an exponent cannot be told from a constant; some 4 runs at {one.name} "
            f"{low / 10:.2g} or {high * 10:.2g} would tell",
        )


def _collinear(on: Evidence) -> Iterator[Finding]:
    """Directions in which the logs of the inputs hardly vary, although the law does."""
    names = on.of.law.input_names
    logs = on.of.surface.runs - on.of.surface.runs.mean(axis=1, keepdims=True)
    spread = logs.std(axis=1, keepdims=True)
    if len(names) < 2 or (spread == 0).any():
        return
    shares, directions = np.linalg.eigh(np.corrcoef(logs))
    for share, direction in zip(shares, directions.T, strict=True):
        heavy = np.abs(direction) > PART * np.abs(direction).max()
        direction = np.where(heavy, direction, 0.0) / spread[:, 0]
        if share > NEARLY_COLLINEAR or not _matters(on, direction):
            continue
        exact = share < COLLINEAR
        yield Finding(
            "collinear",
            f"{_together(on, logs, direction)}, so their effects cannot be told "
            f"{'apart' if exact else 'apart well'}{_determined(on) if exact else ''}; "
            f"{_off_the_line(on, direction)} would tell them apart",
            "not identified" if exact else "",
        )


def _matters(on: Evidence, direction: Float[np.ndarray, " input"]) -> bool:
    """Whether the law changes when the inputs move in a direction: a law of a product may not."""
    step = direction / np.abs(direction).max()
    moved = {
        one.name: on.on.values[one.name] * np.exp(by)
        if one.positive
        else on.on.values[one.name] + by
        for one, by in zip(on.of.law.inputs, step, strict=True)
    }
    before = predict_many(on.of.law, on.best, on.on.values)
    after = predict_many(on.of.law, on.best, moved)
    with np.errstate(all="ignore"):
        return not bool((np.abs(after - before) <= UNMOVED * np.abs(before)).all())


def _together(
    on: Evidence, logs: Float[np.ndarray, "input run"], direction: Float[np.ndarray, " input"]
) -> str:
    """How the inputs of a direction move together, and how much is left across."""
    last = int(np.flatnonzero(direction)[-1])
    name = on.of.law.input_names[last]
    parts = [place for place in np.flatnonzero(direction) if place != last]
    if not all(on.of.law.inputs[place].positive for place in (*parts, last)):
        others = ", ".join(on.of.law.input_names[place] for place in parts)
        return f"{name} and {others} change together in these runs"
    powers = -direction / direction[last]
    rest = float(np.exp(np.ptp(logs[last] - powers[parts] @ logs[parts])))
    centre = on.of.surface.centre[:, 0] + on.of.surface.runs.mean(axis=1)
    factor = float(np.exp(centre[last] - powers[parts] @ centre[parts]))
    product = " x ".join(f"{on.of.law.input_names[place]}^{powers[place]:.3g}" for place in parts)
    return f"{name} is {factor:.3g} x {product} in every row (within {rest - 1:.1%})"


def _off_the_line(on: Evidence, direction: Float[np.ndarray, " input"]) -> str:
    """Runs that leave the line at its middle."""
    last = int(np.flatnonzero(direction)[-1])
    one = on.of.law.inputs[last]
    if not one.positive:
        return f"some 4 runs with other {one.name}, all else equal,"
    middle = float(np.exp(on.of.surface.centre[last, 0]))
    others = ", ".join(
        f"{name} {np.exp(centre):.2g}"
        for name, centre in zip(on.of.law.input_names, on.of.surface.centre[:, 0], strict=True)
        if name != one.name
    )
    return f"some 4 runs with {one.name} {middle / 10:.2g} and {middle * 10:.2g} at {others}"


def _determined(on: Evidence) -> str:
    """The law of one variable that is identified where two inputs lie on a line."""
    names = on.of.law.input_names
    if len(names) != 2 or on.of.law.parsed.link != "identity" or on.of.objective.kind == "binomial":
        return ""
    if not all(one.positive for one in on.of.law.inputs):
        return ""
    both = [on.on.values[name] for name in names]
    along, x = names[0], both[0]
    if set(names) == {"params", "tokens"}:
        along, x = "C, with C = params x tokens", both[0] * both[1]
    law = find_law("power_floor")
    found = optimum(setup(law, replace(on.on, values={"x": x}), on.of.objective))
    if not found.converged:
        return ""
    floor, scale, exponent = found.vectors[0]
    symbol = along.split(",")[0]
    return (
        f"; what is determined is the law along that line: {on.of.law.target} = {floor:.4g} + "
        f"{scale:.4g} / {symbol}^{exponent:.4g}{along[len(symbol) :]}"
    )
