"""Refuses a report, claims or an objective that no trial of a sweep could answer."""

from collections.abc import Set

from sweeps.claim import ChangeClaim, MetricClaim, ShareClaim
from sweeps.planning.plot_questions import check_plots, with_milestones
from sweeps.spec import SpecError, Sweep
from trainers.schema import spelled


def check_questions(sweep: Sweep, metrics: Set[str], fields: Set[str], curves: Set[str]) -> None:
    """Refuse to ask for a metric or a field that no trial has; `curves` are metrics over training.

    Raises:
        SpecError: the report, a claim or the objective does.
    """
    report = sweep.report

    def metric(name: str | None, *place: str | int) -> None:
        if name is not None and name not in metrics:
            known = ", ".join(sorted(metrics))
            raise SpecError(f"{spelled(place)}: expected one of {known}, got {name}", place=place)

    def field(name: str, *place: str | int) -> None:
        if name not in fields and name not in metrics:
            raise SpecError(
                f"{spelled(place)}: expected a field of the trials, got {name}", place=place
            )

    metric(sweep.objective.metric, "objective", "metric")
    metrics = with_milestones(report, metrics, fields, curves)
    check_plots(report, metrics, fields, curves)
    for number, claim in enumerate(sweep.claims):
        place = ("claims", number)
        if isinstance(claim, MetricClaim):
            metric(claim.metric, *place, "metric")
        if (
            isinstance(claim, ShareClaim) and claim.is_ is None
        ):  # which details a trial has, only it knows
            metric(claim.share, *place, "share")
        if isinstance(claim, ChangeClaim):
            if claim.is_ is None:
                metric(claim.change, *place, "change")
            for part, names in (("from", claim.from_), ("to", claim.to)):
                for name in names:
                    field(name, *place, part)
        for part, names in (("where", claim.where), ("needs", claim.needs)):
            for name in names:
                field(name, *place, part)
    for number, table in enumerate(report.tables):
        for name in (*table.metrics, table.beside):
            metric(name, "report", "tables", number, "metrics")
        for name in (*table.rows, *table.where):
            field(name, "report", "tables", number, "rows")
    for number, contrast in enumerate(report.contrasts):
        metric(contrast.metric, "report", "contrasts", number, "metric")
        for name in (contrast.field, *contrast.rows, *contrast.where):
            field(name, "report", "contrasts", number, "field")
    for number, fit in enumerate(report.fits):
        if fit.of is not None:  # its rows are those of a threshold, and checked with it
            continue
        metric(fit.metric, "report", "fits", number, "metric")
        for name in (*fit.inputs.values(), *fit.split, *fit.where):
            field(name, "report", "fits", number, "inputs")
