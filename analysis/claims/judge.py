"""The verdict on every kind of claim, from a sweep's finished trials and its fits."""

from collections.abc import Sequence

from analysis.claims.better import better_verdict
from analysis.claims.change import change_verdict
from analysis.claims.coefficient import coefficient_verdict
from analysis.claims.fitted import Fitted, meant
from analysis.claims.metric import metric_verdict
from analysis.claims.share import share_verdict
from analysis.claims.verdict import Verdict
from analysis.runs import Runs
from sweeps.claim import ChangeClaim, Claim, CoefficientClaim, LawClaim, MetricClaim, ShareClaim
from sweeps.spec import Sweep


def verdict(claim: Claim, sweep: Sweep, runs: Runs, fits: Sequence[Fitted]) -> Verdict:
    """Check one claim of a sweep; nothing of a no is hidden."""
    milestones = frozenset(one.name for one in sweep.report.milestones)
    match claim:
        case MetricClaim():
            return metric_verdict(claim, runs, milestones)
        case ShareClaim():
            return share_verdict(claim, runs, milestones)
        case ChangeClaim():
            return change_verdict(claim, sweep, runs, milestones)
        case CoefficientClaim():
            return coefficient_verdict(claim, meant(claim, runs, fits))
        case LawClaim():
            return better_verdict(claim, meant(claim, runs, fits))
