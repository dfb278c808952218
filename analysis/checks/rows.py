"""Checks of rows: checkpoints taken for runs, rows given twice, sizes that are nearly one size."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from analysis.checks.columns import SCHEDULE, SEED, Design, listed, numbered
from analysis.checks.schedule import FLAT
from analysis.identify.findings import Finding

RUN_NAMES = ("trial.key", "key", "run", "run_id", "run_name", "trial_id", "wandb_id", "hyper_id")
PROGRESS = ("step", "iteration", "checkpoint", "tokens", "examples", "tokens_seen", "epoch")
LEAST_ROWS = 3  # of one run, on average over the runs that have several, before it is a curve
DIGITS = 4  # significant digits that two runs may share by chance
FEW_SIZES = 8  # beyond, an input is continuous, or has sizes enough for any exponent
ROUND = 1e-6  # of the last of these digits: what floating point leaves of a rounded number
NEAR = 0.02  # sizes closer than this are one size with another vocabulary or rounding


def checkpoints_as_runs(design: Design) -> Iterator[Finding]:
    """Rows of one run that differ in progress alone: their errors are one error, not many."""
    if design.cluster is not None or len(design) < LEAST_ROWS:
        return
    found = _curves(design)
    if found is None:
        return
    column, progress, runs = found
    counts = np.bincount(runs)
    several = counts[counts > 1]
    yield Finding(
        "checkpoints_as_runs",
        f"{len(design)} rows come from {len(counts)} runs ({column} repeats up to "
        f"{int(several.max())} times, with another {progress}): points of one curve share its luck, "
        f"so intervals over rows are too narrow; draw whole runs (--cluster {column})",
    )
    if _falls(design):
        yield Finding(
            "midrun_points",
            f"{int((several - 1).sum())} of {len(design)} rows were taken before the end of a run "
            "whose rate falls to its end: their losses are higher than those of runs planned for "
            "that length; keep the last row of each run, or run each length with its own decay",
        )


def duplicate_rows(design: Design) -> Iterator[Finding]:
    """Rows with equal inputs, equal target and an equal rest: one run, counted twice."""
    table = design.runs.table
    if len(np.unique(design.numbers(design.target))) == len(design):
        return
    one_run = numbered([table[name] for name in table.columns if _names_no_run(str(name))])
    target = design.numbers(design.target)
    # Two runs may well share a rounded number, such as an accuracy of 1.
    telling = np.isfinite(target) & (target != 0) & (_rounding(target) > ROUND)
    rows = np.bincount(one_run, telling)
    if rows.max() < 2:
        return
    extra = int(np.maximum(rows - 1, 0).sum())
    place = [str(key) for key in table.index[one_run == int(np.argmax(rows))]]
    yield Finding(
        "duplicate_rows",
        f"{extra} of {len(design)} rows repeat another in every column (such as {listed(place, 3)})"
        ": each counts twice and narrows the interval; leave one of them out",
    )


def same_trial_twice(design: Design) -> Iterator[Finding]:
    """Trials of ours with equal fields and seed, under two keys: two versions of the numerics."""
    fields = [] if design.sweep is None else _fields(design)
    if not fields or len(design) < 2:
        return
    trial = numbered([design.runs.table[name] for name in fields])
    extra = int((np.bincount(trial) - 1).sum())
    if extra:
        yield Finding(
            "same_trial_twice",
            f"{extra} of {len(design)} trials have the same fields and seed as another: they are "
            "no replicates, and come from two versions of the trainers; keep one version",
        )


def near_levels(design: Design) -> Iterator[Finding]:
    """Inputs whose many distinct values are few sizes, each spelled in several ways."""
    if len(design) < 2:
        return
    for name, column in design.inputs.items():
        values = design.numbers(column)
        if not bool((values > 0).all()):
            continue
        distinct = np.unique(values)
        distinct = distinct[np.concatenate([[True], np.diff(distinct) > 1e-9 * distinct[1:]])]
        sizes = _merged(distinct)
        if 2 <= sizes <= FEW_SIZES and len(distinct) >= 2 * sizes:
            yield Finding(
                "near_levels",
                f"{name} has {len(distinct)} distinct values, but only {sizes} that differ by more "
                f"than {NEAR:.0%}: it has {sizes} levels for telling an exponent, and replicates "
                f"are not recognised as such; round {column} to the size that was meant",
            )


def _curves(design: Design) -> tuple[str, str, Int[np.ndarray, " run"]] | None:
    """The column that names runs with several rows each, what tells these apart, and the runs."""
    for column in RUN_NAMES:
        if not design.has(column) or design.uses(column):
            continue
        runs = numbered([design.runs.table[column]])
        found = _progress(design, runs)
        if found is not None:
            return column, found, runs
    fields = [] if design.sweep is None else _fields(design)
    if fields:
        runs = numbered([design.runs.table[name] for name in fields])
        found = _progress(design, runs)
        if found is not None:
            return "trial.key", found, runs
    return None


def _progress(design: Design, runs: Int[np.ndarray, " run"]) -> str | None:
    """The column by which rows of a run are told apart, if runs have several rows."""
    counts = np.bincount(runs)
    several = counts[counts > 1]
    if not len(several) or several.mean() < LEAST_ROWS or len(counts) == 1:
        return None
    size = design.size()
    if size is not None and _changes(runs, design.numbers(size)):
        return None  # one name for runs of several sizes: a family, not a run
    for column in PROGRESS:
        if design.has(column):
            both = numbered([pd.Series(runs), design.runs.table[column]])
            if len(np.unique(both)) == len(design):
                return column
    return None


def _changes(runs: Int[np.ndarray, " run"], values: Float[np.ndarray, " run"]) -> bool:
    order = np.lexsort((values, runs))
    same = np.diff(runs[order]) == 0
    return bool((same & (np.diff(values[order]) > 0)).any())


def _falls(design: Design) -> bool:
    """Whether the rate falls, as far as is known; without a word about it, most do."""
    column = design.first(SCHEDULE)
    return column is None or not {name.lower() for name in design.texts(column)} <= FLAT


def _names_no_run(column: str) -> bool:
    return column not in RUN_NAMES and column not in ("name", "wall_s")


def _fields(design: Design) -> list[str]:
    """The columns that are fields of a trial, which dots and the seed give away."""
    top = {"batch_size", *SEED}
    return [name for name in map(str, design.runs.table.columns) if "." in name or name in top]


def _rounding(values: Float[np.ndarray, " run"]) -> Float[np.ndarray, " run"]:
    """How far numbers lie from those with `DIGITS` significant digits, in units of the last digit."""
    known = np.where(np.isfinite(values) & (values != 0), values, 1.0)
    units = known / 10.0 ** (np.floor(np.log10(np.abs(known))) - DIGITS + 1)
    return np.abs(units - np.round(units))


def _merged(distinct: Float[np.ndarray, " level"]) -> int:
    """How many groups there are of which none spans more than `NEAR`."""
    count, at = 0, 0
    while at < len(distinct):
        at = int(np.searchsorted(distinct, distinct[at] * (1 + NEAR), side="right"))
        count += 1
    return count
