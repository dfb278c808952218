"""Checks of replicates: how many a cell has, how they scatter, and whether seeds tie cells together."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from analysis.checks.columns import SEED, Design, listed, numbered, plain, short, split
from analysis.identify.findings import Finding
from analysis.uncertainty.distributions import chi2_above, f_above, normal_above, t_above

BY_CHANCE = 1e-3  # probability below which replicates are not said to differ by chance
FEWEST = 3  # replicates, below which a cell has no standard deviation worth a word
UNUSUAL = 0.05  # probability below which normal draws do not explain how variances scatter
RATIO = 2.0  # of standard deviations (four-fold in weight), or of numbers of replicates


@dataclass(frozen=True)
class CellNoise:
    """One cell: its inputs, the median of its replicates, and how their logs scatter.

    `deviation` is the standard deviation of the natural log of the target, and `weight` its inverse
    square with a mean of one over the cells.
    """

    cell: tuple[tuple[str, str], ...]
    replicates: int
    median: float
    deviation: float
    weight: float


def cell_noise(design: Design) -> tuple[CellNoise, ...]:
    """The scatter of every cell with at least three replicates and positive targets."""
    chosen = _scattered(design)
    deviations = [float(one.std(ddof=1)) for one, _ in chosen]
    unscaled = [deviation**-2 for deviation in deviations]
    inputs = list(dict.fromkeys(design.inputs.values()))
    return tuple(
        CellNoise(
            cell=tuple((name, plain(design.runs.table[name].iloc[row])) for name in inputs),
            replicates=len(logs),
            median=float(np.exp(np.median(logs))),
            deviation=deviation,
            weight=weight * len(chosen) / sum(unscaled),
        )
        for (logs, row), deviation, weight in zip(chosen, deviations, unscaled, strict=True)
    )


def noise_uneven(design: Design) -> Iterator[Finding]:
    """Replicates that scatter the more in logs, the larger (or smaller) the target is."""
    found = cell_noise(design)
    if len(found) < 3:
        return
    deviations = np.array([one.deviation for one in found])
    if deviations.max() < RATIO * deviations.min():
        return
    slope, chance = noise_trend(found)
    if chance >= BY_CHANCE:
        return
    ordered = sorted(found, key=lambda one: one.median)
    places = [f"{_where(one)} {one.deviation:.2g} (weight {one.weight:.2g})" for one in ordered]
    shown = listed([places[0], places[len(places) // 2], places[-1]])
    yield Finding(
        "noise_uneven",
        f"replicates scatter as {design.target}^{slope:.2g} in logs (standard deviation at {shown})"
        "; equal weights let the noisy cells speak as loud as the others; give the standard "
        "deviation of each cell as its noise, or more replicates to the noisy ones",
    )


def noise_trend(found: Sequence[CellNoise]) -> tuple[float, float]:
    """The power of the target with which its scatter in logs goes, and how probable by chance.

    A weighted line through the logs of the variances, over the logs of the medians. Source: the
    log of a variance of n normal draws has the variance trigamma((n - 1) / 2). Where the variances
    lie further from the line than that, their own distance is taken, with Student's t if it is too
    far for chance.
    """
    over = np.log([one.median for one in found])
    if len(found) < 3 or float(np.ptp(over)) == 0:
        return 0.0, 1.0
    logs = np.log([one.deviation**2 for one in found])
    weight = 1 / special.polygamma(1, [(one.replicates - 1) / 2 for one in found])
    over = over - np.average(over, weights=weight)
    logs = logs - np.average(logs, weights=weight)
    width = float((weight * over**2).sum())
    slope = float((weight * over * logs).sum()) / width
    misfit = float((weight * (logs - slope * over) ** 2).sum()) / (len(found) - 2)
    sigmas = abs(slope) * math.sqrt(width / max(misfit, 1.0))
    spare = len(found) - 2
    usual = chi2_above(misfit * spare, spare) > UNUSUAL
    return slope / 2, 2 * (normal_above(sigmas) if usual else t_above(sigmas, spare))


def replicates_unequal(design: Design) -> Iterator[Finding]:
    """Cells with several replicates beside cells with few."""
    cells = design.settings[design.measured()]
    if not len(cells):
        return
    counts = np.bincount(cells)
    counts = counts[counts > 0]
    fewest, most = int(counts.min()), int(counts.max())
    if most < FEWEST or most < RATIO * fewest or len(counts) < 2:
        return
    usual = int(np.median(counts))
    weight = (
        f"the full cells weigh {most / fewest:.2g} times as much"
        if design.pool == "none"
        else "their medians differ in error, and are weighed alike"
    )
    yield Finding(
        "replicates_unequal",
        f"cells have {fewest} to {most} replicates ({usual} in the median cell), and {weight}; a "
        f"minimum over them would lie {below_mean(most) - below_mean(fewest):.2g} standard "
        f"deviations lower in the full cells by number alone; run the missing replicates, or pool "
        "cells by their mean with a noise of each",
    )


def seeds_tie_cells(design: Design) -> Iterator[Finding]:
    """Seeds that do well or badly in every cell at once, so that cells are not independent.

    The seed is the second factor of an analysis of variance over cells, in logs; only seeds that
    occur in every cell count.
    """
    column = design.first(SEED)
    if column is None:
        return
    cells, logs = _logs(design)
    seeds = numbered([design.runs.table[column].iloc[_kept(design)]])
    if not len(cells) or (int(cells.max()) + 1) * (int(seeds.max()) + 1) > 10 * len(cells):
        return
    table = np.full((int(cells.max()) + 1, int(seeds.max()) + 1), np.nan)
    table[cells, seeds] = logs
    table = table[np.isfinite(table).any(axis=1)]
    table = table[:, np.isfinite(table).all(axis=0)]
    rows, columns = table.shape
    if rows < 3 or columns < FEWEST or len(logs) > rows * columns:
        return
    centred = table - table.mean(axis=1, keepdims=True)
    effect = centred.mean(axis=0)
    rest = centred - effect
    spare = (rows - 1) * (columns - 1)
    left = float((rest**2).sum()) / spare
    between = rows * float((effect**2).sum()) / (columns - 1)
    if left == 0 or f_above(between / left, columns - 1, spare) >= BY_CHANCE:
        return
    share = max(0.0, (between - left) / rows) / (left + max(0.0, (between - left) / rows))
    best, worst = int(np.argmin(effect)), int(np.argmax(effect))
    yield Finding(
        "seeds_tie_cells",
        f"the same {columns} seeds run in every cell, and {share:.0%} of the scatter is the seed's "
        f"own (from {effect[best]:+.1%} to {effect[worst]:+.1%} in all cells at once): cells are "
        "not independent, and intervals that resample them one by one are off; resample seeds as "
        f"clusters (--cluster {column}), or run more seeds",
    )


def below_mean(count: int) -> float:
    """By how many standard deviations the least of `count` normal draws lies below their mean.

    The integral of x over the density of the largest: for 2 draws it is 1 / sqrt(pi).
    """
    if count < 2:
        return 0.0

    x, weight = np.polynomial.legendre.leggauss(200)  # on -10 to 10 exact to rounding
    x, weight = 10 * x, 10 * weight
    each = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return float((weight * x * count * each * special.ndtr(x) ** (count - 1)).sum())


def _scattered(
    design: Design,
) -> list[tuple[Float[np.ndarray, " _"], int]]:
    """The logs of every setting with enough replicates that are not all equal, and its first row."""
    cells, logs = _logs(design)
    rows = _kept(design)
    if not len(cells):
        return []
    enough = np.bincount(cells)[cells] >= FEWEST
    if not bool(enough.any()):
        return []
    parts = split(cells[enough], logs[enough])
    firsts = split(cells[enough], rows[enough].astype(np.float64))
    both = zip(parts, firsts, strict=True)
    return [(one, int(first[0])) for one, first in both if float(np.ptp(one)) > 0]


def _kept(design: Design) -> Int[np.ndarray, " some"]:
    """The rows whose target is positive."""
    target = design.numbers(design.target)
    return np.flatnonzero(np.isfinite(target) & (target > 0)).astype(np.int64)


def _logs(
    design: Design,
) -> tuple[Int[np.ndarray, " some"], Float[np.ndarray, " some"]]:
    """The cell of every run with a positive target, and the natural log of that."""
    kept = _kept(design)
    return design.settings[kept], np.log(design.numbers(design.target)[kept])


def _where(one: CellNoise) -> str:
    parts = [f"{name} {short(float(value))}" for name, value in one.cell]
    return ", ".join(parts) or "all"
