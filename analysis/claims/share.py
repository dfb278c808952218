"""Verdicts on claims of a share: how many trials passed a level, with an exact interval."""

from analysis.claims.bounds import against_bounds, bounds
from analysis.claims.values import counted, left_out, level_words, passed, seeds, span, unmet
from analysis.claims.verdict import NOTHING, Found, Verdict, decided
from analysis.runs import Runs, rows_of
from analysis.summary import conditions, number
from analysis.uncertainty.proportions import exact
from sweeps.claim import ShareClaim

FEW = 8  # seeds, below which a share says little
SHARE_INTERVAL = "95 % exact binomial (Clopper-Pearson) interval of a share"


def share_verdict(claim: ShareClaim, runs: Runs, milestones: frozenset[str]) -> Verdict:
    """Check a claim of the share of trials that passed a level."""
    chosen = runs.matching(claim.where)
    known = [
        (row, there)
        for row in rows_of(chosen.table)
        if (there := passed(row, claim.share, claim, milestones)) is not None
    ]
    rows = [row for row, _ in known]
    if not known:
        which = conditions(list(claim.where.items())) or "this sweep"
        also = f"; {len(chosen.omitted)} did not finish" if chosen.omitted else ""
        words = f"no finished trial of {which} has {claim.share}{also}"
        return decided(claim, bounds(claim), NOTHING, "not comparable", words)
    count, total = sum(there for _, there in known), len(known)
    low, high = exact(count, total)
    found = Found(
        value=count / total,
        low=low,
        high=high,
        here=f"{number(count / total)} ({count} of {total})",
        spread=span(low, high),
        trials=total,
        seeds=seeds(rows),
        basis=SHARE_INTERVAL,
    )
    lacking = unmet(claim.needs, rows)
    if lacking:
        return decided(claim, bounds(claim), found, "not comparable", lacking)
    subject = f"the share of trials with {level_words(claim.share, claim)}"
    left = f"{few(found.seeds)}{left_out(len(chosen.omitted))}"
    return against_bounds(claim, found, subject, left=left)


def few(several: int) -> str:
    """That a share rests on few seeds, as the end of a sentence; empty where it does not."""
    return f"; {counted(several, 'seed')}, which is few for a share" if several < FEW else ""
