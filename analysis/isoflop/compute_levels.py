"""Runs sorted into levels of equal compute, given or found, for IsoFLOP profiles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from trainers.schema import InputError

WIDTH = 1.1  # compute within one level differs by no more than this factor
MOST = 200_000_000  # pairs of a run and a level that are compared in the search for levels
LEAST = 4  # different sizes: a parabola has three coefficients, and one run must test it


@dataclass(frozen=True)
class Sorted:
    """`level` is the level of every run, -1 for none; `flops` the geometric mean of each level."""

    level: Int[np.ndarray, " run"]
    flops: Float[np.ndarray, " level"]


def sort_by_compute(
    flops: Float[np.ndarray, " run"],
    params: Float[np.ndarray, " run"],
    levels: Sequence[float] | None,
    width: float,
) -> Sorted:
    """Sort runs into levels of compute whose runs differ by at most a factor `width`.

    Given levels take the runs within that factor's square root on either side. Otherwise the
    interval with most different sizes is a level, then the best of the rest, as long as it holds
    enough sizes for a parabola: real tables mix levels with runs in between.

    Raises:
        InputError: no level holds enough different sizes.
    """
    logs = np.log(flops)
    if not width > 1:
        raise InputError(f"width: expected a factor above 1, got {width}")
    members = _given(logs, levels, width) if levels is not None else _found(logs, params, width)
    result = np.full(len(flops), -1, dtype=np.int64)
    means = []
    for member in sorted(members, key=lambda one: float(logs[one].mean())):
        result[member] = len(means)
        means.append(float(np.exp(logs[member].mean())))
    if not means:
        raise InputError(
            f"compute: expected levels of at least {LEAST} sizes with equal compute (within a "
            f"factor {width:g}), got none in {len(flops)} runs"
        )
    return Sorted(result, np.array(means))


def _given(
    logs: Float[np.ndarray, " run"], levels: Sequence[float], width: float
) -> list[Bool[np.ndarray, " run"]]:
    wanted = np.array(sorted(levels), dtype=np.float64)
    if not len(wanted) or not (np.isfinite(wanted).all() and (wanted > 0).all()):
        raise InputError(f"levels: expected positive numbers of FLOPs, got {list(levels)}")
    away = np.abs(logs[:, None] - np.log(wanted))
    nearest = away.argmin(axis=1)
    close = away.min(axis=1) <= np.log(width) / 2 + 1e-9
    members = [close & (nearest == place) for place in range(len(wanted))]
    return [one for one in members if one.any()]


def _found(
    logs: Float[np.ndarray, " run"], params: Float[np.ndarray, " run"], width: float
) -> list[Bool[np.ndarray, " run"]]:
    left = np.ones(len(logs), dtype=bool)
    members: list[Bool[np.ndarray, " run"]] = []
    starts = np.unique(np.round(logs, 9))
    if len(starts) * len(logs) > MOST:
        raise InputError(
            f"compute: expected levels to be given for {len(logs)} runs of {len(starts)} "
            "different FLOPs, got none"
        )
    while True:
        windows = (logs >= starts[:, None] - 1e-9) & (logs <= starts[:, None] + np.log(width))
        windows &= left
        sizes = np.array([len(np.unique(params[one])) for one in windows])
        if not len(sizes) or sizes.max() < LEAST:
            return members
        best = windows[int(sizes.argmax())]
        members.append(best)
        left &= ~best
        starts = np.unique(np.round(logs[left], 9))
