"""Verdicts on claims of a metric: the mean or the median of some trials, against its bounds."""

import math

from analysis.claims.bounds import against_bounds, bounds
from analysis.claims.values import counted, left_out, quantity, seeds, span, unmet, value_of
from analysis.claims.verdict import NOTHING, Found, Verdict, decided
from analysis.runs import Runs, rows_of
from analysis.summary import INTERVAL, MEDIAN_INTERVAL, conditions, number, summary
from analysis.uncertainty.medians import LEAST, median, order_interval
from sweeps.claim import MetricClaim


def metric_verdict(claim: MetricClaim, runs: Runs, milestones: frozenset[str]) -> Verdict:
    """Check a claim of a metric; milestones are pooled by their median unless it says otherwise."""
    chosen = runs.matching(claim.where)
    known = [
        (row, value)
        for row in rows_of(chosen.table)
        if (value := value_of(row, claim.metric, milestones)) is not None
    ]
    rows, values = [row for row, _ in known], [value for _, value in known]
    pool = claim.pool or ("median" if claim.metric in milestones else "mean")
    left = left_out(len(chosen.omitted))
    if not values:
        which = conditions(list(claim.where.items())) or "this sweep"
        also = f"; {len(chosen.omitted)} did not finish" if chosen.omitted else ""
        words = f"no finished trial of {which} has {claim.metric}{also}"
        return decided(claim, bounds(claim), NOTHING, "not comparable", words)
    never = values.count(math.inf)
    if never and pool == "mean":
        words = f"{never} of {counted(len(values), 'trial')} never got there, so there is no mean"
        return decided(claim, bounds(claim), NOTHING, "not comparable", f"{words}{left}")
    found = (median_of if pool == "median" else _mean_of)(values, seeds(rows))
    lacking = unmet(claim.needs, rows)
    if lacking:
        return decided(claim, bounds(claim), found, "not comparable", lacking)
    also = f", of which {never} never got there" if never else ""
    subject = f"the {pool} {claim.metric} of {counted(found.trials, 'trial')}{also}"
    return against_bounds(claim, found, subject, left=left)


def median_of(values: list[float], several: int) -> Found:
    """The median with its exact interval; `several` seeds gave the values."""
    middle, ends = median(values), order_interval(values)
    low, high = ends or (None, None)
    return Found(
        value=middle,
        low=low,
        high=high,
        here=quantity(middle),
        spread=span(low, high),
        trials=len(values),
        seeds=several,
        basis=MEDIAN_INTERVAL,
        lacks=f"{counted(len(values), 'value')} of the {LEAST} that its exact interval needs",
    )


def _mean_of(values: list[float], several: int) -> Found:
    ours = summary(values)
    assert ours is not None
    return Found(
        value=ours.mean,
        low=ours.low,
        high=ours.high,
        here=number(ours.mean),
        spread=span(ours.low, ours.high),
        trials=ours.count,
        seeds=several,
        basis=INTERVAL,
        lacks="one trial gives no interval",
    )
