"""One law fitted to two groups of the same runs, and where the two fits cross."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.engine.objective import Objective
from analysis.fit import RESAMPLES, Fit, fit
from analysis.judgement.crossover import Crossover, Mode, Path, Range, at_ratio, crossover
from analysis.law import Law, Values
from analysis.points import ROWS_ALONE, Columns, Pool
from analysis.runs import Runs
from analysis.summary import written
from trainers.schema import InputError, shown

COMPUTE = "compute"
"""The name of the scale 6 N D, for a law of params and tokens."""


@dataclass(frozen=True)
class Groups:
    """Two groups of runs, the law fitted to each, and where the two fits cross.

    `along` names the scale, `held` what else was kept at one value along it: inputs of the law, or
    the tokens per parameter (`ratio`).
    """

    column: str
    names: tuple[str, str]
    fits: tuple[Fit, Fit]
    along: str
    held: tuple[tuple[str, float], ...]
    path: Path
    found: Crossover


def cross(
    law: Law,
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    *,
    split: str,
    names: tuple[str, str] | None = None,
    along: str = "",
    held: Mapping[str, float] | None = None,
    mode: Mode = "min",
    objective: Objective | None = None,
    pool: Pool = "none",
    columns: Columns = ROWS_ALONE,
    bootstrap: int = RESAMPLES,
    seed: int = 42,
) -> Groups:
    """Fit the law to each of two groups of runs, told apart by the column `split`, and cross the fits.

    `names` are the values of two groups, if there are more. `along` is the input that grows, or
    `compute` (6 FLOPs for each parameter and token) at equal tokens per parameter; a law of one input
    needs none. The other inputs (or the `ratio`) stand at their geometric mean over all runs, unless
    `held` says where.

    Raises:
        InputError: the groups, the scale or what is held cannot be used, or a group cannot be fitted.
    """
    names = _names(runs, split, names)
    along = _along(law, along)
    fits: list[Fit] = []
    for name in names:
        try:
            fits.append(
                fit(
                    law,
                    _group(runs, split, name),
                    inputs,
                    target,
                    objective=objective,
                    pool=pool,
                    columns=columns,
                    bootstrap=bootstrap,
                    seed=seed,
                )
            )
        except InputError as error:
            raise InputError(f"{split} {name}: {error}") from error
    first, second = fits
    both = {
        name: np.concatenate([first.points.values[name], second.points.values[name]])
        for name in law.input_names
    }
    kept = _held(law, both, along, dict(held or {}))
    path = _path(law, along, kept)
    scale = scale_along(both, along)
    inside: Range = float(scale.min()), float(scale.max())
    if not 0 < inside[0] < inside[1]:
        raise InputError(f"along {along}: expected at least two scales, all positive")
    found = crossover(
        first, second, paths=(path, path), inside=inside, names=names, mode=mode,
        bootstrap=bootstrap, seed=seed,
    )  # fmt: skip
    return Groups(split, names, (first, second), along, tuple(kept.items()), path, found)


def scale_along(values: Values, along: str) -> Float[np.ndarray, " run"]:
    """The scale of every run: an input, or 6 FLOPs for each parameter and token."""
    if along == COMPUTE:
        return 6 * np.asarray(values["params"]) * np.asarray(values["tokens"])
    return np.asarray(values[along])


def _names(runs: Runs, split: str, names: tuple[str, str] | None) -> tuple[str, str]:
    if split not in runs.table.columns:
        raise InputError(f"split: expected a column of the table, there is no {shown(split)}")
    present = sorted({written(one) for one in runs.table[split]})
    if names is None:
        if len(present) != 2:
            listed = ", ".join(present[:8]) + (", ..." if len(present) > 8 else "")
            raise InputError(
                f"split {split}: expected two values, or two of them to be chosen, got {listed}"
            )
        return present[0], present[1]
    for name in names:
        if name not in present:
            raise InputError(f"split {split}: expected one of {', '.join(present)}, got {name}")
    if names[0] == names[1]:
        raise InputError(f"split {split}: expected two different values, got {names[0]} twice")
    return names


def _group(runs: Runs, split: str, name: str) -> Runs:
    chosen = np.array([written(one) == name for one in runs.table[split]], dtype=bool)
    return Runs(runs.table[chosen], runs.omitted)


def _along(law: Law, along: str) -> str:
    names = law.input_names
    choices = [*names, *([COMPUTE] if set(names) == {"params", "tokens"} else [])]
    if not along and len(names) == 1:
        return names[0]
    if along not in choices:
        raise InputError(
            f"along: expected {' or '.join(choices)}, which of them grows, got {shown(along)}"
        )
    return along


def _held(law: Law, both: Values, along: str, wanted: Mapping[str, float]) -> dict[str, float]:
    """What stands still along the scale, and where."""
    if along == COMPUTE:
        usual = {"ratio": np.asarray(both["tokens"]) / np.asarray(both["params"])}
    else:
        usual = {one: np.asarray(both[one]) for one in law.input_names if one != along}
    for name in wanted:
        if name not in usual:
            raise InputError(
                f"held {name}: expected {' or '.join(usual) or 'nothing'}, which stands still"
            )
    return {
        name: float(wanted[name])
        if name in wanted
        else float(np.exp(np.log(values).mean()) if (values > 0).all() else values.mean())
        for name, values in usual.items()
    }


def _path(law: Law, along: str, kept: Mapping[str, float]) -> Path:
    if along == COMPUTE:
        ratio = at_ratio(kept["ratio"])

        def by_compute(scale: Float[np.ndarray, " scale"]) -> Values:
            return {name: ratio(scale)[name] for name in law.input_names}

        return by_compute

    def by_input(scale: Float[np.ndarray, " scale"]) -> Values:
        return {
            name: scale if name == along else np.full(len(scale), kept[name])
            for name in law.input_names
        }

    return by_input
