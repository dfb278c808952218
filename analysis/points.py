"""Points: the runs of a fit, pooled over replicates where a cell holds several."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from analysis.law import Law
from analysis.runs import Runs
from trainers.schema import InputError

Pool = Literal["none", "median", "mean"]


@dataclass(frozen=True)
class Columns:
    """Columns of a table beside inputs and target: what is known of every row's measurement.

    `noise` is the standard error of the target, in its unit; `censored` is true where the target is
    only a lower bound of what it would have become; `counts` says of how many the target is a share;
    rows of one `cluster` belong together.
    """

    cluster: str | None = None
    noise: str | None = None
    censored: str | None = None
    counts: str | None = None


ROWS_ALONE = Columns()
"""Nothing is known beside inputs and target."""


@dataclass(frozen=True)
class Points:
    """What a law is fitted to: one point per run, or one per cell of equal inputs.

    `replicates` holds the measurements behind each point, `cluster` says which points belong
    together; `noise`, `censored` and `counts` are as in `Columns`.
    """

    values: dict[str, Float[np.ndarray, " run"]]
    measured: Float[np.ndarray, " run"]
    replicates: tuple[Float[np.ndarray, " _"], ...]
    cluster: Int[np.ndarray, " run"] | None = None
    noise: Float[np.ndarray, " run"] | None = None
    censored: Bool[np.ndarray, " run"] | None = None
    counts: Float[np.ndarray, " run"] | None = None

    def __len__(self) -> int:
        return len(self.measured)

    def levels(self, name: str) -> Int[np.ndarray, " run"]:
        """For every point the number of its level of one input, counted from the smallest."""
        return level_of(self.values[name])

    def part(self, chosen: np.ndarray) -> "Points":
        """Some of the points."""
        return Points(
            {name: values[chosen] for name, values in self.values.items()},
            self.measured[chosen],
            tuple(self.replicates[place] for place in np.arange(len(self))[chosen]),
            *(
                None if one is None else one[chosen]
                for one in (self.cluster, self.noise, self.censored, self.counts)
            ),
        )


def points(
    law: Law,
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    pool: Pool = "none",
    columns: Columns = ROWS_ALONE,
    signed: bool = False,
) -> Points:
    """The points of a fit; `inputs` gives the column of each input of the law.

    The target must be positive, unless `signed`.

    Raises:
        InputError: an input is not mapped, or a column is missing or holds what it may not.
    """
    wanted = set(law.input_names)
    if set(inputs) != wanted:
        raise InputError(
            f"law {law.name}: expected the inputs {', '.join(law.input_names)}, "
            f"got {', '.join(sorted(inputs)) or 'none'}"
        )
    values = {one.name: runs.numbers(inputs[one.name], positive=one.positive) for one in law.inputs}
    measured = runs.numbers(target, positive=not signed)
    if pool == "none":
        return Points(
            values,
            measured,
            tuple(measured[:, None]),
            _clusters(runs, columns.cluster),
            None if columns.noise is None else runs.numbers(columns.noise),
            _flags(runs, columns.censored),
            None if columns.counts is None else runs.numbers(columns.counts),
        )
    if columns != ROWS_ALONE:
        raise InputError("pool: expected rows that are not pooled beside cluster, noise, ...")
    if len(measured) == 0:
        return Points(values, measured, ())
    levels = np.stack([level_of(column) for column in values.values()])
    _, first, cell = np.unique(levels, axis=1, return_index=True, return_inverse=True)
    replicates = tuple(measured[cell.ravel() == number] for number in range(len(first)))
    return Points(
        {name: column[first] for name, column in values.items()},
        np.array([pooled(pool, one) for one in replicates]),
        replicates,
    )


def pooled(
    pool: Pool, measured: Float[np.ndarray, "*draws replicate"]
) -> Float[np.ndarray, "*draws"]:
    """The mean or median over replicates."""
    return np.asarray(measured.mean(axis=-1) if pool == "mean" else np.median(measured, axis=-1))


def level_of(values: Float[np.ndarray, " run"]) -> Int[np.ndarray, " run"]:
    """The number of each value's level; values equal to one part in 10^9 are one level."""
    order = np.argsort(values, kind="stable")
    jumps = np.diff(values[order]) > 1e-9 * np.abs(values[order][1:])
    result = np.zeros(len(values), dtype=np.int64)
    result[order] = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(jumps)])[: len(values)]
    return result


def check_design(law: Law, on: Points) -> None:
    """Refuse a fit that cannot be determined whatever was measured.

    Raises:
        InputError: there are fewer points than coefficients, or too few levels of an input.
    """
    size = len(law.coefficients)
    if len(on) < size:
        raise InputError(
            f"law {law.name}: expected at least {size} rows or cells for {size} coefficients, "
            f"got {len(on)}"
        )
    for one in law.inputs:
        levels = int(on.levels(one.name).max()) + 1
        if levels < one.levels:
            raise InputError(
                f"law {law.name}: expected at least {one.levels} levels of {one.name}, got {levels}"
            )


def _clusters(runs: Runs, column: str | None) -> Int[np.ndarray, " run"] | None:
    if column is None:
        return None
    if column not in runs.table.columns:
        raise InputError(f"{column}: expected a column of clusters, there is none")
    names = [str(value) for value in runs.table[column]]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _flags(runs: Runs, column: str | None) -> Bool[np.ndarray, " run"] | None:
    if column is None:
        return None
    if column not in runs.table.columns:
        raise InputError(f"{column}: expected a column of 0 and 1, there is none")
    known = {"1": True, "0": False, "true": True, "false": False, "1.0": True, "0.0": False}
    words = [str(value).strip().lower() for value in runs.table[column]]
    for key, word in zip(runs.table.index, words, strict=True):
        if word not in known:
            raise InputError(f"{column}: expected 0 or 1, got {word!r} in {key}")
    return np.array([known[word] for word in words])
