"""How a decision and the predictions at candidates change with the coefficients of each fit."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from analysis.engine.compiled import Vectors, predict_many
from analysis.fit import Fit
from analysis.law import Values
from analysis.next_runs.candidates import Candidates
from analysis.next_runs.decision import Decision, Source, UndecidedError
from analysis.next_runs.directions import Directions, directions
from analysis.next_runs.purchase import Spread
from trainers.schema import InputError


def spread_of(
    decision: Decision, candidates: Sequence[Candidates], noise: float | None
) -> tuple[Spread, tuple[float, ...]]:
    """The changes along all directions of every fit, and the error that was taken for a run of each.

    That is `noise`, or that of the rows.

    Raises:
        InputError: a fit is of shares of counts.
        UndecidedError: a fit has no rows to spare.
    """
    known = [_directions(one) for one in decision.sources]
    sizes = tuple(
        moved.noise * _runs_per_row(one.fitted) ** 0.5 if noise is None else noise
        for moved, one in zip(known, decision.sources, strict=True)
    )
    return _spread(decision, candidates, known, sizes), sizes


def _directions(source: Source) -> Directions:
    if source.fitted.objective_used.kind == "binomial":
        raise InputError("next runs: expected a fit of measurements, got one of shares of counts")
    if source.fitted.rows <= len(source.fitted.law.coefficients):
        raise UndecidedError("next runs: expected more rows than coefficients, to know their noise")
    return directions(source.fitted)


def _runs_per_row(fitted: Fit) -> float:
    return sum(map(len, fitted.points.replicates)) / fitted.rows


def _spread(
    decision: Decision,
    candidates: Sequence[Candidates],
    known: Sequence[Directions],
    noise: Sequence[float],
) -> Spread:
    """How the decision and all predictions change along the directions of each fit in turn."""
    centre = [one.fitted.vector for one in decision.sources]
    changes: list[Float[np.ndarray, " direction"]] = []
    blocks: list[list[Float[np.ndarray, "direction place"]]] = []
    for place, (source, moved) in enumerate(zip(decision.sources, known, strict=True)):
        ends: list[Float[np.ndarray, " direction"]] = []
        for vectors in (moved.up, moved.down):
            all_ = [np.repeat(one, len(vectors), axis=0) for one in centre]
            ends.append(decision.at([*all_[:place], vectors, *all_[place + 1 :]]))
        change = moved.along(*ends)
        changes.append(np.where(np.isfinite(change), change, 0.0))
        # A run of one fit tells nothing of the coefficients of another.
        row = [np.zeros((len(moved.up), len(one))) for one in candidates]
        values = candidates[place].values
        heights = [_heights(source.fitted, one, values) for one in (moved.up, moved.down)]
        row[place] = np.nan_to_num(moved.along(*heights), posinf=0.0, neginf=0.0)
        blocks.append(row)
    squares = [np.full(len(one), size**2) for one, size in zip(candidates, noise, strict=True)]
    return Spread(np.concatenate(changes), np.block(blocks), np.concatenate(squares))


def _heights(fitted: Fit, vectors: Vectors, values: Values) -> Float[np.ndarray, "direction place"]:
    """What residuals are of: ln loss, or loss."""
    height = predict_many(fitted.law, vectors, values)
    with np.errstate(all="ignore"):
        return np.log(height) if fitted.objective_used.residual == "log" else height
