"""Verdicts on claims of a change: paired trials, or shares of them, before and after."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.claims.bounds import against_bounds, bounds
from analysis.claims.change_sizes import (
    NoChange,
    mean_change,
    median_change,
    signed,
    unpaired_change,
)
from analysis.claims.pairs import Pairs, pairs_of
from analysis.claims.share import few
from analysis.claims.values import (
    Row,
    counted,
    left_out,
    level_words,
    passed,
    seeds,
    span,
    unmet,
    value_of,
)
from analysis.claims.verdict import NOTHING, Found, Verdict, decided
from analysis.runs import Runs, rows_of
from analysis.summary import conditions
from analysis.uncertainty.proportions import PairedCounts, paired_difference, unpaired_difference
from sweeps.claim import ChangeClaim
from sweeps.spec import Sweep

PAIRED_SHARES = "95 % Newcombe score interval of a difference of paired shares"
SHARES = "95 % Newcombe score interval of a difference of shares"

Sides = tuple[Sequence[Row], Sequence[Row]]


def change_verdict(
    claim: ChangeClaim, sweep: Sweep, runs: Runs, milestones: frozenset[str]
) -> Verdict:
    """Check a claim of what some fields change, over pairs of trials that are equal in all else."""
    chosen = [runs.matching({**claim.where, **side}) for side in (claim.from_, claim.to)]
    sides = [
        [row for row in rows_of(one.table) if _known(row, claim, milestones)] for one in chosen
    ]
    expected = f"{bounds(claim)}{_unit(claim)}"
    for side, rows, named in zip(chosen, sides, (claim.from_, claim.to), strict=True):
        if not rows:
            also = f"; {len(side.omitted)} did not finish" if side.omitted else ""
            words = f"no finished trial of {_words(named)} has {claim.change}{also}"
            return decided(claim, expected, NOTHING, "not comparable", words)
    pairs = pairs_of(claim, sweep, sides[0], sides[1])
    if pairs.several:
        return decided(claim, expected, NOTHING, "not comparable", pairs.several)
    try:
        found = _found(claim, (sides[0], sides[1]), pairs, milestones)
    except NoChange as error:
        return decided(claim, expected, NOTHING, "not comparable", str(error))
    lacking = unmet(claim.needs, [*sides[0], *sides[1]])
    if lacking:
        return decided(claim, expected, found, "not comparable", lacking)
    left = left_out(sum(len(one.omitted) for one in chosen))
    if claim.levels:
        left = f"{few(found.seeds)}{left}"
    if pairs.both and pairs.alone:
        left = f"; {counted(pairs.alone, 'trial')} without a partner{left}"
    subject = f"{_subject(claim, milestones)} from {_words(claim.from_)} to {_words(claim.to)}"
    neither = len(pairs.both) - found.trials if pairs.both else 0
    over = found.counted if pairs.both else "trials without pairs"
    over += f" (and {neither} in which neither got there)" if neither else ""
    return against_bounds(claim, found, f"{subject} over {over}", of=_unit(claim), left=left)


def _found(claim: ChangeClaim, sides: Sides, pairs: Pairs, milestones: frozenset[str]) -> Found:
    """The estimate.

    Raises:
        NoChange: these trials have none.
    """
    if claim.levels:
        return _shares(claim, sides, pairs, milestones)
    ratio = claim.as_ == "ratio"
    pooled = claim.pool or ("median" if claim.change in milestones else "mean")
    if not pairs.both:
        if pooled == "median":
            raise NoChange("no two trials are equal in all else; a median of changes needs pairs")
        before, after = ([_value(row, claim, milestones) for row in side] for side in sides)
        return unpaired_change(before, after, ratio=ratio, seeds=seeds([*sides[0], *sides[1]]))
    values = [
        (_value(one, claim, milestones), _value(other, claim, milestones))
        for one, other in pairs.both
    ]
    several = seeds([row for pair in pairs.both for row in pair])
    return (median_change if pooled == "median" else mean_change)(
        values, ratio=ratio, seeds=several
    )


def _shares(claim: ChangeClaim, sides: Sides, pairs: Pairs, milestones: frozenset[str]) -> Found:
    """The difference of the shares of trials that passed a level."""
    if pairs.both:
        held = [
            tuple(bool(passed(row, claim.change, claim, milestones)) for row in pair)
            for pair in pairs.both
        ]
        counts = PairedCounts(
            held.count((True, True)),
            held.count((True, False)),
            held.count((False, True)),
            held.count((False, False)),
        )
        first, second = (
            (counts.both + counts.first, counts.pairs),
            (counts.both + counts.second, counts.pairs),
        )
        low, high = paired_difference(counts)
        rows = [row for pair in pairs.both for row in pair]
    else:
        first, second = (
            (sum(bool(passed(row, claim.change, claim, milestones)) for row in side), len(side))
            for side in sides
        )
        low, high = unpaired_difference(first, second)
        rows = [*sides[0], *sides[1]]
    value = second[0] / second[1] - first[0] / first[1]
    return Found(
        value=value,
        low=low,
        high=high,
        here=f"{signed(value)} ({first[0]} of {first[1]} to {second[0]} of {second[1]})",
        spread=span(low, high),
        trials=len(pairs.both) or len(rows),
        seeds=seeds(rows),
        basis=PAIRED_SHARES if pairs.both else SHARES,
        of="pair" if pairs.both else "trial",
    )


def _known(row: Row, claim: ChangeClaim, milestones: frozenset[str]) -> bool:
    if claim.levels:
        return passed(row, claim.change, claim, milestones) is not None
    return value_of(row, claim.change, milestones) is not None


def _value(row: Row, claim: ChangeClaim, milestones: frozenset[str]) -> float:
    value = value_of(row, claim.change, milestones)
    assert value is not None
    return value


def _unit(claim: ChangeClaim) -> str:
    return " times" if claim.as_ == "ratio" else ""


def _subject(claim: ChangeClaim, milestones: frozenset[str]) -> str:
    if claim.levels:
        return f"the change of the share with {level_words(claim.change, claim)}"
    pooled = claim.pool or ("median" if claim.change in milestones else "mean")
    what = "ratio" if claim.as_ == "ratio" else "change"
    return f"the {pooled} {what} of {claim.change}"


def _words(fields: Mapping[str, Any]) -> str:
    return conditions(list(fields.items()))
