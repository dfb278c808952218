"""Points: the runs of a fit, pooled over replicates where a cell holds several."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from analysis.law import Law, log_inputs
from analysis.runs import Runs
from trainers.schema import InputError

Pool = Literal["none", "median", "mean"]


@dataclass(frozen=True)
class Points:
    """What a law is fitted to: one point per run, or one per cell of equal inputs.

    `replicates` holds the losses behind each point, `cluster` says which points belong together.
    """

    values: dict[str, Float[np.ndarray, " run"]]
    loss: Float[np.ndarray, " run"]
    replicates: tuple[Float[np.ndarray, " replicate"], ...]
    cluster: Int[np.ndarray, " run"] | None

    def __len__(self) -> int:
        return len(self.loss)

    def levels(self, name: str) -> Int[np.ndarray, " run"]:
        """For every point the number of its level of one input, counted from the smallest."""
        return level_of(self.values[name])

    def part(self, chosen: np.ndarray) -> "Points":
        """Some of the points."""
        return Points(
            {name: values[chosen] for name, values in self.values.items()},
            self.loss[chosen],
            tuple(self.replicates[place] for place in np.flatnonzero(chosen)),
            None if self.cluster is None else self.cluster[chosen],
        )


def points(
    law: Law,
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    pool: Pool = "none",
    cluster: str | None = None,
) -> Points:
    """The points of a fit; `inputs` gives the column of each input of the law.

    Raises:
        InputError: an input is not mapped, or a column is missing or not positive.
    """
    wanted = set(law.input_names)
    if set(inputs) != wanted:
        raise InputError(
            f"law {law.name}: expected the inputs {', '.join(law.input_names)}, "
            f"got {', '.join(sorted(inputs)) or 'none'}"
        )
    values = {name: runs.numbers(inputs[name]) for name in law.input_names}
    loss = runs.numbers(target)
    if pool == "none":
        groups = None
        if cluster is not None:
            if cluster not in runs.table.columns:
                raise InputError(f"{cluster}: expected a column of clusters, there is none")
            names = [str(value) for value in runs.table[cluster]]
            groups = np.unique(names, return_inverse=True)[1]
        return Points(values, loss, tuple(loss[:, None]), groups)
    if len(loss) == 0:
        return Points(values, loss, (), None)
    levels = np.stack([level_of(column) for column in values.values()])
    _, first, cell = np.unique(levels, axis=1, return_index=True, return_inverse=True)
    replicates = tuple(loss[cell.ravel() == number] for number in range(len(first)))
    return Points(
        {name: column[first] for name, column in values.items()},
        np.array([pooled(pool, one) for one in replicates]),
        replicates,
        None,
    )


def pooled(
    pool: Pool, losses: Float[np.ndarray, "*draws replicate"]
) -> Float[np.ndarray, "*draws"]:
    """The mean or median over replicates."""
    return losses.mean(axis=-1) if pool == "mean" else np.median(losses, axis=-1)


def level_of(values: Float[np.ndarray, " run"]) -> Int[np.ndarray, " run"]:
    """The number of each value's level; values equal to one part in 10^9 are one level."""
    order = np.argsort(values, kind="stable")
    jumps = np.diff(values[order]) > 1e-9 * values[order][1:]
    result = np.zeros(len(values), dtype=np.int64)
    result[order] = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(jumps)])[: len(values)]
    return result


def check_design(law: Law, on: Points) -> None:
    """Refuse a fit that cannot be determined whatever the losses are.

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


def log_points(
    law: Law, on: Points
) -> tuple[Float[np.ndarray, "input run"], Float[np.ndarray, " run"]]:
    """The natural logs of the inputs and of the losses."""
    return log_inputs(law, on.values), np.log(on.loss)
