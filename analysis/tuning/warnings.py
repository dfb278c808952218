"""What a reader must know before using the best settings of a sweep, and which runs would settle it."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import special

from analysis.identify.findings import Finding
from analysis.summary import conditions
from analysis.tuning.neighbourhood import Noise
from analysis.tuning.optimum import Optimum

BY_CHANCE = 1e-3  # probability below which a misfit is not put down to replicates


def tuning_warnings(
    names: Sequence[str], optima: Sequence[Optimum], noise: Noise, lost: int
) -> Iterator[Finding]:
    """The warnings, the gravest first."""
    for place, name in enumerate(names):
        for side in ("below", "above"):
            yield from _edge(name, place, side, optima)
        border = [
            conditions(one.cell.fields) or "all runs"
            for one in optima
            if one.border[place] and not one.edge[place] and one.curve is not None
        ]
        if border:
            yield Finding(
                "border",
                f"the best {name} tried is an outermost one at {_some(border)}: one more level "
                "beyond it would show that the loss rises again",
            )
    for words in dict.fromkeys(one.refused for one in optima if one.refused):
        those = [one for one in optima if one.refused == words and not any(one.edge)]
        if those:
            where = [conditions(one.cell.fields) or "all runs" for one in those]
            yield Finding("no_optimum", f"{_some(where)}: {words}")
    if noise.spare <= 0:
        yield Finding(
            "no_noise",
            "nothing was replicated and every curve passes through all of its points, so the "
            "best settings have no interval; two replicates of the best settings would give one",
        )
    yield from _misfits(optima, noise)
    if lost:
        yield Finding("diverged", f"{lost} runs have no usable loss and enter no curve")


def _edge(name: str, place: int, side: str, optima: Sequence[Optimum]) -> Iterator[Finding]:
    there = [one for one in optima if one.edge[place] == side]
    if not there:
        return
    where = [conditions(one.cell.fields) or "all runs" for one in there]
    stuck = [one for one in there if _unstable(one, place, side)]
    more = (
        f"; in {len(stuck)} of these cells runs beyond have no loss, so the best stable {name} is "
        "what stability allows"
        if stuck
        else f": try {'smaller' if side == 'below' else 'larger'} values there"
    )
    yield Finding("edge", f"the best {name} lies {side} every value tried at {_some(where)}{more}")


def _unstable(one: Optimum, place: int, side: str) -> bool:
    lost, tried = one.cell.diverged[:, place], one.cell.x[:, place]
    return bool((lost < tried.min()).any() if side == "below" else (lost > tried.max()).any())


def _misfits(optima: Sequence[Optimum], noise: Noise) -> Iterator[Finding]:
    """A chi-square test of the curves against the noise of replicates or of given errors."""
    shape = next((one.shape for one in optima if one.shape is not None), None)
    curves = [one.curve for one in optima if one.curve is not None]
    spare = sum(one.spare for one in curves) if shape is None else shape.spare
    total = sum(one.misfit for one in curves) if shape is None else shape.misfit
    if "misfit" in noise.source or not spare or not noise.variance:
        return
    excess = total / noise.variance
    if float(special.chdtrc(spare, excess)) < BY_CHANCE:
        yield Finding(
            "not_the_shape",
            f"losses lie {np.sqrt(excess / spare):.1f} times further from the curves than the "
            "noise explains; intervals do not cover that",
        )


def _some(names: Sequence[str]) -> str:
    shown = "; ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more cells"
